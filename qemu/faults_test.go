package qemu

import "testing"

// faultyImage is the release image with an init that breaks when it is told to.
func faultyImage(t *testing.T) string {
	t.Helper()
	machines(t)
	image, err := FaultyInitramfs(initramfs(t, releaseImage), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// Whatever goes wrong inside init, the machine restarts by itself.
func TestFaultsInsideInit(t *testing.T) {
	image := faultyImage(t)
	faulty := func(m *Machine) { m.Initramfs = image }
	t.Run("none", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A"}, Change: faulty})
		r.handedOver(t)
		shows(t, r.Console, "minos: minos-init faulty on Linux ")
	})
	t.Run("goroutine", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A", "fault=goroutine", "panic=1"}, Change: faulty})
		if r.Ending != Reset {
			t.Errorf("the machine ended with %s, want %s", r.Ending, Reset)
		}
		shows(t, r.Console, `minos: FAILED step=fault error="panic: planted in a goroutine"`, "minos: goroutine ", "minos: main.plantFault",
			"minos: what was known: ", "minos: what was seen: ", "minos: what happens next: the machine restarts in 1 s")
		lacks(t, r.Console, "Kernel panic")
	})
	// What the Go runtime does not let anybody catch ends PID 1. The kernel
	// panics, and restarts since init has told it to.
	t.Run("runtime", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A", "fault=runtime"}, Change: faulty})
		if r.Ending != Reset {
			t.Errorf("the machine ended with %s, want %s", r.Ending, Reset)
		}
		shows(t, r.Console, "panic: planted beyond every recover", "Kernel panic - not syncing: Attempted to kill init!", "Rebooting in 10 seconds..")
	})
}
