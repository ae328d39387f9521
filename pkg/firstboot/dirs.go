package firstboot

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
)

// Dirs are directories that the system wants to find on the data partition.
type Dirs struct {
	Data  string   // where that is mounted
	Paths []string // from its root
}

// Apply implements mount.Action. It makes all that can be made.
func (d Dirs) Apply(env mount.Env) error {
	var failed []error
	for _, dir := range d.Paths {
		if _, err := mount.MkdirIn(env.Kernel, d.Data, path.Join("/", dir)); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", dir, err))
		}
	}
	return errors.Join(failed...)
}

// Undo implements mount.Action. The next boot wants them as well.
func (Dirs) Undo(mount.Env) error { return nil }

func (d Dirs) String() string { return "make " + strings.Join(d.Paths, ", ") + " in " + d.Data }
