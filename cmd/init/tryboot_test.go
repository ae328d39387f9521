package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// The boots of the layout tryboot. Each names the statements of the layouts'
// specification that its trace shows.
func trybootScenarios() []scenario {
	rootless := func() *systest.Disk { return blank(piCard(), 4) }
	return []scenario{
		{name: "tryboot", cmdline: onTryboot, disk: piCard(), break_: told(2, 0), ends: toInit},                     // 5.5.1
		{name: "tryboot-b", cmdline: onTryboot, disk: piCard(), break_: told(3, 1), ends: toInit},                   // 5.5.3
		{name: "tryboot-partition-0", cmdline: onTryboot, disk: piCard(), break_: told(0, 0), ends: toInit},         // 5.5.2
		{name: "tryboot-empty-slot", cmdline: onTryboot, disk: newPiCard(), break_: told(3, 1), ends: "reboot"},     // 5.5.7
		{name: "tryboot-flag-inert", cmdline: onTryboot, disk: newPiCard(), break_: told(3, 0), ends: "reboot"},     // 5.5.12
		{name: "tryboot-no-shared", cmdline: onTryboot, disk: blank(piCard(), 6), break_: told(2, 0), ends: toInit}, // 5.5.6
		{name: "tryboot-rescue", cmdline: onTryboot, disk: rootless(), break_: told(2, 0), ends: `reboot "0 tryboot"`},
		{name: "tryboot-rescue-selector", cmdline: onTryboot + " minos.tryboot=selector", disk: rootless(), break_: told(0, 0), ends: `reboot "3"`},
		{name: "tryboot-rescued-enough", cmdline: onTryboot, break_: told(2, 0), ends: "reboot",
			disk: common(rootless(), "RESCUE  TXT", string(tryboot.Rescues{Slot: slots.A, Times: tryboot.RescueLimit}.Bytes()))},
		{name: "tryboot-no-card", cmdline: onTryboot, disk: without(piCard(), 5), break_: told(2, 0), ends: "reboot"},
	}
}

// Layouts 5.5, statement 1.
func TestStatement5_5_1_ThePartitionOfTheDeviceTree(t *testing.T) {
	slotIs("A")(t, bootTryboot(t, "", told(2, 0), piCard()))
	slotIs("B")(t, bootTryboot(t, "", told(3, 0), piCard()))
	// The lowest byte first is no answer, and what comes behind it decides.
	k := bootTryboot(t, "kn86.slot=B", told(2<<24, 0), piCard())
	slotIs("B")(t, k)
	if !strings.Contains(k.Trace(), "partition of the device tree is 33554432, which is no partition, ignoring: it") {
		t.Errorf("nothing is said:\n%s", k.Trace())
	}
}

// Layouts 5.5, statement 2.
func TestStatement5_5_2_WhatTellsTheSlotOtherwise(t *testing.T) {
	bFirst := strings.NewReplacer("=2", "=3", "=3", "=2").Replace(aFirst)
	for name, c := range map[string]struct {
		words  string
		told   func(*systest.Kernel)
		disk   *systest.Disk
		slot   string
		source string
	}{
		"no tree, kn86.slot=":         {"kn86.slot=B", told(-1, -1), piCard(), "B", "kn86.slot="},
		"0, kn86.slot=":               {"kn86.slot=B", told(0, 0), piCard(), "B", "kn86.slot="},
		"no tree, autoboot.txt":       {"", told(-1, -1), common(piCard(), "AUTOBOOTTXT", bFirst), "B", "autoboot.txt"},
		"0, autoboot.txt":             {"kn86.slot=b", told(0, 0), common(piCard(), "AUTOBOOTTXT", bFirst), "B", "autoboot.txt"},
		"no tree, autoboot.txt of A":  {"", told(-1, -1), piCard(), "A", "autoboot.txt"},
		"no tree, no autoboot.txt":    {"", told(-1, -1), common(piCard(), "AUTOBOOTTXT", ""), "A", "default"},
		"a trial of which 0 is told":  {"", told(0, 1), piCard(), "B", "autoboot.txt"},
		"0, autoboot.txt is too long": {"", told(0, 0), common(piCard(), "AUTOBOOTTXT", strings.Repeat("#", 513)), "A", "default"},
	} {
		k := bootTryboot(t, c.words, c.told, c.disk)
		slotIs(c.slot)(t, k)
		if report := readFile(k, "/run/minos/boot.json"); !strings.Contains(report, `"source": "`+c.source+`"`) || !strings.Contains(report, `"reason": "the firmware does not tell`) {
			t.Errorf("%s: the report is %s", name, report)
		}
	}
}

// Layouts 5.5, statement 3.
func TestStatement5_5_3_AStaleRootIsReported(t *testing.T) {
	k := bootTryboot(t, "kn86.slot=A", told(3, 1), piCard())
	slotIs("B")(t, k)
	for _, want := range []string{
		"root=/dev/mmcblk0p4 is not slot B, which is /dev/mmcblk0p5, ignoring: root=",
		"the firmware started partition 3, which is slot B, ignoring: kn86.slot=A",
	} {
		if !strings.Contains(k.Trace(), want) {
			t.Errorf("the trace has no %q:\n%s", want, k.Trace())
		}
	}
}

// Layouts 5.5, statement 4: on this card labels and identities of both slots
// are the same, and on a GPT the names may be anything.
func TestStatement5_5_4_NumbersAndNothingElse(t *testing.T) {
	d := piCard()
	for i, name := range []string{"rootfs-b", "bootfs-b", "bootfs-a", "rootfs-b", "rootfs-a", "common"} {
		d.Parts[i].Name = name
	}
	slotIs("A")(t, bootTryboot(t, "", told(2, 0), d))
	slotIs("B")(t, bootTryboot(t, "", told(3, 0), piCard()))
}

// Layouts 5.5, statement 5.
func TestStatement5_5_5_WhatStaysAndWhatGoes(t *testing.T) {
	k := bootTryboot(t, "", told(2, 0), piCard())
	for _, file := range []string{"/written", "/etc/hostname", "/home/shared/written"} {
		if err := k.WriteFile(file, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"/boot/firmware/config.txt", "/run/initramfs/rootfs/etc/hostname"} {
		if err := k.WriteFile(file, []byte("x"), 0o644); err == nil {
			t.Errorf("%s can be written", file)
		}
	}
	k = bootTryboot(t, "", told(2, 0), k.CutPower(func(int) bool { return true })[0])
	if got := readFile(k, "/etc/hostname"); got != "minos\n" || readFile(k, "/home/shared/written") != "x" || readFile(k, "/written") == "x" {
		t.Errorf("/etc/hostname is %q, /home/shared has %q:\n%s", got, names(k, "/home/shared"), k.Trace())
	}
}

// Layouts 5.5, statement 6.
func TestStatement5_5_6_WithoutTheSharedPartition(t *testing.T) {
	for name, c := range map[string]struct {
		disk   *systest.Disk
		change func(*systest.Kernel)
	}{
		"blank":         {blank(piCard(), 6), told(2, 0)},
		"not there":     {without(piCard(), 6), told(2, 0)},
		"not mountable": {piCard(), also(told(2, 0), func(k *systest.Kernel) { k.Fail("mount ext4 /dev/mmcblk0p6", unix.EUCLEAN) })},
	} {
		k := bootTryboot(t, "", c.change, c.disk)
		slotIs("A")(t, k)
		standsIn("/home/shared")(t, k)
		if strings.Contains(k.Trace(), "for writing") || !strings.Contains(readFile(k, "/run/minos/boot.json"), `"degraded": true`) {
			t.Errorf("%s: something was opened to be written, or the boot is not degraded:\n%s", name, k.Trace())
		}
	}
}

// Layouts 5.5, statement 7.
func TestStatement5_5_7_ASlotThatWasNeverFilled(t *testing.T) {
	half := blank(piCard(), 5) // the boot partition is there already
	for name, d := range map[string]*systest.Disk{"empty": newPiCard(), "half": half} {
		k := bootTryboot(t, "", told(3, 1), d)
		if k.Ended() != "reboot" || k.Now() > 3*time.Second {
			t.Errorf("%s: the run ends with %q after %v", name, k.Ended(), k.Now())
		}
		for line := range strings.Lines(k.Trace()) {
			if strings.Contains(line, "for writing") || strings.HasPrefix(line, "tool") ||
				strings.HasPrefix(line, "mount ") && strings.Contains(line, " /dev/mmcblk0") && !strings.Contains(line, " ro,") {
				t.Errorf("%s: a partition may be written: %s", name, line)
			}
		}
		slotIs("A")(t, bootTryboot(t, "", told(2, 0), d))
	}
	// In whatever order the steps are taken.
	for seed := range 40 {
		k := systest.New(onTryboot)
		k.AddDisk(newPiCard())
		told(3, 1)(k)
		start(k, func(ready int) int { seed = (seed*1103515245 + 12345) & 0x7fffffff; return seed % ready })
		if k.Ended() != "reboot" || strings.Contains(k.Trace(), " rw,noatime") {
			t.Errorf("the run ends with %q:\n%s", k.Ended(), k.Trace())
		}
	}
}

// Layouts 5.5, statement 12, its first half.
func TestStatement5_5_12_ATrialThatTheFlagDoesNotTell(t *testing.T) {
	for partition, want := range map[int]string{3: "the machine restarts in 3 s, since this system is on trial", 2: "the machine restarts in 10 s"} {
		k := bootTryboot(t, "init=/nothing", told(partition, 0), common(piCard(), "RESCUE  TXT", ""))
		if k.Ended() != "reboot" || !strings.Contains(k.Trace(), want) {
			t.Errorf("partition %d: the run ends with %q, want %q in\n%s", partition, k.Ended(), want, k.Trace())
		}
	}
}

// Layouts 5.5, statement 15.
func TestStatement5_5_15_OtherNumbers(t *testing.T) {
	d := piCard()
	for i, number := range []int{1, 2, 3, 5, 6, 7} {
		d.Parts[i].Number = number
	}
	d.Parts = append(d.Parts[:3:3], append([]*systest.Part{{Number: 4}}, d.Parts[3:]...)...)
	k := bootTryboot(t, "minos.tryboot-parts=1,2,3,5,6,7", told(3, 1), d)
	if got := readFile(k, "/etc/version"); got != "2" || k.MountedAt("/run/initramfs/rootfs") != "/dev/mmcblk0p6" || k.MountedAt("/home/shared") != "/dev/mmcblk0p7" {
		t.Errorf("version %q was booted:\n%s", got, k.Trace())
	}
}

// Layouts 5.5, statement 16.
func TestStatement5_5_16_TheLayerInMemory(t *testing.T) {
	for words, size := range map[string]string{"": "25%", "minos.volatile-size=128m": "128m"} {
		k := bootTryboot(t, words, told(2, 0), piCard())
		for _, want := range []string{"mount tmpfs tmpfs /run/initramfs/volatile rw,nosuid,nodev,mode=0755,size=" + size + "\n",
			"mount ext4 /dev/mmcblk0p4 /run/initramfs/rootfs ro,noatime\n", "upperdir=/run/initramfs/volatile/upper"} {
			if !strings.Contains(k.Trace(), want) {
				t.Errorf("the trace has no %q:\n%s", want, k.Trace())
			}
		}
	}
}

// Layouts 5.5, statement 17: whatever fails in a trial, the machine restarts
// soon, by itself, without a request, whatever the words say.
func TestStatement5_5_17_AFailedTrialRestarts(t *testing.T) {
	const words = "panic=0 minos.onfail=halt"
	whole := bootTryboot(t, words, told(3, 1), piCard()).Trace()
	failing := 0
	for line := range strings.Lines(whole) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "mount ") && !strings.HasPrefix(line, "probe ") {
			continue
		}
		k := bootTryboot(t, words, also(told(3, 1), func(k *systest.Kernel) { k.Fail(line, unix.EIO) }), piCard())
		if strings.Contains(k.Trace(), "FAILED") {
			failing++
			early := strings.Contains(line, "/proc") || strings.Contains(line, "/sys ") || strings.Contains(line, "/run ") // nobody knows of a trial then
			if !early && (k.Ended() != "reboot" || k.Now() > 5*time.Second) {
				t.Errorf("when %q fails, the run ends with %q after %v", line, k.Ended(), k.Now())
			}
		}
	}
	if failing < 4 {
		t.Fatalf("only %d calls make a trial fail", failing)
	}
	// A card that does not come is not waited for longer.
	k := bootTryboot(t, words, told(3, 1), without(piCard(), 5))
	if k.Ended() != "reboot" || k.Now() > 8*time.Second {
		t.Errorf("without the card the run ends with %q after %v", k.Ended(), k.Now())
	}
}

// Only lines of the slots and of what init has mounted go, and the rest stays
// as it is.
func TestFstabOfACopiedSlot(t *testing.T) {
	k := bootTryboot(t, "", told(3, 1), piCard())
	const want = `proc            /proc           proc    defaults          0       0
# minos-init, init has mounted /boot/firmware: LABEL=bootfs  /boot/firmware  vfat    defaults          0       2
# minos-init, init has mounted /: PARTUUID=0badcafe-04  /               ext4    defaults,noatime  0       1
# minos-init, a partition of a slot is not mounted by its name: LABEL=bootfs  /mnt/boot  vfat  defaults  0  2
tmpfs  /tmp  tmpfs  size=64m
`
	if got := readFile(k, "/etc/fstab"); got != want {
		t.Errorf("/etc/fstab is\n%s\nwant\n%s", got, want)
	}
	if got := readFile(k, "/run/initramfs/rootfs/etc/fstab"); got != piFstab {
		t.Errorf("the slot's own file is changed:\n%s", got)
	}
	// Without the filter nothing of the slot would be safe: then it is no boot.
	k = bootTryboot(t, "", also(told(3, 1), func(k *systest.Kernel) { k.Fail("write /sysroot/etc/fstab", unix.ENOSPC) }), piCard())
	if k.Ended() != "reboot" || !strings.Contains(k.Trace(), "FAILED step=fstab") {
		t.Errorf("the run ends with %q:\n%s", k.Ended(), k.Trace())
	}
	// A file that has nothing to filter is not written.
	d := piCard()
	d.Parts[3].Files = rootfsFiles
	if k := bootTryboot(t, "", told(2, 0), d); strings.Contains(k.Trace(), "fstab") {
		t.Errorf("a root filesystem without /etc/fstab gets one:\n%s", k.Trace())
	}
}

// The default slot that fails leads to the other one, which is looked at first,
// for a few times; then the machine restarts as any other.
func TestRescue(t *testing.T) {
	d, count := blank(piCard(), 4), func(d *systest.Disk) tryboot.Rescues { return tryboot.ParseRescues(d.Parts[0].Bytes(3*512+512, 512)) }
	for n := range tryboot.RescueLimit {
		k := bootTryboot(t, "", told(2, 0), d)
		ended := k.Ended()
		d = k.CutPower(func(int) bool { return false })[0] // the restart is as good as a cut
		if got := count(d); ended != `reboot "0 tryboot"` || got != (tryboot.Rescues{Slot: slots.A, Times: n + 1}) {
			t.Fatalf("try %d ends with %q, the count is %+v:\n%s", n, ended, got, k.Trace())
		}
	}
	k := bootTryboot(t, "", told(2, 0), d)
	if k.Ended() != "reboot" || !strings.Contains(k.Trace(), "the other slot is not asked for, ignoring: it was asked for 3 times") {
		t.Errorf("after that it ends with %q:\n%s", k.Ended(), k.Trace())
	}
}

// The other slot is asked for only where it could be started, and where that
// can be counted.
func TestRescueNeedsAWholeSlotAndItsCount(t *testing.T) {
	noTrial := strings.Replace(aFirst, "boot_partition=3", "boot_partition=2", 1)
	broken := func() *systest.Disk { return blank(piCard(), 4) }
	for name, c := range map[string]struct {
		disk *systest.Disk
		fail string
		why  string
	}{
		"nothing in it":       {blank(broken(), 5), "", "/dev/mmcblk0p5 (rootfs-b) holds no filesystem that is known"},
		"no init":             {with(broken(), 5, "etc/"), "", "/dev/mmcblk0p5: "},
		"no config.txt":       {with(broken(), 3), "", "/dev/mmcblk0p3: "},
		"a damaged FAT":       {blank(broken(), 3), "", "/dev/mmcblk0p3 (bootfs-b) holds no filesystem"},
		"no request":          {common(broken(), "AUTOBOOTTXT", noTrial), "", "autoboot.txt does not start partition 3 for a trial"},
		"not for partitions":  {common(broken(), "AUTOBOOTTXT", strings.Replace(aFirst, "tryboot_a_b=1\n", "", 1)), "", "autoboot.txt does not start partition 3 for a trial"},
		"no autoboot.txt":     {common(broken(), "AUTOBOOTTXT", ""), "", "autoboot.txt: there is no such file on /dev/mmcblk0p1"},
		"no rescue.txt":       {common(broken(), "RESCUE  TXT", ""), "", "rescue.txt: there is no such file on /dev/mmcblk0p1"},
		"a short rescue.txt":  {common(broken(), "RESCUE  TXT", "slot=A times=0\n"), "", "rescue.txt has 15 bytes, and not 512"},
		"no write":            {broken(), "open /dev/mmcblk0p1 for writing", "read-only file system"},
		"no write to the end": {broken(), "sync /dev/mmcblk0p1", "read-only file system"},
	} {
		k := bootTryboot(t, "", also(told(2, 0), func(k *systest.Kernel) {
			if c.fail != "" {
				k.Fail(c.fail, unix.EROFS)
			}
		}), c.disk)
		if k.Ended() != "reboot" || !strings.Contains(k.Trace(), "the other slot is not asked for, ignoring: ") || !strings.Contains(k.Trace(), c.why) {
			t.Errorf("%s: the run ends with %q, want %q in\n%s", name, k.Ended(), c.why, k.Trace())
		}
	}
}

// A restart that fails is made without the request; and words that want no
// restart are obeyed.
func TestRescueAndTheWords(t *testing.T) {
	for words, want := range map[string]string{"": "reboot", "minos.onfail=poweroff": "poweroff", "panic=0": "stay"} {
		k := bootTryboot(t, words, also(told(2, 0), func(k *systest.Kernel) { k.Fail("end reboot \"0 tryboot\"", unix.EINVAL) }), blank(piCard(), 4))
		if k.Ended() != want || strings.Contains(k.Trace(), "for writing") != (words == "") {
			t.Errorf("%q: the run ends with %q, want %q:\n%s", words, k.Ended(), want, k.Trace())
		}
	}
}

// The power is cut at each effect of a failed boot: the count is the one before
// or the new one, and autoboot.txt is as it was.
func TestRescueSurvivesACut(t *testing.T) {
	for n := range 200 {
		k := systest.New(onTryboot)
		k.AddDisk(blank(piCard(), 4))
		told(2, 0)(k)
		k.CutAfter(n)
		start(k, mount.InOrder)
		ended := k.Ended()
		for kept := range 2 {
			d := k.CutPower(func(int) bool { return kept == 1 })[0]
			// The files are in the order of their names, one sector each.
			if got := string(d.Parts[0].Bytes(3*512, len(aFirst))); got != aFirst {
				t.Fatalf("cut after %d: autoboot.txt is %q", n, got)
			}
			got := tryboot.ParseRescues(d.Parts[0].Bytes(4*512, 512))
			if got != (tryboot.Rescues{}) && got != (tryboot.Rescues{Slot: slots.A, Times: 1}) {
				t.Fatalf("cut after %d: the count is %+v", n, got)
			}
		}
		if ended != "cut" {
			if n < 30 {
				t.Fatalf("the boot ends after %d effects", n)
			}
			return
		}
	}
	t.Fatal("the boot has more than 200 effects")
}

// A settled boot reads the superblocks of what it mounts, and nothing of the
// common partition or of the other slot, to which an updater may be writing.
func TestSettledTrybootLooksAtItsOwn(t *testing.T) {
	k := bootTryboot(t, "", told(2, 0), with(piCard(), 4, append(slices.Clone(rootfsFiles), "etc/version=1", "etc/fstab=proc /proc proc\nLABEL=bootfs /boot/firmware vfat\n")...))
	slotIs("A")(t, k)
	for _, device := range []string{"/dev/mmcblk0p1", "/dev/mmcblk0p3", "/dev/mmcblk0p5"} {
		if strings.Contains(k.Trace(), device) {
			t.Errorf("%s was looked at:\n%s", device, k.Trace())
		}
	}
	if k.Now() != 0 {
		t.Errorf("the boot waited for %v", k.Now())
	}
}

// Words of other layouts are told of.
func TestWordsThatTrybootDoesNotKnow(t *testing.T) {
	k := bootTryboot(t, "minos.overlay=keep minos.part.rootfs-a=7", told(2, 0), piCard())
	slotIs("A")(t, k)
	for _, want := range []string{"thrown away at each boot of this layout, ignoring: minos.overlay=keep", "this layout has the roles by number only, ignoring: minos.part.rootfs-a=7"} {
		if !strings.Contains(k.Trace(), want) {
			t.Errorf("the trace has no %q:\n%s", want, k.Trace())
		}
	}
}
