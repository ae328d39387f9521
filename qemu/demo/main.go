// Command demo boots a demo disk in QEMU, with the console on this terminal.
//
//	demo kernel   makes what the demo needs; prints KERNEL= and MODULES= for a shell
//	demo bundle FILE   writes the update of the layout slots, a RAUC bundle
//	demo run      boots LAYOUT, one of layouts; FRESH=1 starts over with a new
//	              disk, APPEND adds words to the kernel command line, DEBUG=1
//	              takes the debug image, INITRAMFS names another initramfs
//
// and in the layout slots: SLOT=B makes that slot the first, BUNDLE is an update
// to be had in the machine, SIZE the size of the card, INBOX a directory for
// config/ on the boot partition; in image: NEWIMG=1 brings a new image;
// in tryboot: REBOOT is the argument of the restart before; in profiles: PROFILE
// is the one that starts.
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
	demoDir   = "out/demo"  // a directory for each layout
	imagesDir = "out/arm64" // what was built for the demo
)

// minosctl is the tool that was built with the initramfs.
func minosctl() qemu.Minosctl {
	return qemu.Minosctl{Program: imagesDir + "/minosctl", Repository: "."}
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
// signals are QEMU's.
func boot(cache *qemu.Cache) error {
	layout, err := choose(os.Getenv("LAYOUT"), os.Getenv)
	if err != nil {
		return err
	}
	show, err := newShow(cache, layout)
	if err != nil {
		return err
	}
	machine, notes, err := layout.machine(show)
	if err != nil {
		return err
	}
	path, argv, err := machine.Interactive()
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `
Booting %s; the processor is emulated, so allow a minute.
  log in           root, no password
  leave QEMU       Ctrl-a x (or "poweroff" inside)
  start over       FRESH=1, with the same words
`, notes.booting)
	for _, hint := range notes.hints {
		fmt.Fprintln(os.Stderr, "  "+hint)
	}
	fmt.Fprintln(os.Stderr)
	return fmt.Errorf("cannot start QEMU: %w", syscall.Exec(path, argv, os.Environ()))
}
