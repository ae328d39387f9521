package main

import (
	"slices"

	"github.com/minos-os/minos-init/qemu"
)

// scenarios are all there are. docs/reliability.md says how to add one.
func scenarios() []scenario {
	return slices.Concat(upperScenarios(), cardScenarios(), bootStateScenarios(), inboxScenarios(), identityScenarios(), imageScenarios(), sessionScenarios())
}

// The words with which a bootloader starts slot A, and those with which init
// picks the slot.
var slotA, picks = []string{"rauc.slot=A"}, []string{}

// upperScenarios are about what a boot does to the writable layer. It is a table, and so longer than a function should be.
func upperScenarios() []scenario {
	mine := synced("/etc/mine", "1")
	data := synced("/data/mine", "1")
	mineShown := expected{path: "/etc/mine", texts: []string{"1"}, where: shown}
	dataShown := expected{path: "/data/mine", texts: []string{"1"}, where: shown}
	return []scenario{
		{
			name: "settled boot", words: slotA,
			before: []step{{do: slices.Concat(mine, data)}, {}},
			do:     slices.Concat(synced("/etc/more", "2"), []string{"replace:/etc/mine=3", "fsync:/etc/mine", setMark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"1", "3"}, where: shown}, dataShown,
				{path: "/etc/more", texts: []string{"2"}, where: shown, marked: 1},
				{path: "/etc/mine", texts: []string{"3"}, where: shown, marked: 2},
			},
		},
		{
			name: "first upper", words: slotA, disk: blankOverlay,
			do: slices.Concat(mine, data),
			files: []expected{
				{path: "/etc/mine", texts: []string{"1"}, where: shown, marked: 1},
				{path: "/data/mine", texts: []string{"1"}, where: shown, marked: 2},
			},
		},
		{
			// The directories come with the disk, and somebody has written to
			// them: that is kept, and bound to the root filesystem.
			name: "adopted upper", words: slotA, disk: adoptedOverlay,
			do: synced("/etc/more", "2"),
			files: []expected{
				mineShown,
				{path: "/etc/more", texts: []string{"2"}, where: shown, marked: 1},
			},
		},
		{
			name: "changed rootfs", words: slotA,
			before: []step{{do: slices.Concat(mine, data)}, {install: "rootfs-a", from: otherRootFS}},
			do:     synced("/etc/more", "2"),
			files: []expected{
				{path: "/etc/mine", where: hidden}, dataShown,
				{path: "overlay/a.old/upper/etc/mine", texts: []string{"1"}, where: stored},
				{path: "/etc/more", texts: []string{"2"}, where: shown, marked: 1},
			},
		},
		{
			name: "reset", words: []string{"rauc.slot=A", "minos.overlay=reset"},
			before: []step{
				{words: slotA, do: slices.Concat(mine, data)},
				{words: []string{"rauc.slot=B"}, do: synced("/etc/other", "1")},
			},
			do: synced("/data/more", "2"),
			files: []expected{
				{path: "/etc/mine", where: hidden}, dataShown,
				{path: "overlay/b/upper/etc/other", texts: []string{"1"}, where: stored},
				{path: "/data/more", texts: []string{"2"}, where: shown, marked: 1},
			},
		},
	}
}

// blankOverlay is the stub disk without the directories of the slots.
func blankOverlay(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	d.Overlay = overlay(qemu.Tree{})
	return d
}

// adoptedOverlay is the stub disk with an upper that does not say what it was
// written over.
func adoptedOverlay(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	d.Overlay = overlay(qemu.Tree{}.With(qemu.Dir("a"), qemu.Dir("a/work"),
		qemu.Dir("a/upper"), qemu.Dir("a/upper/etc"), qemu.Text("a/upper/etc/mine", "1")))
	return d
}

func overlay(tree qemu.Tree) qemu.Partition {
	p := qemu.StubDisk("").Overlay
	ext4 := p.Content.(qemu.Ext4)
	ext4.Tree = tree
	p.Content = ext4
	return p
}

// otherRootFS is the stub disk with another image in slot A, as an updater
// writes it.
func otherRootFS(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	content := d.RootFSA.Content.(qemu.Ext4)
	content.Tree = content.Tree.With(qemu.Text("etc/os-release", "ID=minos-stub\nNAME=\"stub root filesystem\"\nBUILD_ID=2\n"))
	d.RootFSA.Content = content
	return d
}
