package main

import (
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// newText is what the card of the inbox has for a file: of several clusters, so
// that a part of it can be missing.
var newText = strings.Repeat("new ", 100) + "\n"

// inboxScenarios are about what a boot takes from the boot partition: files for
// the data partition, and the wishes of a person.
func inboxScenarios() []scenario {
	identity := slices.Concat([]string{"mkdir:/data/config/ssh"}, synced("/data/config/ssh/key", "k"))
	identityShown := expected{path: "/data/config/ssh/key", texts: []string{"k"}, where: shown}
	return []scenario{
		{
			name: "inbox consumed", words: []string{"rauc.slot=A", "minos.inbox=config:config:consume"},
			before: []step{
				{words: slotA, do: slices.Concat([]string{"mkdir:/data/config/wifi"}, synced("/data/config/wifi/w.conf", "old"), synced("/data/mine", "1"))},
				onCard(qemu.Dir("config"), qemu.Dir("config/wifi"), qemu.Text("config/wifi/w.conf", newText), qemu.Text("config/other.conf", "2")),
			},
			do: synced("/data/more", "3"),
			files: []expected{
				{path: "data/config/wifi/w.conf", texts: []string{newText}, where: stored},
				{path: "data/config/other.conf", texts: []string{"2"}, where: stored},
				{path: "/data/mine", texts: []string{"1"}, where: shown},
				{path: "/data/more", texts: []string{"3"}, where: shown, marked: 1},
			},
			writing: []string{"config/wifi/w.conf", "config/other.conf"},
		},
		{
			name: "reset wish", words: []string{"rauc.slot=A", "minos.build=v1"},
			before: []step{
				{words: slotA, do: slices.Concat(identity, synced("/etc/mine", "1"), []string{"mkdir:/data/apps"}, synced("/data/apps/mine", "1"))},
				onCard(qemu.Text("reset-data", "v1"), qemu.Text("reset-overlay", "")),
			},
			do: synced("/data/more", "3"),
			files: []expected{
				identityShown,
				{path: "/etc/mine", where: hidden},
				{path: "/data/apps/mine", where: hidden},
				{path: "/data/more", texts: []string{"3"}, where: shown, marked: 1},
			},
			writing: []string{"reset-data", "reset-overlay"},
		},
	}
}

// onCard puts files on the boot partition, beside one that nobody touches.
func onCard(files ...qemu.File) step {
	return step{install: "boot", from: func(p parts) qemu.Disk {
		d := qemu.StubDisk(p.stub)
		d.Boot.Content = qemu.FAT{Label: "bootfs", ID: d.ID, Files: append(files, qemu.Text("README.txt", "Stays.\r\n"))}
		return d
	}}
}
