package main

import "github.com/minos-os/minos-init/qemu"

// identityScenarios are about the machine-id: once a real init has run under
// one, it is the one of every later boot.
func identityScenarios() []scenario {
	const id = "6f1d2c3b4a59486796a5b4c3d2e1f001"
	return []scenario{
		{
			// The id of the recorded boot is told, so that it is known; the boots
			// after a cut have to find it.
			name: "first identity", words: append(slotA[:len(slotA):len(slotA)], "systemd.machine_id="+id), later: slotA,
			do: []string{setMark},
			files: []expected{
				{path: "/etc/machine-id", texts: []string{id + "\n"}, where: shown, marked: 1},
				{path: "data/config/system/machine-id", texts: []string{id + "\n"}, where: stored, marked: 1},
			},
		},
		{
			name: "adopted identity", words: slotA, disk: adoptedIdentity(id),
			do: synced("/etc/more", "2"),
			files: []expected{
				{path: "/etc/more", texts: []string{"2"}, where: shown, marked: 1},
				{path: "/etc/machine-id", texts: []string{id + "\n"}, where: shown},
				{path: "data/config/system/machine-id", texts: []string{id + "\n"}, where: stored},
			},
		},
	}
}

// adoptedIdentity is the stub disk of a device on which systemd has made an id.
func adoptedIdentity(id string) func(parts) qemu.Disk {
	return func(p parts) qemu.Disk {
		d := qemu.StubDisk(p.stub)
		d.Overlay = overlay(qemu.Tree{}.With(qemu.Dir("a"), qemu.Dir("a/work"), qemu.Dir("a/upper"), qemu.Dir("a/upper/etc"),
			qemu.File{Name: "a/upper/etc/machine-id", Mode: 0o444, Data: id + "\n"}))
		return d
	}
}
