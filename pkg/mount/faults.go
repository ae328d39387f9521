//go:build faults

package mount

import (
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

// plantedStamp is writeStamp with the planted mistake.
func plantedStamp(k sys.Kernel, file, identity string) (done bool, err error) {
	content := []byte(identity + "\n")
	switch PlantedFault {
	case MissingFsync:
		return true, inOrder(
			func() error { return k.WriteFile(file+".new", content, 0o644) },
			func() error { return k.Rename(file+".new", file) },
			func() error { return k.Fsync(path.Dir(file)) },
		)
	case RenameBeforeData:
		return true, inOrder(
			func() error { return k.WriteFile(file+".new", nil, 0o644) },
			func() error { return k.Rename(file+".new", file) },
			func() error { return k.Fsync(path.Dir(file)) },
			func() error { return k.WriteFile(file, content, 0o644) },
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
