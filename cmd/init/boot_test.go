package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

var update = flag.Bool("update", false, "write the golden traces anew; read the diff before you commit it")

// The golden traces name a version that no release has.
func init() { version = "under-test" }

// One processor takes the steps in turn, more of them side by side.
func TestScheduleFollowsTheProcessors(t *testing.T) {
	if scheduleFor(1) == nil {
		t.Error("with one processor the steps would run side by side")
	}
	if scheduleFor(4) != nil {
		t.Error("with four processors the steps would run in turn")
	}
}

// start boots a machine to the end of its run.
func start(k *systest.Kernel, schedule mount.Schedule) {
	run(machine{kernel: k, environ: []string{"HOME=/", "TERM=vt220", "stray=1"}, schedule: schedule})
}

// scenario is a boot with its golden trace.
type scenario struct {
	name    string
	cmdline string
	disk    *systest.Disk
	second  *systest.Disk // attached first
	break_  func(k *systest.Kernel)
	ends    string // how the machine's run ends
	check   func(t *testing.T, k *systest.Kernel)
}

const toInit = "exec /sbin/init"

// The boots of the layout slots. Each names the statements of the layouts'
// specification that its trace shows.
func scenarios() []scenario {
	return []scenario{
		{name: "a", cmdline: "console=ttyAMA0 rauc.slot=A", disk: card(), ends: toInit},               // 1.7.10
		{name: "b", cmdline: "console=ttyAMA0 rauc.slot=B", disk: card(), ends: toInit, check: bOnly}, // 1.7.1
		{name: "contradiction", cmdline: "root=/dev/vda6 rauc.slot=B", disk: card(), ends: toInit},    // 1.7.3
		{name: "keep", cmdline: "rauc.slot=A", disk: used(), ends: toInit, check: changeIs(true)},     // 1.7.5
		{name: "reset", cmdline: "rauc.slot=A minos.overlay=reset", disk: used(), ends: toInit, check: changeIs(false)},
		{name: "volatile", cmdline: "rauc.slot=A minos.overlay=volatile", disk: used(), ends: toInit, check: changeIs(false)},
		{name: "missing-rootfs", cmdline: "rauc.slot=B", disk: without(card(), 7, 8), ends: "reboot"},
		{name: "wrong-rootfs", cmdline: "rauc.slot=A", disk: blank(card(), 6), ends: "reboot"},
		{name: "missing-data", cmdline: "rauc.slot=A", disk: without(card(), 4), ends: toInit, check: standsIn("/data")},
		{name: "inbox", cmdline: "rauc.slot=A", disk: with(card(), 1, "config/wpa_supplicant.conf=net"), ends: toInit},                                    // 1.7.9
		{name: "inbox-consumed", cmdline: "rauc.slot=A minos.inbox=config:config:consume", disk: with(card(), 1, "config/wifi/w.conf=net"), ends: toInit}, // 1.7.7
		{name: "data-dirs", cmdline: "rauc.slot=A minos.data-dirs=config/bootconf", disk: card(), ends: toInit},                                           // 1.7.11
		{name: "wishes", cmdline: "rauc.slot=A minos.build=v1", disk: wishCard("reset-data=v1", "reset-overlay="), ends: toInit},
		{name: "missing-overlay", cmdline: "rauc.slot=A", disk: without(card(), 3), ends: toInit},
		{name: "overlay-partition-refused", cmdline: "rauc.slot=A", disk: card(), ends: toInit,
			break_: func(k *systest.Kernel) { k.Fail("mount ext4 /dev/vda3", unix.EUCLEAN) }},
		{name: "overlay-mended", cmdline: "rauc.slot=A", disk: withTools(used()), ends: toInit, check: changeIs(true),
			break_: func(k *systest.Kernel) {
				k.FailTimes("mount ext4 /dev/vda3", 1, unix.EUCLEAN)
				k.Answer("e2fsck", sys.Exit{Status: 1, Output: "overlay: Free blocks count wrong.\nFIXED.\noverlay: 11/24576 files\n"})
			}},
		{name: "overlay-not-mended", cmdline: "rauc.slot=A", disk: withTools(used()), ends: toInit, check: changeIs(false),
			break_: func(k *systest.Kernel) {
				k.Fail("mount ext4 /dev/vda3", unix.EUCLEAN)
				k.Answer("e2fsck", sys.Exit{Status: 4, Output: "overlay: UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY.\n"})
			}},
		{name: "overlay-with-errors", cmdline: "rauc.slot=A", disk: withErrors(withTools(used()), 3), ends: toInit, check: changeIs(true)},
		{name: "overlay-with-errors-no-tool", cmdline: "rauc.slot=A", disk: withErrors(used(), 3), ends: toInit, check: changeIs(true)},
		{name: "overlay-mount-refused", cmdline: "rauc.slot=A", disk: card(), ends: toInit,
			break_: func(k *systest.Kernel) { k.FailTimes("mount overlay", 1, unix.ESTALE) }},
		{name: "overlay-full", cmdline: "rauc.slot=A", disk: with(card(), 3), ends: toInit,
			break_: func(k *systest.Kernel) { k.Fail("mkdir /run/initramfs/overlay/a", unix.ENOSPC) }},
		{name: "overlay-impossible", cmdline: "rauc.slot=A", disk: card(), ends: "reboot",
			break_: func(k *systest.Kernel) { k.Fail("mount overlay", unix.ENODEV) }},
		{name: "unknown-filesystem", cmdline: "rauc.slot=A", disk: card(), ends: toInit,
			break_: func(k *systest.Kernel) { k.ForgetFilesystem("vfat") }},
		{name: "no-init", cmdline: "rauc.slot=A init=/sbin/nothing", disk: card(), ends: "reboot"},
		{name: "changed-rootfs", cmdline: "rauc.slot=A", ends: toInit, check: changeIs(false),
			disk: with(card(), 3, "a/lower=ext4:of another image\n", "a/upper/etc/changed=yes\n", "a/work/work/")},
		{name: "adopted-upper", cmdline: "rauc.slot=A", ends: toInit, check: changeIs(true),
			disk: with(card(), 3, "a/upper/etc/changed=yes\n", "a/work/work/")},
		{name: "twins", cmdline: "rauc.slot=A", disk: named(card(), "sda"), second: named(card(), "sdb"), ends: "reboot"},
		{name: "twin-named", cmdline: "rauc.slot=A minos.disk=vdb", disk: card(), second: named(card(), "vdb"), ends: toInit},
		{name: "bus-word", cmdline: "rauc.slot=A minos.disk=mmc", disk: named(card(), "mmcblk0"), second: named(card(), "sda"), ends: toInit},
		{name: "removable-twin", cmdline: "rauc.slot=A", disk: card(), second: removable(named(card(), "sda")), ends: toInit},
		{name: "gpt", cmdline: "rauc.slot=B", disk: gpt(), ends: toInit}, // 1.7.19
		{name: "fstab", cmdline: "rauc.slot=A", disk: with(card(), 6, append(rootfsFiles[:len(rootfsFiles):len(rootfsFiles)],
			"etc/fstab=# / is a comment\nLABEL=data /data ext4\n/dev/vda6  /  ext4 rw\noverlay / overlay defaults\n")...), ends: toInit},
		// init is the bootchooser: nobody named a slot.
		{name: "pick", cmdline: "quiet", disk: state(card(), three), ends: toInit, check: stateIs("BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2")},
		{name: "pick-b", cmdline: "quiet", disk: state(card(), "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=a;BOOT_GOOD=B"), ends: toInit,
			check: stateIs("BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=9;BOOT_GOOD=B;BOOT_B_FROM=a;BOOT_B_NOW=9")},
		{name: "pick-last-attempt", cmdline: "quiet", disk: state(used(), "BOOT_ORDER=A B;BOOT_A_LEFT=1;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=1"), ends: toInit,
			check: changeIs(false)},
		{name: "pick-exhausted", cmdline: "quiet", disk: state(card(), "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_GOOD=B;BOOT_EXHAUSTED=1"), ends: toInit,
			check: stateIs("BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_GOOD=B;BOOT_EXHAUSTED=2")},
		{name: "pick-blank", cmdline: "quiet", disk: card(), ends: toInit, check: stateIs("BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2")},
		{name: "pick-damaged", cmdline: "quiet", disk: raw(card(), []byte("no environment at all")), ends: toInit,
			check: stateIs("BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_A_FROM=3;BOOT_A_NOW=2")},
		{name: "pick-unwritable", cmdline: "quiet", disk: state(card(), three), ends: toInit, check: stateIs(three),
			break_: func(k *systest.Kernel) { k.Fail("open /dev/vda9 for writing", unix.EROFS) }},
		{name: "pick-not-ours", cmdline: "quiet", disk: filesystem(card(), 9), ends: toInit},
		{name: "pick-by-content", cmdline: "quiet", disk: renumbered(state(card(), three), 9, 12), ends: toInit},
		{name: "pick-from-a-pair", cmdline: "quiet minos.bootstate=0,0x4000,0x4000", disk: pair(card(), three, "BOOT_ORDER=B A;BOOT_A_LEFT=3;BOOT_B_LEFT=3"), ends: toInit,
			check: stateIs("BOOT_ORDER=B A;BOOT_A_LEFT=3;BOOT_B_LEFT=2;BOOT_B_FROM=3;BOOT_B_NOW=2")},
		{name: "pick-without-state", cmdline: "quiet", disk: without(card(), 9), ends: toInit},
		{name: "pick-failing", cmdline: "quiet panic=0", disk: blank(state(card(), three+";BOOT_GOOD=B"), 6), ends: "reboot",
			check: stateIs("BOOT_ORDER=A B;BOOT_A_LEFT=2;BOOT_B_LEFT=3;BOOT_GOOD=B;BOOT_A_FROM=3;BOOT_A_NOW=2")},
		{name: "invalid-name", cmdline: "rauc.slot=b", disk: state(card(), "BOOT_ORDER=B A;BOOT_A_LEFT=3;BOOT_B_LEFT=3"), ends: toInit, // 1.7.2
			check: stateIs("BOOT_ORDER=B A;BOOT_A_LEFT=3;BOOT_B_LEFT=3")},
		{name: "passed-over", cmdline: "rauc.slot=B", disk: state(card(), three), ends: toInit, check: stateIs(three)},
		{name: "panic-stays", cmdline: "rauc.slot=B panic=0", disk: without(card(), 8), ends: "stay"},
		{name: "onfail-poweroff", cmdline: "rauc.slot=B minos.onfail=poweroff panic=-1", disk: without(card(), 8), ends: "poweroff"},
	}
}

// Layouts 6.2, statement 2: a golden trace of a whole boot.
func TestStatement6_2_2_GoldenTraces(t *testing.T) {
	for _, s := range slices.Concat(scenarios(), imageScenarios(), trybootScenarios(), moduleScenarios(), profileScenarios()) {
		t.Run(s.name, func(t *testing.T) {
			k := systest.New(s.cmdline)
			if s.second != nil {
				k.AddDisk(s.second)
			}
			k.AddDisk(s.disk)
			if s.break_ != nil {
				s.break_(k)
			}
			start(k, mount.InOrder)
			if k.Ended() != s.ends {
				t.Errorf("the boot ended with %q, want %q", k.Ended(), s.ends)
			}
			if s.check != nil {
				s.check(t, k)
			}
			golden(t, s.name, k.Trace())
		})
	}
}

// Side by side or in any order: where the mounts end up does not depend on it.
func TestAnyOrderLeadsToTheSameRoot(t *testing.T) {
	ends := func(schedule mount.Schedule) map[string]string {
		k := systest.New("rauc.slot=A")
		k.AddDisk(card())
		start(k, schedule)
		at := map[string]string{"": k.Ended()}
		for _, place := range []string{"/", "/data", "/boot/firmware", "/run", "/run/initramfs/rootfs", "/run/initramfs/overlay", "/proc", "/sys", "/dev"} {
			at[place] = k.MountedAt(place)
		}
		at["identity"] = fmt.Sprintf("%+v", identityAfter(k))
		return at
	}
	want := ends(mount.InOrder)
	if want[""] != toInit || want["/data"] != "/dev/vda4" {
		t.Fatalf("in order: %v", want)
	}
	for seed := range 20 {
		shuffled := func(ready int) int { seed = (seed*1103515245 + 12345) & 0x7fffffff; return seed % ready }
		if d := cmp.Diff(want, ends(shuffled)); d != "" {
			t.Errorf("seed %d (-in order +shuffled): %s", seed, d)
		}
	}
	if d := cmp.Diff(want, ends(nil)); d != "" {
		t.Errorf("(-in order +side by side): %s", d)
	}
}

// The attempt is on the disk before anything of the slot is touched, in
// whatever order the steps are taken.
func TestAttemptIsStoredFirst(t *testing.T) {
	for seed := range 40 {
		shuffled := func(ready int) int { seed = (seed*1103515245 + 12345) & 0x7fffffff; return seed % ready }
		k := systest.New("quiet")
		k.AddDisk(state(card(), "BOOT_ORDER=A B;BOOT_A_LEFT=0;BOOT_B_LEFT=0;BOOT_EXHAUSTED=1"))
		start(k, shuffled)
		stored := strings.LastIndex(k.Trace(), "sync /dev/vda9")
		for _, later := range []string{"sleep 10s", "mount ext4 /dev/vda6", "mount overlay", "rename /run/initramfs/overlay/a"} {
			if at := strings.Index(k.Trace(), later); stored < 0 || at < stored {
				t.Errorf("seed %d: %q comes before the attempt is stored:\n%s", seed, later, k.Trace())
			}
		}
	}
}

// Layouts 6.2, statement 7: each mount that fails leads to its declared action,
// and no write reaches a directory that should have been a mount point.
func TestStatement6_2_7_EveryMountFailing(t *testing.T) {
	for mountLine, want := range map[string]string{
		"mount ext4 /dev/vda6":   "reboot", // required
		"mount ext4 /dev/vda3":   toInit,   // volatile upper
		"mount ext4 /dev/vda4":   toInit,   // stand-in
		"mount vfat /dev/vda1":   toInit,   // stand-in
		"mount overlay":          "reboot",
		"mount proc":             "reboot",
		"mount sysfs":            "reboot",
		"mount tmpfs tmpfs /run": "reboot",
	} {
		t.Run(mountLine, func(t *testing.T) {
			k := systest.New("rauc.slot=A")
			d := card()
			k.AddDisk(d)
			k.Fail(mountLine, unix.EIO)
			start(k, mount.InOrder)
			if k.Ended() != want {
				t.Errorf("ended with %q, want %q; trace:\n%s", k.Ended(), want, k.Trace())
			}
			for _, place := range []string{"/data", "/boot/firmware"} {
				if want == toInit && k.MountedAt(place) == "" {
					t.Errorf("nothing is mounted at %s", place)
				}
			}
		})
	}
}

// Layouts 6.2, statement 8, on a release build: whatever fails, nothing is run
// and the run comes to an end by itself.
func TestStatement6_2_8_NoShellAnywhere(t *testing.T) {
	count := strings.Count(trace(t, ""), "\n")
	lines := strings.Split(trace(t, ""), "\n")
	if count < 30 {
		t.Fatalf("only %d effects in a boot", count)
	}
	for _, line := range lines {
		if line == "" || strings.HasPrefix(line, "kmsg") {
			continue
		}
		failing := trace(t, line)
		if strings.Contains(failing, "\nrun ") {
			t.Errorf("when %q fails, a program is run", line)
		}
		if !strings.Contains(failing, "\nexec ") && !strings.Contains(failing, "\nend ") {
			t.Errorf("when %q fails, the run never ends:\n%s", line, failing)
		}
	}
}

// trace is a boot in which the call with this line fails each time.
func trace(t *testing.T, failing string) string {
	t.Helper()
	k := systest.New("rauc.slot=A minos.break=early minos.onfail=shell rd.break")
	k.AddDisk(card())
	if failing != "" {
		k.Fail(failing, unix.EIO)
	}
	start(k, mount.InOrder)
	return k.Trace()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "trace", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (make it with: go test ./cmd/init -update)", err)
	}
	if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got, "\n")); d != "" {
		t.Errorf("the trace differs from %s (-want +got):\n%s", file, d)
	}
}

// bOnly looks at what layouts 1.7, statement 1 says: nothing below a changed.
func bOnly(t *testing.T, k *systest.Kernel) {
	for _, line := range k.Files("/run/initramfs/overlay/a") {
		if line != "upper/" && line != "work/" {
			t.Errorf("slot B touched the directory of A: %s", line)
		}
	}
	if !strings.Contains(k.Trace(), "upperdir=/run/initramfs/overlay/b/upper") {
		t.Error("the upper is not that of slot B")
	}
}

// changeIs looks whether what an earlier boot wrote is visible.
func changeIs(visible bool) func(*testing.T, *systest.Kernel) {
	return func(t *testing.T, k *systest.Kernel) {
		_, _, err := k.ResolveIn("/", "/etc/changed")
		if (err == nil) != visible {
			t.Errorf("the file of the earlier boot is visible: %v, want %v", err == nil, visible)
		}
	}
}

// stateIs looks at the variables of the boot state after the boot.
func stateIs(want string) func(*testing.T, *systest.Kernel) {
	return func(t *testing.T, k *systest.Kernel) {
		t.Helper()
		found, _, err := ubootenv.Decode(k.Bytes("/dev/vda9", 0, 0x4000))
		var got []string
		for _, name := range found.Names() {
			value, _ := found.Get(name)
			got = append(got, name+"="+value)
		}
		if text := strings.Join(got, ";"); err != nil || text != want {
			t.Errorf("the boot state is %s (%v), want %s", text, err, want)
		}
	}
}

// standsIn looks at layouts 1.7, statement 20: a write to the directory that
// should have been a disk is refused.
func standsIn(place string) func(*testing.T, *systest.Kernel) {
	return func(t *testing.T, k *systest.Kernel) {
		if k.MountedAt(place) != "missing" {
			t.Errorf("%s is %q, want the stand-in", place, k.MountedAt(place))
		}
	}
}
