package qemu

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// watchedPC is a PC whose chipset has a watchdog, of 30 s, and an initramfs with the
// driver for it.
func watchedPC(t *testing.T) (p port, disk string, boot func(initramfs string, words ...string) Result) {
	t.Helper()
	all := Architectures()
	pc := all[slices.IndexFunc(all, func(a Architecture) bool { return a.Name == "amd64" })]
	p = portTo(t, pc, false, "i6300esb")
	disk = p.disk(t)
	return p, disk, func(initramfs string, words ...string) Result {
		return runMachine(t, Machine{
			Architecture: p.Architecture, Kernel: p.kernel.Image, Initramfs: initramfs,
			Append: append([]string{"minos.layout=image"}, words...), Drives: []Drive{{File: disk}},
			Args: []string{"-device", "i6300esb", "-action", "watchdog=reset"},
		}, nil, 4*stubbornDeadline)
	}
}

// The machine's watchdog looks after the boot, and is stopped where nobody feeds
// it afterwards: a system that hangs goes on hanging, as without init.
func TestWatchdogIsStopped(t *testing.T) {
	p, _, boot := watchedPC(t)
	r := boot(filepath.Join(p.images, releaseImage))
	r.handedOver(t)
	shows(t, r.Console, "minos: the watchdog looks after this boot")
	lacks(t, r.Console, "did not stop", "does not look after this boot")
}

// A boot that stands still is ended by the watchdog, and so is a system that does
// not feed it though it was to.
func TestWatchdogEndsAHang(t *testing.T) {
	takesLong(t)
	p, _, boot := watchedPC(t)
	faulty, err := p.faultyInitramfs(filepath.Join(p.images, releaseImage), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		initramfs string
		words     []string
		least     time.Duration // of the guest's time
	}{
		"in init":       {faulty, []string{"fault=standstill"}, 2 * time.Minute},
		"in the system": {filepath.Join(p.images, releaseImage), []string{"minos.watchdog=keep", "stub.end=hang"}, 20 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			r := boot(c.initramfs, c.words...)
			if r.Ending != Reset || r.Took < c.least {
				t.Errorf("the machine ended with %s after %v", r.Ending, r.Took)
			}
			lacks(t, r.Console, "Kernel panic")
		})
	}
}
