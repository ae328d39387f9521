package ubootenv

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// envOf makes an environment of names and values, one after the other.
func envOf(t testing.TB, words ...string) Env {
	t.Helper()
	var e Env
	for i := 0; i < len(words); i += 2 {
		if err := e.Set(words[i], words[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// encoded is an environment as a block.
func encoded(t testing.TB, e Env, size int, header Header, flags, pad byte) []byte {
	t.Helper()
	block, err := e.Encode(size, header, flags, pad)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// A mark-good writes the environment and its shadow once each, with one flush
// each, and the second one nothing.
func TestUpdateWritesOnceEach(t *testing.T) {
	m := newMemory(8 << 20)
	place := DefaultPlace()
	m.put(place.Offset, encoded(t, envOf(t, "BOOT_ORDER", "A B", "BOOT_A_LEFT", "2", "MACHINE_ID", "0123"), 0x4000, Plain, 0, 0xff))
	m.put(0x500000, bytes.Repeat([]byte("evidence"), 1000))
	before := m.clone()
	markGood := func(env *Env, found Copy) error {
		if found.From != Primary || found.Padding != 0xff || !found.Protected || found.Torn != nil {
			t.Errorf("found %+v", found)
		}
		return env.Set("BOOT_A_LEFT", "3")
	}
	changed, err := Update(m, place, markGood)
	if writes, syncs := m.counts(); err != nil || !changed || writes != 2 || syncs != 2 {
		t.Errorf("changed %v, %v, %d writes, %d syncs; want 2 of each", changed, err, writes, syncs)
	}
	want := encoded(t, envOf(t, "BOOT_ORDER", "A B", "BOOT_A_LEFT", "3", "MACHINE_ID", "0123"), 0x4000, Plain, 0, 0xff)
	before.put(place.Offset, want)
	before.put(place.Shadow, want)
	if !bytes.Equal(m.bytes, before.bytes) {
		t.Error("the disk is not as it was with another environment and its shadow")
	}
	effects := len(m.log)
	if changed, err := Update(m, place, markGood); err != nil || changed || len(m.log) != effects {
		t.Errorf("the same once more: changed %v, %v, %d effects", changed, err, len(m.log)-effects)
	}
}

// A reader leaves a torn primary as it is; a writer restores it, also when it
// has nothing to change, and keeps what was torn, once.
func TestUpdateRestoresThePrimary(t *testing.T) {
	m := newMemory(0x6000)
	layTorn(0, Plain)(t, m)
	lay(1, 0x2000, Plain, 0)(t, m)
	keep := func(_ *Env, found Copy) error {
		if found.From != Shadow || !begins(found.Torn, "the environment is damaged") {
			t.Errorf("found %q, torn %v", found.From, found.Torn)
		}
		return nil
	}
	if _, err := Read(m, singlePlace); err != nil || len(m.log) != 0 {
		t.Fatalf("Read: %v, with %d effects", err, len(m.log))
	}
	changed, err := Update(m, singlePlace, keep)
	if writes, _ := m.counts(); err != nil || !changed || writes != 3 {
		t.Errorf("changed %v, %v, %d writes; want those of the torn copy, the primary and the shadow", changed, err, writes)
	}
	if !bytes.Equal(m.at(0, singlePlace), m.at(0x2000, singlePlace)) || !bytes.Equal(m.at(0x4000, singlePlace), torn(t, Plain)) {
		t.Error("the primary is not as the shadow was, or what was torn is not kept")
	}
	if got, err := Read(m, singlePlace); err != nil || got.From != Primary || !got.Env.Equal(numbered(t, 1)) {
		t.Errorf("from %q, %v", got.From, err)
	}
	layTorn(0, Plain)(t, m)
	m.log = nil
	changed, err = Update(m, singlePlace, keep)
	if writes, _ := m.counts(); err != nil || !changed || writes != 2 {
		t.Errorf("torn as before: changed %v, %v, %d writes; want those of the primary and the shadow", changed, err, writes)
	}
}

// Without a valid copy it is for the caller to say what has to be there.
func TestUpdateFromNothing(t *testing.T) {
	for name, prepare := range map[string]func(testing.TB, *memory){"blank": both(), "torn": layTorn(0, Plain)} {
		m := newMemory(0x6000)
		prepare(t, m)
		if changed, err := Update(m, singlePlace, func(*Env, Copy) error { return nil }); err != nil || changed || len(m.log) != 0 {
			t.Errorf("%s: changed %v, %v, %d effects", name, changed, err, len(m.log))
		}
		changed, err := Update(m, singlePlace, func(env *Env, found Copy) error {
			if found.From != None || found.Torn == nil || len(env.Names()) != 0 {
				t.Errorf("%s: found %q, torn %v, %q", name, found.From, found.Torn, env.Names())
			}
			*env = numbered(t, 3)
			return nil
		})
		if got, _ := Read(m, singlePlace); err != nil || !changed || !got.Env.Equal(numbered(t, 3)) || got.Header != Plain {
			t.Errorf("%s: changed %v, %v, from %q", name, changed, err, got.From)
		}
	}
}

// A pair is written as U-Boot does it: the other copy, with the next number.
func TestUpdatePair(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(testing.TB, *memory)
		offset  int64
		flags   byte
	}{
		{"from first", both(lay(1, 0, WithFlags, 9), lay(0, 0x2000, WithFlags, 8)), 0x2000, 10},
		{"from second", both(lay(0, 0, WithFlags, 8), lay(1, 0x2000, WithFlags, 9)), 0, 10},
		{"127", both(lay(1, 0, WithFlags, 127), lay(0, 0x2000, WithFlags, 126)), 0x2000, 128},
		{"255", both(lay(0, 0, WithFlags, 254), lay(1, 0x2000, WithFlags, 255)), 0, 0},
		{"0", both(lay(1, 0, WithFlags, 0), lay(0, 0x2000, WithFlags, 255)), 0x2000, 1},
		{"nothing", both(), 0, 1},
		{"first unreadable, second torn", both(unreadable(0), layTorn(0x2000, WithFlags)), 0x2000, 1},
	} {
		m := newMemory(0x6000)
		c.prepare(t, m)
		changed, err := Update(m, pairPlace, setTo(numbered(t, 2)))
		if err != nil || !changed || len(m.log) < 2 {
			t.Errorf("%s: changed %v, %v, %d effects", c.name, changed, err, len(m.log))
			continue
		}
		if last := m.log[len(m.log)-2]; last.offset != c.offset || last.bytes[Plain] != c.flags {
			t.Errorf("%s: wrote %#x with flags %d; want %#x, %d", c.name, last.offset, last.bytes[Plain], c.offset, c.flags)
		}
		if got, err := Read(m, pairPlace); err != nil || !got.Env.Equal(numbered(t, 2)) || !sameForUBoot(m, pairPlace, got.Env) {
			t.Errorf("%s: read back %v", c.name, err)
		}
	}
	// Somebody's environment where the other copy should be stays.
	m := newMemory(0x6000)
	both(lay(1, 0, WithFlags, 0), lay(2, 0x2000, Plain, 0))(t, m)
	_, err := Update(m, pairPlace, setTo(numbered(t, 3)))
	var foreign *ForeignError
	if !errors.As(err, &foreign) || foreign.Offset != 0x2000 || len(m.log) != 0 {
		t.Errorf("over a copy of another kind: %v, %d effects", err, len(m.log))
	}
}

// What ends an update before it writes.
func TestUpdateRefuses(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name   string
		change func(*Env, Copy) error
		is     func(error) bool
	}{
		{"change", func(env *Env, _ Copy) error { env.Unset("BOOT_ORDER"); return refused }, func(err error) bool { return err == refused }},
		{"overflow", func(env *Env, _ Copy) error { return env.Set("x", strings.Repeat("x", 10<<20)) }, func(err error) bool {
			var overflow *OverflowError
			return errors.As(err, &overflow)
		}},
	} {
		m := newMemory(0x6000)
		lay(1, 0, Plain, 0)(t, m)
		if changed, err := Update(m, singlePlace, c.change); !c.is(err) || changed || len(m.log) != 0 {
			t.Errorf("%s: changed %v, %v, %d effects", c.name, changed, err, len(m.log))
		}
	}
	m := newMemory(0x6000)
	unreadable(0)(t, m)
	called := false
	_, err := Update(m, singlePlace, func(*Env, Copy) error { called = true; return nil })
	if !errors.Is(err, errUnreadable) || called || len(m.log) != 0 {
		t.Errorf("unreadable and no shadow: %v, change called: %v, %d effects", err, called, len(m.log))
	}
}

// When the disk fails, the update ends before it touches the other copy.
func TestUpdateOnAFailingDisk(t *testing.T) {
	for _, c := range []struct {
		name string
		fail func(*memory)
		says string
	}{
		{"write", func(m *memory) { m.failWrite = errUnreadable }, "write of the environment at 0x2000: input/output error"},
		{"sync", func(m *memory) { m.failSync = errUnreadable }, "sync of the environment at 0x2000: input/output error"},
		{"other bytes", func(m *memory) { m.mangle = true }, "the environment at 0x2000 is not what was written there; the disk may be failing"},
	} {
		m := newMemory(0x6000)
		lay(1, 0, Plain, 0)(t, m)
		c.fail(m)
		if changed, err := Update(m, singlePlace, setTo(numbered(t, 2))); !begins(err, c.says) || !changed {
			t.Errorf("%s: changed %v, %v; want %q", c.name, changed, err, c.says)
		}
		if got, err := Read(m, singlePlace); err != nil || !got.Env.Equal(numbered(t, 1)) {
			t.Errorf("%s: the primary is not as it was: %v", c.name, err)
		}
	}
}
