package main

import (
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// bootStateScenarios are about the attempts that init and U-Boot count, and what
// minosctl changes. Of their writes only those to the boot state are cut, and to
// the boot partition where one is made: the others are those of a settled boot.
// It is a table, and so longer than a function should be.
func bootStateScenarios() []scenario {
	data := synced("/data/mine", "1")
	dataShown := []expected{{path: "/data/mine", texts: []string{"1"}, where: shown}}
	settled := func(state qemu.Partition) []step {
		return []step{{words: slotA, do: data}, {words: slotA}, withState(state)}
	}
	fresh, older := qemu.FreshEnvironment("A", "B"), qemu.Environment{"BOOT_ORDER=B A", "BOOT_A_LEFT=0", "BOOT_B_LEFT=7", "MACHINE_ID=42"}
	// Where all that changes is in one sector, a tear changes all or nothing.
	filler := qemu.Environment{"LONG=" + strings.Repeat("0123456789", 110)}
	long := slices.Concat(qemu.Environment{"BOOT_ORDER=A B", "BOOT_A_LEFT=b", "BOOT_B_LEFT=3", "BOOT_GOOD=A"}, filler)
	all := []scenario{
		{
			name: "attempt", words: picks, disk: withMinosctl, before: settled(state(slices.Concat(fresh, filler), nil)),
			do: []string{setMark}, environment: storedBy(1),
		},
		{
			name: "attempt, old shadow", words: picks, disk: withMinosctl, before: settled(state(long, older)),
			do: []string{setMark}, environment: storedBy(1),
		},
		{
			name: "attempt, torn", words: picks, disk: withMinosctl, before: settled(torn(state(older, long))),
			do: []string{setMark}, environment: storedBy(1),
		},
		{
			// Slot A has no init: the boot after the cut fails too, or starts B.
			name: "failed boot", words: picks, fails: true, disk: withoutInit,
			before: []step{
				{words: []string{"rauc.slot=B"}, do: data}, {words: []string{"rauc.slot=B"}},
				withState(state(qemu.Environment{"BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=b", "BOOT_GOOD=B"}, older)),
			},
			environment: &bootState,
		},
		{
			// The last attempt of A: without the mark B is the next.
			name: "mark-good", words: slotA, later: picks, disk: withMinosctl,
			before: settled(state(slices.Concat(qemu.Environment{"BOOT_A_LEFT=0"}, long[:1], long[2:]), older)),
			do:     []string{"must:/sbin/minosctl%20mark-good", setMark}, environment: storedBy(1),
		},
		{
			name: "set-primary", words: slotA, later: picks, disk: withMinosctl,
			before: settled(state(long, older)),
			do:     []string{"must:/sbin/minosctl%20set-primary%20B", setMark}, environment: storedBy(1),
		},
		{
			// A set beside the files at the top of the boot partition.
			name: "boot-update", words: []string{"rauc.slot=A", "minos.files=0"}, later: picks, disk: withBootUpdate,
			before: settled(state(slices.Concat(fresh, filler), nil)), within: []string{"boot"},
			do: []string{"must:/sbin/minosctl%20boot-update%20/new", setMark}, environment: storedBy(1),
			writing: []string{"boot-1/boot.scr", "boot-1/initramfs.cpio.lz4"}, started: "BOOT_FILES_TRY=1",
		},
		{
			name: "U-Boot counts", words: slotA, machine: startUBoot, disk: ubootDisk, before: settled(state(slices.Concat(fresh, filler), nil)),
			environment: &bootState,
		},
		{
			name: "U-Boot, torn", words: slotA, machine: startUBoot, disk: ubootDisk, before: settled(torn(state(older, long))),
			environment: &bootState,
		},
	}
	for i := range all {
		all[i].within, all[i].files = append(all[i].within, bootState.partition), dataShown
	}
	return all
}

// state is a boot state with this environment and this shadow, nil for none.
func state(primary, shadow qemu.Environment) qemu.Partition {
	p := qemu.StubDisk("").BootState
	p.Content = qemu.BootState{Primary: primary, Shadow: shadow}
	return p
}

// torn is a boot state whose environment was written by half.
func torn(p qemu.Partition) qemu.Partition {
	p.Damage = append(p.Damage, qemu.Damage{Offset: bootState.offset + 2*sectorSize, Bytes: []byte("half of the next one")})
	return p
}

// withState puts a boot state on a disk.
func withState(state qemu.Partition) step {
	return step{install: bootState.partition, from: func(p parts) qemu.Disk {
		d := qemu.StubDisk(p.stub)
		d.BootState = state
		return d
	}}
}

// withoutInit is the stub disk whose slot A fails.
func withoutInit(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	root := d.RootFSA.Content.(qemu.Ext4)
	root.Tree = root.Tree.Without("sbin/init")
	d.RootFSA.Content = root
	return d
}

// withMinosctl is the stub disk with minosctl in slot A, and a place for the lock
// of those who change the boot state.
func withMinosctl(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	root := d.RootFSA.Content.(qemu.Ext4)
	root.Tree = root.Tree.With(qemu.Dir("var"), qemu.Dir("var/lock"), qemu.File{Name: "sbin/minosctl", Mode: 0o755, From: p.minosctl})
	d.RootFSA.Content = root
	return d
}

// withBootUpdate is the disk of U-Boot with minosctl in slot A, and boot
// files that it is to start with from now on.
func withBootUpdate(p parts) qemu.Disk {
	d := ubootDisk(p)
	root := withMinosctl(p).RootFSA.Content.(qemu.Ext4)
	root.Tree = root.Tree.With(qemu.Dir("new"))
	for _, f := range p.boot {
		if f.Name != "uEnv.txt" {
			f.Name = "new/" + f.Name
			root.Tree = root.Tree.With(f)
		}
	}
	d.RootFSA.Content = root
	return d
}

// ubootDisk is the stub disk as U-Boot starts its slot A.
func ubootDisk(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub).WithBoot(qemu.Copy{File: p.kernel}, p.boot)
	d.KernelB.Content = nil // the place of the marks
	return d
}

func startUBoot(p parts, m *qemu.Machine) { m.Firmware, m.MemoryMiB = p.firmware, 512 }
