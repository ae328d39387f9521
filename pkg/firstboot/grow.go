package firstboot

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// RoomBehind tells whether a look at the partition table may be worth it, from
// sizes alone: there is space behind ours that no partition has, others being
// all the partitions of the disk. It is false for a partition in the middle of
// a disk that is full, which is as it should be.
func RoomBehind(disk int64, ours block.Span, others []block.Span) bool {
	end := ours.End()
	for _, o := range others {
		end = max(end, o.End())
	}
	return disk-end >= block.MinGain
}

// Grow gives a partition, which is not mounted or is, the space up to the end
// of its disk. Nothing of it ends a boot: what cannot be done is told, and the
// partition stays as it is.
type Grow struct {
	Disk      string // "/dev/vda"
	Partition string // "/dev/vda4"
	Number    int
	Is        block.Span // as the kernel has it
}

// Apply implements mount.Action.
func (g Grow) Apply(env mount.Env) error {
	plan, err := g.grow(env.Kernel)
	switch {
	case err != nil:
		env.Say(fmt.Sprintf("the space behind %s stays unused, ignoring: %v", g.Partition, err))
	case len(plan.Stages) > 0:
		env.Say(fmt.Sprintf("disk %s has grown: %v", g.Disk, plan))
		env.Made(fmt.Sprintf("partition %d grown to %s", g.Number, block.SizeText(plan.To)))
	}
	return nil
}

// Undo implements mount.Action. A partition never gets smaller.
func (Grow) Undo(mount.Env) error { return nil }

func (g Grow) String() string { return "grow " + g.Partition }

// grow does it, and returns what was done.
func (g Grow) grow(k sys.Kernel) (plan block.Growth, err error) {
	disk, err := k.LockDisk(g.Disk)
	if err != nil {
		return plan, err
	}
	defer disk.Close()
	var geometry block.Geometry
	if geometry.Size, err = disk.Size(); err != nil {
		return plan, err
	}
	if geometry.Logical, geometry.Physical, err = disk.Blocks(); err != nil {
		return plan, err
	}
	if plan, err = block.PlanGrowth(disk, geometry, g.Number); err != nil || len(plan.Stages) == 0 {
		return plan, err
	}
	if is := (block.Span{Start: plan.Start, Size: plan.From}); is != g.Is {
		return plan, fmt.Errorf("the table has it at byte %d with %d bytes, and the kernel at %d with %d: somebody has changed the table",
			is.Start, is.Size, g.Is.Start, g.Is.Size)
	}
	if err := write(disk, plan.Stages); err != nil {
		return plan, err
	}
	if err := disk.ResizePartition(g.Number, plan.Start, plan.To); err != nil {
		return plan, fmt.Errorf("the table is written and counts from the next boot on: %w", err)
	}
	return plan, nil
}

// write performs the stages, each durable before the next begins.
func write(disk sys.Disk, stages []block.Stage) error {
	for _, stage := range stages {
		for _, w := range stage.Writes {
			if _, err := disk.WriteAt(w.Data, w.Offset); err != nil {
				return fmt.Errorf("%s: %w", stage.What, err)
			}
		}
		if err := disk.Sync(); err != nil {
			return fmt.Errorf("%s: %w", stage.What, err)
		}
	}
	return nil
}
