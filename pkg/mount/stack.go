package mount

import "strings"

// Stack shows directories as one, read-only.
type Stack struct {
	Dirs   []string // top first
	Target string
}

// Apply implements Action. The kernel wants two directories at least.
func (s Stack) Apply(env Env) error {
	if len(s.Dirs) == 1 {
		return Bind{From: s.Dirs[0], To: s.Target}.Apply(env)
	}
	return Overlay{Target: s.Target, Lowers: s.Dirs}.mount(env)
}

// Undo implements Action.
func (s Stack) Undo(env Env) error { return env.Kernel.Unmount(s.Target) }

func (s Stack) String() string { return "show " + strings.Join(s.Dirs, ", ") + " at " + s.Target }
