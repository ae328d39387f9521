// Command init is PID 1 of an initramfs. It finds the disk, decides which
// system to start, puts a writable layer over its read-only root and hands over
// to that system's own init.
package main

import (
	"fmt"
	"os"
	"runtime"
	"time"

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
	growStack(0)
	if isExitrd(m.kernel, os.Args[0]) {
		runExitrd(m)
	} else {
		run(m)
	}
	// Neither the new root nor a restart: the kernel panics when PID 1 ends,
	// and kernel.panic, which boot has set, restarts the machine.
	os.Exit(1)
}

// growStack has the stack grow to the 32 KiB that a boot takes, once and while
// nearly nothing is on it. Otherwise it grows from 2 KiB in four steps, each of
// which finds its way through all that is on it: 0.3 ms (docs/speed.md). The index
// keeps the compiler from leaving the frame out.
//
//go:noinline
func growStack(i int) byte {
	var frame [17 << 10]byte
	frame[i] = 1
	return frame[i/2]
}

// run boots the machine, and ends its run when that cannot be done.
func run(m machine) {
	log := newLog(m.kernel)
	m.dog = &watchdog{every: feedEvery}
	var root layout.Root
	err := sys.Guard(func() (err error) { root, err = boot(m, log); return err })
	if err == nil {
		return // only the kernel of a test comes back from an exec
	}
	if err := sys.Guard(func() error { return end(m, log, root, err) }); err != nil {
		log.Error("%v", err)
	}
}

// relax lets Go's supervising thread sleep longer, where it has nothing to
// supervise: one processor takes one step at a time. That thread wakes each 75 µs
// otherwise, up to a hundred times a boot, at 20 µs each (docs/speed.md). 10 ms is
// what it sleeps at most anyway.
func (m machine) relax() {
	if m.schedule != nil {
		m.kernel.RelaxTimers(10 * time.Millisecond)
	}
}

// attend takes relax back, with what the kernel gives each thread (init/init_task.c),
// where modules load beside the boot: the thread that supervises them has to see
// soon that one waits.
func (m machine) attend() {
	if m.schedule != nil {
		m.kernel.RelaxTimers(50 * time.Microsecond)
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
