package modset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// File is a file of a set, or a directory or a link.
type File struct {
	Name string // seen from the directory of the set
	info sys.FileInfo
}

// tree is all that is below a directory of a set, each directory before what is in
// it, but for what skip says and what is below that. Pipes, sockets and devices are
// not in it.
func tree(k sys.Kernel, set, dir string, depth int, skip func(name string) bool) (files []File, err error) {
	names, err := k.ReadDir(path.Join(set, dir))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = path.Join(dir, name)
		if skip(name) {
			continue
		}
		info, err := k.Lstat(path.Join(set, name))
		if err != nil {
			return nil, err
		}
		if info.Mode.Type()&^(fs.ModeDir|fs.ModeSymlink) != 0 {
			continue
		}
		files = append(files, File{name, info})
		if !info.Mode.IsDir() || depth == 0 {
			continue
		}
		below, err := tree(k, set, name, depth-1, skip)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

const (
	pieceSize = 64 << 10        // that is copied at once, in bytes
	tellEvery = 5 * time.Second // from one line of progress to the next
)

// copier copies files with their owners, modes and dates.
type copier struct {
	kernel   sys.Kernel
	from, to string // directories
	root     string // that to is in, and that no link leads out of
	what     string // in words
	// half says that no file may take more than half of the space that is left: a
	// system without any may not start.
	half  bool
	say   func(line string)
	piece []byte
	told  time.Duration
}

// Copy copies files from the directory of a set to another, which is below root.
func Copy(k sys.Kernel, files []File, from, root, to string, say func(line string)) error {
	c := copier{kernel: k, from: from, to: to, root: root, what: "copying the set to memory", say: say}
	say(c.what)
	for i, f := range files {
		if err := c.copy(f, i, len(files)); err != nil {
			return err
		}
	}
	return nil
}

// copy copies one file, the one after so many of all. What is there and is the same
// already is left alone.
func (c *copier) copy(f File, after, all int) error {
	k := c.kernel
	now := k.Now()
	if c.piece == nil {
		c.piece, c.told = make([]byte, pieceSize), now
	}
	if now-c.told >= tellEvery {
		c.say(fmt.Sprintf("%s: %d of %d files", c.what, after, all))
		c.told = now
	}
	dir, err := mount.MkdirIn(k, c.root, path.Join(c.to, path.Dir(f.Name)))
	if err != nil {
		return err
	}
	from, to := path.Join(c.from, f.Name), path.Join(dir, path.Base(f.Name))
	was, err := k.Lstat(to)
	there := err == nil
	switch {
	case !there && !errors.Is(err, fs.ErrNotExist):
		return err
	case f.info.Mode.IsDir() && there:
		_, err = mount.MkdirIn(k, c.root, path.Join(c.to, f.Name)) // a link may lead to a directory
		return err
	case f.info.Mode.IsDir():
		err = k.Mkdir(to, f.info.Mode.Perm())
	case there && was.Mode.IsDir():
		return fmt.Errorf("%s is a directory", to)
	case f.info.Mode.IsRegular():
		if there && same(was, f.info) {
			return nil
		}
		err = c.copyFile(from, to, there && !was.Mode.IsRegular(), f.info)
	default:
		var made bool
		if made, err = c.copyLink(from, to, there); !made {
			return err
		}
	}
	if err == nil && (f.info.UID != 0 || f.info.GID != 0) {
		err = k.Chown(to, f.info.UID, f.info.GID)
	}
	if err == nil && f.info.Mode.IsRegular() {
		err = k.SetModified(to, f.info.Modified) // last: by it the copy is known to be whole
	}
	return err
}

// same tells whether a file is the copy of another. As a filesystem on a medium
// knows no fractions of a second, a change within one is seen by the size only.
func same(a, b sys.FileInfo) bool {
	return a.Mode == b.Mode && a.Size == b.Size && a.Modified == b.Modified && a.UID == b.UID && a.GID == b.GID
}

// copyLink makes a link with the target of another one; made is false when it is
// there.
func (c *copier) copyLink(from, to string, there bool) (made bool, err error) {
	target, err := c.kernel.Readlink(from)
	if err != nil {
		return false, err
	}
	if there {
		if now, err := c.kernel.Readlink(to); err == nil && now == target {
			return false, nil
		}
		if err := c.kernel.Remove(to); err != nil {
			return false, err
		}
	}
	return true, c.kernel.Symlink(target, to)
}

// copyFile copies the content and the mode of a file.
func (c *copier) copyFile(from, to string, replace bool, info sys.FileInfo) error {
	if c.half {
		st, err := c.kernel.Statfs(path.Dir(to))
		if err != nil {
			return err
		}
		if info.Size > st.Free/2 {
			return fmt.Errorf("%s takes %d KiB, more than half of the %d KiB that are free", from, info.Size>>10, st.Free>>10)
		}
	}
	if replace {
		if err := c.kernel.Remove(to); err != nil {
			return err
		}
	}
	r, err := c.kernel.OpenReader(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := c.kernel.CreateFile(to, info.Mode.Perm())
	if err != nil {
		return err
	}
	for err == nil {
		var n int
		n, err = io.ReadFull(r, c.piece)
		if n > 0 {
			if _, writeErr := w.Write(c.piece[:n]); writeErr != nil {
				err = writeErr
			}
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return errors.Join(err, w.Close())
}
