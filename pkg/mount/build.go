// Package mount puts a new root together and enters it. Mounts are values: a
// layout returns the steps it wants, Build performs them and undoes them when
// one that cannot be done without fails.
package mount

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Env is what actions work with.
type Env struct {
	Kernel  sys.Kernel
	Modules Modules
	// Say tells the console and the report of something that people want to
	// know and that is no failure.
	Say func(line string)
	// Tell is Say for the console alone.
	Tell func(line string)
	// SetUp is for the report alone: what this boot has made of the machine, for
	// good. It may be nil where nobody wants it.
	SetUp func(what string)
}

// Made notes what this boot has made of the machine.
func (e Env) Made(what string) {
	if e.SetUp != nil {
		e.SetUp(what)
	}
}

// Modules makes the kernel know a filesystem.
type Modules interface {
	// Filesystem loads what the image has for it, before it is mounted.
	Filesystem(fstype string) error
	// Unknown says why the kernel does not know it, nil when it does.
	Unknown(fstype string) error
}

// Action is one thing that is done to the machine.
type Action interface {
	// Apply does it. After an error nothing of it is left.
	Apply(Env) error
	// Undo takes it back, as far as that can be done.
	Undo(Env) error
	String() string
}

// Step is one part of the way to the new root.
type Step struct {
	Name  string // one word: "rootfs"; the step= of a failure
	Title string // what it does, to follow "cannot": "mount the root filesystem"

	// After names steps that have to be over before this one begins.
	After []string
	// Needs names steps that, besides, have to have succeeded. When one has
	// not, Do is not tried.
	Needs []string

	Do []Action // in order; when one fails, those before it are undone

	// Mend is tried once when Do has failed, and Do once more after it. It may
	// need what Do does not: MendAfter names steps that have to be over before.
	Mend      []Action
	MendAfter []string

	// Tolerated says that the boot goes on without this step. Else is then
	// what stands in for Do, and Loss tells in words what is lost.
	Tolerated bool
	Else      []Action
	Loss      string

	before error // why Do failed before Mend, in the step that is tried again
}

// again is the step after its first failure.
func (s Step) again(why error) Step {
	s.After = slices.Concat(s.After, s.MendAfter)
	s.Do = slices.Concat(s.Mend, s.Do)
	s.Mend, s.MendAfter = nil, nil
	s.before = why
	return s
}

// Outcome is how a step went.
type Outcome struct {
	Step  string
	Began time.Duration // since the kernel started
	Ended time.Duration
	Full  bool // Do was done
	// Err is why Do was not done, when the step was tolerated. It is nil as
	// well when Do was not tried because a step it needs had failed.
	Err  error
	Loss string
}

// Error is the failure of a step that the boot cannot do without.
type Error struct {
	Step  string
	Title string
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("cannot %s: %v", e.Title, e.Err) }
func (e *Error) Unwrap() error { return e.Err }

// Schedule decides which of the steps that are ready begins next. It gets
// their number and returns an index below it.
type Schedule func(ready int) int

// InOrder begins steps one after the other as they are listed.
func InOrder(int) int { return 0 }

// Built is what Build has done.
type Built struct {
	Outcomes []Outcome // in the order in which the steps ended
	done     []Action  // in the order in which they were done
}

// Undo takes everything back, last first, so that a restart finds the disks
// unmounted. What does not let go stays: the failure that leads here is the
// one to tell, and a sync follows.
func (b Built) Undo(env Env) {
	for _, a := range slices.Backward(b.done) {
		_ = a.Undo(env)
	}
}

// Build performs the steps. With a nil schedule those that do not depend on
// each other run side by side, else one at a time in the schedule's order, on
// the caller's own stack.
// When a step fails that is not tolerated, everything done is undone, and the
// error is an *Error.
func Build(env Env, steps []Step, schedule Schedule) (Built, error) {
	number, err := check(steps)
	if err != nil {
		return Built{}, err
	}
	b := &builder{
		env: env, steps: slices.Clone(steps), number: number, results: make(chan result, len(steps)),
		state: make([]state, len(steps)), before: make([][]int, len(steps)),
	}
	for i, s := range b.steps {
		b.before[i] = b.numbers(s.After, s.Needs)
	}
	for {
		ready := b.ready()
		switch {
		case b.failed == nil && len(ready) > 0 && schedule == nil:
			b.start(ready[0])
		case b.failed == nil && len(ready) > 0:
			b.finish(b.begin(ready[schedule(len(ready))])())
		case b.running > 0:
			b.finish(<-b.results)
		default:
			if b.failed != nil {
				b.built.Undo(env)
			}
			return b.built, b.failed
		}
	}
}

// state is how far a step is.
type state int

const (
	running  state = iota + 1
	replaced       // it is over, and Else stands in
	full
)

// result is a step that ended.
type result struct {
	step    Step
	outcome Outcome
	done    []Action
	err     error // of a step that is not tolerated
	again   error // why the step is to be tried once more
}

type builder struct {
	env     Env
	steps   []Step
	number  map[string]int // of a step, by its name: where it is in these lists
	state   []state
	before  [][]int // that have to be over before a step begins
	results chan result
	running int
	built   Built
	failed  error
}

// numbers are those of steps with these names.
func (b *builder) numbers(names ...[]string) (numbers []int) {
	for _, list := range names {
		for _, name := range list {
			numbers = append(numbers, b.number[name])
		}
	}
	return numbers
}

// ready are the steps that have not begun and whose predecessors are over. They are
// asked for after each step, so that no name is looked up here.
func (b *builder) ready() (ready []int) {
	over := func(i int) bool { return b.state[i] >= replaced }
	for i, state := range b.state {
		if state == 0 && all(b.before[i], over) {
			ready = append(ready, i)
		}
	}
	return ready
}

// start performs a step beside the others.
func (b *builder) start(i int) {
	perform := b.begin(i)
	sys.Go(func() error { b.results <- perform(); return nil })
}

// begin notes that a step has begun, and returns what performs it.
func (b *builder) begin(i int) func() result {
	s := b.steps[i]
	b.state[i] = running
	b.running++
	possible := all(s.Needs, func(name string) bool { return b.state[b.number[name]] == full })
	return func() result {
		r := result{step: s}
		if err := sys.Guard(func() error { r = perform(b.env, s, possible); return nil }); err != nil {
			r.err = &Error{s.Name, s.Title, err}
		}
		return r
	}
}

func (b *builder) finish(r result) {
	b.running--
	i := b.number[r.step.Name]
	if r.again != nil {
		b.state[i] = 0
		b.steps[i] = r.step.again(r.again)
		b.before[i] = b.numbers(b.steps[i].After, b.steps[i].Needs)
		return
	}
	b.state[i] = replaced
	if r.outcome.Full {
		b.state[i] = full
	}
	b.built.done = append(b.built.done, r.done...)
	if r.err == nil {
		b.built.Outcomes = append(b.built.Outcomes, r.outcome)
	} else if b.failed == nil {
		b.failed = r.err
	}
}

// perform does one step.
func perform(env Env, s Step, possible bool) result {
	r := result{step: s, outcome: Outcome{Step: s.Name, Began: env.Kernel.Now()}}
	var err error
	if possible {
		r.done, err = applyAll(env, s.Do)
		r.outcome.Full = err == nil
		if err != nil && len(s.Mend) > 0 {
			r.again = err
			return r
		}
		if err != nil && s.before != nil {
			err = fmt.Errorf("%w; %w", s.before, err)
		}
	}
	if !r.outcome.Full {
		if !s.Tolerated {
			r.err = &Error{s.Name, s.Title, err}
			return r
		}
		r.outcome.Loss = s.Loss
		if err != nil {
			r.outcome.Err = fmt.Errorf("cannot %s: %w", s.Title, err)
		}
		var elseErr error
		if r.done, elseErr = applyAll(env, s.Else); elseErr != nil {
			r.err = &Error{s.Name, s.Title, errors.Join(err, elseErr)}
			return r
		}
	}
	r.outcome.Ended = env.Kernel.Now()
	return r
}

// applyAll performs actions in order, and undoes them when one fails.
func applyAll(env Env, actions []Action) (done []Action, err error) {
	for _, a := range actions {
		if err := a.Apply(env); err != nil {
			for _, d := range slices.Backward(done) {
				_ = d.Undo(env) // the first failure is the one to tell
			}
			return nil, err
		}
		done = append(done, a)
	}
	return done, nil
}

// check refuses steps that could never all be performed, and returns where each
// is in the list.
func check(steps []Step) (number map[string]int, err error) {
	number = make(map[string]int, len(steps))
	known := func(name string) bool { _, ok := number[name]; return ok }
	for i, s := range steps {
		for _, names := range [][]string{s.After, s.Needs, s.MendAfter} {
			for _, before := range names {
				if !known(before) {
					return nil, fmt.Errorf("internal error: the step %q depends on %q, which is not listed before it", s.Name, before)
				}
			}
		}
		if known(s.Name) || s.Name == "" {
			return nil, fmt.Errorf("internal error: two steps are called %q", s.Name)
		}
		if !s.Tolerated && len(s.Needs) > 0 {
			return nil, fmt.Errorf("internal error: the step %q has needs, but nothing stands in for it", s.Name)
		}
		number[s.Name] = i
	}
	return number, nil
}

func all[T any](items []T, ok func(T) bool) bool {
	return !slices.ContainsFunc(items, func(item T) bool { return !ok(item) })
}
