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
func newDevice(devpath string, keys pairs) (Device, error) {
	d := Device{Devpath: devpath}
	var err error
	number := func(text string) int {
		n, e := strconv.Atoi(text)
		if e != nil {
			err = errors.Join(err, e)
		}
		return n
	}
	partition := false
	for key, value := range keys.all {
		switch key {
		case "DEVNAME":
			d.Name = value
		case "DEVTYPE":
			partition = value == "partition"
		case "PARTNAME":
			d.PartName = value
		case "MAJOR":
			d.Major = number(value)
		case "MINOR":
			d.Minor = number(value)
		case "PARTN":
			d.Number = number(value)
		}
	}
	if d.Name == "" {
		return Device{}, fmt.Errorf("the block device %s has no name", devpath)
	}
	if err != nil {
		return Device{}, fmt.Errorf("the block device %s: %w", d.Name, err)
	}
	d.Disk = d.Name
	if partition {
		// A partition's directory lies in that of its disk, where a slash of
		// the name is written as an exclamation mark.
		d.Disk = strings.ReplaceAll(leaf(above(devpath)), "!", "/")
	}
	return d, nil
}

// above is the directory that a place of sysfs is in; "" when it is in none.
func above(place string) string { return place[:max(0, strings.LastIndexByte(place, '/'))] }

// leaf is the last name of a place of sysfs.
func leaf(place string) string { return place[strings.LastIndexByte(place, '/')+1:] }

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
	for len(names) > 0 {
		// The names are sorted: a disk's partitions follow it, and are directories in
		// that of the disk, so that no link has to be read for them.
		disk, rest := names[0], names[1:]
		n := 0
		for n < len(rest) && isPart(rest[n], disk) {
			n++
		}
		place := found.add(k, sysfs, disk)
		for i, text := range k.ReadEach(sysfs+place, rest[:n], "uevent") {
			if text == nil { // a disk whose name only looks like that
				found.add(k, sysfs, rest[i])
			} else if d, err := newDevice(place+"/"+rest[i], pairs{string(text), "\n"}); err == nil {
				found[d.Name] = d
			}
		}
		names = rest[n:]
	}
	return found, nil
}

// isPart tells by the names that a device is a part of a disk: what follows the
// disk's name begins with a letter where that ends with a digit, and the other way
// round (block/partitions/core.c, add_partition): sda1 of sda, not sdaa;
// mmcblk0p1 of mmcblk0.
func isPart(name, disk string) bool {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	return len(name) > len(disk) && strings.HasPrefix(name, disk) &&
		isDigit(name[len(disk)]) != isDigit(disk[len(disk)-1])
}

// add reads a device of which only the name is known, and returns its place below
// sysfs.
func (inv Inventory) add(k sys.Kernel, sysfs, name string) (place string) {
	link, err := k.Readlink(sysfs + "/class/block/" + name)
	if err != nil {
		return ""
	}
	place = "/" + strings.TrimLeft(link, "./")
	text, err := k.ReadFile(sysfs + place + "/uevent")
	if err != nil {
		return place
	}
	if d, err := newDevice(place, pairs{string(text), "\n"}); err == nil {
		inv[d.Name] = d
	}
	return place
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
