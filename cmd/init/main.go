// Command init is PID 1 of an initramfs. It finds the disk, decides which
// system to start, puts a writable layer over its read-only root and hands over
// to that system's own init.
package main

import (
	"fmt"
	"os"
	"runtime"

	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// version is set by the linker when an image is built. It has no value here:
// the busybox mode of the debug image would assign that over the linker's.
var version string

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintf(os.Stderr, "minos-init %s is the first process of an initramfs; it does nothing when it is started otherwise.\n", version)
		os.Exit(1)
	}
	m := machine{kernel: sys.Linux{}, args: os.Args[1:], environ: os.Environ(), schedule: scheduleFor(runtime.NumCPU())}
	if isExitrd(m.kernel, os.Args[0]) {
		runExitrd(m)
	} else {
		run(m)
	}
	// Neither the new root nor a restart: the kernel panics when PID 1 ends,
	// and kernel.panic, which boot has set, restarts the machine.
	os.Exit(1)
}

// run boots the machine, and ends its run when that cannot be done.
func run(m machine) {
	log := newLog(m.kernel)
	var root layout.Root
	err := sys.Guard(func() (err error) { root, err = boot(m, log); return err })
	if err == nil {
		return // only the kernel of a test comes back from an exec
	}
	if err := sys.Guard(func() error { return end(m, log, root, err) }); err != nil {
		log.Error("%v", err)
	}
}

// scheduleFor says in which order the steps to the new root are taken. Where
// there is one processor they are taken in turn: side by side each would wait in
// a thread of its own, which costs more than its wait for the disk, since a card
// serves one read at a time anyway (measured in docs/speed.md).
func scheduleFor(processors int) mount.Schedule {
	if processors == 1 {
		return mount.InOrder
	}
	return nil
}
