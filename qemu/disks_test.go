package qemu

import (
	"strings"
	"testing"
)

// Layouts 1.7, statement 19: the same init on both tables, and on each kind of
// root filesystem, without configuration.
func TestStatement1_7_19_TablesAndRootFilesystems(t *testing.T) {
	tree := StubTree(machines(t).stub)
	const mbr, gpt = "/dev/vda6", "/dev/vda3"
	for _, test := range []struct {
		name    string
		gpt     bool
		content Content
		root    string
		fstype  string
	}{
		{"GPT, ext4", true, nil, gpt, "ext4"},
		{"GPT, squashfs gzip", true, SquashFS{"gzip", tree}, gpt, "squashfs"},
		{"squashfs lzo", false, SquashFS{"lzo", tree}, mbr, "squashfs"},
		{"squashfs lz4", false, SquashFS{"lz4", tree}, mbr, "squashfs"},
		{"squashfs xz", false, SquashFS{"xz", tree}, mbr, "squashfs"},
		{"squashfs zstd", false, SquashFS{"zstd", tree}, mbr, "squashfs"},
		{"erofs", false, EROFS{tree, nil}, mbr, "erofs"},
		{"erofs lz4hc", false, EROFS{tree, []string{"-zlz4hc"}}, mbr, "erofs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk := changed(t, func(d *Disk) {
				d.GPT = test.gpt
				if test.content != nil {
					d.RootFSA.Content = test.content
				}
			})
			r := boot(t, Case{Disk: disk, Append: []string{"rauc.slot=A"}, Do: []string{"rootwrite"}})
			report := r.handedOver(t)
			r.did(t, "rootwrite ok")
			if report.Degraded || report.Overlay.Durability != "keep" {
				t.Errorf("boot.json says degraded %t, durability %q, warnings %q", report.Degraded, report.Overlay.Durability, report.Warnings)
			}
			r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: test.fstype, Source: test.root})
		})
	}
}

// Disks on other buses than virtio, and the word for each.
func TestBuses(t *testing.T) {
	for _, test := range []struct {
		word, root string
		change     func(*Machine)
	}{
		{"scsi", "/dev/sda6", onSCSI},
		{"nvme", "/dev/nvme0n1p6", func(m *Machine) { m.Drives[0].NVMe = true }},
		{"virtio", "/dev/vda6", func(*Machine) {}},
	} {
		t.Run(test.word, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Append: []string{"rauc.slot=A", "minos.disk=" + test.word}, Change: test.change})
			if report := r.handedOver(t); report.Degraded {
				t.Errorf("degraded: %q", report.DegradedReasons)
			}
			r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: test.root})
		})
	}
}

// onSCSI puts the first disk on a SCSI bus.
func onSCSI(m *Machine) {
	backend := m.Drives[0].arguments("first")[:2]
	m.Drives = m.Drives[1:]
	m.Args = append(m.Args, append(backend, "-device", "virtio-scsi-pci,id=scsi0", "-device", "scsi-hd,bus=scsi0.0,drive=first")...)
}

// Layouts 1.7, statement 14, and more: a copy of the whole disk, labels, UUIDs
// and table included, attached before the original.
func TestStatement1_7_14_ACopyOfTheDisk(t *testing.T) {
	copyFirst := func(m *Machine) { m.Drives = append(m.Drives, m.Drives[0]) }
	for _, test := range []struct {
		name, word string
		change     func(*Machine)
		root       string
	}{
		{"named", "minos.disk=vdb", copyFirst, "/dev/vdb6"},
		{"by its bus", "minos.disk=virtio", func(m *Machine) { copyFirst(m); onSCSI(m) }, "/dev/vda6"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Append: []string{"rauc.slot=A", test.word}, Change: test.change})
			r.handedOver(t)
			for target, number := range map[string]string{"/run/initramfs/rootfs": "6", "/run/initramfs/overlay": "3", "/data": "4", "/boot/firmware": "1"} {
				m, ok := r.Stub.MountAt(target)
				if want := strings.TrimSuffix(test.root, "6") + number; !ok || m.Source != want {
					t.Errorf("%s is %q, want %s", target, m.Source, want)
				}
			}
		})
	}
	t.Run("without a word", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A", "minos.timeout=1", "panic=-1"}, Change: copyFirst, Within: stubbornDeadline})
		r.failed(t, "disk", "2 disks could each be the boot disk: vda, vdb; name one with minos.disk=")
	})
}

// An update: another image with the label and the UUID of the one before. Old
// changes are put aside; the same image again keeps them.
func TestChangedRootFilesystem(t *testing.T) {
	t.Parallel()
	image := writable(t)
	const write, read = "write:/etc/mine=text", "read:/etc/mine"
	bootOnce := func(do ...string) Result {
		t.Helper()
		r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A"}, Do: do})
		if report := r.handedOver(t); report.Degraded {
			t.Fatalf("degraded: %q", report.DegradedReasons)
		}
		return r
	}
	install := func(release string) {
		t.Helper()
		disk := StubDisk(machines(t).stub)
		slot := disk.RootFSA.Content.(Ext4)
		slot.Tree = slot.Tree.Without("etc/os-release").With(Text("etc/os-release", "ID=minos-stub\nBUILD_ID="+release+"\n"))
		disk.RootFSA.Content = slot
		if err := disk.Install("rootfs-a", image); err != nil {
			t.Fatal(err)
		}
	}
	install("1")
	bootOnce(write).did(t, write+" ok")
	bootOnce(read).did(t, read+` "text"`)
	install("2")
	r := bootOnce(read, "read:/run/initramfs/overlay/a.old/upper/etc/mine")
	r.did(t, read+" ENOENT", `read:/run/initramfs/overlay/a.old/upper/etc/mine "text"`)
	shows(t, r.Console, "minos: the root filesystem has changed: what was written over the one before is put aside in a.old")
	bootOnce(write).did(t, write+" ok")
	bootOnce(read).did(t, read+` "text"`)
}
