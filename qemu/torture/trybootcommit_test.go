package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/qemu"
)

// Layouts 5.5, statement 11, on a kernel's FAT: the power is cut at each write of
// a commit, and what the firmware reads then is the whole old file or the whole
// new one. A file that fills its sector and one that does not are both
// overwritten in place.
func TestStatement5_5_11_CommitOnARealFAT(t *testing.T) {
	l := release(t)
	tools(t, "fdtput", "mtype")
	short := "# a factory's\r\n" + qemu.Autoboot(2, 3)
	for name, was := range map[string]string{"short": short, "padded": short + strings.Repeat(" ", 511-len(short)) + "\n"} {
		t.Run(name, func(t *testing.T) {
			want := strings.NewReplacer("partition=2", "partition=3", "partition=3", "partition=2").Replace(was)
			base, r := l.commit(t, was)
			written := 0
			for _, w := range r.writes {
				if bytes.HasPrefix(w.data, []byte(want)) {
					written++
					if len(w.data) != sectorSize {
						t.Errorf("the file is a write of %d bytes", len(w.data))
					}
				}
			}
			if written != 1 {
				t.Errorf("the file is written %d times", written)
			}
			f, err := os.Open(base)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			all, err := images(f, r.cuts())
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]int{}
			for _, i := range all {
				got := readAutoboot(t, i, base)
				seen[got]++
				if got != want && (got != was || i.synced > 0) {
					t.Errorf("%s: %d marks, autoboot.txt is %q", i.plainest().name, i.synced, got)
				}
			}
			if seen[was] < 2 || seen[want] < 2 {
				t.Errorf("the old file is left %d times, the new one %d times; this test looks at nothing", seen[was], seen[want])
			}
			t.Logf("%d writes to the partition, %d disks after a cut: %d old, %d new", len(r.writes), len(all), seen[was], seen[want])
		})
	}
}

// commit records a trial that is committed. It returns the common partition
// before that boot, and what was written to it.
func (l *laboratory) commit(t *testing.T, autoboot string) (base string, r record) {
	t.Helper()
	dir := t.TempDir()
	card, log := filepath.Join(dir, "card.img"), filepath.Join(dir, "log")
	boot := qemu.PiBootFiles(l.kernel, l.initramfs, "console=ttyAMA0", "minos.layout=tryboot", "kn86.slot=B", "panic=-1",
		"stub.do=must:/sbin/minosctl%20tryboot%20commit,mark:/dev/vda4")
	tree := qemu.StubTree(l.parts.stub).With(qemu.Dir("home"), qemu.Dir("home/shared"), qemu.File{Name: "sbin/minosctl", Mode: 0o755, From: l.parts.minosctl})
	d := qemu.NewTrybootDisk(nil, qemu.Tree{}, 24)
	d.RootA.Content = nil // the place of the marks
	d.BootB, d.RootB = qemu.TrybootBoot(boot), qemu.TrybootRoot(tree, 24)
	d.Common.Content = qemu.FAT{Label: "common", ID: 1, Files: []qemu.File{qemu.Text("autoboot.txt", autoboot)}}
	if err := d.Write(card); err != nil {
		t.Fatal(err)
	}
	common, err := d.Find("common")
	if err != nil {
		t.Fatal(err)
	}
	base = filepath.Join(dir, "common")
	if err := common.Extract(base, card); err != nil {
		t.Fatal(err)
	}
	start, err := qemu.PiFirmware{Card: d, Image: card, Dir: dir}.Start("0 tryboot")
	if err != nil {
		t.Fatal(err)
	}
	start.Machine.Drives[0].Log = log
	f, err := os.Create(log)
	if err == nil {
		err = errors.Join(f.Truncate(logSize), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	vm, err := start.Machine.Start()
	if err != nil {
		t.Fatal(err)
	}
	ending, err := vm.Wait(time.Minute)
	console := vm.Console()
	if err = errors.Join(err, vm.Stop()); err != nil || ending != qemu.PowerOff || !strings.Contains(console, "commit ok\n") {
		t.Fatalf("the recorded boot ended with %s, %v\n%s", ending, err, console)
	}
	return base, commonRecord(t, d, log)
}

// commonRecord is what was written to the common partition, from its start; the
// marks are behind its end.
func commonRecord(t *testing.T, d qemu.TrybootDisk, log string) record {
	t.Helper()
	common, err := d.Find("common")
	marks, err2 := d.Find("rootfs-a")
	in, err3 := os.Open(log)
	if err := errors.Join(err, err2, err3); err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	all, err := readLog(in)
	if err != nil {
		t.Fatal(err)
	}
	sectors := common.Size / sectorSize
	var here []entry
	for _, e := range all {
		switch at := e.sector * sectorSize; {
		case at >= common.Start && at < common.Start+common.Size:
			e.sector -= common.Start / sectorSize
		case at >= marks.Start && at < marks.Start+marks.Size:
			e.sector = sectors
		default:
			e = entry{flush: e.flush}
		}
		here = append(here, e)
	}
	r := newRecord(here, sectors, 1)
	r.within = []span{{0, sectors, true}}
	if r.marks != 1 || r.flushes == 0 {
		t.Fatalf("the record has %d marks and %d flushes", r.marks, r.flushes)
	}
	return r
}

// readAutoboot is the file as a reader finds it that repairs nothing, like the
// firmware.
func readAutoboot(t *testing.T, i image, base string) string {
	t.Helper()
	file := base + ".cut"
	defer os.Remove(file)
	if err := i.build(file, base); err != nil {
		t.Fatal(err)
	}
	text, err := qemu.Tool("mtype", "-i", file, "::autoboot.txt")
	if err != nil {
		return "cannot be read: " + string(text)
	}
	if status, said, err := statusAndOutput("fsck.vfat", "-n", file); err != nil || status > 1 {
		t.Errorf("%s: fsck.vfat ends with %d, %v: %s", i.plainest().name, status, err, said)
	}
	return string(text)
}
