package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
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
	// Dir is where the modules of a kernel release are, seen from Root, and
	// modules.dep, which says what a module needs, when somebody has put it there.
	Dir  func(release string) string
	File string // of the module, seen from Dir; the ending of a compressed one may follow
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
	dir := b.Dir(uname.Release)
	file, err := b.find(env, dir, b.File)
	if file == "" || err != nil {
		return err
	}
	needs, err := b.needs(env, dir)
	if err != nil {
		return err
	}
	for _, needed := range needs {
		found, err := b.find(env, dir, needed, path.Base(needed))
		if err == nil && found == "" {
			err = fs.ErrNotExist
		}
		if err == nil {
			err = b.load(env, found)
		}
		if err != nil {
			return fmt.Errorf("it needs %s: %w", path.Base(needed), err)
		}
	}
	return b.load(env, file)
}

// find looks for a module's file by one of its names, and returns its path as
// Root is seen; "" when there is none.
func (b Bring) find(env Env, dir string, names ...string) (string, error) {
	for _, name := range names {
		for _, ending := range moduleEndings {
			file, info, err := env.Kernel.ResolveIn(b.Root, path.Join(dir, plainModule(name)+ending))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				continue
			case err != nil:
				return "", err
			case !info.Mode.IsRegular():
				return "", fmt.Errorf("%s is no regular file", file)
			}
			return file, nil
		}
	}
	return "", nil
}

// needs are the modules that have to be loaded before, in that order.
func (b Bring) needs(env Env, dir string) ([]string, error) {
	list, _, err := env.Kernel.ResolveIn(b.Root, path.Join(dir, "modules.dep"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, err := env.Kernel.ReadFile(path.Join(b.Root, list))
	if err != nil {
		return nil, err
	}
	return moduleNeeds(string(text), path.Base(b.File)), nil
}

// moduleNeeds reads the list that depmod(8) makes: "FILE: NEEDED NEEDED", the
// last of which is to be loaded first (modules.dep(5)).
func moduleNeeds(list, module string) []string {
	for line := range strings.Lines(list) {
		file, needs, _ := strings.Cut(line, ":")
		if path.Base(plainModule(file)) == module {
			needed := strings.Fields(needs)
			slices.Reverse(needed)
			return needed
		}
	}
	return nil
}

// plainModule is the name of a module's file without the ending of a compressed
// one.
func plainModule(file string) string {
	for _, ending := range moduleEndings[1:] {
		file = strings.TrimSuffix(file, ending)
	}
	return file
}

// load loads a module, and says what a kernel lacks that does not unpack it.
func (b Bring) load(env Env, file string) error {
	err := env.Kernel.LoadModule(path.Join(b.Root, file), "")
	// EOPNOTSUPP of a kernel without it, EINVAL of one before 5.17.
	if plainModule(file) != file && (errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL)) {
		return fmt.Errorf("%w; this kernel was built without CONFIG_MODULE_DECOMPRESS, or for another compression: unpack the file", err)
	}
	return err
}

// Undo implements Action. A module stays.
func (Bring) Undo(Env) error { return nil }

func (b Bring) String() string { return "bring the module of " + b.FSType + " from " + b.Root }
