package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// MakeDirs makes a directory and those above it, below a root that is there,
// with mode 0755. Their names are durable before anything is put in.
func MakeDirs(k sys.Kernel, root, dir string) error {
	full := path.Join(root, dir)
	info, err := k.Lstat(full)
	switch {
	case err == nil && info.Mode.IsDir():
		return nil
	case err == nil:
		return fmt.Errorf("%s is not a directory", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := MakeDirs(k, root, path.Dir(dir)); err != nil {
		return err
	}
	if err := k.Mkdir(full, 0o755); err != nil {
		return err
	}
	return k.Fsync(path.Dir(full))
}
