package mount

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// diary notes what actions are done and undone.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// act is an action of a test.
type act struct {
	d    *diary
	name string
	err  error
	run  func()
}

func (a act) Apply(Env) error {
	a.d.note("do " + a.name)
	if a.run != nil {
		a.run()
	}
	return a.err
}
func (a act) Undo(Env) error { a.d.note("undo " + a.name); return nil }
func (a act) String() string { return a.name }

func env() Env { return Env{Kernel: systest.New("")} }

var errBroken = errors.New("broken")

func TestBuild(t *testing.T) {
	d := &diary{}
	ok := func(name string) []Action { return []Action{act{d: d, name: name}} }
	bad := func(name string) []Action {
		return []Action{act{d: d, name: name + "1"}, act{d: d, name: name + "2", err: errBroken}}
	}
	for _, c := range []struct {
		name  string
		steps []Step
		want  string // the diary
		err   string
		full  string // the steps that were done in full
	}{
		{"all in order", []Step{{Name: "a", Do: ok("a")}, {Name: "b", After: []string{"a"}, Do: ok("b")}}, "do a, do b", "", "a b"},
		{"a failure undoes its own step and all others, last first",
			[]Step{{Name: "a", Do: ok("a")}, {Name: "b", Title: "do b", Do: bad("b")}, {Name: "c", After: []string{"b"}, Do: ok("c")}},
			"do a, do b1, do b2, undo b1, undo a", "cannot do b: broken", "a"},
		{"what was done is undone last first",
			[]Step{{Name: "a", Do: ok("a")}, {Name: "b", Do: ok("b")}, {Name: "c", Title: "do c", After: []string{"b"}, Do: bad("c")}},
			"do a, do b, do c1, do c2, undo c1, undo b, undo a", "cannot do c: broken", "a b"},
		{"a need that was met",
			[]Step{{Name: "a", Do: ok("a"), Tolerated: true}, {Name: "b", Needs: []string{"a"}, Do: ok("b"), Tolerated: true, Else: ok("other")}},
			"do a, do b", "", "a b"},
		{"a tolerated failure is replaced",
			[]Step{{Name: "a", Title: "do a", Do: bad("a"), Tolerated: true, Else: ok("instead")}, {Name: "b", After: []string{"a"}, Do: ok("b")}},
			"do a1, do a2, undo a1, do instead, do b", "", "b"},
		{"what needs a replaced step is replaced, untried",
			[]Step{{Name: "a", Title: "do a", Do: bad("a"), Tolerated: true}, {Name: "b", Needs: []string{"a"}, Do: ok("b"), Tolerated: true, Else: ok("other")}},
			"do a1, do a2, undo a1, do other", "", ""},
		{"a replacement that fails is fatal",
			[]Step{{Name: "a", Title: "do a", Do: bad("a"), Tolerated: true, Else: bad("b")}},
			"do a1, do a2, undo a1, do b1, do b2, undo b1", "cannot do a: broken\nbroken", ""},
		{"a replacement is undone too",
			[]Step{{Name: "a", Do: bad("a"), Tolerated: true, Else: ok("x")}, {Name: "b", Title: "do b", After: []string{"a"}, Do: bad("b")}},
			"do a1, do a2, undo a1, do x, do b1, do b2, undo b1, undo x", "cannot do b: broken", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			d.lines = nil
			built, err := Build(env(), c.steps, InOrder)
			if got := strings.Join(d.lines, ", "); got != c.want {
				t.Errorf("did  %s\nwant %s", got, c.want)
			}
			text := ""
			if err != nil {
				text = err.Error()
			}
			if text != c.err {
				t.Errorf("error %q, want %q", text, c.err)
			}
			var full []string
			for _, o := range built.Outcomes {
				if o.Full {
					full = append(full, o.Step)
				}
			}
			if strings.Join(full, " ") != c.full {
				t.Errorf("done in full: %q, want %q", full, c.full)
			}
		})
	}
}

func TestBuildTellsOfAToleratedFailureOnce(t *testing.T) {
	d := &diary{}
	built, err := Build(env(), []Step{
		{Name: "a", Title: "do a", Do: []Action{act{d: d, err: errBroken}}, Tolerated: true, Loss: "a is lost"},
		{Name: "b", Title: "do b", Needs: []string{"a"}, Do: []Action{act{d: d}}, Tolerated: true, Loss: "a is lost"},
	}, InOrder)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, o := range built.Outcomes {
		if o.Err != nil {
			told = append(told, o.Loss+": "+o.Err.Error())
		}
	}
	if d := cmp.Diff([]string{"a is lost: cannot do a: broken"}, told); d != "" {
		t.Error(d)
	}
}

// Two steps that wait for each other end only when they run side by side.
func TestBuildSideBySide(t *testing.T) {
	var met sync.WaitGroup
	met.Add(2)
	meet := func() { met.Done(); met.Wait() }
	d := &diary{}
	_, err := Build(env(), []Step{
		{Name: "a", Do: []Action{act{d: d, name: "a", run: meet}}},
		{Name: "b", Do: []Action{act{d: d, name: "b", run: meet}}},
		{Name: "c", After: []string{"a", "b"}, Do: []Action{act{d: d, name: "c"}}},
	}, nil)
	if err != nil || d.lines[2] != "do c" {
		t.Errorf("Build = %v; %q", err, d.lines)
	}
}

func TestBuildSurvivesAPanic(t *testing.T) {
	for name, schedule := range map[string]Schedule{"side by side": nil, "in turn": InOrder} {
		d := &diary{}
		_, err := Build(env(), []Step{
			{Name: "a", Do: []Action{act{d: d, name: "a"}}},
			{Name: "b", Title: "do b", After: []string{"a"}, Do: []Action{act{d: d, name: "b", run: func() { panic("thrown") }}}},
		}, schedule)
		var p *sys.PanicError
		if !errors.As(err, &p) || !slices.Equal(d.lines, []string{"do a", "do b", "undo a"}) {
			t.Errorf("%s: Build = %v; %q", name, err, d.lines)
		}
	}
}

func TestBuildRefusesWhatCannotBeDone(t *testing.T) {
	for name, steps := range map[string][]Step{
		"an unknown predecessor":  {{Name: "a", After: []string{"x"}}},
		"a later predecessor":     {{Name: "a", After: []string{"b"}}, {Name: "b"}},
		"the same name twice":     {{Name: "a"}, {Name: "a"}},
		"needs without a way out": {{Name: "a"}, {Name: "b", Needs: []string{"a"}}},
	} {
		if _, err := Build(env(), steps, InOrder); err == nil || !strings.HasPrefix(err.Error(), "internal error: ") {
			t.Errorf("%s: Build = %v", name, err)
		}
	}
}
