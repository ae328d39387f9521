package qemu

import (
	"os"
	"testing"
	"time"
)

// bootModulesAnswering is bootModules with somebody at the serial console who
// answers a question.
func bootModulesAnswering(t *testing.T, medium string, words []string, answers [][2]string, change func(*Machine), do ...string) (Result, bootJSON) {
	t.Helper()
	r := boot(t, Case{Image: medium, Append: append([]string{"minos.layout=modules", "stub.end=exitrd:poweroff"}, words...), Do: do, Change: change,
		Drive: func(t *testing.T, vm *VM) {
			for _, a := range answers {
				if err := vm.Expect(a[0], stubDeadline); err != nil {
					t.Fatal(err)
				}
				if err := vm.Send(a[1] + "\r"); err != nil {
					t.Fatal(err)
				}
			}
		}})
	return r, r.handedOver(t)
}

// Layouts 3.4: perchdir=ask on a serial line, where somebody picks what is not the
// usual choice.
func TestMenuOnASerialLine(t *testing.T) {
	t.Parallel()
	tools(t, "sqfstar")
	medium := mediumOf(t, Ext4{Tree: smallSet(t, oddName)})
	r, report := bootModulesAnswering(t, medium, []string{"noload=broken", "perchdir=ask", "quiet"}, [][2]string{{"a number and Enter, 1 in 30 s:", "2"}}, keep, "rootwrite")
	r.did(t, "rootwrite ok")
	shows(t, r.Console, "  1  a new session", "  2  none, what is written stays in memory")
	if report.Degraded || report.Choice.Value != "none" || report.Choice.Reason != "it was chosen at the console" || report.Overlay.Durability != "volatile" {
		t.Errorf("boot.json: %+v", report)
	}
}

// Without an answer the boot goes on after 30 s.
func TestMenuWithoutAnAnswer(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	t.Parallel()
	tools(t, "sqfstar")
	medium := mediumOf(t, Ext4{Tree: smallSet(t, oddName)})
	r, report := bootModules(t, medium, []string{"noload=broken", "perchdir=ask"}, "rootwrite")
	r.did(t, "rootwrite ok")
	if report.Degraded || report.Choice.Value != "1" || report.Choice.Reason != "nobody at the console has chosen another" || report.Overlay.Durability != "keep" {
		t.Errorf("boot.json: %+v", report)
	}
	if r.Took < 30*time.Second {
		t.Errorf("the machine ran for %v, and the list is there for 30 s", r.Took)
	}
}
