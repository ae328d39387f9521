package sys

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// ReadFile implements Files.
func (Linux) ReadFile(path string) ([]byte, error) { return os.ReadFile(path) }

// ReadDir implements Files.
func (Linux) ReadDir(path string) ([]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, nil
}

// Lstat implements Files.
func (Linux) Lstat(path string) (FileInfo, error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return FileInfo{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return infoOf(&st), nil
}

// infoOf translates the kernel's mode bits (inode(7)) into Go's.
func infoOf(st *unix.Stat_t) FileInfo {
	mode := fs.FileMode(st.Mode & 0o777)
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		mode |= fs.ModeDir
	case unix.S_IFLNK:
		mode |= fs.ModeSymlink
	case unix.S_IFBLK:
		mode |= fs.ModeDevice
	case unix.S_IFCHR:
		mode |= fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFIFO:
		mode |= fs.ModeNamedPipe
	case unix.S_IFSOCK:
		mode |= fs.ModeSocket
	}
	return FileInfo{Mode: mode, Size: st.Size, Dev: uint64(st.Dev)}
}

// Readlink implements Files.
func (Linux) Readlink(path string) (string, error) { return os.Readlink(path) }

// ResolveIn implements Files. It lets the kernel walk (openat2(2), 5.6), so
// that a link such as /sbin -> /usr/sbin leads into the new root and not into
// the initramfs.
func (Linux) ResolveIn(root, name string) (string, FileInfo, error) {
	dir, err := open(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return "", FileInfo{}, err
	}
	defer unix.Close(dir)
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Openat2(dir, name, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_IN_ROOT | unix.RESOLVE_NO_MAGICLINKS,
		})
	})
	if err != nil {
		return "", FileInfo{}, &fs.PathError{Op: "open", Path: path.Join(root, name), Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return "", FileInfo{}, &fs.PathError{Op: "stat", Path: path.Join(root, name), Err: err}
	}
	full, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	if err != nil {
		return "", FileInfo{}, err
	}
	if root != "/" {
		full = path.Join("/", full[len(path.Clean(root)):])
	}
	return full, infoOf(&st), nil
}

// Statfs implements Files.
func (Linux) Statfs(path string) (Statfs, error) {
	var st unix.Statfs_t
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Statfs(path, &st) }); err != nil {
		return Statfs{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	return Statfs{
		Magic:    int64(st.Type),
		ReadOnly: int64(st.Flags)&unix.ST_RDONLY != 0,
	}, nil
}

// WriteFile implements Files.
func (Linux) WriteFile(path string, data []byte, perm fs.FileMode) error {
	return os.WriteFile(path, data, perm)
}

// recordWriter hands each Write to the kernel as one write(2).
type recordWriter struct {
	fd   int
	path string
}

// OpenWriter implements Files.
func (Linux) OpenWriter(path string) (io.WriteCloser, error) {
	fd, err := open(path, unix.O_WRONLY|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	return recordWriter{fd, path}, nil
}

func (w recordWriter) Write(p []byte) (int, error) {
	n, err := ignoringEINTR(func() (int, error) { return unix.Write(w.fd, p) })
	if err != nil {
		return 0, &fs.PathError{Op: "write", Path: w.path, Err: err}
	}
	return n, nil
}

func (w recordWriter) Close() error { return unix.Close(w.fd) }

// Mkdir implements Files.
func (Linux) Mkdir(path string, perm fs.FileMode) error { return os.Mkdir(path, perm) }

// Rename implements Files.
func (Linux) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Files.
func (Linux) Remove(path string) error { return os.Remove(path) }

// Symlink implements Files.
func (Linux) Symlink(target, path string) error { return os.Symlink(target, path) }

// Fsync implements Files.
func (Linux) Fsync(path string) error {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Fsync(fd) }); err != nil {
		return &fs.PathError{Op: "fsync", Path: path, Err: err}
	}
	return nil
}

// Sync implements Files.
func (Linux) Sync() { unix.Sync() }
