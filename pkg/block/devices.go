// Package block knows what disks and partitions there are, what is on them,
// and which of them a layout's roles mean. It never writes to one.
package block

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Device is a disk or a partition, as the kernel tells of it.
type Device struct {
	Name     string // the kernel's name: "vda6", "mmcblk0p6"
	Disk     string // the name of the whole disk; Name itself for a disk
	Number   int    // of the partition, from 1; 0 for a disk
	PartName string // the partition's name in a GPT (PARTLABEL); "" on an MBR
	Major    int
	Minor    int
	Devpath  string // its place in the tree of devices, below /sys
}

// Path is the node that devtmpfs makes for the device.
func (d Device) Path() string { return "/dev/" + d.Name }

// newDevice reads the keys that an event and the uevent file in sysfs share.
// The names come from the kernel, so no partition table has to be parsed here
// (block/partitions/core.c, part_uevent; PARTNAME is there for a GPT only).
func newDevice(devpath string, keys map[string]string) (Device, error) {
	d := Device{Name: keys["DEVNAME"], PartName: keys["PARTNAME"], Devpath: devpath}
	if d.Name == "" {
		return Device{}, fmt.Errorf("the block device %s has no name", devpath)
	}
	d.Disk = d.Name
	if keys["DEVTYPE"] == "partition" {
		// A partition's directory lies in that of its disk, where a slash of
		// the name is written as an exclamation mark.
		d.Disk = strings.ReplaceAll(path.Base(path.Dir(devpath)), "!", "/")
	}
	var err error
	for _, n := range []struct {
		key  string
		into *int
	}{{"MAJOR", &d.Major}, {"MINOR", &d.Minor}, {"PARTN", &d.Number}} {
		if text, ok := keys[n.key]; ok {
			var e error
			*n.into, e = strconv.Atoi(text)
			err = errors.Join(err, e)
		}
	}
	if err != nil {
		return Device{}, fmt.Errorf("the block device %s: %w", d.Name, err)
	}
	return d, nil
}

// Inventory is the block devices that are known, by name.
type Inventory map[string]Device

// Scan reads the block devices from sysfs, mounted at sysfs. A device that
// goes away meanwhile is left out.
func Scan(k sys.Kernel, sysfs string) (Inventory, error) {
	dir := path.Join(sysfs, "class/block")
	names, err := k.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Inventory{}, nil // no block driver has come yet
	}
	if err != nil {
		return nil, fmt.Errorf("list the block devices: %w", err)
	}
	found := Inventory{}
	var disk string // the place of the last one seen
	for _, name := range names {
		place, text, err := findUevent(k, sysfs, name, disk)
		if err != nil {
			continue
		}
		if path.Dir(place) != disk {
			disk = place
		}
		if d, err := newDevice(place, parseKeys(string(text), "\n")); err == nil {
			found[d.Name] = d
		}
	}
	return found, nil
}

// findUevent returns a device's place below sysfs, and its uevent file. The
// names of a scan are sorted: a partition follows its disk, and is a directory
// in that of the disk, so that for most devices no link has to be read.
func findUevent(k sys.Kernel, sysfs, name, disk string) (place string, text []byte, err error) {
	if disk != "" && strings.HasPrefix(name, path.Base(disk)) {
		place = disk + "/" + name
		if text, err = k.ReadFile(sysfs + place + "/uevent"); err == nil {
			return place, text, nil
		}
	}
	link, err := k.Readlink(path.Join(sysfs, "class/block", name))
	if err != nil {
		return "", nil, err
	}
	place = "/" + strings.TrimLeft(link, "./")
	text, err = k.ReadFile(sysfs + place + "/uevent")
	return place, text, err
}

// Apply follows an event. It says whether the inventory has changed.
func (inv Inventory) Apply(e Event) bool {
	if e.Subsystem != "block" {
		return false
	}
	d, err := newDevice(e.Devpath, e.keys)
	if err != nil {
		return false
	}
	if e.Action == "remove" {
		_, was := inv[d.Name]
		delete(inv, d.Name)
		return was
	}
	if inv[d.Name] == d {
		return false
	}
	inv[d.Name] = d
	return true
}

// Disks are the whole disks, by name. Loop devices, memory disks and their
// like that hold nothing are left out: every kernel has sixteen of them.
func (inv Inventory) Disks() (disks []Device) {
	for _, d := range inv {
		if d.Number == 0 && !(isPseudo(d.Name) && len(inv.Partitions(d.Name)) == 0) {
			disks = append(disks, d)
		}
	}
	slices.SortFunc(disks, func(a, b Device) int { return cmp.Compare(a.Name, b.Name) })
	return disks
}

func isPseudo(name string) bool {
	for _, prefix := range []string{"loop", "ram", "zram", "nbd"} {
		if rest, ok := strings.CutPrefix(name, prefix); ok && strings.Trim(rest, "0123456789") == "" {
			return true
		}
	}
	return false
}

// Partitions are the partitions of a disk, by number.
func (inv Inventory) Partitions(disk string) (parts []Device) {
	for _, d := range inv {
		if d.Disk == disk && d.Number > 0 {
			parts = append(parts, d)
		}
	}
	slices.SortFunc(parts, func(a, b Device) int { return cmp.Compare(a.Number, b.Number) })
	return parts
}

// String lists what there is, for a message.
func (inv Inventory) String() string {
	var disks []string
	for _, disk := range inv.Disks() {
		var parts []string
		for _, p := range inv.Partitions(disk.Name) {
			text := strconv.Itoa(p.Number)
			if p.PartName != "" {
				text += "=" + p.PartName
			}
			parts = append(parts, text)
		}
		if len(parts) == 0 {
			disks = append(disks, disk.Name+" without partitions")
			continue
		}
		disks = append(disks, disk.Name+" with partitions "+strings.Join(parts, " "))
	}
	if len(disks) == 0 {
		return "no disk at all"
	}
	return strings.Join(disks, ", ")
}
