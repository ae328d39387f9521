package firstboot

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// growStep is by how much a filesystem grows at once, in bytes: some seconds on
// a slow card, so that there is progress to show and a shutdown need not wait.
const growStep = 16 << 30

// FilesystemSizes are the sizes, in bytes, that a mounted filesystem goes
// through until it fills its partition. What was done stays done when that is
// cut off, since each is a change that the filesystem makes whole. There are
// none when it is as large as it can be: a little at the end may be less than a
// filesystem can use.
func FilesystemSizes(super block.Superblock, partition int64) (sizes []int64, err error) {
	if super.Size == 0 || partition-super.Size < block.MinGain {
		return nil, nil
	}
	switch super.Type {
	case "ext4":
		for size := (super.Size/growStep + 1) * growStep; size < partition; size += growStep {
			sizes = append(sizes, size)
		}
	case "btrfs":
	default:
		return nil, fmt.Errorf("it holds %s, which does not grow while it is mounted", super.Type)
	}
	return append(sizes, partition), nil
}

// GrowFilesystem gives a mounted filesystem all of its partition. done is called
// after each part of it, with the bytes that it has then and will have.
func GrowFilesystem(k sys.Kernel, device, dir string, done func(now, end int64)) error {
	dev, err := k.OpenDevice(device)
	if err != nil {
		return err
	}
	defer dev.Close()
	partition, err := dev.Size()
	if err != nil {
		return err
	}
	super, err := block.Probe(dev, partition)
	if err != nil {
		return err
	}
	sizes, err := FilesystemSizes(super, partition)
	if err != nil {
		return fmt.Errorf("%s: %w", device, err)
	}
	for _, size := range sizes {
		if err := k.GrowFilesystem(dir, super.Type, size); err != nil {
			return err
		}
		done(size, partition)
	}
	return nil
}

// Fill gives a mounted filesystem all of its partition before the boot goes on.
// What cannot be done is told, and the filesystem stays as it is.
type Fill struct{ Device, Dir string }

// Apply implements mount.Action.
func (f Fill) Apply(env mount.Env) error {
	grown := int64(0)
	err := GrowFilesystem(env.Kernel, f.Device, f.Dir, func(now, _ int64) { grown = now })
	if grown > 0 {
		env.Say(fmt.Sprintf("the filesystem of %s has grown to %s", f.Device, block.SizeText(grown)))
		env.Made(f.Device + " filled")
	}
	if err != nil {
		env.Say(fmt.Sprintf("the filesystem of %s does not fill its partition, ignoring: %v", f.Device, err))
	}
	return nil
}

// Undo implements mount.Action. A filesystem never gets smaller.
func (Fill) Undo(mount.Env) error { return nil }

func (f Fill) String() string { return "grow the filesystem of " + f.Device }
