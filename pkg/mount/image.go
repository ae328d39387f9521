package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Image is a filesystem in a file of another filesystem.
type Image struct {
	Dir    string   // where the file is
	Names  []string // that it may have; the first that is there
	Target string
	FSType string
}

// LoopModule is the kernel's module of loop devices. The image names it as it
// names those of filesystems.
const LoopModule = "loop"

// Apply implements Action.
func (i Image) Apply(env Env) error {
	file, err := i.Find(env.Kernel)
	if err != nil {
		return err
	}
	if err := env.Modules.Filesystem(LoopModule); err != nil {
		return err
	}
	device, err := env.Kernel.AttachLoop(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the kernel has no loop devices, and the image no module for them; build the image with a set in SETS= that has it: %w", err)
	}
	if err != nil {
		return err
	}
	err = Mount{Source: device.Path(), Target: i.Target, FSType: i.FSType, Flags: sys.ReadOnly | sys.NoAtime}.Apply(env)
	if closeErr := device.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path.Base(file), err)
	}
	return nil
}

// Find is the file that is mounted: the first of the names that is there.
func (i Image) Find(k sys.Kernel) (string, error) {
	for _, name := range i.Names {
		file := path.Join(i.Dir, name)
		if _, err := k.Lstat(file); err == nil {
			return file, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	return "", fmt.Errorf("there is no %s in %s", strings.Join(i.Names, ", no "), i.Dir)
}

// Undo implements Action. The loop device goes with its last user.
func (i Image) Undo(env Env) error { return env.Kernel.Unmount(i.Target) }

func (i Image) String() string {
	return fmt.Sprintf("mount %s %s of %s on %s", i.FSType, strings.Join(i.Names, " or "), i.Dir, i.Target)
}
