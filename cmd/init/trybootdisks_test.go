package main

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// onTryboot is the command line of the layout tryboot, with what a cmdline.txt
// says that was written for slot A.
const onTryboot = "quiet minos.layout=tryboot root=/dev/mmcblk0p4"

// aFirst is an autoboot.txt whose default is slot A.
const aFirst = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"

// piFstab is one that Raspberry Pi's own images have, with lines of others.
const piFstab = `proc            /proc           proc    defaults          0       0
LABEL=bootfs  /boot/firmware  vfat    defaults          0       2
PARTUUID=0badcafe-04  /               ext4    defaults,noatime  0       1
LABEL=bootfs  /mnt/boot  vfat  defaults  0  2
tmpfs  /tmp  tmpfs  size=64m
`

// piRootfs is a root filesystem of a slot, with that version.
func piRootfs(version string) []string {
	return append(slices.Clone(rootfsFiles), "home/shared/", "etc/version="+version, "etc/fstab="+piFstab)
}

// piCard is the card of the layout tryboot with a system in both slots, of which
// B is a copy of A with another version.
func piCard() *systest.Disk {
	boot := func(version string) []string { return []string{"config.txt=x", "kernel8.img=" + version} }
	return &systest.Disk{Name: "mmcblk0", Parts: []*systest.Part{
		{Number: 1, Raw: fat(map[string]string{"AUTOBOOTTXT": aFirst, "RESCUE  TXT": strings.Repeat("\n", tryboot.SizeLimit)})},
		{Number: 2, FS: "vfat", Label: "bootfs", Files: boot("1")},
		{Number: 3, FS: "vfat", Label: "bootfs", Files: boot("2")},
		{Number: 4, FS: "ext4", Label: "rootfs", Files: piRootfs("1")},
		{Number: 5, FS: "ext4", Label: "rootfs", Files: piRootfs("2")},
		{Number: 6, FS: "ext4", Label: "shared", Files: []string{"saved=game"}},
	}}
}

// newPiCard is the card as the factory leaves it: slot B is empty.
func newPiCard() *systest.Disk { return with(blank(piCard(), 5), 3) }

// common replaces a file of the common partition; "" takes it away.
func common(d *systest.Disk, name, content string) *systest.Disk {
	files := map[string]string{"AUTOBOOTTXT": aFirst, "RESCUE  TXT": strings.Repeat("\n", tryboot.SizeLimit)}
	if files[name] = content; content == "" {
		delete(files, name)
	}
	d.Parts[0].Raw = fat(files)
	return d
}

// fat is a FAT12 of 100 sectors with files of one sector each.
func fat(files map[string]string) []byte {
	const sector, rootAt, dataAt = 512, 2 * 512, 3 * 512
	le := binary.LittleEndian
	b := make([]byte, 100*sector)
	copy(b, "\xEB\x3C\x90mkfs.fat")
	le.PutUint16(b[11:], sector)
	b[13] = 1                       // sectors a cluster
	le.PutUint16(b[14:], 1)         // reserved sectors
	b[16] = 1                       // tables
	le.PutUint16(b[17:], sector/32) // entries of the root directory
	le.PutUint16(b[19:], 100)
	b[21] = 0xF8
	le.PutUint16(b[22:], 1) // sectors a table
	b[510], b[511] = 0x55, 0xAA
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for i, name := range names {
		entry := b[rootAt+32*i:]
		copy(entry, name)
		le.PutUint16(entry[26:], uint16(2+i))
		le.PutUint32(entry[28:], uint32(len(files[name])))
		copy(b[dataAt+sector*i:dataAt+sector*(i+1)], files[name])
	}
	return b
}

// told puts the firmware's answers into the device tree, each of four bytes, or
// -1 for none.
func told(partition, flag int) func(*systest.Kernel) {
	return func(k *systest.Kernel) {
		for name, n := range map[string]int{"partition": partition, "tryboot": flag} {
			if n >= 0 {
				k.PutProc("device-tree/chosen/bootloader/"+name, string(binary.BigEndian.AppendUint32(nil, uint32(n))))
			}
		}
	}
}

// also does several things to a machine.
func also(changes ...func(*systest.Kernel)) func(*systest.Kernel) {
	return func(k *systest.Kernel) {
		for _, change := range changes {
			change(k)
		}
	}
}

// bootTryboot boots a card by the layout tryboot, and goes on where the real
// init would.
func bootTryboot(t *testing.T, words string, change func(*systest.Kernel), d *systest.Disk) *systest.Kernel {
	t.Helper()
	k := systest.New(strings.TrimSpace(onTryboot + " " + words))
	k.AddDisk(d)
	change(k)
	k.ReturnAfterExec()
	start(k, mount.InOrder)
	return k
}

// slotIs looks which slot was booted: its root, its boot partition, its choice
// in the report.
func slotIs(slot string) func(*testing.T, *systest.Kernel) {
	return func(t *testing.T, k *systest.Kernel) {
		t.Helper()
		parts := map[string][3]string{"A": {"/dev/mmcblk0p4", "/dev/mmcblk0p2", "1"}, "B": {"/dev/mmcblk0p5", "/dev/mmcblk0p3", "2"}}[slot]
		got := [3]string{k.MountedAt("/run/initramfs/rootfs"), k.MountedAt("/boot/firmware"), readFile(k, "/etc/version")}
		if got != parts || !strings.Contains(readFile(k, "/run/minos/boot.json"), fmt.Sprintf(`"value": %q`, slot)) {
			t.Errorf("slot %s has %q, booted is %q:\n%s", slot, parts, got, k.Trace())
		}
	}
}
