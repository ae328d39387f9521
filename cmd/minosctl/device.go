package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// device is an open partition or file, or the part of one that a partition is.
// It implements ubootenv.Device.
type device struct {
	file  *os.File
	start int64 // bytes from the start of the file
	size  int64
	plain bool // a file, and no block device
}

func openDevice(name string, write bool) (*device, error) {
	mode := os.O_RDONLY
	if write {
		mode = os.O_RDWR
	}
	file, err := os.OpenFile(name, mode, 0)
	if err != nil {
		return nil, err
	}
	d := &device{file: file}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() && info.Mode()&fs.ModeType != fs.ModeDevice {
		err = fmt.Errorf("%s is neither a block device nor a file", name)
	}
	if err == nil {
		d.plain = info.Mode().IsRegular()
		d.size, err = file.Seek(0, io.SeekEnd)
	}
	if err == nil && write && !d.plain {
		// The kernel opens a read-only device for writing, and refuses each write.
		if readOnly, ioctlErr := unix.IoctlGetInt(int(file.Fd()), unix.BLKROGET); ioctlErr == nil && readOnly != 0 {
			err = fmt.Errorf("%s is read-only", name)
		}
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return d, nil
}

// Size implements ubootenv.Reader.
func (d *device) Size() (int64, error) { return d.size, nil }

// ReadAt implements io.ReaderAt.
func (d *device) ReadAt(into []byte, offset int64) (int, error) {
	return io.NewSectionReader(d.file, d.start, d.size).ReadAt(into, offset)
}

// WriteAt implements io.WriterAt. Nothing is written outside of the partition.
func (d *device) WriteAt(from []byte, offset int64) (int, error) {
	if offset < 0 || int64(len(from)) > d.size-offset {
		return 0, fmt.Errorf("write of %d bytes at %d: %w", len(from), offset, io.ErrShortWrite)
	}
	return d.file.WriteAt(from, d.start+offset)
}

// Sync implements ubootenv.Device. What was written leaves the cache, so that
// reading it back asks the disk.
func (d *device) Sync() error {
	if err := d.file.Sync(); err != nil {
		return err
	}
	// Only advice: where it is not taken, the cache is read back.
	_ = unix.Fadvise(int(d.file.Fd()), d.start, d.size, unix.FADV_DONTNEED)
	return nil
}

// Close lets go of the device, and of a lock that is held through it.
func (d *device) Close() error { return d.file.Close() }

// lock keeps other writers out until the returned function is called: with the
// lock of libubootenv, which takes it for every access and opens it like this.
//
// An image on a workstation is locked itself, since no other program knows
// where it is. So is the device when the directory of locks is missing or
// read-only: then no other program can hold the lock there, and marking a slot
// good must not fail for it.
func (c *call) lock(s site, dev *device) (unlock func(), err error) {
	name := c.host.path(lockFile)
	file := dev.file
	if !s.named || !dev.plain {
		opened, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
		switch {
		case err == nil:
			file = opened
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.EROFS):
			c.warn("the lock of fw_setenv cannot be made, ignoring: %v; the device is locked itself", err)
		default:
			return nil, fmt.Errorf("cannot lock the boot state: %w", err)
		}
	}
	release := func() {
		_ = unix.Flock(int(file.Fd()), unix.LOCK_UN)
		if file != dev.file {
			file.Close()
		}
	}
	got := make(chan error, 1)
	go func() { got <- flock(file) }()
	select {
	case err = <-got:
	case <-time.After(c.host.lockWait):
		// The flock goes on waiting; a lock that comes now is let go of at once.
		go func() { <-got; release() }()
		return nil, fmt.Errorf("cannot lock the boot state: another program has held %s for %v; end it, or try again", file.Name(), c.host.lockWait)
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("cannot lock the boot state: %s: %w", file.Name(), err)
	}
	return release, nil
}

// flock waits for an exclusive lock.
func flock(file *os.File) error {
	for {
		if err := unix.Flock(int(file.Fd()), unix.LOCK_EX); err != unix.EINTR {
			return err
		}
	}
}
