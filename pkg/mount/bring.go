package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
)

// Bring makes the kernel know a filesystem by a module that lies in some
// directory tree, where neither the kernel nor the image has it. That there is
// no such file is no error: the mount that needs it says what is missing.
type Bring struct {
	FSType string
	// Medium is mounted for it, where it is needed. The zero value: Root is
	// there already.
	Medium Mount
	Root   string // of the tree
	// File is where the module of a kernel release is, seen from Root. The ending
	// of a compressed one may follow.
	File func(release string) string
}

// moduleEndings are those of a module's file. What is compressed the kernel
// unpacks itself, if it was built to (CONFIG_MODULE_DECOMPRESS).
var moduleEndings = []string{"", ".zst", ".xz", ".gz"}

// Apply implements Action.
func (b Bring) Apply(env Env) error {
	if err := env.Modules.Filesystem(b.FSType); err == nil && env.Modules.Unknown(b.FSType) == nil {
		return nil
	}
	uname, err := env.Kernel.Uname()
	if err != nil {
		return err
	}
	if b.Medium.Source != "" {
		if err := b.Medium.Apply(env); err != nil {
			return err
		}
		defer func() { _ = b.Medium.Undo(env) }() // what stays mounted is in nobody's way
	}
	for _, ending := range moduleEndings {
		file, info, err := env.Kernel.ResolveIn(b.Root, b.File(uname.Release)+ending)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case !info.Mode.IsRegular():
			return fmt.Errorf("%s is no regular file", file)
		}
		return env.Kernel.LoadModule(path.Join(b.Root, file), "")
	}
	return nil
}

// Undo implements Action. A module stays.
func (Bring) Undo(Env) error { return nil }

func (b Bring) String() string { return "bring the module of " + b.FSType + " from " + b.Root }
