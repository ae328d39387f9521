// Package btrfs is what minosctl asks of a btrfs and no other filesystem has:
// subvolumes and snapshots, by the kernel's own calls (linux/btrfs.h), and
// streams of "btrfs send". Init does not link it, and it is no part of sys.Kernel
// for that reason: an interface's methods are paid for by every binary that has
// one.
//
// A subvolume is named by its path. All calls need root, and a btrfs that is
// mounted from its top level; errors wrap the kernel's errno.
package btrfs

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of linux/btrfs.h. The sizes in them are those of the arguments.
const (
	iocSubvolumeCreate = 0x5000940e // _IOW(0x94, 14, struct btrfs_ioctl_vol_args)
	iocSnapDestroy     = 0x5000940f // _IOW(0x94, 15, struct btrfs_ioctl_vol_args)
	iocSnapCreateV2    = 0x50009417 // _IOW(0x94, 23, struct btrfs_ioctl_vol_args_v2)
	iocSetFlags        = 0x4008941a // _IOW(0x94, 26, __u64)
	iocInfo            = 0x8000943c // _IOR(0x94, 60, …), without its size

	readOnlyFlag = 1 << 1 // BTRFS_SUBVOL_RDONLY
	rootInode    = 256    // BTRFS_FIRST_FREE_OBJECTID: the inode of each subvolume's root
	argsSize     = 4096
	nameAt       = 8  // in struct btrfs_ioctl_vol_args
	nameAtV2     = 56 // in struct btrfs_ioctl_vol_args_v2
	nameLimit    = 255
)

// UUID is the identity that btrfs gives a subvolume. The zero value is none.
type UUID [16]byte

// String is the UUID as btrfs-progs writes it, "-" for none.
func (u UUID) String() string {
	if u == (UUID{}) {
		return "-"
	}
	h := hex.EncodeToString(u[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// Info is what is known of a subvolume.
type Info struct {
	// ID is never given out again, and later ones are higher: it orders subvolumes
	// by their age also where the clock was wrong.
	ID         uint64
	Generation uint64 // of the last change of anything in it
	ReadOnly   bool
	UUID       UUID
	Parent     UUID // of what it is a snapshot of
	// Received is set once all of a stream was received; a snapshot that is made
	// read-only keeps it (fs/btrfs/transaction.c, create_pending_snapshot).
	Received UUID
	Created  time.Time
}

// IsSubvolume tells whether a path is the root of a subvolume. It looks at
// numbers only, so it is true of other filesystems' inode 256 too.
func IsSubvolume(path string) bool {
	var st unix.Stat_t
	return unix.Lstat(path, &st) == nil && st.Ino == rootInode && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// Stat tells of the subvolume at path. fs.ErrNotExist says that there is
// nothing, ErrNoSubvolume that there is something else.
func Stat(path string) (Info, error) {
	if _, err := os.Lstat(path); err != nil {
		return Info{}, err
	}
	if !IsSubvolume(path) {
		return Info{}, fmt.Errorf("%s is no subvolume: %w", path, ErrNoSubvolume)
	}
	var err error
	for _, timeSize := range timeSizes {
		buf := make([]byte, 440+4*timeSize)
		if err = call(path, iocInfo|uint(len(buf))<<16, unsafe.Pointer(&buf[0])); err == nil {
			return parseInfo(buf, timeSize), nil
		}
		if !errors.Is(err, unix.ENOTTY) {
			break
		}
	}
	return Info{}, &fs.PathError{Op: "subvolume info", Path: path, Err: err}
}

// ErrNoSubvolume is in the error about something that is no subvolume.
var ErrNoSubvolume = errors.New("a subvolume of a btrfs was expected")

// timeSizes are those of struct btrfs_ioctl_timespec: a kernel for 386 pads nothing
// to 8 bytes, and one for amd64 wants its own size of a program for 386 too.
var timeSizes = []int{16, 12}

// parseInfo reads struct btrfs_ioctl_get_subvol_info_args.
func parseInfo(b []byte, timeSize int) Info {
	u64 := func(at int) uint64 { return binary.NativeEndian.Uint64(b[at:]) }
	created := 376 + timeSize // behind ctime is otime
	return Info{
		ID: u64(0), Generation: u64(280), ReadOnly: u64(288)&1 != 0, // BTRFS_ROOT_SUBVOL_RDONLY
		UUID: UUID(b[296:312]), Parent: UUID(b[312:328]), Received: UUID(b[328:344]),
		Created: time.Unix(int64(u64(created)), 0).UTC(),
	}
}

// Create makes an empty subvolume.
func Create(path string) error {
	var args [argsSize]byte
	return named("make subvolume", path, iocSubvolumeCreate, args[:], nameAt)
}

// Snapshot makes a snapshot of the subvolume from. It is there as a whole or not
// at all, and it is durable when this returns: the kernel commits a transaction
// for it. What was written to from before is in it.
func Snapshot(from, to string, readOnly bool) error {
	source, err := openDir(from)
	if err != nil {
		return err
	}
	defer unix.Close(source)
	var args [argsSize]byte
	binary.NativeEndian.PutUint64(args[:], uint64(source))
	if readOnly {
		binary.NativeEndian.PutUint64(args[16:], readOnlyFlag)
	}
	return named("make snapshot", to, iocSnapCreateV2, args[:], nameAtV2)
}

// SetReadOnly makes a subvolume read-only.
func SetReadOnly(path string) error {
	flags := uint64(readOnlyFlag)
	if err := call(path, iocSetFlags, unsafe.Pointer(&flags)); err != nil {
		return &fs.PathError{Op: "make read-only", Path: path, Err: err}
	}
	return nil
}

// Delete removes a subvolume with all that is in it, subvolumes too. Its space
// is given back later, by the kernel.
func Delete(path string) error {
	var args [argsSize]byte
	err := named("delete subvolume", path, iocSnapDestroy, args[:], nameAt)
	if !errors.Is(err, unix.ENOTEMPTY) {
		return err
	}
	// It holds others. Names of what is read-only stay, so it has to be looked
	// at without a way to change it; their own deletion needs that it is not.
	if err := eachNested(path, Delete); err != nil {
		return err
	}
	return named("delete subvolume", path, iocSnapDestroy, args[:], nameAt)
}

// RemoveAll removes a directory with all that is in it, whether files,
// directories or subvolumes. That there is nothing is no error.
func RemoveAll(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if info.IsDir() && IsSubvolume(path) {
		return Delete(path)
	}
	if info.IsDir() {
		if err := eachNested(path, Delete); err != nil {
			return err
		}
	}
	return os.RemoveAll(path)
}

// eachNested calls a function for the subvolumes below a directory that are not
// in another one below it.
func eachNested(dir string, do func(path string) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir || !entry.IsDir() || !IsSubvolume(path) {
			return err
		}
		if err := do(path); err != nil {
			return err
		}
		return fs.SkipDir
	})
}

// Exchange makes two names change places, in one step.
func Exchange(a, b string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE); err != nil {
		return &os.LinkError{Op: "exchange", Old: a, New: b, Err: err}
	}
	return nil
}

// Sync makes durable all that was changed on the filesystem that a directory is
// on.
func Sync(dir string) error {
	fd, err := openDir(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Syncfs(fd); err != nil {
		return &fs.PathError{Op: "sync", Path: dir, Err: err}
	}
	return nil
}

// named calls the kernel for a name in a directory, the last part of path.
func named(op, path string, ioctl uint, args []byte, at int) error {
	name := filepath.Base(path)
	if len(name) > nameLimit {
		return &fs.PathError{Op: op, Path: path, Err: unix.ENAMETOOLONG}
	}
	copy(args[at:], name)
	if err := call(filepath.Dir(path), ioctl, unsafe.Pointer(&args[0])); err != nil {
		return &fs.PathError{Op: op, Path: path, Err: err}
	}
	return nil
}

func call(dir string, ioctl uint, args unsafe.Pointer) error {
	fd, err := openDir(dir)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(ioctl), uintptr(args)); errno != 0 {
		return errno
	}
	return nil
}

func openDir(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0)
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}
