package block_test

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

var wants = []block.Want{
	{Role: "rootfs-a", Name: "rootfs-a", Number: 6, Required: true},
	{Role: "data", Name: "data", Number: 4},
}

// kernelWithSysfs is a machine after its API filesystems were mounted.
func kernelWithSysfs(t *testing.T, disks ...*systest.Disk) *systest.Kernel {
	t.Helper()
	k := systest.New("")
	for _, d := range disks {
		k.AddDisk(d)
	}
	for _, m := range []sys.MountRequest{
		{Source: "sysfs", Target: "/sys", FSType: "sysfs"},
		{Source: "devtmpfs", Target: "/dev", FSType: "devtmpfs"},
	} {
		if err := k.Mount(m); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func watch(t *testing.T, k *systest.Kernel) *block.Watcher {
	t.Helper()
	w, err := block.Watch(k, "/sys", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func quiet(string) {}

// request asks for the roles of slot A, with B beside it.
func request(say func(string)) block.Request {
	twin := []block.Want{{Role: "rootfs-b", Name: "rootfs-b", Number: 8, Required: true}}
	return block.Request{Wants: wants, Twin: twin, Timeout: 15 * time.Second, Say: say}
}

func TestWaitForADiskThatIsThere(t *testing.T) {
	k := kernelWithSysfs(t, &systest.Disk{Name: "mmcblk0", Parts: []*systest.Part{{Number: 4, FS: "ext4"}, {Number: 6, FS: "ext4"}}})
	r, err := watch(t, k).WaitFor(request(func(line string) { t.Errorf("waited: %s", line) }))
	if err != nil {
		t.Fatal(err)
	}
	if r.Matches["rootfs-a"].Device.Path() != "/dev/mmcblk0p6" || r.Matches["data"].Device.Path() != "/dev/mmcblk0p4" || k.Now() != 0 {
		t.Errorf("got %+v at %v", r, k.Now())
	}
}

// Layouts 1.7, statement 15: a root device that appears 3 s late still boots.
func TestStatement1_7_15_LateDisk(t *testing.T) {
	for name, d := range map[string]*systest.Disk{
		"the whole disk":      {Name: "vda", At: 3 * time.Second},
		"only its partitions": {Name: "vda", PartsAt: 3 * time.Second},
	} {
		d.Parts = []*systest.Part{{Number: 4}, {Number: 6}}
		k := kernelWithSysfs(t, d)
		var lines []string
		r, err := watch(t, k).WaitFor(request(func(l string) { lines = append(lines, l) }))
		if err != nil || r.Disk != "vda" || k.Now() != 3*time.Second {
			t.Errorf("%s: WaitFor = %+v, %v at %v", name, r, err, k.Now())
		}
		if len(lines) < 2 || !strings.HasPrefix(lines[0], "waiting for rootfs-a, data: 1/15 s, seen: ") {
			t.Errorf("%s: progress = %q", name, lines)
		}
	}
}

// Layouts 1.7, statement 15: one that never appears fails after the wait, when
// the bootloader can try the other slot.
func TestStatement1_7_15_NoDisk(t *testing.T) {
	k := kernelWithSysfs(t, &systest.Disk{Name: "vdb", Parts: []*systest.Part{{Number: 1}, {Number: 8}}})
	_, err := watch(t, k).WaitFor(request(quiet))
	var missing *block.MissingError
	if !errors.As(err, &missing) || k.Now() != 15*time.Second {
		t.Fatalf("WaitFor = %v at %v", err, k.Now())
	}
	want := "no disk with rootfs-a (GPT name rootfs-a, else partition 6) appeared within 15s; seen: vdb with partitions 1 8"
	if err.Error() != want {
		t.Errorf("got  %s\nwant %s", err, want)
	}
}

// A failure that another slot cannot cure burns no attempt at once:
// architecture 4.
func TestWithoutAnyDiskTheWaitIsLong(t *testing.T) {
	k := kernelWithSysfs(t, &systest.Disk{Name: "vda", At: 50 * time.Second, Parts: []*systest.Part{{Number: 4}, {Number: 6}}})
	var lines []string
	r, err := watch(t, k).WaitFor(request(func(l string) { lines = append(lines, l) }))
	if err != nil || r.Disk != "vda" || k.Now() != 50*time.Second {
		t.Errorf("WaitFor = %+v, %v at %v", r, err, k.Now())
	}
	if !slices.ContainsFunc(lines, func(l string) bool {
		return strings.HasSuffix(l, "; no other slot would find more, so init goes on looking, until 1m0s")
	}) {
		t.Errorf("the console was not told: %q", lines)
	}

	k = kernelWithSysfs(t)
	_, err = watch(t, k).WaitFor(request(quiet))
	if err == nil || k.Now() != block.StubbornWait || !strings.Contains(err.Error(), "appeared within 1m0s; seen: no disk at all") {
		t.Errorf("WaitFor = %v at %v", err, k.Now())
	}
}

func TestOptionalRoleIsNotWaitedForLong(t *testing.T) {
	k := kernelWithSysfs(t, &systest.Disk{Name: "vda", At: time.Second, Parts: []*systest.Part{{Number: 6}}})
	r, err := watch(t, k).WaitFor(request(quiet))
	if err != nil || len(r.Missing) != 1 || k.Now() != 3*time.Second {
		t.Errorf("WaitFor = %+v, %v at %v", r, err, k.Now())
	}
}

func TestTwins(t *testing.T) {
	twin := func(name string) *systest.Disk {
		return &systest.Disk{Name: name, Parts: []*systest.Part{{Number: 4}, {Number: 6}}}
	}
	k := kernelWithSysfs(t, twin("vda"), twin("vdb"))
	_, err := watch(t, k).WaitFor(request(quiet))
	var twins *block.TwinsError
	if !errors.As(err, &twins) || !strings.Contains(err.Error(), ": vda, vdb; name one with minos.disk=, or remove the others; ") {
		t.Errorf("WaitFor = %v", err)
	}
	if k.Now() != block.StubbornWait {
		t.Errorf("given up at %v", k.Now())
	}
	q := request(quiet)
	q.By = block.SelectorOf("/dev/vdb")
	if r, err := watch(t, k).WaitFor(q); err != nil || r.Disk != "vdb" {
		t.Errorf("WaitFor with minos.disk=/dev/vdb = %+v, %v", r, err)
	}
}

// A driver that shows its disks one after the other must not make the first
// one win.
func TestATwinThatItsDriverIsAboutToShow(t *testing.T) {
	parts := func() []*systest.Part { return []*systest.Part{{Number: 4}, {Number: 6}} }
	for _, named := range []string{"", "vda"} {
		k := kernelWithSysfs(t, &systest.Disk{Name: "vda", Parts: parts()})
		q := request(quiet)
		q.By = block.SelectorOf(named)
		settled := false
		q.Settle = func(time.Duration) {
			if !settled {
				settled = true
				k.AddDisk(&systest.Disk{Name: "vdb", Parts: parts()})
			}
		}
		r, err := watch(t, k).WaitFor(q)
		var twins *block.TwinsError
		if named == "" && !errors.As(err, &twins) {
			t.Errorf("WaitFor = %+v, %v", r, err)
		}
		if named != "" && (err != nil || r.Disk != named || settled) {
			t.Errorf("WaitFor of a named disk = %+v, %v; waited for drivers: %v", r, err, settled)
		}
	}
}

// The removable one is only named in the report.
func TestARemovableTwinLoses(t *testing.T) {
	parts := func() []*systest.Part { return []*systest.Part{{Number: 4}, {Number: 6}} }
	k := kernelWithSysfs(t, &systest.Disk{Name: "vda", Removable: true, Parts: parts()}, &systest.Disk{Name: "vdb", Parts: parts()})
	r, err := watch(t, k).WaitFor(request(quiet))
	if err != nil || r.Disk != "vdb" || len(r.Rejected) != 1 || r.Rejected[0].Name != "vda" {
		t.Errorf("WaitFor = %+v, %v", r, err)
	}
}

// The partitions of a disk need not follow it at once: md10 comes before md1p1.
func TestScan(t *testing.T) {
	k := kernelWithSysfs(t)
	for _, name := range []string{"md10", "md1", "sda", "sdaa"} {
		k.AddDisk(&systest.Disk{Name: name, Parts: []*systest.Part{{Number: 1}, {Number: 2, Name: "of-" + name}}})
	}
	got, err := block.Scan(k, "/sys")
	if err != nil || len(got) != 12 {
		t.Fatalf("Scan = %v, %v; want four disks of two partitions", got, err)
	}
	for _, disk := range got.Disks() {
		parts := got.Partitions(disk.Name)
		if len(parts) != 2 || parts[1].PartName != "of-"+disk.Name {
			t.Errorf("%s has the partitions %+v", disk.Name, parts)
		}
		for _, p := range parts {
			if path.Dir(p.Devpath) != disk.Devpath || path.Base(p.Devpath) != p.Name {
				t.Errorf("%s is at %s, its disk at %s", p.Name, p.Devpath, disk.Devpath)
			}
		}
	}
}

func TestLostEventsAreMadeUpForByAScan(t *testing.T) {
	k := kernelWithSysfs(t)
	w := watch(t, k)
	k.AddDisk(&systest.Disk{Name: "vda", At: time.Second, Parts: []*systest.Part{{Number: 4}, {Number: 6}}})
	lost := false
	r, err := w.WaitFor(request(func(string) {
		if !lost {
			lost = true
			k.LoseEvents()
		}
	}))
	if err != nil || r.Disk != "vda" || !lost {
		t.Errorf("WaitFor = %+v, %v; events lost: %v", r, err, lost)
	}
}

func TestSuperblock(t *testing.T) {
	k := kernelWithSysfs(t, &systest.Disk{Name: "vda", Parts: []*systest.Part{
		{Number: 1, FS: "vfat", Label: "bootfs"}, {Number: 2, FS: "ext4", Label: "data"}, {Number: 3, FS: "squashfs"}, {Number: 4},
	}})
	for number, want := range map[int]block.Superblock{
		1: {Type: "vfat", Label: "bootfs"}, 2: {Type: "ext4", Label: "data"}, 3: {Type: "squashfs"}, 4: {},
	} {
		got, err := watch(t, k).Superblock(block.Device{Name: "vda" + string(rune('0'+number))})
		if err != nil || got.Type != want.Type || got.Label != want.Label {
			t.Errorf("Superblock of partition %d = %+v, %v; want %+v", number, got, err, want)
		}
	}
}

// A boot partition of an eMMC is a disk of its own with a name like a part's. What
// is not found below the disk is found by its link.
func TestScanFindsADiskWithAPartsName(t *testing.T) {
	k := kernelWithSysfs(t)
	k.AddDisk(&systest.Disk{Name: "mmcblk0", Parts: []*systest.Part{{Number: 1}, {Number: 10}}})
	k.AddDisk(&systest.Disk{Name: "mmcblk0boot0"})
	found, err := block.Scan(k, "/sys")
	if err != nil {
		t.Fatal(err)
	}
	if disks := found.Disks(); len(disks) != 2 || disks[1].Name != "mmcblk0boot0" || disks[1].Disk != "mmcblk0boot0" {
		t.Errorf("found %+v; want two disks", disks)
	}
	if parts := found.Partitions("mmcblk0"); len(parts) != 2 || parts[1].Name != "mmcblk0p10" {
		t.Errorf("mmcblk0 has the partitions %+v", parts)
	}
}
