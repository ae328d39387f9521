package qemu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// U-Boot hands over the profile of a saved environment, and the base; one of
// extlinux's entries does as well.
func TestUBootProfiles(t *testing.T) {
	t.Parallel()
	content := smallProfiles(t)
	tools(t, "mkimage", "mkenvimage")
	script, err := ProfilesScript()
	if err != nil {
		t.Fatal(err)
	}
	env := filepath.Join(t.TempDir(), "uboot.env")
	if err := (Environment{"flipper_profile=router", "flipper_base=2.0", "bootargs=init=/bin/none"}).Make(env, 0); err != nil {
		t.Fatal(err)
	}
	const entry = "DEFAULT desk\nLABEL router\n  KERNEL /Image\n  INITRD /initramfs.cpio.lz4\n  APPEND console=ttyAMA0 minos.layout=profiles flipper.profile=router\n" +
		"LABEL desk\n  KERNEL /Image\n  INITRD /initramfs.cpio.lz4\n  APPEND console=ttyAMA0 minos.layout=profiles flipper.profile=desk\n"
	for name, c := range map[string]struct {
		files         []File
		profile, base string
	}{
		"saved":    {[]File{Text("boot.scr", string(script)), {Name: "uboot.env", From: env}, Text("uEnv.txt", "extraargs=panic=-1\n")}, "router", "2.0"},
		"extlinux": {[]File{Dir("extlinux"), Text("extlinux/extlinux.conf", entry)}, "desk", "1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			r := ubootProfiles(t, content, c.files)
			if b := r.handedOver(t); b.Choice.Value != c.profile || b.Base.Value != c.base || b.Degraded {
				t.Errorf("boot.json: %s", r.Stub.BootJSON)
			}
			if line := r.Line("Kernel command line: "); !strings.Contains(line, "flipper.profile="+c.profile) || strings.Contains(line, "/bin/none") {
				t.Errorf("the kernel has %q", line)
			}
		})
	}
}

// ubootProfiles boots a card of the layout profiles through U-Boot, with more
// files on its boot partition.
func ubootProfiles(t *testing.T, content Btrfs, files []File) Result {
	t.Helper()
	initramfs, err := profilesInitramfs()
	if err != nil {
		t.Fatal(err)
	}
	shared, err := sharedUBoot()
	if err != nil {
		t.Fatal(err)
	}
	disk := ProfilesDisk(256, content)
	boot := disk.Boot.Content.(FAT)
	boot.Files = slices.Concat([]File{{Name: "Image", From: machines(t).debian.Image}, {Name: "initramfs.cpio.lz4", From: initramfs}}, files)
	disk.Boot = Partition{MiB: 128, Content: boot}
	card := filepath.Join(t.TempDir(), "card.img")
	if err := disk.Write(card); err != nil {
		if os.Geteuid() != 0 && strings.Contains(err.Error(), "it takes root") {
			unable(t, err.Error())
		}
		t.Fatal(err)
	}
	return runMachine(t, Machine{Firmware: shared.firmware, Drives: []Drive{{File: card, Keep: true}}}, nil, stubDeadline)
}
