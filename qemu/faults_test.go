package qemu

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/u-root/u-root/pkg/cpio"
)

// faultyImage is the release image with an init that breaks when it is told to:
// of two files of one name in an initramfs the later one counts.
func faultyImage(t *testing.T) string {
	t.Helper()
	machines(t)
	program := filepath.Join(t.TempDir(), "init")
	cmd, err := command("go", "build", "-tags", "faults", "-trimpath", "-ldflags=-s -w -X main.version=faulty", "-o", program, "github.com/minos-os/minos-init/cmd/init")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Env = append(cmd.Env, "GOOS=linux", "GOARCH=arm64", "CGO_ENABLED=0")
	if err := runCommand(cmd, nil); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var second bytes.Buffer
	w := cpio.Newc.Writer(&second)
	if err := w.WriteRecord(cpio.StaticFile("init", string(content), 0o755)); err != nil {
		t.Fatal(err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		t.Fatal(err)
	}
	return imageFile(t, unpacked(t, releaseImage), second.Bytes())
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
