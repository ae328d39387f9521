package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// commits compares a commit's status, what it says and what is on the card with
// what is expected.
func (d *piDevice) commits(status int, says, file string, args ...string) {
	d.Helper()
	got, said := d.do(append([]string{"tryboot", "commit"}, args...)...)
	said = strings.Join(strings.Fields(said), " ")
	if got != status || !strings.Contains(said, says) {
		d.Errorf("commit: status %d, %q; want %d, %q", got, said, status, says)
	}
	if now := d.autoboot(); now != file {
		d.Errorf("autoboot.txt is %q, want %q", now, file)
	}
	if at := d.kernel.MountedAt(privateMount); at != "" {
		d.Errorf("%s stays mounted", at)
	}
}

// Layouts 5.5, statement 8: a trial that is committed has the two numbers
// swapped, and every other byte of the file as it was.
func TestStatement5_5_8(t *testing.T) {
	d := newPi(t, "B", 3, 1)
	d.commits(statusOK, "Slot B is the default from now on; the next trial is of slot A.", autobootB)
	if len(autobootB) > 512 || !strings.Contains(autobootB, "\ntryboot_a_b=1\n") {
		t.Fatal("the expected file is not what the statement says")
	}
	var effects []string
	for line := range strings.Lines(d.kernel.Trace()) {
		effects = append(effects, strings.TrimSpace(line))
	}
	want := []string{
		"mkdir /run/minos/common 0700", "mount vfat /dev/vda1 /run/minos/common ro,nosuid,nodev,noexec,noatime",
		"remount /run/minos/common rw,nosuid,nodev,noexec,noatime", "open /run/minos/common/autoboot.txt",
		"autoboot.txt: " + strings.ReplaceAll(strings.TrimSuffix(autobootB, "\n"), "\n", `\n`),
		"fsync /run/minos/common/autoboot.txt", "unmount /run/minos/common",
	}
	if got := effects[len(effects)-len(want):]; !slices.Equal(got, want) {
		t.Errorf("what was done:\n%q\nwant\n%q", got, want)
	}
}

// Layouts 5.5, statement 9: what is the default already stays so, and that is a
// success. In the boot that was committed the firmware still tells of a trial.
func TestStatement5_5_9(t *testing.T) {
	newPi(t, "A", 2, 0).commits(statusOK, "Slot A is the default already; nothing is written.", autobootA)
	d := newPi(t, "B", 3, 1)
	d.commits(statusOK, "from now on", autobootB)
	d.commits(statusOK, "Slot B is the default already; nothing is written.", autobootB)
	if n := strings.Count(d.kernel.Trace(), "remount"); n != 1 {
		t.Errorf("the card was made writable %d times", n)
	}
}

// Layouts 5.5, statement 10: what the firmware started in place of the trial is
// not committed.
func TestStatement5_5_10(t *testing.T) {
	newPi(t, "A", 2, 1).commits(statusRefused, "the firmware started partition 2, the default one, in its place", autobootA)
	newPi(t, "A", 7, 1).commits(statusRefused, "the firmware started partition 7, and a trial is of partition 3", autobootA)
}

// Layouts 5.5, statement 11: the power is cut at every call of a commit, and what
// was not synced is there or is not.
func TestStatement5_5_11(t *testing.T) {
	whole := newPi(t, "B", 3, 1)
	before := strings.Count(whole.kernel.Trace(), "\n")
	whole.commits(statusOK, "", autobootB)
	effects := strings.Count(whole.kernel.Trace(), "\n") - before
	seen := map[string]int{}
	for cut := range effects + 1 {
		for _, keep := range []bool{false, true} {
			d := newPi(t, "B", 3, 1)
			d.kernel.CutAfter(cut)
			status, said := d.do("tryboot", "commit")
			if cut < effects-1 && status == statusOK {
				t.Errorf("cut after %d of %d: it says that all went well: %s", cut, effects, said)
			}
			d.disk = d.kernel.CutPower(func(int) bool { return keep })[0]
			now := d.autoboot()
			if now != autobootA && now != autobootB {
				t.Errorf("cut after %d: %q", cut, now)
			}
			if status == statusOK && now != autobootB {
				t.Errorf("cut after %d: it said that it was committed, and it is not", cut)
			}
			seen[now]++
		}
	}
	if seen[autobootA] < 4 || seen[autobootB] < 4 {
		t.Fatalf("%d cuts left the old file and %d the new one; this test looks at nothing", seen[autobootA], seen[autobootB])
	}
}

// Layouts 5.5, statement 12: where the flag has no effect, a partition that was
// asked for by its number is a trial, when the configuration says so.
func TestStatement5_5_12(t *testing.T) {
	newPi(t, "B", 3, 0).commits(statusRefused, "minos.tryboot=selector on the kernel command line", autobootA)
	d := newPi(t, "B", 3, 0)
	d.file("proc/cmdline", "quiet minos.tryboot=selector\n")
	d.commits(statusOK, "Slot B is the default from now on", autobootB)
	// A firmware that tells nothing, and the word of the partition's cmdline.txt.
	d = newPi(t, "B", 0, 0)
	d.commits(statusRefused, "nothing tells which partition was started", autobootA)
	d.file("proc/cmdline", "quiet minos.tryboot=selector\n")
	d.report("B", "kn86.slot=", "")
	d.commits(statusOK, "Slot B is the default from now on", autobootB)
}

// Layouts 5.5, statement 13: what a restart is asked for with.
func TestStatement5_5_13(t *testing.T) {
	for _, c := range []struct{ words, want string }{{"", "0 tryboot\n"}, {"minos.tryboot=selector", "3\n"}} {
		d := newPi(t, "A", 2, 0)
		d.file("proc/cmdline", c.words+"\n")
		d.system("vda3", "vda5")
		if status, said := d.do("tryboot", "try"); status != statusOK || d.restarted != 0 {
			t.Fatalf("try: status %d, %s", status, said)
		}
		if got := string(d.bytes("run/systemd/reboot-param")); got != c.want {
			t.Errorf("%q: the restart has the argument %q, want %q", c.words, got, c.want)
		}
		if status, said := d.do("tryboot", "abort"); status != statusOK || !strings.Contains(said, "The trial is taken back. The next restart starts slot A.") {
			t.Errorf("abort: status %d, %s", status, said)
		}
		if _, err := os.Stat(d.path("run/systemd/reboot-param")); err == nil {
			t.Error("the argument is still there")
		}
		if status, said := d.do("tryboot", "try", "--reboot"); status != statusOK || d.restarted != 1 {
			t.Errorf("try --reboot: status %d, restarted %d times, %s", status, d.restarted, said)
		}
		if d.autoboot() != autobootA {
			t.Error("a request has changed autoboot.txt")
		}
	}
}

// A trial of a slot that nobody has filled is refused, and a trial in a trial.
func TestTryRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		make   func(*piDevice)
		says   string
		forced bool // works with --force
	}{
		{"nothing there", func(d *piDevice) {}, "/dev/vda3 of slot B cannot be read", true},
		{"blank boot", func(d *piDevice) { d.system("vda9", "vda5"); d.file("dev/vda3", strings.Repeat("\x00", 1<<20)) }, "/dev/vda3 of slot B holds no FAT", true},
		{"blank root", func(d *piDevice) { d.system("vda3", "vda9"); d.file("dev/vda5", strings.Repeat("\x00", 1<<20)) }, "/dev/vda5 of slot B holds no filesystem", true},
		{"in a trial", func(d *piDevice) { d.started("B", 3, 1) }, "this boot is a trial (the firmware's flag for a trial was set)", false},
		{"no tryboot_a_b", func(d *piDevice) { d.rewrite(strings.Replace(autobootA, "tryboot_a_b=1", "tryboot_a_b=0", 1)) }, "no tryboot_a_b=1", false},
		{"no trial", func(d *piDevice) { d.rewrite("[all]\nboot_partition=2\n") }, "names no boot_partition in [tryboot]", false},
		{"no slot's", func(d *piDevice) { d.rewrite("[all]\nboot_partition=2\ntryboot_a_b=1\n[tryboot]\nboot_partition=9\n") }, "partition 9, which is no slot's", false},
	} {
		d := newPi(t, "A", 2, 0)
		c.make(d)
		status, said := d.do("tryboot", "try")
		if status == statusOK || !strings.Contains(strings.Join(strings.Fields(said), " "), c.says) || d.pendingFile() != "" {
			t.Errorf("%s: status %d, %s", c.name, status, said)
		}
		if status, said := d.do("tryboot", "try", "--force"); (status == statusOK) != c.forced || (d.pendingFile() != "") != c.forced {
			t.Errorf("%s, --force: status %d, %s", c.name, status, said)
		}
	}
}

func (d *piDevice) pendingFile() string {
	data, _ := os.ReadFile(d.path("run/systemd/reboot-param"))
	return string(data)
}

// rewrite is another autoboot.txt on a new card.
func (d *piDevice) rewrite(text string) {
	d.power(&systest.Disk{Name: "vda", Parts: []*systest.Part{{Number: 1, FS: "vfat", Files: []string{"autoboot.txt=" + text}}}})
}

// What else a commit says no to, and that nothing is written then.
func TestCommitRefuses(t *testing.T) {
	d := newPi(t, "B", 3, 1)
	d.report("B", "firmware", "home/shared is not mounted")
	d.commits(statusRefused, "this boot is degraded: home/shared is not mounted; mend that, or say --force", autobootA)
	d.commits(statusOK, "from now on", autobootB, "--force")

	long := autobootA + strings.Repeat("#", 512)
	d = newPi(t, "B", 3, 1)
	d.rewrite(long)
	d.commits(statusFailed, "autoboot.txt has more than 512 bytes", long)

	d = newPi(t, "B", 3, 1)
	d.file("run/minos/boot.json", bootJSON("B", ""))
	if status, said := d.do("tryboot", "commit"); status != statusNoState || !strings.Contains(said, "the layout of this device is slots") {
		t.Errorf("on another layout: status %d, %s", status, said)
	}
	d.remove("run/minos/boot.json")
	if status, said := d.do("tryboot", "commit"); status != statusNoState {
		t.Errorf("without a report: status %d, %s", status, said)
	}
	if status, _ := d.do("tryboot", "stop"); status != statusUsage {
		t.Errorf("an unknown word: status %d", status)
	}
}

// The verbs of a boot state say where to look instead.
func TestNoBootState(t *testing.T) {
	d := newPi(t, "A", 2, 0)
	d.file("etc/fw_env.config", "/dev/vda9 0x0 0x4000\n")
	for _, verb := range []string{"status", "mark-good"} {
		if status, said := d.do(verb); status != statusNoState || !strings.Contains(said, "see minosctl tryboot status") {
			t.Errorf("%s: status %d, %s", verb, status, said)
		}
	}
}

// A common partition that is mounted is used where it is, and made writable only
// for the write.
func TestCommonIsMounted(t *testing.T) {
	for _, readOnly := range []bool{true, false} {
		d := newPi(t, "B", 3, 1)
		flags := sys.NoSuid
		if readOnly {
			flags |= sys.ReadOnly
		}
		if err := d.kernel.Mkdir("/run/p1", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := d.kernel.Mount(sys.MountRequest{Source: "/dev/vda1", Target: "/run/p1", FSType: "vfat", Flags: flags}); err != nil {
			t.Fatal(err)
		}
		d.commits(statusOK, "from now on", autobootB)
		if d.kernel.MountedAt("/run/p1") == "" || strings.Contains(d.kernel.Trace(), privateMount) {
			t.Errorf("it was not left where it was:\n%s", d.kernel.Trace())
		}
		if n := strings.Count(d.kernel.Trace(), "remount /run/p1"); readOnly != (n == 2) || !readOnly && n != 0 {
			t.Errorf("read-only %v: remounted %d times", readOnly, n)
		}
	}
}

// The default slot is up: what init has counted of its failures is over, and
// that is written once.
func TestCommitForgetsRescues(t *testing.T) {
	counted := string(tryboot.Rescues{Slot: slots.A, Times: 2}.Bytes())
	d := newPi(t, "A", 2, 0)
	d.power(&systest.Disk{Name: "vda", Parts: []*systest.Part{
		{Number: 1, FS: "vfat", Files: []string{"autoboot.txt=" + autobootA, "rescue.txt=" + counted}},
	}})
	for range 2 {
		d.commits(statusOK, "Slot A is the default already", autobootA)
		data, err := d.common().ReadFile("/run/rescue.txt")
		if err != nil || string(data) != strings.Repeat("\n", 512) {
			t.Errorf("rescue.txt is %q, %v", data, err)
		}
	}
	if n := strings.Count(d.kernel.Trace(), "remount"); n != 1 {
		t.Errorf("the card was made writable %d times", n)
	}
}

// A write that fails is told, and so is a card that gives other bytes back.
func TestCommitFails(t *testing.T) {
	for _, call := range []string{"mount vfat", "remount", "autoboot.txt: ", "fsync"} {
		d := newPi(t, "B", 3, 1)
		d.kernel.Fail(call, unix.EIO)
		if status, said := d.do("tryboot", "commit"); status != statusFailed || !strings.Contains(said, "minosctl: cannot commit: ") {
			t.Errorf("%s fails: status %d, %s", call, status, said)
		}
		if _, err := os.Stat(d.path("run/minos/tryboot-committed")); err == nil {
			t.Errorf("%s fails, and it counts as committed", call)
		}
	}
}

func TestPartitionName(t *testing.T) {
	for disk, want := range map[string]string{"/dev/mmcblk0": "/dev/mmcblk0p3", "/dev/vda": "/dev/vda3", "/dev/nvme0n1": "/dev/nvme0n1p3"} {
		if got := partitionName(disk, 3); got != want {
			t.Errorf("%s: %s, want %s", disk, got, want)
		}
	}
	if got, err := commonDevice(&boot{Disk: "/dev/mmcblk0"}, 1); err != nil || got != "/dev/mmcblk0p1" {
		t.Errorf("without a role: %s, %v", got, err)
	}
	if _, err := commonDevice(&boot{}, 1); err == nil {
		t.Error("a partition was found on no disk")
	}
}
