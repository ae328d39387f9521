//go:build faults

package mount

import (
	"io/fs"
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// The mistakes that a writer of files can make, for PlantedFault.
const (
	MissingFsync     = "missing-fsync"
	RenameBeforeData = "rename-before-data"
)

// PlantedFault is the mistake to make, "" for none. The builder of images never
// sets the build tag that this is behind: it is for the tests that have to
// find such mistakes.
var PlantedFault string

// plantedReplace is ReplaceFile with the planted mistake.
func plantedReplace(k sys.Kernel, file string, content []byte, mode fs.FileMode) (done bool, err error) {
	partial := file + PartialSuffix
	switch PlantedFault {
	case MissingFsync:
		return true, inOrder(
			func() error { return k.WriteFile(partial, content, mode) },
			func() error { return k.Rename(partial, file) },
			func() error { return k.Fsync(path.Dir(file)) },
		)
	case RenameBeforeData:
		return true, inOrder(
			func() error { return k.WriteFile(partial, nil, mode) },
			func() error { return k.Rename(partial, file) },
			func() error { return k.Fsync(path.Dir(file)) },
			func() error { return k.WriteFile(file, content, mode) },
			func() error { return k.Fsync(file) },
		)
	}
	return false, nil
}

// inOrder does one thing after the other, up to the first that fails.
func inOrder(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
