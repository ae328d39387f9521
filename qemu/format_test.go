package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// blankData is the stub's disk with nothing in its data partition, whose slot A
// has these programs.
func blankData(t *testing.T, programs ...string) Disk {
	t.Helper()
	disk := StubDisk(machines(t).stub)
	files, err := SlotTools(machines(t).debian.RootFS, programs...)
	if err != nil {
		t.Fatal(err)
	}
	disk.RootFSA = rootfs(disk.RootFSA.MiB, StubTree(machines(t).stub).With(files...), "A")
	disk.Data.Content = nil
	return disk
}

// dataOf is where the disk's data partition lies.
func dataOf(disk Disk) Range {
	all := disk.Ranges()
	return all[slices.IndexFunc(all, func(r Range) bool { return r.Name == "data" })]
}

// An image without a filesystem for data is written to a card of 12 GiB: the
// first boot gives data all the space and an ext4 of 8 GiB, minosctl gives that
// the rest, and the second boot is silent.
func TestBlankDataIsFormatted(t *testing.T) {
	t.Parallel()
	tools(t, "e2fsck", "sfdisk")
	disk := blankData(t, "usr/sbin/mke2fs")
	root := disk.RootFSA.Content.(Ext4)
	root.Tree = root.Tree.With(File{Name: "sbin/minosctl", Mode: 0o755, From: initramfs(t, "minosctl")})
	disk.RootFSA.Content = root
	image := (Case{Disk: &disk}).image(t)
	if err := os.Truncate(image, 12<<30); err != nil {
		t.Fatal(err)
	}
	bootOnce := func(do ...string) Result {
		r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A"}, Do: append(do, "sync")})
		if report := r.handedOver(t); report.Degraded {
			t.Errorf("degraded: %q", report.DegradedReasons)
		}
		return r
	}
	const size, read, grow = "statfs:/data", "read:/data/mine", "run:/sbin/minosctl%20grow-data"
	first := bootOnce("write:/data/mine=text", size, grow)
	shows(t, first.Console, "minos: /dev/vda4 is blank: ", "minos: disk /dev/vda has grown: ", "minos: /dev/vda4 is an ext4 of ")
	var magic, bytes int64
	if _, err := fmt.Sscanf(strings.ReplaceAll(first.result(t, size), "ro=false ", ""), "magic=%v bytes=%d", &magic, &bytes); err != nil || bytes < 7<<30 || bytes > 8<<30 {
		t.Errorf("/data is %s, %v; want nearly 8 GiB", first.result(t, size), err)
	}
	if got := first.result(t, grow); !strings.HasPrefix(got, `status=0 "the filesystem of /data has `) {
		t.Errorf("minosctl grow-data: %s", got)
	}
	judgeTable(t, image, false)
	at := fmt.Sprintf("%s?offset=%d", image, dataOf(disk).Start)
	_, _ = Tool("e2fsck", "-p", at) // replays the journal; the judge follows
	if out, err := Tool("e2fsck", "-f", "-n", at); err != nil {
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
	second := bootOnce(read, size, grow)
	if _, err := fmt.Sscanf(strings.ReplaceAll(second.result(t, size), "ro=false ", ""), "magic=%v bytes=%d", &magic, &bytes); err != nil || bytes < 11<<30 {
		t.Errorf("/data is %s, %v; want nearly 12 GiB", second.result(t, size), err)
	}
	if got := second.result(t, grow); got != `status=0 ""` {
		t.Errorf("minosctl grow-data once more: %s", got)
	}
	lacks(t, second.Console, "is blank", "has grown", "is an ext4 of", "ignoring: ")
	if got := second.result(t, read); got != `"text"` {
		t.Errorf("what the first boot wrote is %s", got)
	}
}

// What is not proved to be nobody's stays as it is, and the boot goes on without
// data and says why. A stale header is given up only for the image that it is
// named for.
func TestFormatIsRefused(t *testing.T) {
	t.Parallel()
	tools(t, "mke2fs")
	stale := filepath.Join(t.TempDir(), "stale")
	if out, err := Tool("mke2fs", "-q", "-t", "ext4", "-b", "4096", stale, "1G"); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	header, err := os.ReadFile(stale)
	if err != nil {
		t.Fatal(err)
	}
	header = header[:4096]
	for _, test := range []struct {
		name     string
		at       int64
		there    []byte
		programs []string
		append   []string
		says     string
		made     bool
	}{
		{"one byte", 0x10040, []byte("x"), []string{"usr/sbin/mke2fs"}, nil, "it is not blank: at offset 65600 there is the byte 0x78", false},
		{"no mke2fs", 0, nil, []string{"usr/sbin/e2fsck"}, nil, "slot A has no mke2fs", false},
		{"stale", 0, header, []string{"usr/sbin/mke2fs"}, []string{"minos.build=one", "minos.format-data=two"}, "minos.format-data=two is for another image, this one is one", false},
		{"stale, given up", 0, header, []string{"usr/sbin/mke2fs"}, []string{"minos.build=one", "minos.format-data=one"}, "is an ext4 of", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk := blankData(t, test.programs...)
			image := (Case{Disk: &disk}).image(t)
			data := dataOf(disk)
			file, err := os.OpenFile(image, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer file.Close()
			if _, err := file.WriteAt(test.there, data.Start+test.at); err != nil {
				t.Fatal(err)
			}
			r := boot(t, Case{Image: image, Change: keep, Append: append([]string{"rauc.slot=A"}, test.append...), Do: []string{"write:/data/mine=text", "sync"}})
			if report := r.handedOver(t); report.Degraded == test.made {
				t.Errorf("degraded: %t, %q", report.Degraded, report.DegradedReasons)
			}
			shows(t, r.Console, test.says)
			there := make([]byte, len(test.there))
			if _, err := file.ReadAt(there, data.Start+test.at); err != nil {
				t.Fatal(err)
			}
			if same := string(there) == string(test.there); len(there) > 0 && same == test.made {
				t.Errorf("what was there is the same: %t", same)
			}
			if wrote := r.result(t, "write:/data/mine=text"); (wrote == "ok") != test.made {
				t.Errorf("a write to /data is %s", wrote)
			}
		})
	}
}
