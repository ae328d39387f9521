package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// loopControl gives out loop devices. It is there once the kernel has its
// driver.
const loopControl = "/dev/loop-control"

// loopTries is how often another device is tried when somebody else was given
// the same one.
const loopTries = 8

// AttachLoop implements Mounts. It is one call, LOOP_CONFIGURE of Linux 5.8.
// Direct I/O keeps what is read from being held in memory twice; the kernel
// leaves it out where the filesystem below has none.
func (Linux) AttachLoop(file string) (Loop, error) {
	return attachLoop(file, unix.O_RDONLY, unix.LO_FLAGS_READ_ONLY)
}

// AttachWritableLoop implements Mounts.
func (Linux) AttachWritableLoop(file string) (Loop, error) { return attachLoop(file, unix.O_RDWR, 0) }

// attachLoop opens the file and the device in a mode.
func attachLoop(file string, mode int, flags uint32) (Loop, error) {
	backing, err := open(file, mode, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(backing)
	control, err := open(loopControl, unix.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("a loop device for %s: %w", file, err)
	}
	defer unix.Close(control)
	config := unix.LoopConfig{Fd: uint32(backing)}
	config.Info.Flags = flags | unix.LO_FLAGS_AUTOCLEAR | unix.LO_FLAGS_DIRECT_IO
	copy(config.Info.File_name[:len(config.Info.File_name)-1], file)
	for try := 1; ; try++ {
		number, err := unix.IoctlRetInt(control, unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, fmt.Errorf("a free loop device for %s: %w", file, err)
		}
		device, err := open(fmt.Sprintf("/dev/loop%d", number), mode, 0)
		if err != nil {
			return nil, err
		}
		if err = unix.IoctlLoopConfigure(device, &config); err == nil {
			return loop{stream{device, fmt.Sprintf("/dev/loop%d", number)}}, nil
		}
		unix.Close(device)
		if err != unix.EBUSY || try == loopTries {
			return nil, fmt.Errorf("attach %s to /dev/loop%d: %w", file, number, err)
		}
	}
}

// loop is an attached loop device, open.
type loop struct{ stream }

// Path implements Loop.
func (l loop) Path() string { return l.path }
