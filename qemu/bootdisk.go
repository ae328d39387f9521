package qemu

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// environmentSize is what U-Boot reads and writes of the boot state, in bytes.
const environmentSize = 0x4000

// Environment is a U-Boot environment, variables as "NAME=value", as mkenvimage
// makes it: one copy, at the start of its partition.
type Environment []string

// FreshEnvironment is the boot state of a new card whose slots both hold a
// system; the slots are tried in this order.
func FreshEnvironment(order ...string) Environment {
	return Environment{"BOOT_ORDER=" + strings.Join(order, " "), "BOOT_A_LEFT=3", "BOOT_B_LEFT=3"}
}

// Make implements Content. It needs mkenvimage.
func (e Environment) Make(file string, _ int64) error {
	text := strings.NewReader(strings.Join(e, "\n") + "\n")
	if err := run(text, "mkenvimage", "-s", fmt.Sprintf("%#x", environmentSize), "-o", file, "-"); err != nil {
		return fmt.Errorf("cannot make a U-Boot environment: %w", err)
	}
	return nil
}

// shadowOffset is where the shadow is in the boot state, in bytes.
const shadowOffset = 0x400000

// BootState is an environment with the shadow of it, or of an older one.
type BootState struct {
	Primary Environment
	Shadow  Environment // nil for none
}

// Make implements Content. It needs mkenvimage.
func (b BootState) Make(file string, size int64) error {
	if err := b.Primary.Make(file, size); err != nil || b.Shadow == nil {
		return err
	}
	shadow := file + ".shadow"
	if err := b.Shadow.Make(shadow, size); err != nil {
		return err
	}
	out, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot add the shadow of an environment: %w", err)
	}
	if _, err := insertSparse(out, shadowOffset, shadow); err != nil {
		return errors.Join(fmt.Errorf("cannot add the shadow of an environment: %w", err), out.Close())
	}
	return errors.Join(out.Close(), os.Remove(shadow))
}

// BootFiles is what U-Boot finds on the boot partition: its script, the
// initramfs, and more words for the kernel command line.
func BootFiles(initramfs string, words ...string) ([]File, error) {
	script, err := BootScript()
	if err != nil {
		return nil, err
	}
	return []File{
		Text("boot.scr", string(script)),
		{Name: "initramfs.cpio.lz4", From: initramfs},
		Text("uEnv.txt", "extraargs="+strings.Join(words, " ")+"\n"),
	}, nil
}

// BootSet is a whole set of boot files beside those at the top of the boot
// partition, in its directory boot-1 or boot-2.
func BootSet(number int, initramfs string) ([]File, error) {
	script, err := BootScript()
	if err != nil {
		return nil, err
	}
	dir := fmt.Sprintf("boot-%d", number)
	return []File{
		Dir(dir),
		Text(dir+"/boot.scr", string(script)),
		{Name: dir + "/initramfs.cpio.lz4", From: initramfs},
	}, nil
}

// WithBoot is the disk as U-Boot starts it: one kernel in both slots, boot files
// and a fresh boot state.
func (d Disk) WithBoot(kernel Content, files []File) Disk {
	d.KernelA.Content, d.KernelB.Content = kernel, kernel
	boot := d.Boot.Content.(FAT)
	boot.Files = slices.Concat(boot.Files, files)
	d.Boot.Content = boot
	d.BootState.Content = FreshEnvironment("A", "B")
	return d
}

// CopyBootable copies an image of the disk as it was before WithBoot, and adds
// what WithBoot adds.
func (d Disk) CopyBootable(pristine, image string) error {
	if err := CopyImage(image, pristine); err != nil {
		return err
	}
	for _, partition := range []string{"boot", "kernel-a", "kernel-b", "bootstate"} {
		if err := d.Install(partition, image); err != nil {
			return err
		}
	}
	return nil
}

// PutBootFiles copies files to the boot partition of an image, over what has
// their names, and leaves everything else there.
func (d Disk) PutBootFiles(image string, files []File) error {
	boot := d.Ranges()[0]
	for _, f := range files {
		if err := f.copyToFAT(fmt.Sprintf("%s@@%d", image, boot.Start)); err != nil {
			return fmt.Errorf("cannot put %s on the boot partition of %s: %w", f.Name, image, err)
		}
	}
	return nil
}

// MakeFirst puts a slot at the head of the boot order in an image and gives it
// its attempts, as an updater does. It needs fw_setenv.
func (d Disk) MakeFirst(slot, image string) error {
	order := "A B"
	if slot == "B" {
		order = "B A"
	}
	err := d.withEnvironment(image, func(config string) error {
		return run(strings.NewReader("BOOT_ORDER="+order+"\nBOOT_"+slot+"_LEFT=3\n"), "fw_setenv", "-c", config, "-s", "-")
	})
	if err != nil {
		return fmt.Errorf("cannot make slot %s the first of the boot state: %w", slot, err)
	}
	return nil
}

// StartsSet tells which directory of the boot partition the next start takes its
// boot files from; "" when it is the top, or when the image has no boot state
// that says so. It needs fw_printenv.
func (d Disk) StartsSet(image string) (directory string, err error) {
	err = d.withEnvironment(image, func(config string) error {
		// It fails too when there is no such variable.
		for _, name := range []string{"BOOT_FILES_TRY", "BOOT_FILES"} {
			set, err := Tool("fw_printenv", "-c", config, "-n", name)
			if number := strings.TrimSpace(string(set)); err == nil && (number == "1" || number == "2") {
				directory = "boot-" + number
				break
			}
		}
		return nil
	})
	return directory, err
}

// withEnvironment calls do with the name of a configuration by which
// libubootenv's tools find the boot state of an image.
func (d Disk) withEnvironment(image string, do func(config string) error) error {
	state := d.Ranges()[slices.IndexFunc(d.Ranges(), func(r Range) bool { return r.Name == "bootstate" })]
	config, err := os.CreateTemp("", "minos-fw-env-")
	if err != nil {
		return fmt.Errorf("cannot make a configuration for libubootenv: %w", err)
	}
	defer os.Remove(config.Name())
	_, err = fmt.Fprintf(config, "%s %#x %#x\n", image, state.Start, environmentSize)
	if err = errors.Join(err, config.Close()); err != nil {
		return fmt.Errorf("cannot write a configuration for libubootenv: %w", err)
	}
	return do(config.Name())
}

// KernelSlot returns the image for a kernel slot: a kernel, and the archive of
// its modules, and makes it first where it is missing.
func (c *Cache) KernelSlot(image, modules string) (string, error) {
	content, err := os.ReadFile(modules)
	if err != nil {
		return "", fmt.Errorf("cannot read the kernel modules (\"make demo-initramfs\" makes them): %w", err)
	}
	recipe := fmt.Sprintf("1 %s %x", image, sha256.Sum256(content))
	dir, err := c.Get("kernel-slot", recipe, func(dir string) error {
		return KernelSquashFS{Image: image, Modules: modules}.Make(filepath.Join(dir, "kernel.squashfs"), 0)
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "kernel.squashfs"), nil
}
