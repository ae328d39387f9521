package qemu

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// copiedFstab is that of a slot's root filesystem, which was written for slot A.
const copiedFstab = "proc /proc proc defaults 0 0\nLABEL=bootfs /boot/firmware vfat defaults 0 2\n" +
	"PARTUUID=74727962-04 / ext4 defaults,noatime 0 1\n/dev/vda2 /mnt/boot vfat defaults 0 0\n"

// stubRoot is a root filesystem of the layout tryboot with the stub, which says
// its version.
func stubRoot(t *testing.T, version string) Tree {
	t.Helper()
	return StubTree(machines(t).stub).With(Text("etc/version", version), Text("etc/fstab", copiedFstab))
}

// stubCard is a card of the layout tryboot, with the stub in slot A, and changed
// before it is written. Nothing is loaded from its boot partitions here.
func stubCard(t *testing.T, change func(*TrybootDisk)) (TrybootDisk, string) {
	t.Helper()
	tools(t, "fdtput", "mkfs.vfat", "mcopy", "mtype")
	d := NewTrybootDisk([]File{Text("config.txt", "")}, stubRoot(t, "1"), 32)
	if change != nil {
		change(&d)
	}
	file := filepath.Join(t.TempDir(), "card.img")
	if err := d.Write(file); err != nil {
		t.Fatal(err)
	}
	return d, file
}

// withB fills slot B, with the labels and identities of A.
func withB(t *testing.T, d *TrybootDisk) {
	d.BootB, d.RootB = d.BootA, TrybootRoot(stubRoot(t, "2"), 32)
}

// bootCard boots a card of which the firmware says that it started a partition.
func bootCard(t *testing.T, file string, partition int, tryboot bool, words string, do ...string) Result {
	t.Helper()
	return boot(t, Case{Image: file, Append: append([]string{"minos.layout=tryboot", "root=/dev/vda4"}, strings.Fields(words)...), Do: do,
		Change: func(m *Machine) {
			keep(m)
			tree := filepath.Join(t.TempDir(), "devicetree.dtb")
			if err := writeDeviceTree(tree, *m, partition, tryboot); err != nil {
				t.Fatal(err)
			}
			m.Args = append(m.Args, "-dtb", tree)
		}})
}

// sums are those of partitions of a card, in one text.
func (d TrybootDisk) sums(t *testing.T, file string, names ...string) (text string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, name := range names {
		r, err := d.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		hash := sha256.New()
		if _, err := io.Copy(hash, io.NewSectionReader(f, r.Start, r.Size)); err != nil {
			t.Fatal(err)
		}
		text += fmt.Sprintf("%s %x\n", name, hash.Sum(nil))
	}
	return text
}

// Layouts 5.5, statements 1, 3, 4, 5 and 16, in two boots of one card whose slots
// have the same labels and identities.
func TestTrybootLayout(t *testing.T) {
	t.Parallel()
	d, file := stubCard(t, func(d *TrybootDisk) { withB(t, d) })
	constant := []string{"common", "bootfs-a", "bootfs-b", "rootfs-a", "rootfs-b"}
	before := d.sums(t, file, constant...)

	const volatile = "statfs:/run/initramfs/volatile"
	r := bootCard(t, file, 2, false, "minos.volatile-size=48m", "read:/etc/version", "rootwrite", "write:/home/shared/saved=1",
		"write:/boot/firmware/x=1", "write:/run/initramfs/rootfs/x=1", volatile)
	report := r.handedOver(t)
	r.did(t, `read:/etc/version "1"`, "rootwrite ok", "write:/home/shared/saved=1 ok", "write:/boot/firmware/x=1 EROFS",
		"write:/run/initramfs/rootfs/x=1 EROFS", volatile+" "+r.result(t, volatile))
	if size := tmpfsMiB(t, r.result(t, volatile)); size != 48 {
		t.Errorf("the layer in memory has %d MiB, want 48", size)
	}
	if report.Degraded || len(report.Warnings) != 0 || report.Choice.Value != "A" || report.Choice.Source != "firmware" {
		t.Errorf("boot.json: %+v", report)
	}
	r.mounted(t, Mount{Target: "/", FSType: "overlay", Options: "rw"})
	r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: "/dev/vda4", Options: "ro,noatime", Super: "ro"})
	r.mounted(t, Mount{Target: "/boot/firmware", FSType: "vfat", Source: "/dev/vda2", Options: "ro,noatime", Super: "ro"})
	r.mounted(t, Mount{Target: "/home/shared", FSType: "ext4", Source: "/dev/vda6", Options: "rw,noatime"})

	const root, mnt = "grep:/etc/fstab=PARTUUID", "grep:/etc/fstab=#%20minos-init%2C%20a"
	r = bootCard(t, file, 3, true, "", "read:/etc/version", "read:/home/shared/saved", root, mnt, "grep:/etc/fstab=proc")
	report = r.handedOver(t)
	r.did(t, `read:/etc/version "2"`, `read:/home/shared/saved "1"`, root+" no such line",
		mnt+` "# minos-init, a partition of a slot is not mounted by its name: /dev/vda2 /mnt/boot vfat defaults 0 0"`, `grep:/etc/fstab=proc "proc /proc proc defaults 0 0"`)
	r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: "/dev/vda5", Options: "ro,noatime"})
	r.mounted(t, Mount{Target: "/boot/firmware", FSType: "vfat", Source: "/dev/vda3", Options: "ro,noatime"})
	shows(t, r.Console, "minos: root=/dev/vda4 is not slot B, which is /dev/vda5, ignoring: root=")
	if after := d.sums(t, file, constant...); after != before {
		t.Errorf("two boots have changed\n%sto\n%s", before, after)
	}
}

// Layouts 5.5, statements 2, 7, 12 and 17: a trial of a slot of which only the
// boot partition is there comes back to A, also where the firmware's flag has no
// effect, and where it tells of partition 0 then.
func TestTrybootTrialOfAnEmptySlot(t *testing.T) {
	t.Parallel()
	d, file := stubCard(t, func(d *TrybootDisk) { d.BootB = d.BootA })
	all := []string{"common", "bootfs-a", "bootfs-b", "rootfs-a", "rootfs-b", "shared"}
	before := d.sums(t, file, all...)
	for _, flag := range []bool{true, false} {
		r := bootCard(t, file, 3, flag, "panic=0 minos.onfail=halt")
		r.failed(t, "rootfs", "/dev/vda5 (rootfs) holds no filesystem that is known")
		if argument, ok := RestartArgument(r.Console); !ok || argument != "" {
			t.Errorf("the restart has the argument %q, %v", argument, ok)
		}
		if took := r.at(t, "reboot: Restarting system") - r.at(t, "minos: FAILED"); took > 5*time.Second {
			t.Errorf("the restart comes %v after the failure", took)
		}
		if after := d.sums(t, file, all...); after != before {
			t.Fatalf("the trial has changed\n%sto\n%s", before, after)
		}
	}
	r := bootCard(t, file, 0, false, "", "read:/etc/version")
	report := r.handedOver(t)
	r.did(t, `read:/etc/version "1"`)
	if report.Choice.Value != "A" || report.Choice.Source != "autoboot.txt" || report.Degraded {
		t.Errorf("boot.json: %+v", report)
	}
}

// Layouts 5.5, statements 6 and 15: the numbers of an MBR, and a shared
// partition without a filesystem.
func TestTrybootOnAnMBR(t *testing.T) {
	t.Parallel()
	d, file := stubCard(t, func(d *TrybootDisk) {
		withB(t, d)
		d.MBR, d.Shared = true, Partition{MiB: 8}
	})
	before := d.sums(t, file, "rootfs-a", "rootfs-b", "shared")
	r := bootCard(t, file, 3, true, "minos.tryboot-parts=1,2,3,5,6,7", "read:/etc/version", "write:/home/shared/x=1")
	report := r.handedOver(t)
	r.did(t, `read:/etc/version "2"`, "write:/home/shared/x=1 EROFS")
	r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: "/dev/vda6", Options: "ro,noatime"})
	if !report.Degraded {
		t.Errorf("boot.json: %+v", report)
	}
	if after := d.sums(t, file, "rootfs-a", "rootfs-b", "shared"); after != before {
		t.Errorf("the boot has changed\n%sto\n%s", before, after)
	}
}

// The default slot cannot be booted: the kernel hands the request for the other
// one on, and the count is in its file, on a FAT that is whole.
func TestTrybootRescue(t *testing.T) {
	t.Parallel()
	tools(t, "fsck.vfat")
	d, file := stubCard(t, func(d *TrybootDisk) {
		withB(t, d)
		d.RootA = Partition{MiB: 8}
	})
	before := d.sums(t, file, "bootfs-b", "rootfs-b", "shared")
	r := bootCard(t, file, 2, false, "panic=1")
	r.failed(t, "rootfs")
	if argument, _ := RestartArgument(r.Console); argument != "0 tryboot" {
		t.Errorf("the restart has the argument %q", argument)
	}
	f := PiFirmware{Card: d, Image: file}
	if count, err := f.read(1, "rescue.txt"); err != nil || !strings.Contains(string(count), "\nslot=A times=1 ") || len(count) != sectorSize {
		t.Errorf("rescue.txt is %q, %v", count, err)
	}
	if text, err := f.read(1, "autoboot.txt"); err != nil || string(text) != Autoboot(2, 3) {
		t.Errorf("autoboot.txt is %q, %v", text, err)
	}
	common, err := d.Find("common")
	if err != nil {
		t.Fatal(err)
	}
	fat := filepath.Join(t.TempDir(), "common.img")
	image, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(fat, image[common.Start:common.Start+common.Size], 0o644); err != nil {
		t.Fatal(err)
	}
	if said, err := Tool("fsck.vfat", "-n", fat); err != nil {
		t.Errorf("fsck.vfat: %v\n%s", err, said)
	}
	if after := d.sums(t, file, "bootfs-b", "rootfs-b", "shared"); after != before {
		t.Errorf("the look at the other slot has changed\n%sto\n%s", before, after)
	}
}
