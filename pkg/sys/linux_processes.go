package sys

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// AttachConsole implements Processes. The console does not become the
// controlling terminal: a Ctrl-C on it must not reach PID 1.
func (Linux) AttachConsole(path string) error {
	fd, err := open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	for std := range 3 {
		if err := unix.Dup3(fd, std, 0); err != nil {
			return fmt.Errorf("make %s descriptor %d: %w", path, std, err)
		}
	}
	return unix.Close(fd)
}

// Memfd implements Processes.
func (Linux) Memfd(name string, content []byte) (int, error) {
	fd, err := unix.MemfdCreate(name, 0)
	if err != nil {
		return -1, fmt.Errorf("memfd_create %s: %w", name, err)
	}
	// Pwrite leaves the offset at the start, from where it will be read.
	if n, err := unix.Pwrite(fd, content, 0); err != nil || n != len(content) {
		unix.Close(fd)
		return -1, fmt.Errorf("write %d bytes to the memory file %s: wrote %d: %w", len(content), name, n, err)
	}
	return fd, nil
}

// Run implements Processes. With a Terminal the program leads a session of its
// own, without which a shell has no job control and Ctrl-C reaches nobody.
func (Linux) Run(c Command) error {
	files := []*os.File{os.Stdin, os.Stdout, os.Stderr}
	var attr syscall.SysProcAttr
	if c.Terminal != "" {
		tty, err := os.OpenFile(c.Terminal, os.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			return err
		}
		defer tty.Close()
		files = []*os.File{tty, tty, tty}
		attr = syscall.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	}
	p, err := os.StartProcess(c.Argv[0], c.Argv, &os.ProcAttr{Env: c.Env, Files: files, Sys: &attr})
	if err != nil {
		return err
	}
	state, err := p.Wait()
	if err != nil {
		return fmt.Errorf("wait for %s: %w", c.Argv[0], err)
	}
	if !state.Success() {
		return fmt.Errorf("%s: %s", c.Argv[0], state)
	}
	return nil
}

// Exec implements Processes.
func (Linux) Exec(path string, argv, env []string) error {
	return &fs.PathError{Op: "exec", Path: path, Err: unix.Exec(path, argv, env)}
}

// Reboot implements Processes.
func (Linux) Reboot(how Ending) error {
	// The numbers do not fit a signed 32-bit int; the kernel takes 32 bits.
	commands := map[Ending]uint32{
		Restart:  unix.LINUX_REBOOT_CMD_RESTART,
		Halt:     unix.LINUX_REBOOT_CMD_HALT,
		PowerOff: unix.LINUX_REBOOT_CMD_POWER_OFF,
	}
	cmd, ok := commands[how]
	if !ok {
		return fmt.Errorf("unknown way to end the machine's run: %q", how)
	}
	if err := unix.Reboot(int(cmd)); err != nil {
		return fmt.Errorf("reboot(2) to %s: %w", how, err)
	}
	return nil
}
