package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

func mustEnv(t testing.TB, variables ...string) ubootenv.Env {
	t.Helper()
	env, _, err := ubootenv.Decode(environment(t, variables...))
	if err != nil {
		t.Fatal(err)
	}
	return env
}

// disk is a partition in memory whose power is cut after some writes and
// syncs. What was not synced then may be lost or done in part.
type disk struct {
	bytes    []byte
	durable  []byte
	unsynced []write
	writes   []int64 // their offsets
	syncs    int
	cutAfter int // writes and syncs; <0 never
}

type write struct {
	offset int64
	bytes  []byte
}

var errCut = errors.New("the power is gone")

func newDisk(bytes []byte) *disk {
	return &disk{bytes: slices.Clone(bytes), durable: slices.Clone(bytes), cutAfter: -1}
}

func (d *disk) Size() (int64, error) { return int64(len(d.bytes)), nil }

func (d *disk) ReadAt(into []byte, offset int64) (int, error) {
	n := copy(into, d.bytes[min(offset, int64(len(d.bytes))):])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

func (d *disk) cut() bool { return d.cutAfter >= 0 && len(d.writes)+d.syncs >= d.cutAfter }

func (d *disk) WriteAt(from []byte, offset int64) (int, error) {
	if d.cut() {
		return 0, errCut
	}
	d.writes = append(d.writes, offset)
	d.unsynced = append(d.unsynced, write{offset, slices.Clone(from)})
	return copy(d.bytes[offset:], from), nil
}

func (d *disk) Sync() error {
	if d.cut() {
		return errCut
	}
	d.syncs++
	d.unsynced = nil
	copy(d.durable, d.bytes)
	return nil
}

// afterCut are the disks that can be left: each write that was not synced is
// there up to a sector, from one, or in every second.
func (d *disk) afterCut() (left [][]byte) {
	if len(d.unsynced) == 0 {
		return [][]byte{d.durable}
	}
	const sector = 512
	for _, keep := range []func(i int) bool{
		func(int) bool { return false }, func(int) bool { return true },
		func(i int) bool { return i == 0 }, func(i int) bool { return i > 0 },
		func(i int) bool { return i < 16 }, func(i int) bool { return i >= 16 }, func(i int) bool { return i%2 == 0 },
	} {
		bytes := slices.Clone(d.durable)
		for _, w := range d.unsynced {
			for i := 0; i*sector < len(w.bytes); i++ {
				if keep(i) {
					copy(bytes[int(w.offset)+i*sector:], w.bytes[i*sector:][:sector])
				}
			}
		}
		left = append(left, bytes)
	}
	return left
}

// writingVerbs are what the verbs do to the state.
func writingVerbs() map[string]func(slots.State) (slots.State, error) {
	plain := func(change func(slots.State, slots.Slot) slots.State, slot slots.Slot) func(slots.State) (slots.State, error) {
		return func(s slots.State) (slots.State, error) { return change(s, slot), nil }
	}
	verbs := map[string]func(slots.State) (slots.State, error){}
	for _, slot := range []slots.Slot{slots.A, slots.B} {
		verbs["mark-good "+string(slot)] = plain(slots.State.MarkGood, slot)
		verbs["mark-bad "+string(slot)] = plain(slots.State.MarkBad, slot)
		verbs["set-primary "+string(slot)] = plain(slots.State.SetPrimary, slot)
	}
	return verbs
}

func noWarning(error) error { return nil }

// answer is what the boot state says: which slot is chosen, and every variable.
func answer(bytes []byte) string {
	copied, err := ubootenv.Read(newDisk(bytes), ubootenv.DefaultPlace())
	known := slots.Known{State: slots.Fresh(), Why: "blank"}
	if err == nil {
		known = slots.Known{State: slots.Read(&copied.Env)}
	}
	return fmt.Sprintf("%s of %s", slots.Choose(nil, known).Slot, list(copied.Env))
}

// The power is cut at every write and sync of every writing verb: afterwards
// Choose gives the old answer or the new one.
func TestPowerCutInEveryVerb(t *testing.T) {
	// The counters are some sectors behind the checksum, so that a write that is
	// done in part shows.
	filler := "filler=" + strings.Repeat("x", 9000)
	good := environment(t, filler, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=2", "BOOT_GOOD=B")
	older := environment(t, filler, "BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=2", "BOOT_GOOD=B")
	torn := slices.Clone(good)
	torn[100] ^= 1
	at := func(primary, shadow []byte) []byte {
		bytes := make([]byte, stateSize)
		copy(bytes, primary)
		copy(bytes[0x400000:], shadow)
		return bytes
	}
	cases := 0
	for name, start := range map[string][]byte{
		"no shadow yet": at(good, nil), "shadow older": at(good, older), "primary torn": at(torn, good), "blank": at(nil, nil),
	} {
		for verb, change := range writingVerbs() {
			whole := newDisk(start)
			if err := update(whole, ubootenv.DefaultPlace(), noWarning, change); err != nil {
				t.Fatal(err)
			}
			was, is := answer(start), answer(whole.bytes)
			for cut := range len(whole.writes) + whole.syncs {
				d := newDisk(start)
				d.cutAfter = cut
				if err := update(d, ubootenv.DefaultPlace(), noWarning, change); !errors.Is(err, errCut) {
					t.Fatalf("%s, %s, cut after %d: %v", name, verb, cut, err)
				}
				for _, left := range d.afterCut() {
					cases++
					if got := answer(left); got != was && got != is {
						t.Errorf("%s, %s, cut after %d: %s\nold %s\nnew %s", name, verb, cut, got, was, is)
					}
				}
			}
		}
	}
	if cases < 300 {
		t.Fatalf("only %d cases; this test looks at nothing", cases)
	}
	t.Logf("%d cases", cases)
}

// A verb that changes something writes the shadow and the environment once
// each, in this order, with one flush each; one that does not writes nothing.
func TestOneWriteAndOneFlushEach(t *testing.T) {
	start := make([]byte, stateSize)
	copy(start, environment(t, "BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=2"))
	for verb, change := range writingVerbs() {
		d := newDisk(start)
		if err := update(d, ubootenv.DefaultPlace(), noWarning, change); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(d.writes, []int64{0x400000, 0}) || d.syncs != 2 {
			t.Errorf("%s: writes at %#x, %d flushes", verb, d.writes, d.syncs)
		}
		again := newDisk(d.bytes)
		if err := update(again, ubootenv.DefaultPlace(), noWarning, change); err != nil || len(again.writes)+again.syncs > 0 {
			t.Errorf("%s again: writes at %#x, %d flushes, %v", verb, again.writes, again.syncs, err)
		}
	}
}
