package main

import (
	"fmt"

	"github.com/minos-os/minos-init/qemu"
)

// modules is a stack of modules on a stick, with a session on it.
func modules() layout {
	return layout{name: "modules", initramfs: "initramfs.cpio.lz4", machine: modulesMachine}
}

func modulesMachine(s show) (qemu.Machine, notes, error) {
	var machine qemu.Machine
	debian, err := s.cache.Debian()
	if err != nil {
		return machine, notes{}, err
	}
	set, err := s.cache.DemoModules()
	if err != nil {
		return machine, notes{}, err
	}
	disk, _, err := s.disk(fmt.Sprintf("%+v", set), qemu.DemoModulesDisk(set).Write)
	if err != nil {
		return machine, notes{}, err
	}
	machine = qemu.Machine{
		Kernel: debian.Image, Initramfs: s.initramfs,
		Append: append([]string{"minos.layout=modules", "perchdir=resume", "panic=-1"}, s.words...),
		Drives: []qemu.Drive{{File: disk, Keep: true}},
	}
	return machine, notes{booting: "the modules on " + disk, hints: []string{
		"what is where    ls /run/initramfs/memory/bundles /run/initramfs/memory/data/minios",
		"without session  make run LAYOUT=modules APPEND=perch=none",
		"in memory        make run LAYOUT=modules APPEND=\"perch=none toram\"",
	}}, nil
}
