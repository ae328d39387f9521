package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	mib        = 1 << 20
	sectorSize = 512
	// gap keeps partitions on a boundary that suits every medium; a logical
	// partition's own table, one sector, lies in the gap before it.
	gap = 1 * mib
)

// Disk is the recipe of a disk with the MBR of the slots layout. Its fields are
// in the order of the partition table; on the medium the extended partition with
// the logical ones comes before Overlay, and Data is last so that it can grow.
type Disk struct {
	// GPT makes the table of today's MinOS instead: other numbers, in the order
	// of the medium, and names.
	GPT     bool
	ID      uint32    // the disk's identity in the MBR, which PTUUID= means
	Boot    Partition // p1
	Overlay Partition // p3
	Data    Partition // p4

	KernelA   Partition // p5
	RootFSA   Partition // p6
	KernelB   Partition // p7
	RootFSB   Partition // p8
	BootState Partition // p9
}

// Partition is one partition of a Disk.
type Partition struct {
	MiB     int      // its size; 0 leaves it out, and later logical ones move up a number
	Content Content  // nil leaves it blank
	Damage  []Damage // done after the content was made
}

// Damage overwrites a part of a partition.
type Damage struct {
	Offset int64 // bytes from the partition's start
	Bytes  []byte
}

// Range is where a partition lies on the disk.
type Range struct {
	Name   string // "rootfs-a"
	Number int    // as in /dev/vda6
	Start  int64  // bytes
	Size   int64  // bytes

	partition Partition
	tableType string
	bootable  bool
}

// Blank tells whether the recipe has no content for it.
func (r Range) Blank() bool { return r.partition.Content == nil }

// place puts a partition at start and returns where it ends.
func (r *Range) place(start int64) (end int64) {
	r.Start, r.Size = start, int64(r.partition.MiB)*mib
	return r.Start + r.Size
}

// Ranges are the partitions of the disk in the order of their numbers, the
// extended one among them.
func (d Disk) Ranges() []Range {
	if d.GPT {
		return d.named()
	}
	boot := Range{Name: "boot", Number: 1, partition: d.Boot, tableType: "c", bootable: true}
	extended := Range{Name: "extended", Number: 2, tableType: "f"}
	overlay := Range{Name: "overlay", Number: 3, partition: d.Overlay, tableType: "83"}
	data := Range{Name: "data", Number: 4, partition: d.Data, tableType: "83"}

	extended.Start = boot.place(gap)
	logical, end := d.logical(extended.Start)
	extended.Size = end - extended.Start
	end = overlay.place(end)
	data.place(end)

	var ranges []Range
	for _, r := range append([]Range{boot, extended, overlay, data}, logical...) {
		if r.Size > 0 {
			ranges = append(ranges, r)
		}
	}
	return ranges
}

// named places the partitions of a GPT, one behind the other.
func (d Disk) named() (ranges []Range) {
	const linux, efi = "0FC63DAF-8483-4772-8E79-3D69D8477DE4", "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
	start := int64(gap)
	for _, r := range []Range{
		{Name: "boot", partition: d.Boot, tableType: efi},
		{Name: "kernel-a", partition: d.KernelA}, {Name: "rootfs-a", partition: d.RootFSA},
		{Name: "kernel-b", partition: d.KernelB}, {Name: "rootfs-b", partition: d.RootFSB},
		{Name: "bootstate", partition: d.BootState}, {Name: "overlay", partition: d.Overlay}, {Name: "data", partition: d.Data},
	} {
		if r.partition.MiB == 0 {
			continue
		}
		if r.tableType == "" {
			r.tableType = linux
		}
		r.Number = 1 + len(ranges)
		start = r.place(start)
		ranges = append(ranges, r)
	}
	return ranges
}

// logical places the logical partitions from start on.
func (d Disk) logical(start int64) (ranges []Range, end int64) {
	end = start + gap // an extended partition has room for one table at least
	for _, r := range []Range{
		{Name: "kernel-a", partition: d.KernelA}, {Name: "rootfs-a", partition: d.RootFSA},
		{Name: "kernel-b", partition: d.KernelB}, {Name: "rootfs-b", partition: d.RootFSB},
		{Name: "bootstate", partition: d.BootState},
	} {
		if r.partition.MiB == 0 {
			continue
		}
		r.Number, r.tableType = 5+len(ranges), "83"
		end = r.place(start + gap)
		start = end
		ranges = append(ranges, r)
	}
	return ranges, end
}

// Script is the partition table as sfdisk reads it. Numbers are given, so that
// overlay and data are primary although they lie behind the extended partition.
func (d Disk) Script() string {
	var s strings.Builder
	label := fmt.Sprintf("dos\nlabel-id: 0x%08x", d.ID)
	if d.GPT {
		label = "gpt\nlabel-id: " + d.diskGUID()
	}
	fmt.Fprintf(&s, "label: %s\nunit: sectors\nsector-size: %d\n\n", label, sectorSize)
	for _, r := range d.Ranges() {
		fmt.Fprintf(&s, "%d : start=%d, size=%d, type=%s", r.Number, r.Start/sectorSize, r.Size/sectorSize, r.tableType)
		if r.bootable {
			s.WriteString(", bootable")
		}
		if d.GPT {
			s.WriteString(", name=" + r.Name)
		}
		s.WriteString("\n")
	}
	return s.String()
}

// Size is the size of the whole disk in bytes.
func (d Disk) Size() int64 {
	var end int64
	for _, r := range d.Ranges() {
		end = max(end, r.Start+r.Size)
	}
	if d.GPT {
		end += gap // for the second copy of the table
	}
	return end
}

// diskGUID is the identity of a GPT, made of that of an MBR.
func (d Disk) diskGUID() string { return fmt.Sprintf("%08X-7300-4000-8000-000000000000", d.ID) }

// Write makes the image: a sparse file, in place of whatever file was there. It
// needs sfdisk and what the contents need.
func (d Disk) Write(file string) error { return writeDisk(file, d.Size(), d.Script(), d.Ranges()) }

// writeDisk makes an image with a partition table and the content of each
// partition.
func writeDisk(file string, size int64, script string, ranges []Range) (err error) {
	if err := os.RemoveAll(file); err != nil {
		return fmt.Errorf("cannot remove the old disk image: %w", err)
	}
	out, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("cannot make a disk image: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if err := out.Truncate(size); err != nil {
		return fmt.Errorf("cannot size the disk image: %w", err)
	}
	table := strings.NewReader(script)
	if err := run(table, "sfdisk", "--quiet", "--no-tell-kernel", "--no-reread", "--wipe", "never", file); err != nil {
		return fmt.Errorf("cannot write the partition table of %s: %w", file, err)
	}
	for _, r := range ranges {
		if err := r.fill(out); err != nil {
			return fmt.Errorf("partition %s of %s: %w", r.Name, file, err)
		}
	}
	return nil
}

// Install writes one partition's content into an image that is there already,
// as an updater does.
func (d Disk) Install(partition, file string) error {
	for _, r := range d.Ranges() {
		if r.Name == partition {
			return r.install(file)
		}
	}
	return fmt.Errorf("cannot install %s: there is no such partition", partition)
}

// install replaces the content of a partition in an image.
func (r Range) install(file string) (err error) {
	out, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot install %s: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	// What was there would shine through the holes of the new content.
	if _, err := out.WriteAt(make([]byte, r.Size), r.Start); err != nil {
		return fmt.Errorf("cannot clear %s: %w", r.Name, err)
	}
	return r.fill(out)
}

func (r Range) fill(disk *os.File) error {
	if r.partition.Content != nil {
		if err := r.insert(disk); err != nil {
			return err
		}
	}
	for _, d := range r.partition.Damage {
		if d.Offset < 0 || d.Offset+int64(len(d.Bytes)) > r.Size {
			return fmt.Errorf("cannot damage it at byte %d: it has only %d", d.Offset, r.Size)
		}
		if _, err := disk.WriteAt(d.Bytes, r.Start+d.Offset); err != nil {
			return fmt.Errorf("cannot damage it: %w", err)
		}
	}
	return nil
}

func (r Range) insert(disk *os.File) error {
	dir, err := os.MkdirTemp("", "minos-partition-")
	if err != nil {
		return fmt.Errorf("cannot make a place for its content: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, r.Name)
	if err := r.partition.Content.Make(file, r.Size); err != nil {
		return err
	}
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("cannot find its content: %w", err)
	}
	if info.Size() > r.Size {
		return fmt.Errorf("cannot hold its content of %d bytes: it has only %d", info.Size(), r.Size)
	}
	if _, err := insertSparse(disk, r.Start, file); err != nil {
		return fmt.Errorf("cannot copy its content: %w", err)
	}
	return nil
}
