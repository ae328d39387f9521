package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// profiles is one base with two systems on top.
func profiles() layout {
	return layout{name: "profiles", initramfs: "initramfs.cpio.lz4", settings: []string{"PROFILE"}, machine: profilesMachine}
}

func profilesMachine(s show) (qemu.Machine, notes, error) {
	debian, err := s.cache.Debian()
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	recipe := qemu.DemoProfilesDisk(debian, filepath.Join(imagesDir, "minosctl"))
	disk, _, err := s.disk(fmt.Sprintf("%+v", recipe), recipe.Write)
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	profile := setting("PROFILE", qemu.DemoProfiles[0])
	return qemu.Machine{
			Kernel: debian.Image, Initramfs: s.initramfs,
			Append: append([]string{"minos.layout=profiles", "flipper.profile=" + profile, "panic=-1"}, s.words...),
			Drives: []qemu.Drive{{File: disk, Keep: true}},
		}, notes{booting: "the profile " + profile + " on " + disk, hints: []string{
			"another profile  PROFILE=router make run LAYOUT=profiles; there are " + strings.Join(qemu.DemoProfiles, ", ") + ", none",
			"what is shared   /data",
			"what is where    ls /run/initramfs/profiles/@*",
		}}, nil
}
