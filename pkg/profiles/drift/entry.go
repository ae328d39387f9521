package drift

import (
	"bytes"
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// entry is a file of any type, as lstat(2) shows it; the zero value of stat is
// nothing at all.
type entry struct {
	path string
	stat unix.Stat_t
}

func (e *entry) read() error {
	if err := unix.Lstat(e.path, &e.stat); err != nil {
		return &fs.PathError{Op: "lstat", Path: e.path, Err: err}
	}
	return nil
}

func (e *entry) readIfThere() error {
	if e.path == "" {
		return nil
	}
	err := e.read()
	if isNotExist(err) {
		*e = entry{}
		return nil
	}
	return err
}

func (e entry) there() bool  { return e.stat.Mode != 0 }
func (e entry) isDir() bool  { return e.mode() == unix.S_IFDIR }
func (e entry) mode() uint32 { return e.stat.Mode & unix.S_IFMT }

// isWhiteout tells whether it marks a deletion.
func (e entry) isWhiteout() bool { return e.mode() == unix.S_IFCHR && e.stat.Rdev == 0 }

// dirPath is where it is, "" when it is no directory.
func (e entry) dirPath() string {
	if !e.isDir() {
		return ""
	}
	return e.path
}

// kind is the type in words.
func (e entry) kind() string {
	switch e.mode() {
	case unix.S_IFREG:
		return "a file"
	case unix.S_IFLNK:
		return "a symbolic link"
	case unix.S_IFDIR:
		return "a directory"
	}
	return "a special file"
}

// attribute is an extended attribute, "" for none.
func (e entry) attribute(name string) (string, error) {
	var buf [4096]byte
	n, err := unix.Lgetxattr(e.path, name, buf[:])
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return "", nil
	} else if err != nil {
		return "", &fs.PathError{Op: "getxattr " + name, Path: e.path, Err: err}
	}
	return string(buf[:n]), nil
}

// differ tells whether two entries differ in anything that a program could see
// but for dates. Two directories are alike here: what is in them is compared on
// its own.
func differ(a, b entry) (bool, error) {
	if a.stat.Mode != b.stat.Mode || a.stat.Uid != b.stat.Uid || a.stat.Gid != b.stat.Gid {
		return !a.isDir() || !b.isDir(), nil
	}
	switch a.mode() {
	case unix.S_IFREG:
		if a.stat.Size != b.stat.Size {
			return true, nil
		}
		return contentDiffers(a, b)
	case unix.S_IFLNK:
		x, err := os.Readlink(a.path)
		y, err2 := os.Readlink(b.path)
		return x != y, errors.Join(err, err2)
	}
	return a.stat.Rdev != b.stat.Rdev, nil
}

// chunk is how much of a file is compared at once.
const chunk = 64 << 10

// contentDiffers compares two files of one size. Dates are no help: an image that
// is built twice has the same ones (SOURCE_DATE_EPOCH).
func contentDiffers(a, b entry) (bool, error) {
	x, err := openFile(a.path)
	if err != nil {
		return false, err
	}
	defer unix.Close(x)
	y, err := openFile(b.path)
	if err != nil {
		return false, err
	}
	defer unix.Close(y)
	left := make([]byte, min(chunk, a.stat.Size))
	right := make([]byte, len(left))
	for at := int64(0); at < a.stat.Size; {
		part := left[:min(int64(len(left)), a.stat.Size-at)]
		n, err := readAt(x, part, at, a.path)
		m, err2 := readAt(y, right[:len(part)], at, b.path)
		if err := errors.Join(err, err2); err != nil {
			return false, err
		}
		if n != m || n == 0 || !bytes.Equal(part[:n], right[:m]) {
			return true, nil
		}
		at += int64(n)
	}
	return false, nil
}

// openFile opens a file for reading. os.Open does more than a hundred thousand
// small files have time for.
func openFile(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// readAt fills a buffer as far as the file goes.
func readAt(fd int, buf []byte, at int64, path string) (int, error) {
	for done := 0; ; {
		n, err := unix.Pread(fd, buf[done:], at+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return done, &fs.PathError{Op: "read", Path: path, Err: err}
		}
		if done += n; n == 0 || done == len(buf) {
			return done, nil
		}
	}
}
