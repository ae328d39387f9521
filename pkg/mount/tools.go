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
	Root Mount  // the root filesystem, read-only, as it is mounted already
	Name string // "slot A", for people
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

// Run runs a tool to its end, for at most limit. It sees the root filesystem
// as its root, with /dev and /proc, and with a /run and a /tmp of its own; it
// has no terminal. at is an empty place of the initramfs where all of that is
// mounted meanwhile: mounts below the lower of an overlay, or those of a second
// tool at the same time, are not to meet it. The error is a *NoToolError when
// there is no such program.
func (b Toolbox) Run(env Env, at string, limit time.Duration, tool string, args ...string) (sys.Exit, error) {
	command := func(program string) []string { return append([]string{program}, args...) }
	environ := []string{"PATH=" + strings.Join(toolPath, ":"), "LC_ALL=C"}
	if program, ok := findTool(env.Kernel, "/", tool); ok {
		return env.Kernel.RunTool(sys.Tool{Root: "/", Argv: command(program), Env: environ, Limit: limit})
	}
	program, ok := findTool(env.Kernel, b.Root.Target, tool)
	if !ok {
		return sys.Exit{}, &NoToolError{tool, b.Name}
	}
	mounts := b.mounts(at)
	done, err := applyAll(env, mounts)
	if err != nil {
		return sys.Exit{}, fmt.Errorf("%s of %s has no place to run: %w", tool, b.Name, err)
	}
	exit, err := env.Kernel.RunTool(sys.Tool{Root: at, Argv: command(program), Env: environ, Limit: limit})
	for _, m := range slices.Backward(done) {
		// What a tool that did not end still holds stays until the restart.
		_ = m.Undo(env)
	}
	return exit, err
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

// mounts are what a tool sees. The root filesystem is mounted a second time,
// which costs nothing: the kernel has it open.
func (b Toolbox) mounts(at string) []Action {
	root := b.Root
	root.Target = at
	kernels := sys.NoSuid | sys.NoExec
	return []Action{
		root,
		Mount{Source: "devtmpfs", Target: path.Join(at, "dev"), FSType: "devtmpfs", Flags: kernels},
		Mount{Source: "proc", Target: path.Join(at, "proc"), FSType: "proc", Flags: kernels | sys.NoDev},
		Tmpfs(path.Join(at, "run"), "16m"),
		Tmpfs(path.Join(at, "tmp"), "16m"),
	}
}
