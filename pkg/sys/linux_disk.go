package sys

import (
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// disk is an open whole disk with a lock on it.
type disk struct{ device }

// LockDisk implements Kernel.
func (Linux) LockDisk(path string) (Disk, error) {
	fd, err := open(path, unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return nil, &fs.PathError{Op: "lock", Path: path, Err: err}
	}
	return disk{device{fd, path}}, nil
}

// Blocks implements Disk.
func (d disk) Blocks() (logical, physical int64, err error) {
	for _, size := range []struct {
		request uint
		into    *int64
	}{{unix.BLKSSZGET, &logical}, {unix.BLKPBSZGET, &physical}} {
		n, err := unix.IoctlGetUint32(d.fd, size.request)
		if err != nil {
			return 0, 0, &fs.PathError{Op: "ask for the block size of", Path: d.path, Err: err}
		}
		*size.into = int64(n)
	}
	return logical, physical, nil
}

// ResizePartition implements Disk by BLKPG (linux/blkpg.h). The kernel refuses
// what is not whole logical blocks, or not on the disk, or overlaps
// (block/ioctl.c, blkpg_do_ioctl).
func (d disk) ResizePartition(number int, start, size int64) error {
	part := unix.BlkpgPartition{Start: start, Length: size, Pno: int32(number)}
	arg := unix.BlkpgIoctlArg{
		Op: unix.BLKPG_RESIZE_PARTITION, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part)),
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); errno != 0 {
		return &fs.PathError{Op: "tell the kernel of a larger partition of", Path: d.path, Err: errno}
	}
	return nil
}
