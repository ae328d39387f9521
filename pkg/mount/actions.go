package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// Mount is a filesystem at a place. The directory is made when it is missing.
type Mount struct {
	Source  string
	Target  string
	FSType  string
	Flags   sys.MountFlags
	Options []string
}

// Apply implements Action.
func (m Mount) Apply(env Env) error {
	if err := env.Modules.Filesystem(m.FSType); err != nil {
		return err
	}
	if err := MkdirAll(env.Kernel, m.Target); err != nil {
		return err
	}
	err := env.Kernel.Mount(sys.MountRequest{
		Source: m.Source, Target: m.Target, FSType: m.FSType, Flags: m.Flags, Options: m.Options,
	})
	if errors.Is(err, unix.ENODEV) { // mount(2): no filesystem of that type
		if why := env.Modules.Unknown(m.FSType); why != nil {
			return why
		}
	}
	return err
}

// Undo implements Action.
func (m Mount) Undo(env Env) error { return env.Kernel.Unmount(m.Target) }

func (m Mount) String() string {
	return fmt.Sprintf("mount %s %s on %s (%s)", m.FSType, m.Source, m.Target,
		strings.Join(append(m.Flags.Words(), m.Options...), ","))
}

// Tmpfs is an empty filesystem in memory of at most this size, as tmpfs(5)
// writes it: "16m", or "25%" of the memory.
func Tmpfs(target, size string) Mount {
	return Mount{Source: "tmpfs", Target: target, FSType: "tmpfs",
		Flags: sys.NoSuid | sys.NoDev, Options: []string{"mode=0755", "size=" + size}}
}

// StandIn is an empty read-only filesystem where a disk should have been
// mounted, so that nothing is written into a directory that pretends to be it.
func StandIn(target string) Mount {
	return Mount{Source: "missing", Target: target, FSType: "tmpfs",
		Flags: sys.ReadOnly | sys.NoSuid | sys.NoDev | sys.NoExec, Options: []string{"mode=0755", "size=4k"}}
}

// Place moves a mount, with all below it, to its place in a new root. The
// directory is made when it is missing.
type Place struct {
	From string
	Root string // where the new root is mounted
	At   string // seen from the new root
}

// Apply implements Action.
func (p Place) Apply(env Env) error {
	to, err := MkdirIn(env.Kernel, p.Root, p.At)
	if err != nil {
		return err
	}
	return env.Kernel.MoveMount(p.From, to)
}

// Undo implements Action.
func (p Place) Undo(env Env) error {
	at, err := MkdirIn(env.Kernel, p.Root, p.At)
	if err != nil {
		return err
	}
	return env.Kernel.MoveMount(at, p.From)
}

func (p Place) String() string { return fmt.Sprintf("move %s to %s of the new root", p.From, p.At) }

// Shield covers a directory of the new root that should have become a mount
// point. Where there is no such directory, nothing can be written to it.
type Shield struct {
	Root string // where the new root is mounted
	At   string // seen from the new root
}

// Apply implements Action.
func (s Shield) Apply(env Env) error {
	resolved, info, err := env.Kernel.ResolveIn(s.Root, s.At)
	if err != nil || !info.Mode.IsDir() {
		return nil
	}
	return StandIn(path.Join(s.Root, resolved)).Apply(env)
}

// Undo implements Action.
func (s Shield) Undo(env Env) error { return env.Kernel.Unmount(path.Join(s.Root, s.At)) }

func (s Shield) String() string { return "cover " + s.At + " of the new root" }

// MakeDir makes a directory, and those above it, where it is missing.
type MakeDir struct{ Dir string }

// Apply implements Action.
func (m MakeDir) Apply(env Env) error { return MkdirAll(env.Kernel, m.Dir) }

// Undo implements Action. An empty directory is in nobody's way.
func (MakeDir) Undo(Env) error { return nil }

func (m MakeDir) String() string { return "make " + m.Dir }

// Drop unmounts what turned out to be of no use.
type Drop struct{ Target string }

// Apply implements Action.
func (d Drop) Apply(env Env) error { return env.Kernel.Unmount(d.Target) }

// Undo implements Action.
func (d Drop) Undo(Env) error { return nil }

func (d Drop) String() string { return "unmount " + d.Target }

// Absent stands for something that was looked for and is not there: a
// partition that nobody made, or one that holds the wrong thing. It always
// fails, so that what is missing and what is broken take the same way.
type Absent struct{ Err error }

// Apply implements Action.
func (a Absent) Apply(Env) error { return a.Err }

// Undo implements Action.
func (a Absent) Undo(Env) error { return nil }

func (a Absent) String() string { return "find that " + a.Err.Error() }

// MkdirAll makes a directory of the initramfs and those above it, with mode
// 0755.
func MkdirAll(k sys.Kernel, dir string) error {
	info, err := k.Lstat(dir)
	switch {
	case err == nil && (info.Mode.IsDir() || info.Mode&fs.ModeSymlink != 0):
		return nil
	case err == nil:
		return fmt.Errorf("%s is not a directory", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Nearly always the one above is there: it is looked for only when not.
	err = k.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err = MkdirAll(k, path.Dir(dir)); err == nil {
			err = k.Mkdir(dir, 0o755)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// MkdirIn is MkdirAll below a root that is not ours. It follows symbolic links
// as a process with that root would, and returns the directory's real path: a
// link to /mnt in the root filesystem must not lead into the initramfs.
func MkdirIn(k sys.Kernel, root, dir string) (string, error) {
	resolved, info, err := k.ResolveIn(root, dir)
	if err == nil {
		if !info.Mode.IsDir() {
			return "", fmt.Errorf("%s of the new root is not a directory", dir)
		}
		return path.Join(root, resolved), nil
	}
	if !errors.Is(err, fs.ErrNotExist) || dir == "/" {
		return "", err
	}
	parent, err := MkdirIn(k, root, path.Dir(dir))
	if err != nil {
		return "", err
	}
	full := path.Join(parent, path.Base(dir))
	return full, k.Mkdir(full, 0o755)
}

// Bind shows a directory at another place as well.
type Bind struct{ From, To string }

// Apply implements Action.
func (b Bind) Apply(env Env) error {
	if err := MkdirAll(env.Kernel, b.To); err != nil {
		return err
	}
	return env.Kernel.Bind(b.From, b.To)
}

// Undo implements Action.
func (b Bind) Undo(env Env) error { return env.Kernel.Unmount(b.To) }

func (b Bind) String() string { return "show " + b.From + " at " + b.To }

// Held stands for a mount that was made while the disk was looked for: nothing
// is left to do, and it goes when the boot fails.
type Held struct{ Target string }

// Apply implements Action.
func (Held) Apply(Env) error { return nil }

// Undo implements Action.
func (h Held) Undo(env Env) error { return env.Kernel.Unmount(h.Target) }

func (h Held) String() string { return "hold " + h.Target }
