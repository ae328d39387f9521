package ubootenv

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

// The places of the power-cut tests, close together so that a disk is quickly
// copied.
var (
	singlePlace = Place{Offset: 0, Size: 0x1000, Second: -1, Shadow: 0x2000, Torn: 0x4000}
	pairPlace   = Place{Offset: 0, Size: 0x1000, Second: 0x2000, Shadow: -1, Torn: 0x4000}
)

// cutScenario is an Update whose power is cut at every effect.
type cutScenario struct {
	name    string
	place   Place
	prepare func(t testing.TB, m *memory)
	// dropSync is a sync that the disk leaves out, <0 none: then the search
	// has to find a loss.
	dropSync int
}

func numbered(t testing.TB, n int) Env {
	return envOf(t, "BOOT_ORDER", "A B", "BOOT_A_LEFT", fmt.Sprint(n), "MACHINE_ID", "0123", "filler",
		string(bytes.Repeat([]byte{byte('a' + n)}, 2500)))
}

// torn is the environment 1 over the environment 0, cut in its third sector.
func torn(t testing.TB, header Header) []byte {
	block := encoded(t, numbered(t, 0), 0x1000, header, 1, 0)
	copy(block[:3*sector], encoded(t, numbered(t, 1), 0x1000, header, 2, 0))
	return block
}

// lay puts an environment at an offset.
func lay(n int, offset int64, header Header, flags byte) func(t testing.TB, m *memory) {
	return func(t testing.TB, m *memory) {
		m.put(offset, encoded(t, numbered(t, n), 0x1000, header, flags, 0))
	}
}

func layTorn(offset int64, header Header) func(t testing.TB, m *memory) {
	return func(t testing.TB, m *memory) { m.put(offset, torn(t, header)) }
}

func unreadable(offset int64) func(t testing.TB, m *memory) {
	return func(_ testing.TB, m *memory) {
		m.spoil(extent{offset, make([]byte, 0x1000)})
	}
}

func both(steps ...func(t testing.TB, m *memory)) func(t testing.TB, m *memory) {
	return func(t testing.TB, m *memory) {
		for _, step := range steps {
			step(t, m)
		}
	}
}

var cutScenarios = []cutScenario{
	{"fresh card, shadow blank", singlePlace, lay(1, 0, Plain, 0), -1},
	{"shadow the same", singlePlace, both(lay(1, 0, Plain, 0), lay(1, 0x2000, Plain, 0)), -1},
	{"shadow older, since others write the primary only", singlePlace, both(lay(1, 0, Plain, 0), lay(0, 0x2000, Plain, 0)), -1},
	{"shadow torn", singlePlace, both(lay(1, 0, Plain, 0), layTorn(0x2000, Plain)), -1},
	{"a header with flags", singlePlace, both(lay(1, 0, WithFlags, 7), lay(0, 0x2000, WithFlags, 7)), -1},
	{"primary torn", singlePlace, both(layTorn(0, Plain), lay(1, 0x2000, Plain, 0)), -1},
	{"primary torn, kept already", singlePlace, both(layTorn(0, Plain), lay(1, 0x2000, Plain, 0), layTorn(0x4000, Plain)), -1},
	{"primary blank", singlePlace, lay(1, 0x2000, Plain, 0), -1},
	{"primary unreadable", singlePlace, both(unreadable(0), lay(1, 0x2000, Plain, 0)), -1},
	{"nothing at all", singlePlace, both(), -1},
	{"both torn", singlePlace, both(layTorn(0, Plain), layTorn(0x2000, Plain)), -1},
	{"pair", pairPlace, both(lay(1, 0, WithFlags, 5), lay(0, 0x2000, WithFlags, 4)), -1},
	{"pair, flags at 127", pairPlace, both(lay(0, 0, WithFlags, 126), lay(1, 0x2000, WithFlags, 127)), -1},
	{"pair, flags at 255", pairPlace, both(lay(0, 0, WithFlags, 254), lay(1, 0x2000, WithFlags, 255)), -1},
	{"pair, flags at 0", pairPlace, both(lay(1, 0, WithFlags, 0), lay(0, 0x2000, WithFlags, 255)), -1},
	{"pair, second blank", pairPlace, lay(1, 0, WithFlags, 1), -1},
	{"pair, first torn", pairPlace, both(layTorn(0, WithFlags), lay(1, 0x2000, WithFlags, 1)), -1},
	{"pair, second unreadable", pairPlace, both(lay(1, 0, WithFlags, 1), unreadable(0x2000)), -1},
	{"pair, both torn", pairPlace, both(layTorn(0, WithFlags), layTorn(0x2000, WithFlags)), -1},
}

// Power cut at every write and sync of an update, and again at every one of
// the update after it: the variables are the old ones or the new ones, for
// Read and for U-Boot, and the next update comes through.
func TestPowerCutAtEveryEffect(t *testing.T) {
	for _, s := range cutScenarios {
		t.Run(s.name, func(t *testing.T) {
			cases, err := s.run(t)
			if err != nil {
				t.Fatal(err)
			}
			if cases < 400 {
				t.Fatalf("only %d cases; this test looks at nothing", cases)
			}
			t.Logf("%d cases", cases)
		})
	}
}

// The search finds each sync that the disk leaves out: the one of the torn
// copy, of the shadow and of the primary. The last one of an update is found
// by the update after it.
func TestPowerCutFindsAMissingSync(t *testing.T) {
	for _, c := range []struct {
		scenario string
		sync     int
	}{
		{"fresh card, shadow blank", 0},
		{"shadow older, since others write the primary only", 0},
		{"primary torn", 0}, // of what was torn
		{"primary torn", 1}, // of the primary
	} {
		for _, s := range cutScenarios {
			if s.name != c.scenario {
				continue
			}
			s.dropSync = c.sync
			if cases, err := s.run(t); err == nil {
				t.Errorf("%s: nothing is lost in %d cases without sync %d", s.name, cases, c.sync)
			} else {
				t.Logf("without sync %d: %v", c.sync, err)
			}
		}
	}
}

// run searches, and returns the first loss.
func (s cutScenario) run(t testing.TB) (cases int, err error) {
	start := newMemory(0x6000)
	s.prepare(t, start)
	start.dropSync = s.dropSync
	err = s.cutUpdate(start, numbered(t, 2), func(once *memory) error {
		cases++
		return s.cutUpdate(once, numbered(t, 3), func(*memory) error { cases++; return nil })
	})
	return cases, err
}

// cutUpdate performs an update to these variables with a cut at each of its
// effects, judges each disk that can be left, and hands it on.
func (s cutScenario) cutUpdate(start *memory, to Env, next func(*memory) error) error {
	whole := start.clone()
	if _, err := Update(whole, s.place, setTo(to)); err != nil {
		return fmt.Errorf("an update without a cut: %w", err)
	}
	for cut := range len(whole.log) + 1 {
		m := start.clone()
		m.cutAfter, m.dropSync = cut, start.dropSync
		if _, err := Update(m, s.place, setTo(to)); (err == nil) != (cut == len(whole.log)) {
			return fmt.Errorf("cut after %d of %d effects: the update said %w", cut, len(whole.log), err)
		}
		err := m.afterCut(func(left *memory) error {
			if err := s.judge(start, left, to, cut == len(whole.log)); err != nil {
				return fmt.Errorf("cut after %d of %d effects: %w", cut, len(whole.log), err)
			}
			return next(left)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func setTo(to Env) func(*Env, Copy) error {
	return func(env *Env, _ Copy) error { *env = to; return nil }
}

// judge tells what is wrong with a disk after a cut.
func (s cutScenario) judge(before, after *memory, to Env, done bool) error {
	old, oldErr := Read(before, s.place)
	got, err := Read(after, s.place)
	switch {
	case err != nil && oldErr == nil:
		return fmt.Errorf("what was there is lost: %w", err)
	case err != nil && done:
		return fmt.Errorf("the update was done, and it is lost: %w", err)
	case err != nil:
		return s.judgeTorn(before, after)
	case !got.Env.Equal(to) && (done || oldErr != nil || !got.Env.Equal(old.Env)):
		left, _ := got.Env.Get("BOOT_A_LEFT")
		return fmt.Errorf("the variables of %s are neither the old nor the new ones: BOOT_A_LEFT=%s", got.From, left)
	case !sameForUBoot(after, s.place, got.Env):
		return fmt.Errorf("U-Boot does not see what Read sees in %s", got.From)
	}
	return s.judgeTorn(before, after)
}

// judgeTorn looks for the bytes of a torn copy that was there before.
func (s cutScenario) judgeTorn(before, after *memory) error {
	for _, offset := range []int64{s.place.Offset, s.place.Second} {
		if offset < 0 || s.place.isPair() && offset == s.place.Second {
			continue // of a pair with two torn copies, one is kept
		}
		was := before.at(offset, s.place)
		_, _, err := Decode(was)
		var damaged *DamagedError
		if !errors.As(err, &damaged) || len(before.unreadable) > 0 {
			continue
		}
		if !bytes.Equal(after.at(offset, s.place), was) && !bytes.Equal(after.at(s.place.Torn, s.place), was) {
			return fmt.Errorf("the torn copy at %#x is neither there nor kept", offset)
		}
	}
	return nil
}
