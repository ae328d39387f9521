package qemu

import (
	"fmt"
	"strings"
)

// ImageDisk is the recipe of a disk of the layout image: an MBR with up to four
// primary partitions, which are known by the labels of their filesystems.
type ImageDisk struct {
	ID      uint32    // the disk's identity in the MBR
	Boot    Partition // p1
	Img     Partition // p2
	Overlay Partition // p3
	NewImg  Partition // p4
}

// Ranges are the partitions in the order of their numbers, which is that of the
// medium. One that is left out leaves its number free.
func (d ImageDisk) Ranges() (ranges []Range) {
	start := int64(gap)
	for i, r := range []Range{
		{Name: "boot", partition: d.Boot, tableType: "c"}, {Name: "img", partition: d.Img, tableType: "83"},
		{Name: "overlay", partition: d.Overlay, tableType: "83"}, {Name: "newimg", partition: d.NewImg, tableType: "83"},
	} {
		if r.partition.MiB == 0 {
			continue
		}
		r.Number = i + 1
		start = r.place(start)
		ranges = append(ranges, r)
	}
	return ranges
}

// Size is the size of the whole disk in bytes.
func (d ImageDisk) Size() (end int64) {
	for _, r := range d.Ranges() {
		end = r.Start + r.Size
	}
	return end
}

// Write makes the image, as Disk.Write does.
func (d ImageDisk) Write(file string) error {
	var table strings.Builder
	fmt.Fprintf(&table, "label: dos\nlabel-id: 0x%08x\nunit: sectors\nsector-size: %d\n\n", d.ID, sectorSize)
	for _, r := range d.Ranges() {
		fmt.Fprintf(&table, "%d : start=%d, size=%d, type=%s\n", r.Number, r.Start/sectorSize, r.Size/sectorSize, r.tableType)
	}
	return writeDisk(file, d.Size(), table.String(), d.Ranges())
}
