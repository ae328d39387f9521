package sys

import (
	"fmt"
	"io/fs"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that make a mounted filesystem larger.
const (
	ext4ResizeFS = 0x40086610 // EXT4_IOC_RESIZE_FS, fs/ext4/ext4.h: a u64, in blocks
	btrfsResize  = 0x50009403 // BTRFS_IOC_RESIZE, linux/btrfs.h
)

// btrfsVolume is struct btrfs_ioctl_vol_args. The name is a size in bytes, of
// the device with the number 1.
type btrfsVolume struct {
	_    int64
	name [4088]byte
}

// GrowFilesystem implements Mounts. An f2fs is missing: the kernel makes a
// mounted one only smaller (fs/f2fs/gc.c, f2fs_resize_fs).
func (Linux) GrowFilesystem(dir, fstype string, size int64) error {
	fd, err := open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	var request uintptr
	var arg unsafe.Pointer
	switch fstype {
	case "ext4":
		var s unix.Statfs_t
		if err := unix.Fstatfs(fd, &s); err != nil {
			return &fs.PathError{Op: "statfs", Path: dir, Err: err}
		}
		blocks := uint64(size / int64(s.Bsize))
		request, arg = ext4ResizeFS, unsafe.Pointer(&blocks)
	case "btrfs":
		var volume btrfsVolume
		copy(volume.name[:], strconv.FormatInt(size, 10))
		request, arg = btrfsResize, unsafe.Pointer(&volume)
	default:
		return fmt.Errorf("the kernel does not make a mounted %s larger", fstype)
	}
	if err := ioctl(fd, request, arg); err != nil {
		return &fs.PathError{Op: "grow the " + fstype + " at", Path: dir, Err: err}
	}
	return nil
}

// ioctl is ioctl(2) with something to read from or write to.
func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}
