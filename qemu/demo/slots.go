package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

// slots is two root filesystems and RAUC. U-Boot boots it, from what is on the
// disk.
func slots() layout {
	return layout{
		name: "slots",
		// Each slot has the modules of its own kernel.
		initramfs: "initramfs-shared.cpio.lz4",
		settings:  []string{"SLOT", "BUNDLE", "SIZE", "INBOX"},
		machine:   slotsMachine,
	}
}

const modulesArchive = imagesDir + "/modules.cpio.lz4"

func slotsMachine(s show) (qemu.Machine, notes, error) {
	slot := os.Getenv("SLOT")
	if slot != "" && slot != "A" && slot != "B" {
		return qemu.Machine{}, notes{}, fmt.Errorf("cannot boot the slot %q: SLOT is A or B", slot)
	}
	uboot, err := s.cache.UBoot()
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	disk, err := slotsDisk(s)
	if err != nil {
		return qemu.Machine{}, notes{}, err
	}
	if size := os.Getenv("SIZE"); size != "" {
		if err := enlarge(disk, size); err != nil {
			return qemu.Machine{}, notes{}, err
		}
	}
	order := "the slot that the boot state names"
	if slot != "" {
		order = "slot " + slot
		if err := (qemu.DebianDisk(qemu.Debian{})).MakeFirst(slot, disk); err != nil {
			return qemu.Machine{}, notes{}, err
		}
	}
	drives := []qemu.Drive{{File: disk, Keep: true}}
	if bundle := os.Getenv("BUNDLE"); bundle != "" {
		updates := filepath.Join(s.dir, "updates.img")
		if err := qemu.WriteUpdates(updates, bundle); err != nil {
			return qemu.Machine{}, notes{}, err
		}
		drives = append(drives, qemu.Drive{File: updates, ReadOnly: true})
	}
	return qemu.Machine{Firmware: uboot, Drives: drives}, notes{
		booting: order + " of " + disk,
		hints:   []string{"the other slot   SLOT=B make run", "a larger card    SIZE=8G make run"},
	}, nil
}

// slotsDisk returns the disk of earlier runs, or a new one, with today's boot
// files.
func slotsDisk(s show) (string, error) {
	pristine, err := s.cache.DemoDisk()
	if err != nil {
		return "", err
	}
	debian, err := s.cache.Debian()
	if err != nil {
		return "", err
	}
	kernel, err := s.cache.KernelSlot(debian.Image, modulesArchive)
	if err != nil {
		return "", err
	}
	files, err := qemu.BootFiles(s.initramfs, s.words...)
	if err != nil {
		return "", err
	}
	if inbox := os.Getenv("INBOX"); inbox != "" {
		more, err := inboxFiles(inbox)
		if err != nil {
			return "", err
		}
		files = append(files, more...)
	}
	recipe := qemu.DebianDisk(debian).WithBoot(qemu.Copy{File: kernel}, files)
	disk, kept, err := s.disk(pristine+" "+kernel, func(file string) error {
		if err := recipe.CopyBootable(pristine, file); err != nil {
			return err
		}
		return minosctl().Install(recipe, file)
	})
	if err != nil || !kept {
		return disk, err
	}
	if directory, err := recipe.StartsSet(disk); err != nil {
		return "", err
	} else if directory != "" {
		fmt.Fprintf(os.Stderr, "The disk starts the boot files in its directory %s (docs/boot-update.md), and not today's; FRESH=1 makes it anew.\n", directory)
	}
	return disk, recipe.PutBootFiles(disk, files)
}
