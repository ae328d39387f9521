package sys

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Files are read and written without os.File: that offers each of them to the
// poller of the Go runtime, which takes none of /sys and /proc, and asks for
// its size, which they do not tell. A boot reads some thirty of them.

// ReadFile implements Files. It leaves no time of access: the first read of a
// file after it was changed would be a write to the disk, also in an overlay whose
// upper is mounted noatime (fs/overlayfs/super.c, ovl_get_upper).
func (Linux) ReadFile(path string) ([]byte, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) { // only its owner may ask for that
		fd, err = open(path, unix.O_RDONLY, 0)
	}
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	data, err := readAll(fd)
	if err != nil {
		return nil, &fs.PathError{Op: "read", Path: path, Err: err}
	}
	return data, nil
}

// readAll reads an open file to its end.
func readAll(fd int) ([]byte, error) {
	data := make([]byte, 0, 512)
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.Read(fd, data[len(data):cap(data)]) })
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return data, nil
		}
		if data = data[:len(data)+n]; len(data) == cap(data) {
			data = slices.Grow(data, len(data)) // twice the room
		}
	}
}

// ReadEach implements Files. From / to a device's file in /sys are eight
// directories, each of which the kernel asks sysfs about: 25 of 60 µs.
func (Linux) ReadEach(dir string, names []string, file string) [][]byte {
	contents := make([][]byte, len(names))
	at, err := open(dir, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return contents
	}
	defer unix.Close(at)
	for i, name := range names {
		fd, err := ignoringEINTR(func() (int, error) {
			return unix.Openat(at, name+"/"+file, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		})
		if err != nil {
			continue
		}
		contents[i], _ = readAll(fd)
		unix.Close(fd)
	}
	return contents
}

// ReadDir implements Files.
func (Linux) ReadDir(path string) ([]string, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	names, err := readNames(fd)
	if err != nil {
		return nil, &fs.PathError{Op: "readdirent", Path: path, Err: err}
	}
	slices.Sort(names)
	return names, nil
}

// readNames reads the names in an open directory, without . and .., as they
// come.
func readNames(fd int) ([]string, error) {
	entries, err := readEntries(fd)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.name
	}
	return names, err
}

// entry is a name in a directory.
type entry struct {
	name  string
	inode uint64 // of what the name is in the directory, also under a mount
	isDir bool   // in memory and in /sys; not every disk's filesystem tells
}

// readEntries reads an open directory, without . and .., as it comes
// (getdents(2), struct linux_dirent64).
func readEntries(fd int) (entries []entry, err error) {
	var buf [1024]byte // on the stack, where it costs no new page of memory
	for {
		n, err := ignoringEINTR(func() (int, error) { return unix.ReadDirent(fd, buf[:]) })
		if err != nil || n == 0 {
			return entries, err
		}
		for rest := buf[:n]; len(rest) > 19; {
			length := binary.NativeEndian.Uint16(rest[16:])
			if name := text(rest[19:length]); name != "." && name != ".." {
				entries = append(entries, entry{name, binary.NativeEndian.Uint64(rest), rest[18] == unix.DT_DIR})
			}
			rest = rest[length:]
		}
	}
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
	return FileInfo{Mode: mode, Size: st.Size, Dev: uint64(st.Dev), UID: st.Uid, GID: st.Gid,
		Inode: st.Ino, Modified: unix.TimespecToNsec(st.Mtim)}
}

// Readlink implements Files.
func (Linux) Readlink(path string) (string, error) { return os.Readlink(path) }

// ResolveIn implements Files. Most paths have no link in them and end where
// they say; where one has, the kernel is asked where it leads.
func (Linux) ResolveIn(root, name string) (string, FileInfo, error) {
	full := path.Join(root, name)
	var info FileInfo
	err := error(unix.ELOOP)
	if !strings.Contains(name, "..") { // behind a link, .. is not what it seems
		info, err = statAt(unix.AT_FDCWD, full, unix.RESOLVE_NO_SYMLINKS, nil)
	}
	where := path.Join("/", name)
	if err == unix.ELOOP {
		where, info, err = followIn(root, name)
	}
	if err != nil {
		return "", FileInfo{}, &fs.PathError{Op: "open", Path: full, Err: err}
	}
	return where, info, nil
}

// followIn lets the kernel walk (openat2(2), 5.6), so that a link such as
// /sbin -> /usr/sbin leads into the new root and not into the initramfs.
func followIn(root, name string) (where string, info FileInfo, err error) {
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", FileInfo{}, err
	}
	defer unix.Close(dir)
	info, err = statAt(dir, name, unix.RESOLVE_IN_ROOT|unix.RESOLVE_NO_MAGICLINKS, func(fd int) (err error) {
		where, err = os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
		return err
	})
	if err == nil && root != "/" {
		where = path.Join("/", where[len(path.Clean(root)):])
	}
	return where, info, err
}

// statAt looks at the file that a path leads to by the rules of resolve
// (openat2(2)), and at more of it while it is open, unless more is nil.
func statAt(dir int, name string, resolve uint64, more func(fd int) error) (FileInfo, error) {
	fd, err := ignoringEINTR(func() (int, error) {
		return unix.Openat2(dir, name, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: resolve})
	})
	if err != nil {
		return FileInfo{}, err
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return FileInfo{}, err
	}
	if more != nil {
		err = more(fd)
	}
	return infoOf(&st), err
}

// Statfs implements Files.
func (Linux) Statfs(path string) (Statfs, error) {
	var st unix.Statfs_t
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Statfs(path, &st) }); err != nil {
		return Statfs{}, &fs.PathError{Op: "statfs", Path: path, Err: err}
	}
	return Statfs{
		Magic:    magic(&st),
		ReadOnly: int64(st.Flags)&unix.ST_RDONLY != 0,
		Free:     int64(st.Bavail) * int64(st.Bsize),
	}, nil
}

// magic is the number of a filesystem's type. It has 32 bits, and where a word has
// no more, the field's sign is its highest: that of ramfs, btrfs and f2fs is set.
func magic(st *unix.Statfs_t) int64 { return int64(uint32(st.Type)) }

// WriteFile implements Files.
func (Linux) WriteFile(path string, data []byte, perm fs.FileMode) error {
	fd, err := open(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, uint32(perm.Perm()))
	if err != nil {
		return err
	}
	for len(data) > 0 && err == nil {
		var n int
		n, err = ignoringEINTR(func() (int, error) { return unix.Write(fd, data) })
		data = data[max(n, 0):]
	}
	// What could not be kept may be told at the end only.
	if closeErr := unix.Close(fd); err == nil {
		err = closeErr
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: path, Err: err}
	}
	return nil
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

// Chown implements Files.
func (Linux) Chown(path string, uid, gid uint32) error { return os.Lchown(path, int(uid), int(gid)) }

// SetModified implements Files.
func (Linux) SetModified(path string, when int64) error {
	times := []unix.Timespec{{Nsec: unix.UTIME_OMIT}, unix.NsecToTimespec(when)}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return &fs.PathError{Op: "set the time of", Path: path, Err: err}
	}
	return nil
}

// Rename implements Files.
func (Linux) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Files.
func (Linux) Remove(path string) error { return os.Remove(path) }

// Symlink implements Files.
func (Linux) Symlink(target, path string) error { return os.Symlink(target, path) }

// Link implements Files. It follows links, /proc/self/exe among them, which
// link(2) would not.
func (Linux) Link(from, to string) error {
	if err := unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW); err != nil {
		return fmt.Errorf("link %s to %s: %w", from, to, err)
	}
	return nil
}

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

// SyncFS implements Files. The kernel tells of writes that failed since 5.8.
func (Linux) SyncFS(path string) error {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Syncfs(fd) }); err != nil {
		return &fs.PathError{Op: "syncfs", Path: path, Err: err}
	}
	return nil
}

// Sync implements Files.
func (Linux) Sync() { unix.Sync() }
