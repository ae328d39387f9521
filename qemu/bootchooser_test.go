package qemu

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// newPickingCard is a card for a loader that knows of no slots.
func newPickingCard(t *testing.T, change func(*Disk)) *Card {
	t.Helper()
	card := newCard(t, change)
	card.firmware = ""
	return card
}

// init is the bootchooser: it counts each attempt, on both tables.
func TestPickFreshCard(t *testing.T) {
	for _, table := range []string{"MBR", "GPT"} {
		t.Run(table, func(t *testing.T) {
			t.Parallel()
			card := newPickingCard(t, func(d *Disk) { d.GPT = table == "GPT" })
			r := card.boots("A")
			shows(t, r.Console, "minos: slot A: the first of A B with an attempt left; this one leaves 2")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2")
			card.boots("A")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=1")
			report := card.boots("A").handedOver(t)
			if report.Overlay.Durability != "volatile" || report.Degraded {
				t.Errorf("the last of three attempts has the upper %q, degraded %t; want volatile and whole", report.Overlay.Durability, report.Degraded)
			}
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=0")
		})
	}
}

// A slot that fails in any way leads to the other, with no human: its init is
// missing, or ends so that the kernel panics, or hangs until somebody pulls the
// plug. Why is kept where init itself saw it.
func TestPickThreeFailuresLeadToTheOtherSlot(t *testing.T) {
	for _, how := range []string{"missing", "exit", "hang"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			card := newPickingCard(t, func(d *Disk) {
				root := d.RootFSA.Content.(Ext4)
				if how == "missing" {
					root.Tree = root.Tree.Without("sbin/init")
				}
				d.RootFSA.Content = root
			})
			for left := 2; left >= 0; left-- {
				card.words = []string{"panic=-1", "stub.do=" + how + ":A," + readSlot}
				switch how {
				case "missing":
					card.words = cardWords()
					card.PowerOn().failed(t, "init", "/sbin/init")
				case "exit":
					if r := card.PowerOn(); r.Ending != Reset || !strings.Contains(r.Console, "Attempted to kill init") {
						t.Errorf("the machine ended with %s, want a reset after a panic", r.Ending)
					}
				case "hang":
					card.PowerOnUntil("STUB hangs")
				}
				card.has("BOOT_ORDER=A B", fmt.Sprintf("BOOT_A_LEFT=%d", left), "BOOT_B_LEFT=3", "BOOT_A_FROM=3", fmt.Sprintf("BOOT_A_NOW=%d", left))
			}
			card.words = cardWords()
			card.boots("B")
			if how != "missing" {
				return
			}
			evidence := strings.Join(card.VariablesIn(0x500000, 0x1000), " ")
			if !strings.Contains(evidence, "SLOT=A") || !strings.Contains(evidence, "STEP=init") || !strings.Contains(evidence, "BOOT_ID=") {
				t.Errorf("the evidence of slot A is %q", evidence)
			}
			if b := card.VariablesIn(0x501000, 0x1000); b != nil {
				t.Errorf("slot B, which has not failed, has the evidence %q", b)
			}
		})
	}
}

// Torn, blank and random boot states boot, and are whole afterwards.
func TestPickDamagedState(t *testing.T) {
	torn := randomBytes(7)
	for name, c := range map[string]struct {
		primary, shadow []byte
		slot            string
		has             []string
	}{
		"blank":        {make([]byte, environmentSize), make([]byte, environmentSize), "A", []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2"}},
		"random":       {torn, randomBytes(8), "A", []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2"}},
		"torn, shadow": {torn, environmentBytes(t, "BOOT_ORDER=B A", "BOOT_A_LEFT=1", "BOOT_B_LEFT=a", "MACHINE_ID=42"), "B", []string{"BOOT_ORDER=B A", "BOOT_A_LEFT=1", "BOOT_B_LEFT=9", "MACHINE_ID=42", "BOOT_B_FROM=a", "BOOT_B_NOW=9"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newPickingCard(t, nil)
			card.Put("bootstate", atPrimary, c.primary)
			card.Put("bootstate", atShadow, c.shadow)
			card.boots(c.slot)
			card.has(c.has...)
			if name != "blank" && !bytes.Equal(card.State(atTorn, environmentSize), torn) {
				t.Error("the damaged environment was not kept")
			}
		})
	}
}

// With no attempt left the slot that was good is booted without counting, each
// time after a longer pause.
func TestPickExhausted(t *testing.T) {
	t.Parallel()
	card := newPickingCard(t, nil)
	spent := []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0", "BOOT_GOOD=B"}
	with := func(more string) []string { return append(spent[:len(spent):len(spent)], more) }
	card.SetVariables(spent...)
	card.boots("B")
	card.has(with("BOOT_EXHAUSTED=1")...)
	if r := card.boots("B"); r.Took.Seconds() < 10 {
		t.Errorf("the boot took %s, with a pause of 10 s in it", r.Took)
	}
	card.has(with("BOOT_EXHAUSTED=2")...)
	// The line comes before the place of the next pause is stored, and nothing
	// comes after it until the pause is over.
	vm := start(t, card.machine())
	if err := vm.Expect("slot B is started after a pause of 1m0s", stubDeadline); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(Scaled(20 * time.Second)); slices.Contains(card.Variables(atPrimary), "BOOT_EXHAUSTED=2") && time.Now().Before(deadline); {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second) // the flush of the last write
	if err := vm.kill(); err != nil {
		t.Fatal(err)
	}
	card.has(with("BOOT_EXHAUSTED=3")...)
	before := card.State(atPrimary, 8*mib)
	vm = start(t, card.machine())
	if err := vm.Expect("slot B is started after a pause of 5m0s", stubDeadline); err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	if err := vm.kill(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, card.State(atPrimary, 8*mib)) {
		t.Error("the last pause was written again")
	}
}
