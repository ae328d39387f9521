package qemu

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// changed is the stub disk after a change.
func changed(t *testing.T, change func(*Disk)) *Disk {
	t.Helper()
	disk := StubDisk(machines(t).stub)
	change(&disk)
	return &disk
}

// slotBGone leaves out slot B and what lies behind it; without slot B alone,
// the boot state would get its number.
func slotBGone(d *Disk) { d.KernelB.MiB, d.RootFSB.MiB, d.BootState.MiB = 0, 0, 0 }

// Layouts 1.7, statement 13: what cannot be booted ends in a reset by itself,
// and the message says what was looked for and what was seen.
func TestStatement1_7_13_NotToBeBooted(t *testing.T) {
	garbage := Bytes(strings.Repeat("no filesystem. ", 1<<16))
	without := func(name string) Tree { return StubTree(machines(t).stub).Without(name) }
	for _, test := range []struct {
		name   string
		change func(*Disk)
		words  []string
		step   string
		texts  []string
	}{
		{"missing", slotBGone, []string{"rauc.slot=B", "minos.timeout=1"}, "disk", []string{
			"no disk with rootfs-b (GPT name rootfs-b, else partition 8, else label rootfs-b) appeared within 1s", "seen: vda with partitions 1 2 3 4 5 6"}},
		{"garbage", func(d *Disk) { d.RootFSA.Content = garbage }, nil, "rootfs-a", []string{
			"/dev/vda6 (rootfs-a) holds no filesystem that is known, or a damaged one; it has to hold ext4, squashfs, erofs"}},
		{"blank", func(d *Disk) { d.RootFSA.Content = nil }, nil, "rootfs-a", []string{"/dev/vda6 (rootfs-a) holds no filesystem"}},
		{"another filesystem", func(d *Disk) { d.RootFSA = d.Boot }, nil, "rootfs-a", []string{"/dev/vda6 (rootfs-a) holds vfat"}},
		{"no init", func(d *Disk) { d.RootFSA = rootfs(24, without("sbin/init"), "A") }, nil, "init", []string{
			"cannot start slot A", "/sbin/init: no such file", "/etc/init: no such file", "/bin/init: no such file"}},
		{"init= not there", nil, []string{"init=/sbin/nothing"}, "init", []string{"/sbin/nothing: no such file or directory"}},
		{"init= not executable", nil, []string{"init=/etc/os-release"}, "init", []string{"/etc/os-release is not an executable file (-rw-r--r--)"}},
		{"init= a directory", nil, []string{"init=/etc"}, "init", []string{"/etc is not an executable file (drwxr-xr-x)"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := Case{Append: append([]string{"panic=1"}, test.words...)}
			if test.change != nil {
				c.Disk = changed(t, test.change)
			}
			r := boot(t, c)
			r.failed(t, test.step, test.texts...)
			shows(t, r.Console, "minos: what happens next: the machine restarts in 1 s")
		})
	}
}

// Layouts 6.2, statement 9: the wait is the declared one, by the kernel's own
// clock. Where the other slot is there, a restart may help, and it ends with
// the timeout; where nothing is there, init goes on looking for a minute.
func TestStatement6_2_9_TheWaitIsTheDeclaredOne(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*Machine)
		words  []string
		waits  time.Duration
		text   string
	}{
		{"the slot is missing", func(*Machine) {}, []string{"rauc.slot=B"}, 3 * time.Second,
			"no disk with rootfs-b (GPT name rootfs-b, else partition 8, else label rootfs-b) appeared within 3"},
		{"no disk", func(m *Machine) { m.Drives = nil }, []string{"rauc.slot=A"}, time.Minute,
			"no disk with rootfs-a (GPT name rootfs-a, else partition 6, else label rootfs-a) appeared within 1m0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Disk: changed(t, slotBGone), Append: append(test.words, "minos.timeout=3", "panic=-1"), Change: test.change, Within: stubbornDeadline})
			r.failed(t, "disk", test.text)
			waited := r.at(t, "minos: FAILED") - r.at(t, "minos: minos-init ")
			if waited < test.waits || waited > test.waits+Scaled(time.Second) {
				t.Errorf("init waited for %s, want %s", waited, test.waits)
			}
			for second := 1; second <= 2; second++ {
				shows(t, r.Console, fmt.Sprintf("minos: waiting for rootfs-%c, bootstate, overlay, data, boot: %d/3 s, seen: ", strings.ToLower(test.words[0])[len("rauc.slot=")], second))
			}
			shows(t, r.Console, "minos: what happens next: the machine restarts at once")
			if goesOn := strings.Contains(r.Console, "so init goes on looking, until 1m0s"); goesOn != (test.waits > 3*time.Second) {
				t.Errorf("the console says that init goes on looking: %v", goesOn)
			}
		})
	}
}

// Damage to an ext4. Each superblock loses one thing: its magic, or the fit of
// its checksum to the label. The third one is whole; the kernel refuses what
// follows it, the table of block groups in block 1.
var (
	noMagic     = []Damage{{Offset: 1024 + 0x38, Bytes: []byte{0, 0}}}
	badChecksum = []Damage{{Offset: 1024 + 0x78, Bytes: []byte("broken")}}
	badGroups   = []Damage{{Offset: 4096, Bytes: []byte("broken")}}
)

// lacking is a disk on which something is not there that the boot can do
// without.
type lacking struct {
	name   string
	change func(*Disk)
	role   string
	reason string // part of one in boot.json and on the console
}

// Layouts 1.7, statement 20: without its data partition a boot reaches the real
// init, degraded and loud, and a write to /data is refused.
func TestStatement1_7_20_WithoutData(t *testing.T) {
	for _, test := range []lacking{
		{"missing", func(d *Disk) { d.Data.MiB = 0 }, "data", "the disk vda has no data (GPT name data, else label data, else partition 4)"},
		{"blank", func(d *Disk) { d.Data.Content = nil }, "data", "it is not formatted: slot A has no mke2fs in "},
		{"of another kind", func(d *Disk) { d.Data.Content = d.Boot.Content }, "data", "/dev/vda4 (data) holds vfat; it has to hold ext4"},
		{"that the kernel refuses", func(d *Disk) { d.Data.Damage = badGroups }, "data", "mount ext4 /dev/vda4 on /mnt/data: "},
	} {
		t.Run(test.name, test.boot)
	}
}

// What else the boot can do without: the real init is reached, degraded and
// loud.
func TestDegraded(t *testing.T) {
	for _, test := range []lacking{
		{"boot missing", func(d *Disk) { d.Boot.MiB = 0 }, "boot", "the disk vda has no boot (GPT name boot, else label bootfs, else partition 1)"},
		{"boot of another kind", func(d *Disk) { d.Boot.Content = Ext4{Label: "bootfs"} }, "boot", "/dev/vda1 (boot) holds ext4; it has to hold vfat"},
		{"overlay missing", func(d *Disk) { d.Overlay.MiB = 0 }, "overlay", "the disk vda has no overlay (GPT name overlay, else label overlay, else partition 3)"},
		{"overlay without a magic", func(d *Disk) { d.Overlay.Damage = noMagic }, "overlay", "/dev/vda3 (overlay): it is not blank: at offset 1025 there is the byte "},
		{"overlay with a bad checksum", func(d *Disk) { d.Overlay.Damage = badChecksum }, "overlay", "/dev/vda3 (overlay): it is not blank: at offset 1080 there is the mark of ext4"},
		{"overlay that the kernel refuses", func(d *Disk) { d.Overlay.Damage = badGroups }, "overlay", "mount ext4 /dev/vda3 on /run/initramfs/overlay: "},
	} {
		t.Run(test.name, test.boot)
	}
}

// boot boots the disk and looks at what stands in for what it lacks.
func (l lacking) boot(t *testing.T) {
	t.Parallel()
	r := boot(t, Case{
		Disk: changed(t, l.change), Append: []string{"rauc.slot=A"},
		Do: []string{"write:/data/x=1", "write:/boot/firmware/x=1", "rootwrite"},
	})
	report := r.handedOver(t)
	told := func(line string) bool { return strings.Contains(line, l.reason) }
	if !report.Degraded || !slices.ContainsFunc(report.DegradedReasons, told) || !slices.ContainsFunc(report.Warnings, told) {
		t.Errorf("boot.json says degraded %t, reasons %q, warnings %q; want %q", report.Degraded, report.DegradedReasons, report.Warnings, l.reason)
	}
	shows(t, r.Console, l.reason, " degraded=1 took=")
	checkStandIns(t, r, report, l.role)
}

// checkStandIns looks at what stands where the missing role's partition would,
// and that everything else is there.
func checkStandIns(t *testing.T, r Result, report bootJSON, missing string) {
	t.Helper()
	data, durability := "ok", "keep"
	switch missing {
	case "data":
		data = "EROFS"
		r.mounted(t, Mount{Target: "/data", FSType: "tmpfs", Source: "missing", Options: "ro,nosuid,nodev,noexec", Super: "ro"})
	case "boot":
		r.mounted(t, Mount{Target: "/boot/firmware", FSType: "tmpfs", Source: "missing", Options: "ro,nosuid,nodev,noexec", Super: "ro"})
	case "overlay":
		durability = "volatile"
		r.mounted(t, Mount{Target: "/run/initramfs/volatile", FSType: "tmpfs"})
	}
	r.did(t, "write:/data/x=1 "+data, "write:/boot/firmware/x=1 EROFS", "rootwrite ok")
	for role, m := range map[string]Mount{
		"data": {Target: "/data", FSType: "ext4", Source: "/dev/vda4"}, "boot": {Target: "/boot/firmware", FSType: "vfat", Source: "/dev/vda1"},
		"overlay": {Target: "/run/initramfs/overlay", FSType: "ext4", Source: "/dev/vda3"},
	} {
		if role != missing {
			r.mounted(t, m)
		}
	}
	if report.Overlay.Durability != durability {
		t.Errorf("boot.json says durability %q, want %q", report.Overlay.Durability, durability)
	}
}
