package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// board is a kernel with the drivers of boards, and our release image for it.
type board struct{ kernel, initramfs string }

// boards makes it when the first test asks for it.
var boards = sync.OnceValues(func() (board, error) {
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		return board{}, err
	}
	full, err := cache.FullKernel()
	if err != nil {
		return board{}, err
	}
	suite, err := shared()
	if err != nil {
		return board{}, err
	}
	out := filepath.Join(suite.dir, "board")
	build := exec.Command("go", "run", "./initramfs", "-arch", "arm64", "-sets", "slots mmc usb virtio", "-modules", full.Modules, "-release-only", "-out", out)
	build.Dir, build.Stderr = "..", os.Stderr
	return board{full.Image, filepath.Join(out, "initramfs.cpio.lz4")}, build.Run()
})

// A card, a copy of it in a reader on USB, and both: by Debian's full kernel,
// whose drivers for all of it are modules.
func TestCardAndReader(t *testing.T) {
	image := writable(t)
	// A card has a size that is a power of two.
	if err := os.Truncate(image, 512*mib); err != nil {
		t.Fatal(err)
	}
	card := []string{"-device", "sdhci-pci", "-device", "sd-card,drive=card0"}
	reader := []string{"-device", "qemu-xhci", "-device", "usb-storage,drive=reader0"}
	for _, test := range []struct {
		name, words string
		card        bool
		reader      bool
		root        string
	}{
		{"card", "", true, false, "/dev/mmcblk0p6"},
		{"reader", "", false, true, "/dev/sda6"},
		{"both", "", true, true, "/dev/mmcblk0p6"},
		{"both, the card is named", "minos.disk=mmc", true, true, "/dev/mmcblk0p6"},
		{"both, the reader is named", "minos.disk=usb", true, true, "/dev/sda6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			machines(t) // with -short there are none
			b, err := boards()
			if err != nil {
				t.Fatal(err)
			}
			r := boot(t, Case{Append: append([]string{"rauc.slot=A"}, strings.Fields(test.words)...), Change: func(m *Machine) {
				m.Kernel, m.Initramfs, m.Drives = b.kernel, b.initramfs, nil
				if test.card {
					m.Args = append(m.Args, append(Drive{File: image}.arguments("card0")[:2], card...)...)
				}
				if test.reader {
					m.Args = append(m.Args, append(Drive{File: image}.arguments("reader0")[:2], reader...)...)
				}
			}})
			if report := r.handedOver(t); report.Degraded || report.Disk != strings.TrimRight(strings.TrimSuffix(test.root, "6"), "p") {
				t.Errorf("boot.json says disk %s, degraded %t %q; want that of %s", report.Disk, report.Degraded, report.DegradedReasons, test.root)
			}
			r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: test.root})
		})
	}
}
