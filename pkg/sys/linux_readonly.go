package sys

import (
	"io/fs"

	"golang.org/x/sys/unix"
)

// SetReadOnly implements Kernel by BLKROSET (linux/fs.h).
func (Linux) SetReadOnly(path string, on bool) (was bool, err error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	before, err := unix.IoctlGetUint32(fd, unix.BLKROGET)
	if err != nil {
		return false, &fs.PathError{Op: "ask whether writes are allowed to", Path: path, Err: err}
	}
	was = before != 0
	if was == on {
		return was, nil
	}
	wanted := 0
	if on {
		wanted = 1
	}
	if err := unix.IoctlSetPointerInt(fd, unix.BLKROSET, wanted); err != nil {
		return was, &fs.PathError{Op: "allow or refuse writes to", Path: path, Err: err}
	}
	return was, nil
}
