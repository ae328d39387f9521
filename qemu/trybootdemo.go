package qemu

import (
	"errors"
	"fmt"
	"path/filepath"
)

// DemoTryboot is the recipe of the demo's card with the layout tryboot: version
// DemoVersion of the demo in slot A, the default one, and UpdateVersion in slot
// B, as an update would have written it.
func DemoTryboot(d Debian, initramfs string, words ...string) TrybootDisk {
	const id = 0x64747279
	disk := NewTrybootDisk(PiBootFiles(d.Image, initramfs, trybootWords("A", words)...), trybootTree(d, DemoVersion), 512)
	disk.ID = id
	disk.BootB = TrybootBoot(PiBootFiles(d.Image, initramfs, trybootWords("B", words)...))
	disk.RootB = TrybootRoot(trybootTree(d, UpdateVersion), 512)
	return disk
}

// trybootWords are those of one slot's cmdline.txt. root= is slot A's in both,
// as in a copy that nobody has looked at.
func trybootWords(slot string, more []string) []string {
	return append([]string{"console=ttyAMA0", "minos.layout=tryboot", "kn86.slot=" + slot, "root=/dev/vda4", "panic=-1"}, more...)
}

// trybootTree is the demo's root filesystem, whose fstab is that of slot A
// wherever it is.
func trybootTree(d Debian, version string) Tree {
	return Tree{Base: d.RootFS}.With(
		Dir("home/shared"), Dir("usr/lib/minos"), Dir(wanted),
		Text("etc/fstab", "proc /proc proc defaults 0 0\n/dev/vda2 /boot/firmware vfat defaults 0 2\n/dev/vda4 / ext4 defaults,noatime 0 1\n"),
		Text("usr/lib/os-release", fmt.Sprintf("%sIMAGE_ID=minos-demo-tryboot\nIMAGE_VERSION=%s\n", d.OSRelease, version)),
		Text("etc/minos-version", version+"\n"),
	)
}

// DemoTryboot returns the image of the demo's card, not to be written to, and
// makes it first where it is missing. Its boot partitions have no initramfs yet:
// RenewTryboot puts today's there.
func (c *Cache) DemoTryboot() (string, error) {
	debian, err := c.Debian()
	if err != nil {
		return "", err
	}
	disk := DemoTryboot(debian, "")
	boot := []File{{Name: "kernel8.img", From: debian.Image}}
	disk.BootA, disk.BootB = TrybootBoot(boot), TrybootBoot(boot)
	dir, err := c.Get("tryboot", fmt.Sprintf("1 %+v", disk), func(dir string) error {
		return c.Progress.Step("making the demo's card for the layout tryboot (about 40 s)", func() error {
			return disk.Write(filepath.Join(dir, "card.img"))
		})
	})
	if err != nil {
		return "", fmt.Errorf("cannot make the demo's card: %w", err)
	}
	return filepath.Join(dir, "card.img"), nil
}

// RenewTryboot puts the boot files of a recipe on the card, but for the kernel,
// over what has their names.
func RenewTryboot(d TrybootDisk, card string) error {
	for name, p := range map[string]Partition{"bootfs-a": d.BootA, "bootfs-b": d.BootB} {
		for _, f := range p.Content.(FAT).Files {
			if f.Name == "kernel8.img" {
				continue
			}
			if err := d.Put(name, card, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// InstallTryboot puts minosctl into both root filesystems of a card, with the
// service that commits a trial. The card is a copy of the demo's.
func (m Minosctl) InstallTryboot(d TrybootDisk, card string) error {
	const unit = "minos-tryboot-commit.service"
	files := append(m.files(), File{Name: systemUnits + "/" + unit, Mode: 0o644, From: m.unit(unit)}, Link(wanted+"/"+unit, "../"+unit))
	return errors.Join(d.PutRoot("rootfs-a", card, files...), d.PutRoot("rootfs-b", card, files...))
}
