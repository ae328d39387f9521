package main

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// blankCard is a card whose data partition, or another, holds nothing, and whose
// slots have mke2fs.
func blankCard(numbers ...int) *systest.Disk {
	d := with(card(), 6, append(slices.Clone(rootfsFiles), "usr/sbin/mke2fs=\x7fELF", "usr/sbin/e2fsck=\x7fELF", "tmp/")...)
	for _, n := range numbers {
		blank(d, n)
		part(d, n).Size, part(d, n).Files = 16<<20, nil
	}
	return d
}

func part(d *systest.Disk, number int) *systest.Part {
	return d.Parts[slices.IndexFunc(d.Parts, func(p *systest.Part) bool { return p.Number == number })]
}

// staleHeader is that of an ext4 of 1 GiB which has been mounted.
func staleHeader() []byte {
	b, le := make([]byte, 4096), binary.LittleEndian
	sb := b[1024:]
	for at, value := range map[int]uint32{0: 65536, 4: 262144, 24: 2, 32: 32768, 40: 8192, 76: 1, 92: 4, 96: 0x40, 44: 1} {
		le.PutUint32(sb[at:], value)
	}
	le.PutUint16(sb[56:], 0xEF53)
	le.PutUint16(sb[58:], 1)
	le.PutUint16(sb[88:], 256)
	copy(sb[104:], "another-systems.")
	return b
}

// What a boot makes of a data partition that has no filesystem for it.
func TestDataWithoutAFilesystem(t *testing.T) {
	const stale = "rauc.slot=A minos.build=1.2 minos.format-data=1.2"
	put := func(number int, raw []byte) func(*systest.Disk) {
		return func(d *systest.Disk) { part(d, number).Raw = raw }
	}
	for _, c := range []struct {
		name, cmdline string
		blank         []int
		change        func(*systest.Disk)
		breaks        func(*systest.Kernel)
		makes         []string // the partitions that get a filesystem
		marks         []string // those that are marked for one, and get none
		says          string
	}{
		{name: "blank", blank: []int{4}, makes: []string{"vda4"}, says: "/dev/vda4 is blank: its first and last MiB are empty"},
		{name: "blank overlay", blank: []int{3}, makes: []string{"vda3"}, says: "/dev/vda3 is blank"},
		{name: "both blank", blank: []int{3, 4}, makes: []string{"vda3", "vda4"}},
		{name: "another role is blank", blank: []int{1, 5, 7}},
		{name: "no mke2fs", blank: []int{4}, change: func(d *systest.Disk) { with(d, 6, rootfsFiles...) }, marks: []string{"vda4"},
			says: "/data is empty and read-only, ignoring: cannot mount the data partition: it is not formatted: slot A has no mke2fs in /usr/sbin"},
		{name: "one stray byte", blank: []int{4}, change: put(4, append(make([]byte, 1<<20-1), 1)),
			says: "/dev/vda4 (data): it is not blank: at offset 1048575 there is the byte 0x01"},
		{name: "LUKS", blank: []int{4}, change: put(4, append([]byte("LUKS\xba\xbe\x00\x09"), make([]byte, 4096)...)), says: "the mark of LUKS, encrypted"},
		{name: "stale", blank: []int{4}, change: put(4, staleHeader()), says: "this image has no minos.build="},
		{name: "stale, for another build", cmdline: "rauc.slot=A minos.build=1.3 minos.format-data=1.2", blank: []int{4}, change: put(4, staleHeader()),
			says: "minos.format-data=1.2 is for another image, this one is 1.3"},
		{name: "stale, and asked for", cmdline: stale, blank: []int{4}, change: put(4, staleHeader()), makes: []string{"vda4"}},
		{name: "stale overlay", cmdline: stale, blank: []int{3}, change: put(3, staleHeader()), says: "/dev/vda3 (overlay): it has the header of a filesystem"},
		{name: "unknown, and asked for", cmdline: stale, blank: []int{4}, change: put(4, []byte("text")), says: "at offset 0 there is the byte 0x74"},
		{name: "in use, and asked for", cmdline: stale},
		{name: "two roles on one partition", cmdline: "rauc.slot=A minos.part.overlay=4", blank: []int{4}, says: "holds no filesystem that is known"},
		{name: "the claim fails", blank: []int{4}, breaks: func(k *systest.Kernel) { k.FailTimes("write /dev/vda4: ", 1, unix.EIO) }, marks: []string{"vda4"},
			says: "/data is empty and read-only, ignoring: cannot mark the data partition for a filesystem: write /dev/vda4"},
		{name: "it does not take a write", blank: []int{4}, breaks: func(k *systest.Kernel) { k.Fail("write /mnt/data/.minos-probe", unix.EIO) },
			makes: []string{"vda4"}, says: "the new filesystem does not take a write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cmdline == "" {
				c.cmdline = "rauc.slot=A"
			}
			d := blankCard(c.blank...)
			if c.change != nil {
				c.change(d)
			}
			k := systest.New(c.cmdline)
			k.AddDisk(d)
			if c.breaks != nil {
				c.breaks(k)
			}
			start(k, mount.InOrder)
			trace := k.Trace()
			if k.Ended() != toInit || !strings.Contains(trace, c.says) {
				t.Errorf("ended with %q, want %q to be said:\n%s", k.Ended(), c.says, trace)
			}
			for _, device := range []string{"vda1", "vda3", "vda4", "vda5", "vda7"} {
				made := strings.Contains(trace, "make /mnt/format-"+device+"/tmp/ext4")
				written := strings.Contains(trace, "write /dev/"+device+": ")
				want, marked := slices.Contains(c.makes, device), slices.Contains(c.marks, device)
				if made != want || written != (want || marked) {
					t.Errorf("%s: made %t, written to %t, want %t:\n%s", device, made, written, want, trace)
				}
			}
			if len(c.makes) > 0 && c.breaks == nil {
				settles(t, c.cmdline, k)
			}
		})
	}
}

// settles boots what a boot left: it is mounted, and nothing is made or marked
// any more.
func settles(t *testing.T, cmdline string, k *systest.Kernel) {
	t.Helper()
	next := systest.New(cmdline)
	for _, d := range k.CutPower(func(int) bool { return true }) {
		next.AddDisk(d)
	}
	start(next, mount.InOrder)
	trace := next.Trace()
	if next.MountedAt("/data") != "/dev/vda4" || strings.Contains(trace, "for writing") || strings.Contains(trace, "tool in") || strings.Contains(trace, "degraded=") {
		t.Errorf("the second boot does not find what the first has made:\n%s", trace)
	}
}

// Power cut at every call of a first boot: the next one comes up with a data
// partition, and what was synced to it stays.
func TestPowerCutAtEveryCallOfAFirstBoot(t *testing.T) {
	const cmdline = "rauc.slot=A"
	whole := systest.New(cmdline)
	whole.AddDisk(blankCard(4))
	start(whole, mount.InOrder)
	effects, cases := strings.Count(whole.Trace(), "\n"), 0
	for cut := range effects + 1 {
		for variant := range 3 { // all lost, all kept, some
			k := systest.New(cmdline)
			k.AddDisk(blankCard(4))
			k.CutAfter(cut)
			start(k, mount.InOrder)
			n := 0
			disks := k.CutPower(func(int) bool { n++; return variant == 1 || variant == 2 && n*n%7 < 3 })
			next := systest.New(cmdline)
			next.AddDisk(disks[0])
			start(next, mount.InOrder)
			if next.Ended() != toInit || next.MountedAt("/data") != "/dev/vda4" {
				t.Fatalf("cut after %d of %d effects, loss %d: /data is %q:\n%s", cut, effects, variant, next.MountedAt("/data"), next.Trace())
			}
			settles(t, cmdline, next)
			cases++
		}
	}
	t.Logf("%d cases", cases)
}
