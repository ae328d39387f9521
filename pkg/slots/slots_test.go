package slots

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

// env are the variables of an environment, one a line.
func env(t testing.TB, lines string) *ubootenv.Env {
	t.Helper()
	var e ubootenv.Env
	for line := range strings.FieldsFuncSeq(lines, func(r rune) bool { return r == '\n' || r == ';' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		if err := e.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return &e
}

// list is the variables again.
func list(e *ubootenv.Env) string {
	var lines []string
	for _, name := range e.Names() {
		value, _ := e.Get(name)
		lines = append(lines, name+"="+value)
	}
	return strings.Join(lines, ";")
}

var absent = Known{State: Fresh(), Absent: true, Why: "there is no boot state"}

// Layouts 1.7, statement 2: what names a slot, and what does not.
func TestStatement1_7_2_Choose(t *testing.T) {
	bFirst := "BOOT_ORDER=B A;BOOT_A_LEFT=3;BOOT_B_LEFT=3"
	for _, c := range []struct {
		named    []string
		state    string
		slot     Slot
		source   string
		reason   string
		rejected int
		warnings int
	}{
		{nil, "", A, "default", "the kernel command line has no rauc.slot=, and there is no boot state", 0, 0},
		{[]string{"A"}, "", A, "rauc.slot=", "the bootloader named it", 0, 0},
		{[]string{"B"}, "", B, "rauc.slot=", "the bootloader named it", 0, 0},
		{[]string{"b"}, "", A, "default", "rauc.slot= names no slot, and there is no boot state", 1, 1},
		{[]string{"C"}, bFirst, B, "boot state", "rauc.slot= names no slot; it is the first of B A with an attempt left, and none is taken", 1, 1},
		{[]string{""}, bFirst, B, "boot state", "rauc.slot= names no slot; it is the first of B A with an attempt left, and none is taken", 1, 1},
		{[]string{"A", "B"}, "", B, "rauc.slot=", "the bootloader named it", 1, 0},
		{[]string{"B", "B"}, "", B, "rauc.slot=", "the bootloader named it", 0, 0},
		{[]string{"B", "x"}, "", B, "rauc.slot=", "the bootloader named it", 1, 1},
		{[]string{"x", "B"}, "", B, "rauc.slot=", "the bootloader named it", 1, 1},
	} {
		known := absent
		if c.state != "" {
			known = Known{State: Read(env(t, c.state))}
		}
		got := Choose(c.named, known)
		if got.Slot != c.slot || got.Source != c.source || got.Reason != c.reason ||
			len(got.Rejected) != c.rejected || len(got.Warnings) != c.warnings || got.Picked {
			t.Errorf("Choose(%q, %s) = %+v; want %+v", c.named, c.state, got, c)
		}
	}
}

// Who picks a slot takes an attempt; what is stored then, and what is said.
func TestPick(t *testing.T) {
	for _, c := range []struct {
		name, before string
		slot         Slot
		reason       string
		pause        time.Duration
		last         bool
		warnings     int
		after        string
	}{
		{"first boot", "BOOT_ORDER=A B;BOOT_A_LEFT=3;BOOT_B_LEFT=3",
			A, "the first of A B with an attempt left; this one leaves 2", 0, false, 0,
			"BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2"},
		{"hexadecimal", "BOOT_ORDER=A B;BOOT_A_LEFT=a;BOOT_B_LEFT=3",
			A, "the first of A B with an attempt left; this one leaves 9", 0, false, 0,
			"BOOT_ORDER=A B;BOOT_A_LEFT=9;BOOT_B_LEFT=3;BOOT_A_FROM=a;BOOT_A_NOW=9"},
		{"ten becomes f", "BOOT_ORDER=A B;BOOT_A_LEFT=0x10;BOOT_B_LEFT=3",
			A, "the first of A B with an attempt left; this one leaves 15", 0, false, 0,
			"BOOT_ORDER=A B;BOOT_A_LEFT=f;BOOT_B_LEFT=3;BOOT_A_FROM=10;BOOT_A_NOW=f"},
		{"last of three", "BOOT_ORDER=A B;BOOT_A_LEFT=1;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=1",
			A, "the first of A B with an attempt left; this one leaves 0", 0, true, 0,
			"BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=0"},
		{"the only one", "BOOT_ORDER=A B;BOOT_A_LEFT=1;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2",
			A, "the first of A B with an attempt left; this one leaves 0", 0, false, 0,
			"BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=3;BOOT_A_FROM=1;BOOT_A_NOW=0"},
		{"second slot", "MACHINE_ID=x=y;BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=2",
			B, "the first of A B with an attempt left; this one leaves 1", 0, false, 0,
			"MACHINE_ID=x=y;BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=1;BOOT_B_FROM=2;BOOT_B_NOW=1"},
		{"unknown names", "BOOT_ORDER=recovery B A;BOOT_A_LEFT=3;BOOT_B_LEFT=3",
			B, "the first of recovery B A with an attempt left; this one leaves 2", 0, false, 1,
			"BOOT_ORDER=recovery B A;BOOT_A_LEFT=3;BOOT_B_LEFT=2;BOOT_B_FROM=3;BOOT_B_NOW=2"},
		{"damaged order", "BOOT_ORDER=\xff\x01;BOOT_A_LEFT=3;BOOT_B_LEFT=3",
			A, "the first of A B with an attempt left; this one leaves 2", 0, false, 2,
			"BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2"},
		{"nothing but others' variables", "MACHINE_ID=1",
			A, "the first of A B with an attempt left; this one leaves 2", 0, false, 0,
			"MACHINE_ID=1;BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2"},
		{"no number", "BOOT_ORDER=A B;BOOT_A_LEFT=zz;BOOT_B_LEFT=-1",
			A, "no slot has an attempt left; it is the first of BOOT_ORDER", 0, false, 3,
			"BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_EXHAUSTED=1"},
		{"too large a number", "BOOT_ORDER=A B;BOOT_A_LEFT=ffffffffffffffffffff;BOOT_B_LEFT=ffffffff",
			A, "the first of A B with an attempt left; this one leaves 18446744073709551614", 0, false, 1,
			"BOOT_ORDER=A B;BOOT_A_LEFT=fffffffffffffffe;BOOT_B_LEFT=ffffffff;BOOT_A_FROM=ffffffffffffffff;BOOT_A_NOW=fffffffffffffffe"},
		{"exhausted, once good", "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_GOOD=B;BOOT_EXHAUSTED=1",
			B, "no slot has an attempt left; it was the last to be marked good", 10 * time.Second, false, 1,
			"BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_GOOD=B;BOOT_EXHAUSTED=2"},
		{"exhausted for long", "BOOT_ORDER=B A;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_EXHAUSTED=7",
			B, "no slot has an attempt left; it is the first of BOOT_ORDER", 5 * time.Minute, false, 1,
			"BOOT_ORDER=B A;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_EXHAUSTED=3"},
		{"an attempt ends the exhaustion", "BOOT_ORDER=A B;BOOT_A_LEFT=3;BOOT_B_LEFT=0;BOOT_EXHAUSTED=3",
			A, "the first of A B with an attempt left; this one leaves 2", 0, false, 0,
			"BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=0;BOOT_A_FROM=3;BOOT_A_NOW=2"},
	} {
		e := env(t, c.before)
		got := Choose(nil, Known{State: Read(e)})
		if got.Slot != c.slot || got.Reason != c.reason || got.Pause != c.pause || got.LastAttempt != c.last || len(got.Warnings) != c.warnings || !got.Picked {
			t.Errorf("%s: Choose = %+v; want %+v", c.name, got, c)
		}
		if err := got.After.Write(e); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.after, list(e)); diff != "" {
			t.Errorf("%s: stored (-want +got):\n%s", c.name, diff)
		}
	}
}

// A bootloader that named a slot is obeyed; what the boot state says to it is
// told, and nothing is written.
func TestObey(t *testing.T) {
	for _, c := range []struct {
		name, state, named string
		last, trial        bool
		warnings           int
	}{
		{"as it should be", "BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3", "A", false, false, 0},
		{"last attempt, counted", "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=0", "A", true, false, 0},
		{"only attempt, counted", "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=3;BOOT_A_FROM=1;BOOT_A_NOW=0", "A", false, false, 0},
		{"passed over", "BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=2;BOOT_GOOD=A", "B", false, true, 1},
		{"marked bad", "BOOT_ORDER=A;BOOT_A_LEFT=2;BOOT_B_LEFT=0", "B", false, false, 1},
		{"fallen back", "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=2", "B", false, false, 0},
	} {
		got := Choose([]string{c.named}, Known{State: Read(env(t, c.state))})
		if got.Slot != Slot(c.named) || got.LastAttempt != c.last || got.OnTrial != c.trial || len(got.Warnings) != c.warnings || got.Picked {
			t.Errorf("%s: Choose = %+v; want %+v", c.name, got, c)
		}
	}
}

// The verbs, against what RAUC 1.13 writes for its own.
func TestVerbs(t *testing.T) {
	const before = "BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;MACHINE_ID=x"
	for _, c := range []struct {
		name   string
		change func(State) State
		after  string
	}{
		{"1.7.16 mark-good", func(s State) State { return s.MarkGood(A) },
			"BOOT_ORDER=A B;BOOT_A_LEFT=3;BOOT_B_LEFT=3;MACHINE_ID=x;BOOT_GOOD=A"},
		{"mark-bad", func(s State) State { return s.MarkBad(A) }, "BOOT_ORDER=B;BOOT_A_LEFT=0;BOOT_B_LEFT=3;MACHINE_ID=x"},
		{"set-primary", func(s State) State { return s.SetPrimary(B) }, "BOOT_ORDER=B A;BOOT_A_LEFT=2;BOOT_B_LEFT=3;MACHINE_ID=x"},
		{"set-primary of a bad one", func(s State) State { return s.MarkBad(B).SetPrimary(B) }, "BOOT_ORDER=B A;BOOT_A_LEFT=2;BOOT_B_LEFT=3;MACHINE_ID=x"},
		{"both bad: the last one stays in the order", func(s State) State { return s.MarkBad(A).MarkBad(B) }, "BOOT_ORDER=B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;MACHINE_ID=x"},
	} {
		e := env(t, before)
		if err := c.change(Read(e)).Write(e); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.after, list(e)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

// FuzzChoose: whatever the variables hold, there is a slot with a reason, and
// what is stored is read back as it was meant.
//
//fuzz:covers slots.go Read State.checkOrder parseHex
func FuzzChoose(f *testing.F) {
	f.Add("A B", "3", "3", "A", "0", "3", "2", "")
	f.Add("", "-1", "zz", "C", "ffff", "", "", "b")
	f.Add("B", "0", "0", "", "2", "3", "1", "A")
	f.Fuzz(func(t *testing.T, order, a, b, good, exhausted, from, now, named string) {
		var e ubootenv.Env
		for _, v := range [][2]string{
			{"BOOT_ORDER", order}, {"BOOT_A_LEFT", a}, {"BOOT_B_LEFT", b}, {"BOOT_GOOD", good}, {"BOOT_EXHAUSTED", exhausted},
			{"BOOT_A_FROM", from}, {"BOOT_A_NOW", now},
		} {
			if e.Set(v[0], v[1]) != nil {
				return
			}
		}
		var words []string
		if named != "" {
			words = []string{named}
		}
		state := Read(&e)
		c := Choose(words, Known{State: state})
		if !c.Slot.valid() || c.Reason == "" || c.Picked != (named == "") {
			t.Fatalf("Choose = %+v", c)
		}
		if !c.Picked {
			return
		}
		left, taken := state.Left[c.Slot], state.first() != ""
		if err := c.After.Write(&e); err != nil {
			t.Fatal(err)
		}
		again := Read(&e)
		if taken && again.Left[c.Slot] != left-1 || !taken && again.Left[c.Slot] != left {
			t.Fatalf("%d attempts became %d", left, again.Left[c.Slot])
		}
		if diff := cmp.Diff(c.After.Left, again.Left); diff != "" || again.Exhausted != c.After.Exhausted || again.Good != c.After.Good {
			t.Fatalf("stored and read back: %+v became %+v", c.After, again)
		}
	})
}
