package sys

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Linux is the running kernel.
type Linux struct{}

var _ Kernel = Linux{}

// Now reads CLOCK_MONOTONIC, which systemd counts by; the stamps of the kernel
// log follow it closely.
func (Linux) Now() time.Duration {
	var ts unix.Timespec
	// It fails only for a clock that the kernel does not have.
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return time.Duration(ts.Nano())
}

// Realtime implements Kernel.
func (Linux) Realtime() time.Time { return time.Now() }

// Sleep implements Kernel.
func (Linux) Sleep(d time.Duration) { time.Sleep(d) }

// Random implements Kernel. Up to 256 bytes come whole (getrandom(2)).
func (Linux) Random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := ignoringEINTR(func() (int, error) { return unix.Getrandom(b, 0) }); err != nil {
		return nil, fmt.Errorf("getrandom: %w", err)
	}
	return b, nil
}

// Uname implements Kernel.
func (Linux) Uname() (Uname, error) {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return Uname{}, fmt.Errorf("uname: %w", err)
	}
	return Uname{Release: text(u.Release[:])}, nil
}

// text cuts a C string at its NUL.
func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

// LoadModule implements Kernel.
func (Linux) LoadModule(path, params string) error {
	fd, err := open(path, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	flags := 0
	if !strings.HasSuffix(path, ".ko") {
		flags = unix.MODULE_INIT_COMPRESSED_FILE // Linux 5.17
	}
	if err := unix.FinitModule(fd, params, flags); err != nil && err != unix.EEXIST {
		return &fs.PathError{Op: "finit_module", Path: path, Err: err}
	}
	return nil
}

// device is an open block device.
type device struct {
	fd   int
	path string
}

// OpenDevice implements Kernel. O_NONBLOCK keeps a drive with removable media
// from waiting for one.
func (Linux) OpenDevice(path string) (Device, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return device{fd, path}, nil
}

// WriteDevice implements Kernel.
func (Linux) WriteDevice(path string) (WritableDevice, error) {
	fd, err := open(path, unix.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return device{fd, path}, nil
}

func (d device) ReadAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Pread(d.fd, p[done:], off+int64(done)) })
		if err != nil {
			return done, &fs.PathError{Op: "read", Path: d.path, Err: err}
		}
		if n == 0 {
			return done, io.EOF
		}
		done += n
	}
	return done, nil
}

func (d device) WriteAt(p []byte, off int64) (int, error) {
	done := 0
	for done < len(p) {
		n, err := ignoringEINTR(func() (int, error) { return unix.Pwrite(d.fd, p[done:], off+int64(done)) })
		if err != nil {
			return done, &fs.PathError{Op: "write", Path: d.path, Err: err}
		}
		done += n
	}
	return done, nil
}

func (d device) Sync() error {
	if _, err := ignoringEINTR(func() (int, error) { return 0, unix.Fsync(d.fd) }); err != nil {
		return &fs.PathError{Op: "sync", Path: d.path, Err: err}
	}
	return nil
}

func (d device) Size() (int64, error) {
	n, err := unix.Seek(d.fd, 0, io.SeekEnd)
	if err != nil {
		return 0, &fs.PathError{Op: "seek to the end of", Path: d.path, Err: err}
	}
	return n, nil
}

func (d device) Close() error { return unix.Close(d.fd) }

// uevents is a netlink socket in the kernel's multicast group of device events.
type uevents struct {
	fd  int
	buf []byte
}

// kernelGroup is the multicast group in which the kernel itself speaks; udev
// speaks in group 2.
const kernelGroup = 1

// Uevents implements Kernel.
func (Linux) Uevents() (Uevents, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("open a socket for device events: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: kernelGroup}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("listen to device events: %w", err)
	}
	// A board with many devices sends more than the default 200 KiB hold
	// before init has read the first. Best effort: an overflow is noticed.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 2<<20)
	// The kernel's longest message is 2048 bytes of keys and a path.
	return &uevents{fd, make([]byte, 8192)}, nil
}

func (u *uevents) Next(timeout time.Duration) ([]byte, error) {
	for {
		n, from, err := unix.Recvfrom(u.fd, u.buf, 0)
		switch err {
		case nil:
			// Only the kernel has port 0: a process must not be able to
			// invent a disk.
			if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
				continue
			}
			return slices.Clone(u.buf[:n]), nil
		case unix.ENOBUFS:
			return nil, ErrOverflow
		case unix.EINTR:
		case unix.EAGAIN:
			if timeout <= 0 {
				return nil, ErrTimeout
			}
			if timeout, err = u.wait(timeout); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("read device events: %w", err)
		}
	}
}

// wait sleeps until there is something to read, and returns what is left of
// the timeout.
func (u *uevents) wait(timeout time.Duration) (left time.Duration, err error) {
	began := time.Now()
	// Rounded up, or the last millisecond would be waited for by spinning.
	ms := int((timeout + time.Millisecond - 1) / time.Millisecond)
	_, err = unix.Poll([]unix.PollFd{{Fd: int32(u.fd), Events: unix.POLLIN}}, ms)
	if err != nil && err != unix.EINTR {
		return 0, fmt.Errorf("wait for device events: %w", err)
	}
	return timeout - time.Since(began), nil
}

func (u *uevents) Close() error { return unix.Close(u.fd) }

// open opens a file so that no program started later inherits it.
func open(path string, flags int, perm uint32) (int, error) {
	fd, err := ignoringEINTR(func() (int, error) { return unix.Open(path, flags|unix.O_CLOEXEC, perm) })
	if err != nil {
		return -1, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fd, nil
}

// ignoringEINTR repeats a call that a signal interrupted; the Go runtime sends
// itself signals to preempt goroutines.
func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != unix.EINTR {
			return n, err
		}
	}
}
