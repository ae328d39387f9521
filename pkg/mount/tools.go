package mount

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Toolbox is where the programs are that the initramfs does not carry: the root
// filesystem that is about to be booted has the distribution's own, well-kept
// versions, for no space at all. A program that the initramfs does have comes
// first.
type Toolbox struct {
	Root string // where the root filesystem is mounted already, read-only
	Name string // "slot A", for people
	// Own says that only the root filesystem's own programs count.
	Own bool
}

// toolPath is where programs are looked for, and their PATH.
var toolPath = []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// NoToolError says that there is no such program.
type NoToolError struct {
	Tool    string // "e2fsck"
	Toolbox string // "slot A"
}

func (e *NoToolError) Error() string {
	return fmt.Sprintf("%s has no %s in %s", e.Toolbox, e.Tool, strings.Join(toolPath, ", "))
}

// Run runs a tool to its end, for at most limit, in a room of its own at at. The
// error is a *NoToolError when there is no such program.
func (b Toolbox) Run(env Env, at string, limit time.Duration, tool string, args ...string) (sys.Exit, error) {
	room, err := b.Enter(env, at, "16m", tool)
	if err != nil {
		return sys.Exit{}, err
	}
	defer room.Leave(env)
	return room.Run(env, limit, args...)
}

// Room is where one tool runs. It sees the root filesystem as its root, with
// /dev and /proc, and with a /run and a /tmp of its own; it has no terminal.
type Room struct {
	Tmp     string   // what is the tool's /tmp, as init sees it
	Environ []string // what the tool's environment has besides
	name    string
	root    string
	program string // as the tool sees it
	tmp     string // the same as Tmp, as the tool sees it
	mounts  []Action
}

// Enter makes a room for a tool. at is an empty place of the initramfs where all
// that the tool sees is mounted meanwhile: mounts below the lower of an overlay,
// or those of a second tool at the same time, are not to meet it. memory is the
// size of its /tmp, as tmpfs(5) writes it. The error is a *NoToolError when there
// is no such program.
func (b Toolbox) Enter(env Env, at, memory, tool string) (*Room, error) {
	room := &Room{Tmp: path.Join(at, "tmp"), name: b.Name, root: at, tmp: "/tmp"}
	mounts := b.mounts(at, memory)
	var ok bool
	if room.program, ok = findTool(env.Kernel, "/", tool); ok && !b.Own {
		room.root, room.tmp = "/", room.Tmp
		mounts = []Action{Tmpfs(room.Tmp, memory)}
	} else if room.program, ok = findTool(env.Kernel, b.Root, tool); !ok {
		return nil, &NoToolError{tool, b.Name}
	}
	var err error
	if room.mounts, err = applyAll(env, mounts); err != nil {
		return nil, fmt.Errorf("%s of %s has no place to run: %w", tool, b.Name, err)
	}
	return room, nil
}

// Seen is a name in the room's /tmp as the tool sees it.
func (r *Room) Seen(name string) string { return path.Join(r.tmp, name) }

// Run runs the tool to its end, for at most limit.
func (r *Room) Run(env Env, limit time.Duration, args ...string) (sys.Exit, error) {
	environ := append([]string{"PATH=" + strings.Join(toolPath, ":"), "LC_ALL=C"}, r.Environ...)
	return env.Kernel.RunTool(sys.Tool{Root: r.root, Argv: append([]string{r.program}, args...), Env: environ, Limit: limit})
}

// Other is the same room with another tool of the same place in it.
func (r *Room) Other(env Env, tool string) (*Room, error) {
	other, ok := *r, false
	if other.program, ok = findTool(env.Kernel, r.root, tool); !ok {
		return nil, &NoToolError{tool, r.name}
	}
	return &other, nil
}

// Leave takes the room down. What a tool that did not end still holds stays
// until the restart.
func (r *Room) Leave(env Env) {
	for _, m := range slices.Backward(r.mounts) {
		_ = m.Undo(env)
	}
}

// findTool looks for a program below a root. Its path is as the program sees
// it.
func findTool(k sys.Kernel, root, tool string) (string, bool) {
	for _, dir := range toolPath {
		program := path.Join(dir, tool)
		if _, info, err := k.ResolveIn(root, program); err == nil && info.Executable() {
			return program, true
		}
	}
	return "", false
}

// mounts are what a tool sees. The root filesystem shows a second time, whatever
// it is on.
func (b Toolbox) mounts(at, memory string) []Action {
	kernels := sys.NoSuid | sys.NoExec
	return []Action{
		bound{b.Root, at},
		Mount{Source: "devtmpfs", Target: path.Join(at, "dev"), FSType: "devtmpfs", Flags: kernels},
		Mount{Source: "proc", Target: path.Join(at, "proc"), FSType: "proc", Flags: kernels | sys.NoDev},
		Tmpfs(path.Join(at, "run"), "16m"),
		Tmpfs(path.Join(at, "tmp"), memory),
	}
}

// bound is a directory that shows at another place as well.
type bound struct{ from, at string }

// Apply implements Action.
func (b bound) Apply(env Env) error {
	if err := MkdirAll(env.Kernel, b.at); err != nil {
		return err
	}
	return env.Kernel.Bind(b.from, b.at)
}

// Undo implements Action.
func (b bound) Undo(env Env) error { return env.Kernel.Unmount(b.at) }

func (b bound) String() string { return "bind " + b.from + " to " + b.at }
