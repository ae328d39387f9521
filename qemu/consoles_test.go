package qemu

import (
	"strings"
	"testing"
)

// earlyConsole shows the kernel log although there is no console: the boot
// console is kept.
func earlyConsole(m *Machine) {
	m.NoConsole = true
	m.Append = append(m.Append, "earlycon=pl011,0x9000000", "keep_bootcon")
}

// A machine without a console, or with one that does not exist, boots, and
// tells the kernel log what others tell a console.
func TestWithoutConsole(t *testing.T) {
	for _, console := range []string{"console=null", "console=ttyS9"} {
		t.Run(console, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Append: []string{"rauc.slot=A", console}, Change: earlyConsole, Do: []string{"rootwrite"}})
			report := r.handedOver(t)
			r.did(t, "rootwrite ok")
			if report.Degraded || len(report.Warnings) > 0 {
				t.Errorf("boot.json says degraded %t, warnings %q", report.Degraded, report.Warnings)
			}
			for fd := range 3 {
				// That of the initramfs, which the Go runtime opens before there is
				// another one.
				if target := strings.TrimSuffix(r.Stub.FDs[fd], " (deleted)"); target != "/dev/null" {
					t.Errorf("descriptor %d is %q, want /dev/null", fd, r.Stub.FDs[fd])
				}
			}
			shows(t, r.Console, "minos: OK ")
		})
		t.Run(console+" failing", func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Append: []string{"rauc.slot=A", "init=/nothing", "panic=-1", console}, Change: earlyConsole})
			r.failed(t, "init", "/nothing: no such file")
		})
	}
}

// quiet hides what went well, and nothing of what did not.
func TestQuiet(t *testing.T) {
	t.Run("well", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A", "quiet"}})
		r.handedOver(t)
		lacks(t, r.Console, "minos:")
	})
	t.Run("failing", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A", "quiet", "init=/nothing", "panic=-1"}})
		r.failed(t, "init", "/nothing: no such file")
		lacks(t, r.Console, "minos: slot A")
	})
}

// Every console shows the failure, whichever is the last of the command line
// and so the one that /dev/console is.
func TestTwoConsoles(t *testing.T) {
	for name, words := range map[string][]string{
		"second last": {"console=ttyS0"},
		"first last":  {"console=ttyS0", "console=ttyAMA0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{
				Append: append([]string{"rauc.slot=A", "init=/nothing", "panic=1"}, words...),
				Change: func(m *Machine) { m.SecondConsole = true },
			})
			r.failed(t, "init", "/nothing: no such file")
			shows(t, r.Second, "minos: FAILED step=init", "minos: what was known: ", "minos: what was seen: vda with", "minos: what happens next: ")
		})
	}
}
