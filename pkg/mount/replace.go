package mount

import (
	"io/fs"
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// ReplaceFile gives a file its content and its mode so that a cut leaves the
// old one, none, or the whole new one; when it returns without an error, the new
// one is durable. A file is always given the same mode, since what a cut left of
// an earlier try keeps its own. Errors are those of the kernel.
func ReplaceFile(k sys.Kernel, file string, content []byte, mode fs.FileMode) error {
	if done, err := plantedReplace(k, file, content, mode); done {
		return err
	}
	partial := file + PartialSuffix
	if err := k.WriteFile(partial, content, mode); err != nil {
		_ = k.Remove(partial) // a full disk is not to stay full of this
		return err
	}
	if err := k.Fsync(partial); err != nil {
		return err
	}
	if err := k.Rename(partial, file); err != nil {
		return err
	}
	return k.Fsync(path.Dir(file))
}

// PartialSuffix ends the name of a file that is being written.
const PartialSuffix = ".minos-new"
