package firstboot

import (
	"fmt"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Card is the boot partition while init has it: the FAT that people see when
// they put the card into a reader. It is read-only but for the time in which a
// file is removed from it.
type Card struct {
	At    string                   // where it is mounted
	Flags sys.MountFlags           // with which it is mounted, read-only among them
	Names func() ([]string, error) // of its root; a boot reads them once
}

// open makes the card writable.
func (c Card) open(env mount.Env) error {
	return env.Kernel.Remount(c.At, c.Flags&^sys.ReadOnly)
}

// close makes durable what was removed, and the card read-only again.
func (c Card) close(env mount.Env) error {
	err := env.Kernel.SyncFS(c.At)
	if back := env.Kernel.Remount(c.At, c.Flags); back != nil {
		env.Say(fmt.Sprintf("the boot partition stays writable, ignoring: %v", back))
	}
	return err
}

// textSuffix is what Windows puts behind a name without showing it.
const textSuffix = ".txt"

// find looks for a path from the card's root, in which capitals and small
// letters are the same. It returns the path as the card has it, "" when there is
// none. The last part may have the suffix of a text.
func (c Card) find(k sys.Kernel, wanted string) (string, error) {
	names, err := c.Names()
	if err != nil {
		return "", err
	}
	dir, rest := "", wanted
	for {
		part, below, more := strings.Cut(rest, "/")
		name, ok := foldedName(names, part)
		if !ok && !more {
			name, ok = foldedName(names, part+textSuffix)
		}
		if !ok {
			return "", nil
		}
		dir, rest = path.Join(dir, name), below
		if !more {
			return dir, nil
		}
		info, err := k.Lstat(path.Join(c.At, dir))
		if err != nil || !info.Mode.IsDir() {
			return "", err
		}
		if names, err = k.ReadDir(path.Join(c.At, dir)); err != nil {
			return "", err
		}
	}
}

func foldedName(names []string, wanted string) (string, bool) {
	for _, name := range names {
		if strings.EqualFold(name, wanted) {
			return name, true
		}
	}
	return "", false
}
