package qemu

import (
	"regexp"
	"slices"
	"testing"
)

// Layouts 1.7, statement 15: a disk that appears while init waits for it still
// boots, whatever bus it comes on.
func TestStatement1_7_15_LateDisk(t *testing.T) {
	for _, test := range []struct {
		name, disk, root string
		controller       string         // there from the start
		device           map[string]any // plugged in later
		module           string         // that drives it
	}{
		{"virtio", "vda", "/dev/vda6", "pcie-root-port,id=late-bus,chassis=1,slot=1", map[string]any{"driver": "virtio-blk-pci", "bus": "late-bus"}, "virtio_blk"},
		{"scsi", "sda", "/dev/sda6", "virtio-scsi-pci,id=late-bus", map[string]any{"driver": "scsi-hd", "bus": "late-bus.0"}, "sd_mod"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{
				Append: []string{"rauc.slot=A"}, Do: []string{"rootwrite"},
				Change: func(m *Machine) {
					backend := m.Drives[0].arguments("late")[:2]
					m.Drives, m.Args = nil, append(backend, "-device", test.controller)
				},
				Drive: func(t *testing.T, vm *VM) {
					// Init has looked at all there was, and says so.
					if _, err := vm.ExpectRegexp(regexp.MustCompile(`minos: waiting for rootfs-a, .*: 1/15 s, seen: no disk`), stubDeadline); err != nil {
						t.Fatal(err)
					}
					test.device["drive"], test.device["id"] = "late", "late-disk"
					if _, err := vm.Monitor("device_add", test.device); err != nil {
						t.Fatal(err)
					}
				},
			})
			report := r.handedOver(t)
			r.did(t, "rootwrite ok")
			if report.Degraded || report.Disk != "/dev/"+test.disk || !slices.Contains(report.Modules, test.module) {
				t.Errorf("boot.json says disk %s, degraded %t, modules %q; want %s, whole, with %s", report.Disk, report.Degraded, report.Modules, test.disk, test.module)
			}
			r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: test.root})
		})
	}
}
