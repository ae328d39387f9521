// Command demo boots the demo disk in QEMU, with the console on this terminal.
//
//	demo kernel   makes what the demo needs; prints KERNEL= and MODULES= for a shell
//	demo bundle FILE   writes the demo's update, a RAUC bundle
//	demo run      boots through U-Boot; FRESH=1 starts over with a new disk,
//	              SLOT=B makes that slot the first, APPEND adds words to the
//	              kernel command line, INITRAMFS names another initramfs,
//	              BUNDLE is an update to be had in the machine, SIZE the size
//	              of the card, INBOX a directory for config/ on the boot partition
//
// It is run from the top of the repository.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/minos-os/minos-init/qemu"
)

const (
	diskDir          = "out/demo"
	defaultInitramfs = "out/arm64/initramfs-shared.cpio.lz4"
	modulesArchive   = "out/arm64/modules.cpio.lz4"
)

// minosctl is the tool that was built with the initramfs.
func minosctl() qemu.Minosctl {
	return qemu.Minosctl{Program: "out/arm64/minosctl", Repository: "."}
}

func main() {
	if err := demo(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func demo(args []string) error {
	cache, err := qemu.UserCache(qemu.NewProgress(os.Stderr))
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "kernel":
		return printKernel(cache)
	case len(args) == 2 && args[0] == "bundle":
		return writeBundle(cache, args[1])
	case len(args) == 1 && args[0] == "run":
		return boot(cache)
	}
	return errors.New("usage: demo kernel | demo bundle FILE | demo run")
}

// writeBundle makes the demo's update where the user wants it, and says what to
// do with it.
func writeBundle(cache *qemu.Cache, file string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("cannot make a place for the update: %w", err)
	}
	if err := cache.WriteDemoUpdate(file, minosctl()); err != nil {
		return err
	}
	fmt.Printf(`%[1]s is version %[2]s of the demo. To install it:
  make run BUNDLE=%[1]s
and in the machine
  mount LABEL=updates /mnt && rauc install /mnt/%[3]s && reboot
The machine ends there; make run starts it again, from the other slot.
`, file, qemu.UpdateVersion, filepath.Base(file))
	return nil
}

func printKernel(cache *qemu.Cache) error {
	debian, err := cache.Debian()
	if err != nil {
		return err
	}
	fmt.Printf("KERNEL=%s\nMODULES=%s\n", quote(debian.Image), quote(debian.Modules))
	return nil
}

// quote makes one word of a shell from any text.
func quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// boot starts QEMU in place of this process, so that the terminal and its
// signals are QEMU's. U-Boot does the rest, from what is on the disk.
func boot(cache *qemu.Cache) error {
	initramfs := setting("INITRAMFS", defaultInitramfs)
	if _, err := os.Stat(initramfs); err != nil {
		return fmt.Errorf("cannot boot without an initramfs (\"make demo-initramfs\" makes it): %w", err)
	}
	slot := os.Getenv("SLOT")
	if slot != "" && slot != "A" && slot != "B" {
		return fmt.Errorf("cannot boot the slot %q: SLOT is A or B", slot)
	}
	uboot, err := cache.UBoot()
	if err != nil {
		return err
	}
	disk, err := demoDisk(cache, initramfs)
	if err != nil {
		return err
	}
	if size := os.Getenv("SIZE"); size != "" {
		if err := enlarge(disk, size); err != nil {
			return err
		}
	}
	order := "the slot that the boot state names"
	if slot != "" {
		order = "slot " + slot
		if err := (qemu.DebianDisk(qemu.Debian{})).MakeFirst(slot, disk); err != nil {
			return err
		}
	}
	drives := []qemu.Drive{{File: disk, Keep: true}}
	if bundle := os.Getenv("BUNDLE"); bundle != "" {
		updates := filepath.Join(diskDir, "updates.img")
		if err := qemu.WriteUpdates(updates, bundle); err != nil {
			return err
		}
		drives = append(drives, qemu.Drive{File: updates, ReadOnly: true})
	}
	path, argv, err := qemu.Machine{Firmware: uboot, Drives: drives}.Interactive()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `
Booting %s of %s; the processor is emulated, so allow a minute.
  log in           root, no password
  leave QEMU       Ctrl-a x (or "poweroff" inside)
  start over       FRESH=1 make run
  the other slot   SLOT=B make run
  a larger card    SIZE=8G make run

`, order, disk)
	return fmt.Errorf("cannot start QEMU: %w", syscall.Exec(path, argv, os.Environ()))
}

// setting is an environment variable or, when that is empty, a default.
func setting(variable, otherwise string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return otherwise
}

// demoDisk returns the disk of earlier runs, or a new one, with today's boot
// files.
func demoDisk(cache *qemu.Cache, initramfs string) (string, error) {
	disk, origin := filepath.Join(diskDir, "disk.img"), filepath.Join(diskDir, "origin")
	pristine, err := cache.DemoDisk()
	if err != nil {
		return "", err
	}
	debian, err := cache.Debian()
	if err != nil {
		return "", err
	}
	kernel, err := cache.KernelSlot(debian.Image, modulesArchive)
	if err != nil {
		return "", err
	}
	files, err := qemu.BootFiles(initramfs, strings.Fields(os.Getenv("APPEND"))...)
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
	made := pristine + " " + kernel
	from, err := os.ReadFile(origin)
	if err == nil && os.Getenv("FRESH") != "1" {
		if string(from) != made {
			fmt.Fprintln(os.Stderr, "The disk of the last run is of an older recipe, its kernel modules may not fit the kernel; FRESH=1 makes it anew.")
		}
		if directory, err := recipe.StartsSet(disk); err != nil {
			return "", err
		} else if directory != "" {
			fmt.Fprintf(os.Stderr, "The disk starts the boot files in its directory %s (docs/boot-update.md), and not today's; FRESH=1 makes it anew.\n", directory)
		}
		return disk, recipe.PutBootFiles(disk, files)
	}
	if err := os.MkdirAll(diskDir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make a place for the demo disk: %w", err)
	}
	// The note of the origin goes first and comes last: without it the disk of
	// an interrupted run is made again.
	if err := os.RemoveAll(origin); err != nil {
		return "", fmt.Errorf("cannot start over: %w", err)
	}
	if err := recipe.CopyBootable(pristine, disk); err != nil {
		return "", err
	}
	if err := minosctl().Install(recipe, disk); err != nil {
		return "", err
	}
	if err := os.WriteFile(origin, []byte(made), 0o644); err != nil {
		return "", fmt.Errorf("cannot note where the demo disk came from: %w", err)
	}
	return disk, nil
}
