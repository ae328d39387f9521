package layout

import (
	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
)

// growth is the step that gives a partition the space behind it, when there is
// some: of a card on which there is none only sizes are read, from sysfs. It
// is done before the partition is mounted, so that the filesystem finds its
// space; needs are steps that have to have noted what the partition was: once
// it has grown, a blank one cannot be proved blank any more.
func growth(m Machine, p partition, needs ...string) []mount.Step {
	device := p.match.Device
	if p.err != nil || device.Number == 0 || device.Disk != p.disk {
		return nil // what is not known to be ours is not changed
	}
	disk, err := m.Disks.DiskSize(device)
	if err != nil {
		return nil
	}
	is, err := m.Disks.Span(device)
	if err != nil || disk-is.End() < block.MinGain {
		return nil
	}
	var others []block.Span
	for _, d := range m.Disks.Partitions(p.disk) {
		if other, err := m.Disks.Span(d); err == nil {
			others = append(others, other)
		}
	}
	if !firstboot.RoomBehind(disk, is, others) {
		return nil
	}
	// Nothing stands in for it, and nothing is lost: the action tells what it
	// cannot do, and does not fail, since a boot without more space is not a
	// degraded one.
	return []mount.Step{{
		Name: p.name + "-grow", Title: "grow the " + p.name + " partition",
		Needs: needs, Tolerated: true,
		Do: []mount.Action{firstboot.Grow{
			Disk: "/dev/" + p.disk, Partition: device.Path(), Number: device.Number, Is: is,
		}},
	}}
}

// filling is the step that gives the filesystem of a partition all the space
// that the partition has, when minos.grow=now asks for it; otherwise that is
// done beside the running system.
func filling(m Machine, p partition) []mount.Step {
	if !m.Config.GrowNow || p.err != nil {
		return nil
	}
	return []mount.Step{{
		Name: p.name + "-fill", Title: "grow the filesystem of the " + p.name + " partition",
		Needs:     []string{p.name},
		Do:        []mount.Action{firstboot.Fill{Device: p.match.Device.Path(), Dir: staging + "/" + p.name}},
		Tolerated: true, Loss: "the filesystem of the " + p.name + " partition does not fill it",
	}}
}
