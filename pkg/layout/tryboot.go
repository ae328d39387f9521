package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
	"github.com/minos-os/minos-init/pkg/sys"
)

// The layout "tryboot" is the KN-86: two systems on one card of a Raspberry Pi,
// between which its firmware chooses by autoboot.txt, and by a flag that holds
// for one start. Each has a boot partition and a root filesystem; what is
// written to / stays in memory; /home/shared is common to both. Slot B is a
// copy of A, so partitions are known by their numbers alone. All six are looked
// for before the slot is chosen: they are what the boot disk is known by.
func trybootRoles(m tryboot.Mapping) []role {
	roles := []role{{name: "common", number: m.Common}}
	for _, slot := range []slots.Slot{slots.A, slots.B} {
		roles = append(roles, role{name: trybootName("bootfs", slot), number: m.Of(slot).Boot},
			role{name: trybootName("rootfs", slot), number: m.Of(slot).Root})
	}
	for i := range roles {
		roles[i].required = true
	}
	roles = append(roles, role{name: "shared", number: m.Shared, holds: []string{"ext4"}, at: "/home/shared"})
	for i := range roles {
		roles[i].numberOnly = true
	}
	return roles
}

func trybootName(what string, slot slots.Slot) string { return what + "-" + slot.Lower() }

// prepareTryboot finds the partitions, and which of the two systems the firmware
// has started, and says how its root is put together.
func prepareTryboot(m Machine) (Root, error) {
	t := &trybootCard{Machine: m, mapping: tryboot.MappingOf(m.Config.TryParts), firmware: tryboot.ReadFirmware(func(name string) ([]byte, error) {
		return m.Kernel.ReadFile(path.Join(tryboot.DeviceTree, name))
	})}
	found, err := search(m, trybootRoles(t.mapping), block.Request{Final: true})
	if err != nil {
		return Root{OnTrial: t.firmware.Tryboot == tryboot.Set}, err
	}
	t.common = found.role("common").match.Device
	choice := tryboot.Choose(tryboot.Facts{Firmware: t.firmware, Mapping: t.mapping, Named: m.Config.KN86Slots, File: t.autoboot})
	t.slot, t.other = choice.Slot, found.take(m, choice.Slot)
	rootfs, bootfs, shared := found.role("rootfs"), found.role("bootfs"), found.role("shared")
	root := Root{
		Choice:   choiceReport(choice),
		OnTrial:  t.firmware.Tryboot == tryboot.Set,
		Rescue:   t,
		Disk:     found.disk,
		Roles:    found.report(),
		Lowest:   rootfs.match.Device,
		Path:     newRoot,
		Warnings: slices.Concat(choice.Warnings, found.warnings, unknownRoles(m.Config.Parts)), // the numbers go by another word
	}
	if asked, _ := m.Config.Last("minos.overlay"); asked == string(config.Keep) {
		root.Warnings = append(root.Warnings, "what is written to / is thrown away at each boot of this layout, ignoring: minos.overlay=keep")
	}
	root.Steps = []mount.Step{bootfs.staged(sys.ReadOnly | sys.NoAtime), {
		Name: rootfs.name, Title: "mount the root filesystem of slot " + string(choice.Slot),
		Do: []mount.Action{rootfs.mount(rootfs.at, sys.ReadOnly|sys.NoAtime)},
	}}
	root.addUpper(m.Config, config.Volatile, partition{}, lowerLayer{step: rootfs.name, at: rootfs.at}, firstboot.Card{})
	root.Steps = append(root.Steps, mount.Step{
		// In a copied slot the lines are the other one's, and would have systemd write
		// to it.
		Name: "fstab", Title: "take the lines of the slots out of /etc/fstab", After: []string{"root"},
		Do: []mount.Action{ownFstab{places: []string{"/", "/boot", bootfs.at, shared.at}, parts: found.namedSlots(m)}},
	}, shared.staged(sys.NoAtime, rootfs.name)) // nothing is mounted writable for a slot that was never filled
	for _, p := range []*partition{bootfs, shared} {
		root.Steps = append(root.Steps, p.placed())
	}
	root.rejectStaleRoot(m.Config.Root)
	return root, nil
}

// trybootSlot are the partitions of the other slot, which nobody looks at while
// this one boots: an updater may write to them at any time.
type trybootSlot struct{ boot, root *partition }

// take gives the partitions of the slot that starts their use.
func (ps partitions) take(m Machine, slot slots.Slot) (other trybootSlot) {
	rootfs, bootfs := ps.role(trybootName("rootfs", slot)), ps.role(trybootName("bootfs", slot))
	other.boot, other.root = ps.role(trybootName("bootfs", slot.Other())), ps.role(trybootName("rootfs", slot.Other()))
	rootfs.name, rootfs.at, bootfs.name, bootfs.at = "rootfs", backing+"/rootfs", "bootfs", "/boot/firmware"
	rootfs.holds, bootfs.holds = []string{"ext4", "squashfs", "erofs"}, []string{"vfat"}
	other.root.holds, other.boot.holds = rootfs.holds, bootfs.holds
	rootfs.identify(m.Disks)
	bootfs.identify(m.Disks)
	return other
}

// namedSlots looks at what the boot and root partitions of both slots are called.
func (ps partitions) namedSlots(m Machine) func() []namedPartition {
	return func() (named []namedPartition) {
		for _, p := range ps.all {
			if p.name == "common" || p.name == "shared" {
				continue
			}
			super, _ := m.Disks.Superblock(p.match.Device) // what cannot be read cannot be mounted either
			named = append(named, namedPartition{Device: p.match.Device, label: super.Label, uuid: super.UUID, partUUID: m.Disks.PartUUID(p.match.Device)})
		}
		return named
	}
}

// trybootCard is the card, with what the firmware told of this boot.
type trybootCard struct {
	Machine
	mapping  tryboot.Mapping
	firmware tryboot.Firmware
	common   block.Device
	slot     slots.Slot
	other    trybootSlot
}

// The files of the common partition, as its directory spells them.
const (
	autobootEntry = "AUTOBOOTTXT"
	rescueEntry   = "RESCUE  TXT"
)

// autoboot reads autoboot.txt where it lies, without a mount.
func (t *trybootCard) autoboot() (tryboot.File, error) {
	data, _, err := t.readCommon(autobootEntry)
	if err != nil {
		return tryboot.File{}, err
	}
	return tryboot.Parse(data)
}

// readCommon reads the start of a file of the common partition, one byte more
// than the firmware takes at most, and tells where it lies.
func (t *trybootCard) readCommon(entry string) (data []byte, at block.FATFile, err error) {
	dev, err := t.Kernel.OpenDevice(t.common.Path())
	if err != nil {
		return nil, at, err
	}
	defer dev.Close()
	size, err := dev.Size()
	if err != nil {
		return nil, at, err
	}
	at, err = block.FindInFAT(dev, size, entry)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("there is no such file on %s", t.common.Path())
	}
	if err != nil {
		return nil, at, err
	}
	data = make([]byte, min(at.Size, tryboot.SizeLimit+1))
	_, err = dev.ReadAt(data, at.Offset)
	return data, at, err
}
