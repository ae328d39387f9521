package qemu

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plainDisk is a Disk of blank partitions in the layout's sizes.
func plainDisk() Disk {
	d := emptyDisk(0x12345678)
	d.RootFSA.MiB, d.RootFSB.MiB = 24, 24
	return d
}

func TestDiskScript(t *testing.T) {
	const want = `label: dos
label-id: 0x12345678
unit: sectors
sector-size: 512

1 : start=2048, size=67584, type=c, bootable
2 : start=69632, size=223232, type=f
3 : start=292864, size=196608, type=83
4 : start=489472, size=131072, type=83
5 : start=71680, size=49152, type=83
6 : start=122880, size=49152, type=83
7 : start=174080, size=49152, type=83
8 : start=225280, size=49152, type=83
9 : start=276480, size=16384, type=83
`
	if diff := cmp.Diff(want, plainDisk().Script()); diff != "" {
		t.Errorf("the table of the slots layout (-want +got):\n%s", diff)
	}
}

func TestDiskWithoutPartitions(t *testing.T) {
	d := plainDisk()
	d.RootFSA, d.Data = Partition{}, Partition{}
	var got []string
	for _, r := range d.Ranges() {
		got = append(got, fmt.Sprint(r.Number, r.Name))
	}
	want := []string{"1boot", "2extended", "3overlay", "5kernel-a", "6kernel-b", "7rootfs-b", "8bootstate"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
	d = Disk{ID: 1, Boot: Partition{MiB: 33}}
	if diff := cmp.Diff("2 : start=69632, size=2048, type=f\n", lastLine(d.Script())); diff != "" {
		t.Errorf("an extended partition without logical ones (-want +got):\n%s", diff)
	}
}

func lastLine(s string) string {
	lines := strings.SplitAfter(s, "\n")
	return lines[len(lines)-2]
}

// TestDiskTable lets sfdisk read back what it wrote, and looks for holes in
// which the numbers of Ranges would be wrong.
func TestDiskTable(t *testing.T) {
	tools(t, "sfdisk")
	for name, d := range map[string]Disk{
		"slots": blank(plainDisk()),
		"no rootfs": func() Disk {
			d := blank(plainDisk())
			d.RootFSA, d.RootFSB = Partition{}, Partition{}
			return d
		}(),
		"only boot": {ID: 1, Boot: Partition{MiB: 33}},
	} {
		t.Run(name, func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "disk.img")
			if err := d.Write(image); err != nil {
				t.Fatal(err)
			}
			if output, err := Tool("sfdisk", "--verify", image); err != nil {
				t.Errorf("sfdisk --verify: %v\n%s", err, output)
			}
			want := map[string]string{}
			for _, r := range d.Ranges() {
				want[fmt.Sprintf("%s%d", image, r.Number)] = fmt.Sprintf("%d+%d", r.Start/sectorSize, r.Size/sectorSize)
			}
			if diff := cmp.Diff(want, readTable(t, image)); diff != "" {
				t.Errorf("partitions, start and size in sectors (-want +got):\n%s", diff)
			}
		})
	}
}

func blank(d Disk) Disk {
	for _, p := range []*Partition{&d.Boot, &d.Overlay, &d.Data, &d.KernelA, &d.RootFSA, &d.KernelB, &d.RootFSB, &d.BootState} {
		p.Content = nil
	}
	return d
}

func readTable(t *testing.T, image string) map[string]string {
	t.Helper()
	output, err := Tool("sfdisk", "--json", image)
	if err != nil {
		t.Fatalf("sfdisk --json: %v\n%s", err, output)
	}
	var dump struct {
		Table struct {
			Partitions []struct {
				Node        string
				Start, Size int64
			}
		} `json:"partitiontable"`
	}
	if err := json.Unmarshal(output, &dump); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range dump.Table.Partitions {
		got[p.Node] = fmt.Sprintf("%d+%d", p.Start, p.Size)
	}
	return got
}

// TestDiskFilesystems lets each filesystem's own checker judge what a recipe
// made.
func TestDiskFilesystems(t *testing.T) {
	for name, image := range map[string]string{"stub": machines(t).disk, "demo": machines(t).demo} {
		d := StubDisk(machines(t).stub)
		if name == "demo" {
			d = DebianDisk(machines(t).debian)
		}
		for _, r := range d.Ranges() {
			if r.partition.Content == nil {
				continue
			}
			t.Run(name+" "+r.Name, func(t *testing.T) {
				checkContent(t, r, extract(t, image, r))
			})
		}
	}
}

func checkContent(t *testing.T, r Range, file string) {
	t.Helper()
	var output []byte
	var err error
	switch r.partition.Content.(type) {
	case Ext4:
		output, err = Tool("e2fsck", "-fn", file)
	case FAT:
		output, err = Tool("fsck.vfat", "-n", file)
	case Copy:
		output, err = Tool("unsquashfs", "-lln", file)
		if err == nil && !strings.Contains(string(output), "/Image") {
			err = fmt.Errorf("no Image in the kernel slot")
		}
	}
	if err != nil {
		t.Errorf("%v\n%s", err, output)
	}
}

func extract(t *testing.T, image string, r Range) string {
	t.Helper()
	in, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	file := filepath.Join(t.TempDir(), "partition")
	out, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(in, r.Start, r.Size)); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestExt4KeepsOwners is what fakeroot is for.
func TestExt4KeepsOwners(t *testing.T) {
	tools(t, "fakeroot", "mke2fs", "debugfs")
	file := filepath.Join(t.TempDir(), "fs")
	tree := Tree{}.With(Dir("etc"), Text("etc/hello", "world\n"),
		File{Name: "su", Mode: os.ModeSetuid | 0o755, Data: "x"},
		File{Name: "secret", Mode: 0o640, UID: 7, GID: 42, Data: "x"})
	if err := (Ext4{Label: "test", UUID: "6d696e6f-7300-4000-8000-00000000ffff", Tree: tree}).Make(file, 8*mib); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]string{
		"/":          {"Mode:  0755", "User:     0   Group:     0"},
		"/su":        {"Mode:  04755", "User:     0   Group:     0"},
		"/secret":    {"Mode:  0640", "User:     7   Group:    42"},
		"/etc/hello": {"Mode:  0644", "Size: 6"},
	} {
		output, err := Tool("debugfs", "-R", "stat "+path, file)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		for _, w := range want {
			if !strings.Contains(string(output), w) {
				t.Errorf("%s: no %q in\n%s", path, w, output)
			}
		}
	}
}

func TestDamage(t *testing.T) {
	tools(t, "sfdisk")
	d := blank(plainDisk())
	d.RootFSA.Content = Bytes("0123456789")
	d.RootFSA.Damage = []Damage{{Offset: 3, Bytes: []byte("xy")}}
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := d.Write(image); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, 11)
	if _, err := f.ReadAt(got, 122880*sectorSize); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("012xy56789\x00", string(got)); diff != "" {
		t.Errorf("the start of rootfs-a (-want +got):\n%s", diff)
	}
	d.RootFSA.Damage[0].Offset = 24 * mib
	if err := d.Write(image); err == nil {
		t.Error("damage outside of its partition was done")
	}
	d.RootFSA = Partition{MiB: 1, Content: Bytes(make([]byte, mib+1))}
	if err := d.Write(image); err == nil || !strings.Contains(err.Error(), "only 1048576") {
		t.Errorf("error %v, want that the content is too large", err)
	}
}
