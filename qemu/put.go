package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// PutFiles adds files to the ext4 filesystem of one partition of an image, in
// place of what has their names: what changes more often than the image, which
// takes long to make. Directories have to be there. It needs debugfs.
func (d Disk) PutFiles(partition, image string, files ...File) error {
	ranges := d.Ranges()
	i := slices.IndexFunc(ranges, func(r Range) bool { return r.Name == partition })
	if i < 0 {
		return fmt.Errorf("cannot put files on %s: there is no such partition", partition)
	}
	if err := putFiles(image, ranges[i].Start, files); err != nil {
		return fmt.Errorf("cannot put files on %s of %s: %w", partition, image, err)
	}
	return nil
}

// With is an ext4 filesystem with more files in it.
type With struct {
	Content // the filesystem
	Files   []File
}

// Make implements Content. It needs debugfs.
func (w With) Make(file string, size int64) error {
	if err := w.Content.Make(file, size); err != nil {
		return err
	}
	if err := putFiles(file, 0, w.Files); err != nil {
		return fmt.Errorf("cannot put files on a filesystem: %w", err)
	}
	return nil
}

// putFiles adds regular files and symbolic links of root's to the ext4
// filesystem at an offset, in bytes. debugfs ends well whatever happened, so
// each file is read back.
func putFiles(image string, start int64, files []File) error {
	dir, err := os.MkdirTemp("", "minos-put-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	filesystem := fmt.Sprintf("%s?offset=%d", image, start)
	var script strings.Builder
	for i, f := range files {
		name := path.Join("/", f.Name)
		fmt.Fprintf(&script, "rm %s\n", name)
		if f.Target != "" {
			fmt.Fprintf(&script, "symlink %s %s\n", name, f.Target)
			continue
		}
		source, err := f.source(filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return err
		}
		fmt.Fprintf(&script, "write %s %s\n", source, name)
		for field, value := range map[string]string{"mode": fmt.Sprintf("0100%o", unixMode(f.Mode)), "uid": "0", "gid": "0"} {
			fmt.Fprintf(&script, "sif %s %s %s\n", name, field, value)
		}
	}
	commands := filepath.Join(dir, "commands")
	if err := os.WriteFile(commands, []byte(script.String()), 0o644); err != nil {
		return err
	}
	cmd, err := command("debugfs", "-w", "-f", commands, filesystem)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "E2FSPROGS_FAKE_TIME="+strconv.Itoa(imageTime))
	if err := runCommand(cmd, nil); err != nil {
		return err
	}
	for i, f := range files {
		made := filepath.Join(dir, strconv.Itoa(i))
		if err := f.isOn(filesystem, made, made+".back"); err != nil {
			return fmt.Errorf("%s is not there afterwards: %w", f.Name, err)
		}
	}
	return nil
}

// source is a file of the workstation with the content of f; when f has none,
// it is made at path.
func (f File) source(path string) (string, error) {
	if f.From != "" {
		return filepath.Abs(f.From)
	}
	return path, os.WriteFile(path, []byte(f.Data), 0o644)
}

// isOn compares f with what a filesystem has under its name, by way of the file
// back.
func (f File) isOn(filesystem, made, back string) error {
	if f.Target != "" {
		return run(nil, "sh", "-euc", `debugfs -R "stat $1" "$2" 2>&1 | grep -q -F "Fast link dest: \"$3\""`, "sh", path.Join("/", f.Name), filesystem, f.Target)
	}
	source, err := f.source(made)
	if err != nil {
		return err
	}
	want, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if err := run(nil, "debugfs", "-R", "dump "+path.Join("/", f.Name)+" "+back, filesystem); err != nil {
		return err
	}
	got, err := os.ReadFile(back)
	if err == nil && !bytes.Equal(got, want) {
		err = errors.New("its content differs")
	}
	return err
}
