package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// enterExitrd does what systemd-shutdown does when it finds the way out
// (src/shutdown/shutdown.c, switch_root_initramfs, and src/shared/switch-root.c):
// /run/initramfs becomes the root, the one before lies at /oldroot in it, and
// /shutdown becomes this process. It returns only when that failed.
func enterExitrd(word string) error {
	const root = "/run/initramfs"
	if err := unix.Access(root+"/shutdown", unix.X_OK); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	// What systemd could not unmount it made read-only first.
	if err := unix.Mount("", root, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("remount: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("private: %w", err)
	}
	for _, m := range []struct {
		dir   string
		flags uintptr
	}{{"dev", unix.MS_BIND | unix.MS_REC}, {"sys", unix.MS_BIND | unix.MS_REC}, {"proc", unix.MS_BIND | unix.MS_REC}, {"run", unix.MS_BIND}} {
		if err := unix.Mount("/"+m.dir, filepath.Join(root, m.dir), "", m.flags, ""); err != nil {
			return fmt.Errorf("bind %s: %w", m.dir, err)
		}
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "oldroot"); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	argv := []string{"/shutdown", word, "--timeout=90000000us", "--log-level", "info", "--log-target=kmsg"}
	return fmt.Errorf("exec: %w", unix.Exec("/shutdown", argv, os.Environ()))
}

// holderWord is the argument of a process that is to hold something.
const holderWord = "hold-and-wait"

// hold leaves a process behind that keeps a file open.
func hold(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	holder := exec.Command("/proc/self/exe", holderWord)
	holder.ExtraFiles = []*os.File{f}
	return holder.Start()
}

// mountLoop mounts the ext4 in a file through a loop device.
func mountLoop(file, dir string) error {
	control, err := os.Open("/dev/loop-control")
	if err != nil {
		return err
	}
	defer control.Close()
	n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
	if err != nil {
		return fmt.Errorf("free loop device: %w", err)
	}
	name := fmt.Sprintf("/dev/loop%d", n)
	loop, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer loop.Close()
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.IoctlSetInt(int(loop.Fd()), unix.LOOP_SET_FD, int(f.Fd())); err != nil {
		return fmt.Errorf("attach: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return unix.Mount(name, dir, "ext4", 0, "")
}

func loadModule(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	flags := 0
	if filepath.Ext(file) != ".ko" {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}
