package main

import (
	"path"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// exitrdPlace is where systemd looks for the way out: when it has stopped
// everything it makes this directory its root and becomes its /shutdown
// (src/shutdown/shutdown.c, switch_root_initramfs).
const exitrdPlace = "/run/initramfs"

// exitrdDir is that directory in the initramfs, which the image has already. It stays when the initramfs is
// freed. So does the running program by being in it, and that is as well: to free
// the pages of a program that runs is a tenth of what init costs (docs/speed.md).
const exitrdDir = "/exitrd"

// exitrdName is what systemd calls the program in it.
const exitrdName = "shutdown"

// ownProgram is the file that this process was started from.
const ownProgram = "/proc/self/exe"

// enterExitrd makes the way out the root, as systemd does before it starts it.
// Another init may just become /run/initramfs/shutdown.
func enterExitrd(k sys.Kernel) error {
	if _, err := k.Lstat("/" + exitrdName); err == nil {
		return nil // systemd did
	}
	// A mount that is shared cannot be moved.
	if err := k.MakePrivate("/"); err != nil {
		return err
	}
	for _, dir := range append([]string{oldRoot}, neededMounts[1:]...) {
		if err := mount.MkdirAll(k, exitrdPlace+dir); err != nil {
			return err
		}
	}
	// What is mounted below /run is in the way out, or becomes it.
	if err := k.Bind("/run", exitrdPlace+"/run"); err != nil {
		return err
	}
	for _, dir := range []string{"/sys", "/dev", "/proc"} {
		if err := k.MoveMount(dir, exitrdPlace+dir); err != nil {
			return err
		}
	}
	return k.PivotRoot(exitrdPlace, exitrdPlace+oldRoot)
}

// prepareExitrd makes the way out of the system: a directory with the running
// program in it under another name. Neither takes memory, since the program stays
// anyway. It has to be in its place before a layout mounts something below.
// Without it the system still goes down, and leaves its writable layer to be
// recovered by the next boot.
func prepareExitrd(k sys.Kernel, log *Log) {
	err := mount.MkdirAll(k, exitrdDir)
	if err == nil {
		err = linkProgram(k, path.Join(exitrdDir, exitrdName))
	}
	if err == nil {
		err = mount.MkdirAll(k, exitrdPlace)
	}
	if err == nil {
		err = k.Bind(exitrdDir, exitrdPlace)
	}
	if err != nil {
		log.Warn("the writable layer will not be unmounted at the end, ignoring: %v", err)
	}
}
