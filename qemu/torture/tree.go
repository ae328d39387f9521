package main

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// node is a file as a filesystem holds it, less its times and its inode, which
// each boot may change.
type node struct {
	attributes string // type and permissions, owner, group, size
	content    string // of a regular file; of a link, where it points
}

// tree is a filesystem's files by their names, without a leading slash.
type tree map[string]node

func (t tree) names() (names []string) {
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// String is the tree as text, the same for the same files.
func (t tree) String() string {
	var all strings.Builder
	for _, name := range t.names() {
		fmt.Fprintf(&all, "%s %s %q\n", name, t[name].attributes, t[name].content)
	}
	return all.String()
}

// checkExt4 judges an ext4 in a file of its own as a kernel would leave it: its
// journal is replayed first. Where e2fsck finds more, the filesystem is repaired
// as a person would, so that what is on it can be judged.
func checkExt4(file string) (verdict, error) {
	// Replaying is all that is asked for; -y, because e2fsck asks nevertheless.
	_, output, err := statusAndOutput("e2fsck", "-y", "-E", "journal_only", file)
	if err != nil {
		return verdict{}, err
	}
	torn := strings.Contains(output, backupSuperblock)
	code, output, err := statusAndOutput("e2fsck", "-fn", file)
	switch {
	case err != nil:
		return verdict{}, err
	case code == 0 && torn:
		return tornSuperblock, nil
	case code == 0:
		return isFine, nil
	}
	if code, err = status("e2fsck", "-fy", file); err != nil {
		return verdict{}, err
	}
	if code > 1 { // 1: errors corrected
		return judged(lost, "e2fsck cannot repair it:\n%s", output), nil
	}
	if torn {
		return tornSuperblock, nil
	}
	return judged(repaired, "e2fsck -fn is not content after the journal was replayed, and -fy is:\n%s", output), nil
}

var tornSuperblock = verdict{repaired, "its superblock is torn, and e2fsck -y took the second one"}

// backupSuperblock is what e2fsck says when it can make nothing of the first
// superblock. Then it does more than replay the journal, whatever it was asked.
const backupSuperblock = "Superblock invalid, trying backup blocks"

// readExt4 lists an ext4 in a file of its own, whose journal was replayed.
func readExt4(file string) (tree, error) {
	dir, err := os.MkdirTemp(filepath.Dir(file), "tree-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a place for the files of %s: %w", file, err)
	}
	defer os.RemoveAll(dir)
	// Without root it cannot give the copies their owners, and says so.
	if _, err := status("debugfs", "-c", "-R", "rdump / "+dir, file); err != nil {
		return nil, err
	}
	var commands strings.Builder
	contents := map[string]string{}
	err = filepath.WalkDir(dir, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(strings.TrimPrefix(full, dir), "/")
		switch {
		case entry.IsDir():
			fmt.Fprintf(&commands, "ls -p \"/%s\"\n", name)
		case entry.Type().IsRegular():
			content, err := os.ReadFile(full)
			contents[name] = contentOf(content)
			return err
		case entry.Type()&fs.ModeSymlink != 0:
			contents[name], err = os.Readlink(full)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("cannot read the files of %s: %w", file, err)
	}
	script := filepath.Join(dir, "list")
	if err := os.WriteFile(script, []byte(commands.String()), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write the commands for debugfs: %w", err)
	}
	_, output, err := statusAndOutput("debugfs", "-c", "-f", script, file)
	if err != nil {
		return nil, err
	}
	return parseListing(output, contents)
}

// contentOf is the content of a file or, of a large one, what tells it from
// another. A filesystem in a file is another after each mount: what is in it shows
// in the new root.
func contentOf(file []byte) string {
	const large, ext4Magic = 64 << 10, 1024 + 0x38
	if len(file) > large && binary.LittleEndian.Uint16(file[ext4Magic:]) == 0xef53 {
		return fmt.Sprintf("an ext4 of %d bytes", len(file))
	}
	if len(file) > large {
		return fmt.Sprintf("sha256 %x", sha256.Sum256(file))
	}
	return string(file)
}

// parseListing reads what "ls -p" of debugfs prints for each directory: an echo
// of the command, and lines of /INODE/MODE/UID/GID/NAME/SIZE/.
func parseListing(output string, contents map[string]string) (tree, error) {
	t, dir := tree{}, ""
	for line := range strings.Lines(output) {
		line = strings.TrimSuffix(line, "\n")
		if command, ok := strings.CutPrefix(line, "debugfs: ls -p "); ok {
			dir = strings.Trim(strings.TrimSpace(command), `"`)
			continue
		}
		fields := strings.Split(line, "/")
		if len(fields) != 8 || fields[0] != "" || fields[5] == "." || fields[5] == ".." {
			continue
		}
		name := strings.TrimPrefix(path.Join(dir, fields[5]), "/")
		t[name] = node{strings.Join([]string{fields[2], fields[3], fields[4], fields[6]}, " "), contents[name]}
	}
	if _, ok := t["lost+found"]; !ok {
		return nil, fmt.Errorf("cannot read what debugfs lists, not even lost+found:\n%s", output)
	}
	return t, nil
}

// status runs a tool and returns its exit status. An error is a tool that could
// not be run.
func status(name string, args ...string) (int, error) {
	code, _, err := statusAndOutput(name, args...)
	return code, err
}

func statusAndOutput(name string, args ...string) (code int, output string, err error) {
	printed, err := qemu.Tool(name, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() >= 0 {
		return exit.ExitCode(), string(printed), nil
	}
	if err != nil {
		return 0, "", fmt.Errorf("cannot run %s: %w", name, err)
	}
	return 0, string(printed), nil
}
