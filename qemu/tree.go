package qemu

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// imageTime, in seconds since 1970, is the time of every file that the recipes
// add, so that the same recipe gives the same files.
const imageTime = 1700000000

// Tree is the content of a filesystem: an archive, less what is removed, plus
// what is added.
type Tree struct {
	Base   string   // path of a tar archive, or "" to begin with nothing
	Remove []string // names in the archive to leave out, with all that is below them
	Files  []File   // added, parents first; they win over the archive and over earlier files
}

// File is one entry of a Tree. Which of From, Target and Data is set decides
// what it is; with fs.ModeDir in Mode it is a directory.
type File struct {
	Name   string      // without a leading slash: "etc/hostname"
	Mode   fs.FileMode // permissions; fs.ModeDir, ModeSetuid, ModeSetgid and ModeSticky count too
	UID    int
	GID    int
	Data   string // content
	From   string // a file of the workstation that has the content
	Target string // a symbolic link that points here
}

// Dir is a directory of root's, open to all for reading.
func Dir(name string) File { return File{Name: name, Mode: fs.ModeDir | 0o755} }

// Text is a file of root's, open to all for reading.
func Text(name, content string) File { return File{Name: name, Mode: 0o644, Data: content} }

// Link is a symbolic link.
func Link(name, target string) File { return File{Name: name, Mode: 0o777, Target: target} }

// With returns the tree with more files.
func (t Tree) With(files ...File) Tree {
	t.Files = append(append([]File(nil), t.Files...), files...)
	return t
}

// Without returns the tree less the named files and all that is below them.
func (t Tree) Without(names ...string) Tree {
	kept := Tree{Base: t.Base, Remove: append(append([]string(nil), t.Remove...), names...)}
	for _, f := range t.Files {
		if !below(f.Name, names) {
			kept.Files = append(kept.Files, f)
		}
	}
	return kept
}

// below tells whether name is one of the tops or lies below one.
func below(name string, tops []string) bool {
	for _, top := range tops {
		if name == top || strings.HasPrefix(name, top+"/") {
			return true
		}
	}
	return false
}

// WriteTar writes the tree as a tar archive.
func (t Tree) WriteTar(w io.Writer) error {
	out := tar.NewWriter(w)
	last := map[string]int{} // of several files of one name
	for i, f := range t.Files {
		last[f.Name] = i
	}
	if t.Base != "" {
		skip := func(name string) bool {
			_, replaced := last[name]
			return replaced || below(name, t.Remove)
		}
		if err := copyArchive(out, t.Base, skip); err != nil {
			return err
		}
	}
	for i, f := range t.Files {
		if last[f.Name] != i {
			continue
		}
		if err := f.writeTar(out); err != nil {
			return fmt.Errorf("cannot add %s to the tree: %w", f.Name, err)
		}
	}
	return out.Close()
}

func copyArchive(out *tar.Writer, archive string, skip func(name string) bool) error {
	return readArchive(archive, func(h *tar.Header, name string, content io.Reader) error {
		if skip(name) {
			return nil
		}
		if err := out.WriteHeader(h); err != nil {
			return err
		}
		_, err := io.Copy(out, content)
		return err
	})
}

// readArchive calls visit for each entry of a tar archive, with its name
// without a leading "./".
func readArchive(archive string, visit func(h *tar.Header, name string, content io.Reader) error) error {
	f, err := os.Open(archive)
	if err != nil {
		return fmt.Errorf("cannot open an archive: %w", err)
	}
	defer f.Close()
	in := tar.NewReader(f)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the archive %s: %w", archive, err)
		}
		name := path.Clean(h.Name)
		if err := visit(h, name, in); err != nil {
			return fmt.Errorf("cannot copy %s out of an archive: %w", name, err)
		}
	}
}

func (f File) writeTar(out *tar.Writer) error {
	h := &tar.Header{
		Name: f.Name, Typeflag: tar.TypeReg, Mode: unixMode(f.Mode), Uid: f.UID, Gid: f.GID, ModTime: time.Unix(imageTime, 0),
	}
	content := []byte(f.Data)
	switch {
	case f.Mode.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, f.Name+"/"
	case f.Target != "":
		h.Typeflag, h.Linkname = tar.TypeSymlink, f.Target
	case f.From != "":
		var err error
		if content, err = os.ReadFile(f.From); err != nil {
			return err
		}
	}
	h.Size = int64(len(content))
	if err := out.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(out, bytes.NewReader(content))
	return err
}

// unixMode is the mode as stat(2) has it; fs.FileMode keeps the setuid, setgid
// and sticky bits elsewhere.
func unixMode(m fs.FileMode) int64 {
	mode := int64(m.Perm())
	for _, bit := range []struct {
		flag fs.FileMode
		unix int64
	}{{fs.ModeSetuid, 0o4000}, {fs.ModeSetgid, 0o2000}, {fs.ModeSticky, 0o1000}} {
		if m&bit.flag != 0 {
			mode |= bit.unix
		}
	}
	return mode
}
