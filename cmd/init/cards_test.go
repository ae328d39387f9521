package main

import (
	"strings"

	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// rootfsFiles are a root filesystem with a systemd, as Debian links it.
var rootfsFiles = []string{
	"sbin->usr/sbin", "usr/sbin/init->/lib/systemd/systemd", "lib->usr/lib",
	"usr/lib/systemd/systemd=\x7fELF", "usr/lib/systemd/system/minos-first-boot-complete.service=x", "dev/", "proc/", "sys/", "run/", "data/", "boot/firmware/", "etc/hostname=minos\n",
}

// card is the disk of the layout slots as an image is delivered.
func card() *systest.Disk {
	return &systest.Disk{Name: "vda", Parts: []*systest.Part{
		{Number: 1, FS: "vfat", Label: "bootfs", Files: []string{"boot.scr=x"}},
		{Number: 2},
		{Number: 3, FS: "ext4", Label: "overlay", Files: []string{"a/upper/", "a/work/", "b/upper/", "b/work/"}},
		{Number: 4, FS: "ext4", Label: "data", Files: []string{"config/"}},
		{Number: 5, FS: "squashfs"},
		{Number: 6, FS: "ext4", Files: rootfsFiles},
		{Number: 7, FS: "squashfs"},
		{Number: 8, FS: "ext4", Files: rootfsFiles},
		{Number: 9},
	}}
}

// used is a card on which slot A has been booted before and was written to.
func used() *systest.Disk {
	return identified(with(card(), 3, "a/upper/etc/changed=yes\n", "a/upper/etc/machine-id:0444="+oldID, "a/work/work/", "b/upper/", "b/work/"))
}

// gpt is the card of today's MinOS: other numbers, and names.
func gpt() *systest.Disk {
	d := without(card(), 2)
	names := []string{"boot", "overlay", "data", "kernel-a", "rootfs-a", "kernel-b", "rootfs-b", "bootstate"}
	numbers := []int{1, 7, 8, 2, 3, 4, 5, 6}
	for i, p := range d.Parts {
		p.Name, p.Number = names[i], numbers[i]
	}
	return d
}

// state puts a boot state on a card: variables, with semicolons between.
func state(d *systest.Disk, variables string) *systest.Disk {
	var env ubootenv.Env
	for v := range strings.SplitSeq(variables, ";") {
		name, value, _ := strings.Cut(v, "=")
		if err := env.Set(name, value); err != nil {
			panic(err)
		}
	}
	block, err := env.Encode(0x4000, ubootenv.Plain, 0, 0xff)
	if err != nil {
		panic(err)
	}
	return raw(d, block)
}

// pair puts a redundant pair on a card, of which the second copy is newer.
func pair(d *systest.Disk, first, second string) *systest.Disk {
	var both []byte
	for flags, variables := range []string{first, second} {
		env, _, err := ubootenv.Decode(state(card(), variables).Parts[8].Raw)
		if err != nil {
			panic(err)
		}
		block, err := env.Encode(0x4000, ubootenv.WithFlags, byte(flags+1), 0)
		if err != nil {
			panic(err)
		}
		both = append(both, block...)
	}
	return raw(d, both)
}

// renumbered gives a partition of the card another number.
func renumbered(d *systest.Disk, from, to int) *systest.Disk {
	for _, p := range d.Parts {
		if p.Number == from {
			p.Number = to
		}
	}
	return d
}

// raw puts bytes at the start of the card's partition of the boot state.
func raw(d *systest.Disk, b []byte) *systest.Disk {
	for _, p := range d.Parts {
		if p.Number == 9 {
			p.Raw = b
		}
	}
	return d
}

// three is the boot state of a new card.
const three = "BOOT_ORDER=A B;BOOT_A_LEFT=3;BOOT_B_LEFT=3"

// named is a disk under another name, as another driver would give it.
func named(d *systest.Disk, name string) *systest.Disk {
	d.Name = name
	return d
}

// removable is a disk in a reader.
func removable(d *systest.Disk) *systest.Disk {
	d.Removable = true
	return d
}

// without is the card without these partitions.
func without(d *systest.Disk, numbers ...int) *systest.Disk {
	kept := d.Parts[:0]
	for _, p := range d.Parts {
		gone := false
		for _, n := range numbers {
			gone = gone || p.Number == n
		}
		if !gone {
			kept = append(kept, p)
		}
	}
	d.Parts = kept
	return d
}

// filesystem puts one on a partition of the card that should have none.
func filesystem(d *systest.Disk, number int) *systest.Disk {
	for _, p := range d.Parts {
		if p.Number == number {
			p.FS = "ext4"
		}
	}
	return d
}

// with replaces the files on a partition of the card.
func with(d *systest.Disk, number int, files ...string) *systest.Disk {
	for _, p := range d.Parts {
		if p.Number == number {
			p.Files = files
		}
	}
	return d
}

// withTools is the card with an e2fsck in slot A.
func withTools(d *systest.Disk) *systest.Disk {
	return with(d, 6, append(rootfsFiles[:len(rootfsFiles):len(rootfsFiles)], "usr/sbin/e2fsck=\x7fELF", "tmp/")...)
}

// withErrors is the card with a filesystem that says that it has errors.
func withErrors(d *systest.Disk, number int) *systest.Disk {
	for _, p := range d.Parts {
		p.Errors = p.Number == number
	}
	return d
}

// blank empties a partition of the card.
func blank(d *systest.Disk, number int) *systest.Disk {
	for _, p := range d.Parts {
		if p.Number == number {
			p.FS = ""
		}
	}
	return d
}
