package qemu

import (
	"fmt"
	"strings"
)

// TrybootDisk is the recipe of a card of the layout tryboot: six partitions, of
// which the firmware of a Raspberry Pi reads the first three.
type TrybootDisk struct {
	// MBR makes the table that older boards want. It has room for four primary
	// partitions, so that the root filesystems and what follows are logical ones:
	// 5 to 7, as minos.tryboot-parts=1,2,3,5,6,7 says.
	MBR bool
	ID  uint32 // the disk's identity in an MBR; that of a GPT is made of it

	Common Partition // p1, with autoboot.txt
	BootA  Partition // p2, what the firmware starts of slot A
	BootB  Partition // p3
	RootA  Partition // p4, or p5 of an MBR
	RootB  Partition // p5, or p6 of an MBR
	Shared Partition // p6, or p7 of an MBR
}

// Autoboot is the file with which the firmware starts one partition, and
// another for a trial.
func Autoboot(standing, trial int) string {
	return fmt.Sprintf("[all]\ntryboot_a_b=1\nboot_partition=%d\n[tryboot]\nboot_partition=%d\n", standing, trial)
}

// PiBootFiles is what the firmware loads from a boot partition, by config.txt
// and cmdline.txt there. The words are those of the kernel command line.
func PiBootFiles(kernel, initramfs string, words ...string) []File {
	return []File{
		Text("config.txt", "arm_64bit=1\nkernel=kernel8.img\ninitramfs initramfs8 followkernel\n"),
		Text("cmdline.txt", strings.Join(words, " ")+"\n"),
		{Name: "kernel8.img", From: kernel},
		{Name: "initramfs8", From: initramfs},
	}
}

// NewTrybootDisk is a card as the factory leaves it: slot A has a system, slot
// B has an empty boot partition and a blank root, the shared partition has an
// empty filesystem. Both roots are of rootMiB. What tells slot A from B is in
// none of its labels and identities, since an update copies them.
func NewTrybootDisk(boot []File, root Tree, rootMiB int) TrybootDisk {
	const id = 0x74727962
	return TrybootDisk{
		ID: id,
		Common: Partition{MiB: minFAT / mib, Content: FAT{Label: "common", ID: id, Files: []File{
			Text("autoboot.txt", Autoboot(2, 3)),
			Text("rescue.txt", strings.Repeat("\n", sectorSize)), // where init counts
		}}},
		BootA:  TrybootBoot(boot),
		BootB:  Partition{MiB: bootMiB, Content: FAT{Label: "bootfs", ID: id + 1}},
		RootA:  TrybootRoot(root, rootMiB),
		RootB:  Partition{MiB: rootMiB},
		Shared: Partition{MiB: 32, Content: Ext4{Label: "shared", UUID: "74727962-6f6f-4000-8000-000000000006"}},
	}
}

// bootMiB has room for Debian's kernel, which is 31 MiB, as the firmware loads
// it.
const bootMiB = 64

// TrybootBoot is a boot partition of either slot.
func TrybootBoot(files []File) Partition {
	return Partition{MiB: bootMiB, Content: FAT{Label: "bootfs", ID: 0x626f6f74, Files: files}}
}

// TrybootRoot is a root filesystem of either slot.
func TrybootRoot(root Tree, size int) Partition {
	return Partition{MiB: size, Content: Ext4{Label: "rootfs", UUID: rootfsUUID, Tree: root}}
}

// Ranges are the partitions in the order of their numbers, the extended one of
// an MBR among them.
func (d TrybootDisk) Ranges() (ranges []Range) {
	const fatGUID, linuxGUID = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7", "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	fat, linux := fatGUID, linuxGUID
	if d.MBR {
		fat, linux = "c", "83"
	}
	start := int64(gap)
	add := func(name string, p Partition, tableType string) {
		r := Range{Name: name, Number: len(ranges) + 1, partition: p, tableType: tableType}
		start = r.place(start)
		ranges = append(ranges, r)
	}
	add("common", d.Common, fat)
	add("bootfs-a", d.BootA, fat)
	add("bootfs-b", d.BootB, fat)
	if !d.MBR {
		add("rootfs-a", d.RootA, linux)
		add("rootfs-b", d.RootB, linux)
		add("shared", d.Shared, linux)
		return ranges
	}
	extended := Range{Name: "extended", Number: 4, Start: start, tableType: "f"}
	ranges = append(ranges, extended)
	for _, logical := range []struct {
		name string
		Partition
	}{{"rootfs-a", d.RootA}, {"rootfs-b", d.RootB}, {"shared", d.Shared}} {
		start += gap
		add(logical.name, logical.Partition, linux)
	}
	ranges[3].Size = start - extended.Start
	return ranges
}

// Script is the partition table as sfdisk reads it.
func (d TrybootDisk) Script() string {
	label := "gpt\nlabel-id: " + (Disk{ID: d.ID}).diskGUID()
	if d.MBR {
		label = fmt.Sprintf("dos\nlabel-id: 0x%08x", d.ID)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "label: %s\nunit: sectors\nsector-size: %d\n\n", label, sectorSize)
	for _, r := range d.Ranges() {
		fmt.Fprintf(&s, "%d : start=%d, size=%d, type=%s\n", r.Number, r.Start/sectorSize, r.Size/sectorSize, r.tableType)
	}
	return s.String()
}

// Write makes the image, as Disk.Write does.
func (d TrybootDisk) Write(file string) error {
	ranges := d.Ranges()
	last := ranges[len(ranges)-1]
	// Behind the last one is room for the second copy of a GPT.
	return writeDisk(file, last.Start+last.Size+gap, d.Script(), ranges)
}

// Find is the place of a partition, by its name in Ranges.
func (d TrybootDisk) Find(name string) (Range, error) {
	for _, r := range d.Ranges() {
		if r.Name == name {
			return r, nil
		}
	}
	return Range{}, fmt.Errorf("cannot find the partition %s: a card of the layout tryboot has none", name)
}

// Install writes one partition's content into an image that is there already,
// as an updater does.
func (d TrybootDisk) Install(partition, file string) error {
	r, err := d.Find(partition)
	if err != nil {
		return err
	}
	return r.install(file)
}

// Put copies files to a FAT of the image, over what has their names.
func (d TrybootDisk) Put(partition, file string, files ...File) error {
	r, err := d.Find(partition)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := f.copyToFAT(r.mtools(file)); err != nil {
			return fmt.Errorf("cannot put %s on %s of %s: %w", f.Name, partition, file, err)
		}
	}
	return nil
}

// PutRoot adds files to the ext4 of a partition, as Disk.PutFiles does.
func (d TrybootDisk) PutRoot(partition, file string, files ...File) error {
	r, err := d.Find(partition)
	if err != nil {
		return err
	}
	if err := putFiles(file, r.Start, files); err != nil {
		return fmt.Errorf("cannot put files on %s of %s: %w", partition, file, err)
	}
	return nil
}

// mtools is how mtools is told of a partition of an image.
func (r Range) mtools(file string) string { return fmt.Sprintf("%s@@%d", file, r.Start) }
