package sys

import (
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// Ask implements Processes. The console is in its canonical mode, so what can be
// read is a line. It does not become the controlling terminal.
func (Linux) Ask(q Question) (answer string, err error) {
	const console = "/dev/console"
	fd, err := open(console, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	was, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return "", fmt.Errorf("%s is no terminal: %w", console, err)
	}
	mode := *was
	mode.Lflag |= unix.ICANON | unix.ECHO | unix.ECHONL
	mode.Iflag |= unix.ICRNL
	if q.Hidden {
		mode.Lflag &^= unix.ECHO
	}
	// TCSETSF throws away what was typed before.
	if err := unix.IoctlSetTermios(fd, unix.TCSETSF, &mode); err != nil {
		return "", fmt.Errorf("set the mode of %s: %w", console, err)
	}
	defer func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, was) }() // it was possible a moment ago
	if _, err := ignoringEINTR(func() (int, error) { return unix.Write(fd, []byte(q.Text)) }); err != nil {
		return "", fmt.Errorf("write to %s: %w", console, err)
	}
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := ignoringEINTR(func() (int, error) { return unix.Poll(events, int(q.Limit.Milliseconds())) })
	if err == nil && n == 0 {
		return "", ErrTimeout
	}
	line := make([]byte, 4096) // what a terminal takes for a line (termios(3))
	if err == nil {
		n, err = ignoringEINTR(func() (int, error) { return unix.Read(fd, line) })
	}
	if err == nil && n == 0 {
		err = io.EOF
	}
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line[:n]), "\r\n"), nil
}
