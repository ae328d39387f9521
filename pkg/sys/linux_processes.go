package sys

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

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

// RelaxTimers implements Processes (proc_pid_timerslack_ns(5), Linux 4.6).
func (k Linux) RelaxTimers(slack time.Duration) {
	threads, _ := k.ReadDir("/proc/self/task")
	own := strconv.Itoa(unix.Gettid())
	for _, thread := range threads {
		if thread != own {
			_ = k.WriteFile("/proc/"+thread+"/timerslack_ns", strconv.AppendInt(nil, int64(slack), 10), 0)
		}
	}
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

// RunTool implements Processes. What the tool prints goes into a file in
// memory: a pipe would have to be emptied meanwhile, and a child that it left
// behind could hold it open. It does without os.Process, which would make the
// image 16 KB larger.
func (Linux) RunTool(t Tool) (Exit, error) {
	output, err := unix.MemfdCreate("output", unix.MFD_CLOEXEC)
	if err != nil {
		return Exit{}, fmt.Errorf("memfd_create for the output of %s: %w", t.Argv[0], err)
	}
	defer unix.Close(output)
	null, err := open("/dev/null", unix.O_RDONLY, 0)
	if err != nil {
		return Exit{}, err
	}
	defer unix.Close(null)
	pid, err := syscall.ForkExec(t.Argv[0], t.Argv, &syscall.ProcAttr{
		Dir: "/", Env: t.Env, Files: []uintptr{uintptr(null), uintptr(output), uintptr(output)},
		Sys: &syscall.SysProcAttr{Chroot: t.Root, Setsid: true},
	})
	if err != nil {
		return Exit{}, &fs.PathError{Op: "exec", Path: t.Argv[0], Err: err}
	}
	status, err := waitAtMost(pid, t.Limit)
	if err == nil && !status.Exited() {
		err = fmt.Errorf("was ended by the signal %v", status.Signal())
	}
	if err != nil {
		return Exit{}, fmt.Errorf("%s: %w", t.Argv[0], err)
	}
	text, err := lastOf(output, 16<<10)
	return Exit{status.ExitStatus(), text}, err
}

// waitAtMost waits for a child, and kills it when the time is over. One that
// waits for a disk which has stopped answering does not even die: it is left
// behind.
func waitAtMost(pid int, limit time.Duration) (unix.WaitStatus, error) {
	var status unix.WaitStatus
	done := Go(func() error {
		_, err := ignoringEINTR(func() (int, error) { return unix.Wait4(pid, &status, 0, nil) })
		return err
	})
	select {
	case err := <-done:
		return status, err
	case <-time.After(limit):
	}
	_ = unix.Kill(pid, unix.SIGKILL)
	select {
	case <-done:
	case <-time.After(time.Second):
	}
	return 0, fmt.Errorf("%w: more than %v", ErrKilled, limit)
}

// lastOf reads the last bytes of a file.
func lastOf(fd int, most int64) (string, error) {
	size, err := unix.Seek(fd, 0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	text := make([]byte, min(size, most))
	n, err := ignoringEINTR(func() (int, error) { return unix.Pread(fd, text, size-int64(len(text))) })
	return string(text[:max(n, 0)]), err
}

// Exec implements Processes.
func (Linux) Exec(path string, argv, env []string) error {
	return &fs.PathError{Op: "exec", Path: path, Err: unix.Exec(path, argv, env)}
}

// Kill implements Processes. A process descriptor (Linux 5.3) tells when the
// process has ended, which a signal alone does not.
func (Linux) Kill(pid int, limit time.Duration) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", pid, err)
	}
	defer unix.Close(fd)
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && err != unix.ESRCH {
		return fmt.Errorf("kill process %d: %w", pid, err)
	}
	events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := ignoringEINTR(func() (int, error) { return unix.Poll(events, int(limit.Milliseconds())) })
	if err == nil && n == 0 {
		err = fmt.Errorf("it is still there after %v", limit)
	}
	if err != nil {
		return fmt.Errorf("wait for the end of process %d: %w", pid, err)
	}
	return nil
}

// Reboot implements Processes.
func (Linux) Reboot(how Ending) error {
	// The numbers do not fit a signed 32-bit int; the kernel takes 32 bits.
	commands := map[Ending]uint32{
		Restart:  unix.LINUX_REBOOT_CMD_RESTART,
		Halt:     unix.LINUX_REBOOT_CMD_HALT,
		PowerOff: unix.LINUX_REBOOT_CMD_POWER_OFF,
		Kexec:    unix.LINUX_REBOOT_CMD_KEXEC,
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

// RestartWith implements Processes.
func (Linux) RestartWith(argument string) error {
	text, err := unix.BytePtrFromString(argument)
	if err == nil {
		_, _, errno := unix.Syscall6(unix.SYS_REBOOT, unix.LINUX_REBOOT_MAGIC1, unix.LINUX_REBOOT_MAGIC2,
			unix.LINUX_REBOOT_CMD_RESTART2, uintptr(unsafe.Pointer(text)), 0, 0)
		err = errno
	}
	return fmt.Errorf("reboot(2) with the argument %q: %w", argument, err)
}
