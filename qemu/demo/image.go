package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

// image is a system in a file. QEMU takes the kernel and the initramfs itself,
// as the firmware of a Raspberry Pi takes them from its boot partition.
func image() layout {
	return layout{
		name:      "image",
		initramfs: "initramfs.cpio.lz4",
		settings:  []string{"NEWIMG"},
		machine:   imageMachine,
	}
}

func imageMachine(s show) (qemu.Machine, notes, error) {
	var machine qemu.Machine
	debian, err := s.cache.Debian()
	if err != nil {
		return machine, notes{}, err
	}
	system, err := s.cache.DemoImage(qemu.DemoVersion)
	if err != nil {
		return machine, notes{}, err
	}
	recipe := qemu.DemoImageDisk(system)
	disk, _, err := s.disk(fmt.Sprintf("%+v", recipe), recipe.Write)
	if err != nil {
		return machine, notes{}, err
	}
	machine = qemu.Machine{
		Kernel: debian.Image, Initramfs: s.initramfs,
		Append: append([]string{"minos.layout=image", "panic=-1"}, s.words...),
		Drives: []qemu.Drive{{File: disk, Keep: true}},
	}
	booting := "the image on " + disk
	if os.Getenv("NEWIMG") != "" {
		medium, err := newImageMedium(s)
		if err != nil {
			return machine, notes{}, err
		}
		// Otherwise it may come a moment too late, and is taken at the next boot.
		machine.Append = append(machine.Append, "minos.newimg=wait")
		machine.Drives = append(machine.Drives, qemu.Drive{File: medium, Keep: true})
		booting = fmt.Sprintf("%s, and version %s of it is on a second disk, %s", booting, qemu.UpdateVersion, medium)
	}
	return machine, notes{booting: booting, hints: []string{
		"which version    cat /etc/minos-version",
		"a new image      NEWIMG=1 make run LAYOUT=image",
		"what is kept     /run/initramfs/overlay/persistent",
	}}, nil
}

// newImageMedium is a disk with an updated image, made anew: the boot takes the
// image off it.
func newImageMedium(s show) (string, error) {
	update, err := s.cache.DemoImage(qemu.UpdateVersion)
	if err != nil {
		return "", err
	}
	medium, err := qemu.NewImageMedium(update)
	if err != nil {
		return "", err
	}
	file := filepath.Join(s.dir, "newimg.img")
	return file, medium.Write(file)
}
