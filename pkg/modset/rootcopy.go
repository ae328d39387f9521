package modset

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// RootCopyDir is the directory of a set whose content is laid over the system.
const RootCopyDir = "rootcopy"

// preInit is the script of a set that is run before the system starts.
const preInit = RootCopyDir + "/run/preinit.sh"

// HasRootCopy tells whether the set in dir has files for the system.
func HasRootCopy(k sys.Kernel, dir string) bool {
	info, err := k.Lstat(path.Join(dir, RootCopyDir))
	return err == nil && info.Mode.IsDir()
}

// RootCopy copies what is in the directory rootcopy of a set into the system. What
// the system has under the same name is replaced; directories that are there keep
// their owners and modes. A name at the top that begins with a dot is passed over,
// and so is run, which the system does not see.
type RootCopy struct {
	Set  string // its directory
	Root string // of the system
}

// Apply implements mount.Action. It goes on after a file that cannot be copied.
func (r RootCopy) Apply(env mount.Env) error {
	from := path.Join(r.Set, RootCopyDir)
	files, err := tree(env.Kernel, from, "", maxDepth, func(name string) bool { return name[0] == '.' || name == "run" })
	if err != nil {
		return err
	}
	c := copier{kernel: env.Kernel, from: from, to: "/", root: r.Root, what: "copying rootcopy into the system", half: true, say: env.Say}
	failed := 0
	for i, f := range files {
		if copyErr := c.copy(f, i, len(files)); copyErr != nil {
			err = cmp.Or(err, copyErr)
			failed++
		}
	}
	if failed > 1 {
		err = fmt.Errorf("%w, and %d more", err, failed-1)
	}
	return err
}

// Undo implements mount.Action. What was copied goes with the layer that has it, or
// is what the next boot wants as well.
func (r RootCopy) Undo(mount.Env) error { return nil }

func (r RootCopy) String() string { return "copy " + path.Join(r.Set, RootCopyDir) + " to " + r.Root }

// PreInit runs a set's script, if it has one, with the shell of the system and in it:
// init has none. The script gets "/" as the directory of the system.
type PreInit struct {
	Set  string // its directory
	Root string // of the system
}

// preInitTime is how long the script may take.
const preInitTime = 30 * time.Second

// maxScript is what a script may have, in bytes. The kernel takes 128 KiB as one
// argument of a program.
const maxScript = 64 << 10

// Apply implements mount.Action.
func (p PreInit) Apply(env mount.Env) error {
	file := path.Join(p.Set, preInit)
	info, err := env.Kernel.Lstat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && (!info.Mode.IsRegular() || info.Size > maxScript) {
		err = fmt.Errorf("expected a file of at most %d KiB", maxScript>>10)
	}
	if err != nil {
		return err
	}
	script, err := env.Kernel.ReadFile(file)
	if err != nil {
		return err
	}
	system := mount.Toolbox{Root: p.Root, Name: "the system", Own: true}
	exit, err := system.Run(env, "/mnt/preinit", preInitTime, "sh", "-c", string(script), "preinit.sh", "/")
	if err != nil {
		return err
	}
	if exit.Status != 0 {
		return fmt.Errorf("it ended with status %d: %s", exit.Status, lastLine(exit.Output))
	}
	return nil
}

// lastLine is the last line of what a program printed.
func lastLine(output string) string {
	output = strings.TrimSpace(output)
	return output[strings.LastIndexByte(output, '\n')+1:]
}

// Undo implements mount.Action. What a script has done nobody can undo.
func (p PreInit) Undo(mount.Env) error { return nil }

func (p PreInit) String() string { return "run " + path.Join(p.Set, preInit) }
