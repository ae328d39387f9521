package qemu

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// randomBytes are the same at each run.
func randomBytes(seed uint64) []byte {
	data := make([]byte, environmentSize)
	source := rand.New(rand.NewPCG(seed, 0))
	for i := range data {
		data[i] = byte(source.Uint32())
	}
	return data
}

// A torn environment is restored from its shadow, and what it was is kept.
func TestUBootTornEnvironment(t *testing.T) {
	t.Parallel()
	card := newCard(t, nil)
	card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3")
	torn := card.State(atPrimary, environmentSize)
	copy(torn[20:40], "half of the next one")
	card.Put("bootstate", atPrimary, torn)
	card.Put("bootstate", atShadow, environmentBytes(t, "BOOT_ORDER=B A", "BOOT_A_LEFT=1", "BOOT_B_LEFT=2", "MACHINE_ID=42"))
	shows(t, card.boots("B").Console, "boot.scr: the environment is torn; its shadow is used")
	card.has("BOOT_ORDER=B A", "BOOT_A_LEFT=1", "BOOT_B_LEFT=1", "BOOT_B_FROM=2", "BOOT_B_NOW=1", "MACHINE_ID=42")
	if !bytes.Equal(torn, card.State(atTorn, environmentSize)) {
		t.Error("the torn environment was not kept")
	}
}

// A power cut between the two writes, or in the second, has counted; one in the
// first has not, and nothing was started either.
func TestUBootPowerCutWhileStoring(t *testing.T) {
	before := []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3"}
	after := []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2"}
	halfway := func(t *testing.T, from, to []string) []byte {
		old, next := environmentBytes(t, from...), environmentBytes(t, to...)
		return append(next[:512:512], old[512:]...)
	}
	// The shadow is written first: that the environment is read first is what
	// makes a cut there harmless.
	for name, test := range map[string]struct {
		primary, shadow func(t *testing.T) []byte
		left            string
	}{
		"in the shadow": {
			func(t *testing.T) []byte { return environmentBytes(t, before...) },
			func(t *testing.T) []byte { return append(halfway(t, before, after)[:100:100], randomBytes(1)[100:]...) }, "2",
		},
		"in the environment": {
			func(t *testing.T) []byte { return append(halfway(t, before, after)[:100:100], randomBytes(2)[100:]...) },
			func(t *testing.T) []byte { return environmentBytes(t, after...) }, "1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, nil)
			card.Put("bootstate", atPrimary, test.primary(t))
			card.Put("bootstate", atShadow, test.shadow(t))
			card.PowerOnUntil("Starting kernel")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT="+test.left, "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW="+test.left)
		})
	}
}

// Without a valid environment and shadow a new one is made, and what was there
// is kept.
func TestUBootNoEnvironment(t *testing.T) {
	for name, content := range map[string][]byte{
		"blank":  make([]byte, environmentSize),
		"erased": bytes.Repeat([]byte{0xff}, environmentSize),
		"random": randomBytes(3),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, nil)
			card.Put("bootstate", atPrimary, content)
			card.Put("bootstate", atShadow, content)
			shows(t, card.boots("A").Console, "boot.scr: there is no valid environment; a new one is made")
			card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2")
			if !bytes.Equal(content, card.State(atTorn, environmentSize)) {
				t.Error("what was there was not kept")
			}
		})
	}
}

// What is not ours is not written: an environment of another size, a large
// partition under the number 9. A boots, uncounted, and the console says why.
func TestUBootLeavesAlone(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*Disk)
		content func(t *testing.T) []byte
		says    string
	}{
		"another size": {nil, func(t *testing.T) []byte {
			cmd, err := command("mkenvimage", "-s", "0x2000", "-o", "-", "-")
			if err != nil {
				t.Fatal(err)
			}
			cmd.Stdin = bytes.NewReader([]byte("BOOT_ORDER=B A\n"))
			data, err := cmd.Output()
			if err != nil || len(data) != 0x2000 {
				t.Fatalf("mkenvimage: %v, %d bytes", err, len(data))
			}
			return data
		}, "boot.scr: the environment has 0x2000 bytes and not 0x4000: it is left alone, no attempt is counted"},
		"large":  {func(d *Disk) { d.BootState.MiB = 17 }, func(*testing.T) []byte { return randomBytes(4) }, "boot.scr: there is no boot state"},
		"small":  {func(d *Disk) { d.BootState = Partition{MiB: 7} }, func(*testing.T) []byte { return randomBytes(5) }, "boot.scr: there is no boot state"},
		"absent": {func(d *Disk) { d.BootState = Partition{} }, nil, "boot.scr: there is no boot state"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			card := newCard(t, test.change)
			var before []byte
			if test.content != nil {
				card.Put("bootstate", atPrimary, test.content(t))
				before = card.State(atPrimary, int(card.partition("bootstate").Size))
			}
			shows(t, card.boots("A").Console, test.says)
			if test.content != nil && !bytes.Equal(before, card.State(atPrimary, len(before))) {
				t.Error("the partition was written")
			}
		})
	}
}

// Both slots have used up their attempts: the one that was good last is started
// without counting, with growing pauses, which are remembered and in the end not
// written again. An attempt that was given back ends that.
func TestUBootBothSlotsExhausted(t *testing.T) {
	t.Parallel()
	card := newCard(t, nil)
	spent := []string{"BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0", "BOOT_A_FROM=3", "BOOT_A_NOW=0", "BOOT_B_FROM=3", "BOOT_B_NOW=0", "BOOT_GOOD=B"}
	with := func(more string) []string { return append(spent[:len(spent):len(spent)], more) }
	const says = "boot.scr: both slots have used up their attempts; slot B once more in "

	card.SetVariables(spent...)
	shows(t, card.boots("B").Console, says+"0 s")
	card.has(with("BOOT_EXHAUSTED=1")...)
	r := card.boots("B")
	shows(t, r.Console, says+"10 s")
	card.has(with("BOOT_EXHAUSTED=2")...)
	if r.Took.Seconds() < 10 {
		t.Errorf("the boot took %s, with a pause of 10 s in it", r.Took)
	}
	shows(t, card.PowerOnUntil("boot.scr: stored"), says+"60 s")
	card.has(with("BOOT_EXHAUSTED=3")...)

	before := card.State(atPrimary, 8*mib)
	card.PowerOnUntil(says + "300 s")
	if !bytes.Equal(before, card.State(atPrimary, 8*mib)) {
		t.Error("the last pause was written again")
	}

	card.SetVariables("BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=1", "BOOT_EXHAUSTED=3", "BOOT_GOOD=B")
	card.PowerOnUntil("Starting kernel")
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0", "BOOT_B_FROM=1", "BOOT_B_NOW=0", "BOOT_GOOD=B")
}

// When the good one cannot be loaded either, the other is started; without
// BOOT_GOOD it is the first of the order that begins.
func TestUBootExhaustedAndBroken(t *testing.T) {
	t.Parallel()
	card := newCard(t, func(d *Disk) { d.KernelB.Content = nil })
	card.SetVariables("BOOT_ORDER=B A", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0")
	shows(t, card.boots("A").Console, "slot B once more in 0 s", "boot.scr: the kernel of slot B cannot be loaded", "boot.scr: slot A instead")
	card.has("BOOT_ORDER=B A", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0", "BOOT_EXHAUSTED=1")
}
