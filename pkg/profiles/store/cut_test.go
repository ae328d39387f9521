package store

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/profiles"
)

var errCut = errors.New("the power is gone")

// Layouts 4.6, statement 8, and the rule for all verbs: each is cut off before
// each of its changes, by a kill of the program and by a loss of power, and what
// is left is what was there before or what was asked for. The next verb removes
// what is half-made, and changes nothing else. btrfs check has nothing to say.
func TestStatement4_6_8_EachVerbCutAtEachStep(t *testing.T) {
	seed := newWorld(t)
	stream := seed.stream("3.0", "base 3.0")
	for _, v := range verbs(stream) {
		t.Run(v.name, func(t *testing.T) {
			whole := seed.copyOf(t)
			whole.use = v.use
			before := whole.state(v.ignore)
			var steps []string
			s := whole.store()
			s.Step = func(what string) error { steps = append(steps, what); return nil }
			whole.ok(v.do(s))
			after := whole.state(v.ignore)
			if before == after || len(steps) < 3 {
				t.Fatalf("it does nothing: %q", steps)
			}
			for _, step := range steps {
				what, isRemoval := strings.CutPrefix(step, "remove ")
				if isRemoval && !strings.Contains(what, profiles.TempPrefix) && !strings.Contains(what, "/"+profiles.SnapshotsName+"/") {
					t.Errorf("%q: what takes more than one step to remove has to have another name first", step)
				}
			}
			// What is done stays done.
			whole.CutPower()
			if got := whole.state(v.ignore); got != after {
				t.Errorf("a loss of power right after it leaves\n%s", got)
			}
			whole.Unmount()
			whole.Check()
			seen := map[string]int{}
			for at := range steps {
				for i, how := range []cut{killed, powerCut, powerCutAfterCommit} {
					if testing.Short() && (i != at/3%3 || at%3 != 0 && at != len(steps)-1) {
						continue // a tenth of them
					}
					seen[cutAt(t, seed, v, at, how, before, after, steps)]++
				}
			}
			// The last step of a snapshot makes it, and nothing has to come after.
			atOnce := strings.HasPrefix(steps[len(steps)-1], "snapshot")
			if seen["before"] < 1 || seen["after"] < 1 && !atOnce && !testing.Short() {
				t.Errorf("the cuts left %v; this test looks at too little", seen)
			}
		})
	}
}

// cut is how a verb ends before its end.
type cut string

const (
	killed              cut = "killed"
	powerCut            cut = "power cut"
	powerCutAfterCommit cut = "power cut after a commit"
)

// cutAt cuts a verb off before one of its steps, judges what is left, has the next
// verb run, and judges again. It says what was left.
func cutAt(t *testing.T, seed *world, v verbCase, at int, how cut, before, after string, steps []string) string {
	w := seed.copyOf(t)
	defer w.Unmount()
	w.use = v.use
	var running string
	if len(v.use.Profiles) > 0 && how == killed {
		running = w.stack(v.use.Profiles[0])
		w.ok(os.WriteFile(running+"/etc/running", []byte("yes"), 0o644), os.Remove(running+"/etc/running"))
	}
	s, n := w.store(), 0
	s.Step = func(string) error {
		if n++; n > at {
			return errCut
		}
		return nil
	}
	if err := v.do(s); !errors.Is(err, errCut) {
		t.Fatalf("cut at %d: %v", at, err)
	}
	if how == powerCutAfterCommit {
		w.Commit()
	}
	if how != killed {
		w.boot, w.use = "second", Use{}
		w.CutPower()
	}
	left := ""
	switch w.state(v.ignore) {
	case before:
		left = "before"
	case after:
		left = "after"
	default:
		t.Errorf("cut before %q (%s): neither the old state nor the new one:\n%s", steps[at], how, w.state(v.ignore))
	}
	state := w.state(v.ignore)
	next := w.store()
	w.ok(next.SetCurrent("1.0"), next.SetCurrent(w.currentOf(state)))
	if w.state(v.ignore) != state {
		t.Errorf("cut before %q (%s): the next verb changes %s\nto %s", steps[at], how, state, w.state(v.ignore))
	}
	for _, name := range w.temps() {
		if running == "" || !strings.Contains(name, "kept-first-") {
			t.Errorf("cut before %q (%s): the next verb leaves %s", steps[at], how, name)
		}
	}
	if running != "" {
		if err := errors.Join(os.WriteFile(running+"/etc/of-base", []byte("changed"), 0o644), os.Remove(running+"/usr/bin/tool")); err != nil {
			t.Errorf("cut before %q: the running system is broken: %v", steps[at], err)
		}
	}
	return left
}

// currentOf is the version that a state has as current.
func (w *world) currentOf(state string) (version profiles.Version) {
	for line := range strings.Lines(state) {
		if f := strings.Fields(line); f[0] == "base" && f[3] == "true" {
			version = profiles.Version(f[1])
		}
	}
	return version
}
