package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// stubSquashFS is an image with the stub, which says its version.
func stubSquashFS(t *testing.T, version string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "root.squashfs")
	tree := StubTree(machines(t).stub).With(Text("etc/version", version), Text("etc/both", "of the image"))
	if err := (SquashFS{Compressor: "zstd", Tree: tree}).Make(file, 0); err != nil {
		t.Fatal(err)
	}
	return file
}

// holding is a partition with that label and images under these names.
func holding(size int, label string, images map[string]string) Partition {
	var tree Tree
	for name, from := range images {
		tree = tree.With(File{Name: name, Mode: 0o644, From: from})
	}
	return Partition{MiB: size, Content: Ext4{Label: label, Tree: tree}}
}

// stubImageDisk is a disk with the stub in its image.
func stubImageDisk(t *testing.T) string {
	t.Helper()
	tools(t, "sqfstar")
	disk := filepath.Join(t.TempDir(), "disk.img")
	d := ImageDisk{ID: 0x696d6734, Img: holding(32, "img", map[string]string{"root-squashfs.img": stubSquashFS(t, "1")}),
		Overlay: Partition{MiB: 32, Content: Ext4{Label: "overlay"}}}
	if err := d.Write(disk); err != nil {
		t.Fatal(err)
	}
	return disk
}

// Layouts 2.5, statements 1 to 6, 15 and 16, on one disk over four boots.
func TestImageLayout(t *testing.T) {
	t.Parallel()
	tools(t, "sqfstar")
	disk, medium := filepath.Join(t.TempDir(), "disk.img"), filepath.Join(t.TempDir(), "medium.img")
	one := stubSquashFS(t, "1")
	for file, d := range map[string]ImageDisk{
		disk: {ID: 0x696d6731, Img: holding(64, "img", map[string]string{"root-squashfs.img": one}),
			Overlay: Partition{MiB: 64, Content: Ext4{Label: "overlay"}}},
		medium: {ID: 0x696d6732, NewImg: holding(32, "newimg", map[string]string{"root-squashfs.img": stubSquashFS(t, "2")})},
	} {
		if err := d.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	const overlay, img = "/run/initramfs/overlay", "/run/initramfs/img"
	run := func(words string, do ...string) (Result, bootJSON) {
		r := boot(t, Case{Image: disk, Append: append([]string{"minos.layout=image"}, strings.Fields(words)...), Do: do,
			Change: func(m *Machine) {
				keep(m)
				if strings.Contains(words, "newimg=wait") {
					m.Drives = append(m.Drives, Drive{File: medium, Keep: true})
				}
			}})
		return r, r.handedOver(t)
	}

	r, report := run("", "read:/etc/version", "ls:"+overlay, "rootwrite", "write:/written=1",
		"mkdir:"+overlay+"/persistent/etc", "write:"+overlay+"/persistent/etc/both=persistent", "write:"+img+"/x=1")
	r.did(t, `read:/etc/version "1"`, "ls:"+overlay+` "lost+found persistent upper work"`, "rootwrite ok", "write:/written=1 ok",
		"mkdir:"+overlay+"/persistent/etc ok", "write:"+overlay+"/persistent/etc/both=persistent ok", "write:"+img+"/x=1 EROFS")
	r.mounted(t, Mount{Target: "/", FSType: "overlay", Options: "rw"})
	r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "squashfs", Source: "/dev/loop0", Options: "ro,noatime"})
	r.mounted(t, Mount{Target: img, FSType: "ext4", Source: "/dev/vda2", Super: "ro"})
	if report.Layout != "image" || report.Degraded || len(report.Warnings) != 0 || report.Choice.Value != "current" {
		t.Errorf("boot.json: %+v", report)
	}

	r, _ = run("", "read:/etc/both", "read:/written", "rm:/etc/both", "read:/etc/both", "ls:"+overlay)
	r.did(t, `read:/etc/both "persistent"`, "read:/written ENOENT", "rm:/etc/both ok", "read:/etc/both ENOENT",
		"ls:"+overlay+` "lost+found persistent upper work"`)

	r, report = run("minos.newimg=wait", "read:/etc/version", "read:/etc/both", "ls:"+img)
	r.did(t, `read:/etc/version "2"`, `read:/etc/both "persistent"`, "ls:"+img+` "lost+found root-squashfs-old.img root-squashfs.img"`)
	if report.Degraded {
		t.Errorf("boot.json: %+v", report)
	}
	shows(t, r.Console, "minos: root-squashfs.img is the current image now, and gone from its medium")

	r, _ = run("minos.newimg=wait ro", "read:/etc/version", "rootwrite", "ls:"+img)
	r.did(t, `read:/etc/version "2"`, "rootwrite EROFS", "ls:"+img+` "lost+found root-squashfs-old.img root-squashfs.img"`)
}

// Layouts 2.5, statement 11, with what a kernel really refuses: the current
// image is cut short, and its superblock is whole.
func TestStatement2_5_11_PreviousImageInAMachine(t *testing.T) {
	t.Parallel()
	tools(t, "sqfstar")
	whole, short := stubSquashFS(t, "1"), filepath.Join(t.TempDir(), "short.img")
	if err := copyStart(short, whole, 8192); err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(t.TempDir(), "disk.img")
	d := ImageDisk{ID: 0x696d6733, Overlay: Partition{MiB: 64, Content: Ext4{Label: "overlay"}},
		Img: holding(64, "img", map[string]string{"root-squash.img": short, "root-squash.img-old": whole})}
	if err := d.Write(disk); err != nil {
		t.Fatal(err)
	}
	r := boot(t, Case{Image: disk, Append: []string{"minos.layout=image"}, Do: []string{"read:/etc/version"}})
	report := r.handedOver(t)
	r.did(t, `read:/etc/version "1"`)
	if !report.Degraded || report.Choice.Value != "previous" {
		t.Errorf("boot.json: %+v", report)
	}
}

// copyStart copies the first bytes of a file.
func copyStart(to, from string, n int) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data[:n], 0o644)
}
