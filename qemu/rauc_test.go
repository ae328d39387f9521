package qemu

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// installDeadline is ample for RAUC to check and write an update, 20 to 60 s.
const installDeadline = 5 * time.Minute

// DebianCard is a demo disk that a story boots through U-Boot into systemd, with
// updates on a second disk.
type DebianCard struct {
	Card
	updates string // image
	// direct is a machine that loads a kernel itself, instead of U-Boot.
	direct *Machine
}

// powered is the machine with the card, and the updates on a second disk.
func (c *DebianCard) powered() Machine {
	m := c.machine()
	if c.direct != nil {
		drives := m.Drives
		m = *c.direct
		m.Drives = drives
	}
	m.Drives = append(m.Drives, Drive{File: c.updates, ReadOnly: true})
	return m
}

// sessionWords are for the kernel command line: a failed boot restarts at once,
// and systemd waits long enough for the terminal, for which a busy workstation
// has taken more than its 90 s.
func sessionWords() []string {
	return []string{"panic=-1", "systemd.default_device_timeout_sec=600"}
}

// newDebianCard makes a demo disk as make run has it, or the same with a GPT.
func newDebianCard(t *testing.T, gpt bool, bundles ...string) *DebianCard {
	t.Helper()
	suite := machines(t)
	tools(t, "fw_printenv", "mkenvimage", "mkimage", "rauc", "openssl")
	uboot, err := sharedUBoot()
	if err != nil {
		t.Fatal(err)
	}
	files, err := BootFiles(initramfs(t, "initramfs-shared.cpio.lz4"), sessionWords()...)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	card := &DebianCard{
		Card:    Card{t: t, image: filepath.Join(dir, "card.img"), firmware: uboot.firmware},
		updates: filepath.Join(dir, "updates.img"),
	}
	card.disk = debianDisk(suite.debian, gpt).WithBoot(Copy{File: uboot.kernel}, files)
	if gpt {
		err = card.disk.Write(card.image)
	} else {
		err = card.disk.CopyBootable(suite.demo, card.image)
	}
	if err == nil {
		err = minosctl(t).Install(card.disk, card.image)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := WriteUpdates(card.updates, bundles...); err != nil {
		t.Fatal(err)
	}
	return card
}

// Session boots the card into a shell, lets use work there, and ends with what
// use sends last. The machine has to end as wanted, and to leave nothing that the
// next boot has to recover.
func (c *DebianCard) Session(want Ending, last string, use func(Terminal)) {
	c.t.Helper()
	r := runMachine(c.t, c.powered(), func(t *testing.T, vm *VM) {
		term := login(t, vm)
		term.says("systemctl is-system-running --wait", "running")
		t.Logf("the system was up after %s", time.Since(vm.Started).Round(time.Second))
		use(term)
		if err := vm.Send(last + "\n"); err != nil {
			t.Fatal(err)
		}
	}, loginDeadline)
	if r.Ending != want {
		c.t.Errorf("the machine ended with %s, want %s", r.Ending, want)
	}
	lacks(c.t, r.Console, "recovery complete", "orphan cleanup")
	cleanOnDisk(c.t, c.disk, c.image)
}

// minosctl is the tool that was built with the initramfs.
func minosctl(t *testing.T) Minosctl {
	t.Helper()
	return Minosctl{Program: initramfs(t, "minosctl"), Repository: ".."}
}

// holds fails unless the environment has exactly these variables, sorted. Its
// shadow may be older: RAUC does not know it.
func (c *DebianCard) holds(variables ...string) {
	c.t.Helper()
	if diff := cmp.Diff(variables, c.Variables(atPrimary)); diff != "" {
		c.t.Errorf("the environment (-want +got):\n%s", diff)
	}
}

// says fails unless a command's output, all of it, matches a regular expression.
func (term Terminal) says(command, want string) {
	term.t.Helper()
	term.saysWithin(command, want, commandDeadline)
}

// saysWithin is says for a command that takes longer.
func (term Terminal) saysWithin(command, want string, within time.Duration) {
	term.t.Helper()
	got, _ := term.RunWithin(command, within)
	if !regexp.MustCompile("(?s)^" + want + "$").MatchString(got) {
		term.t.Errorf("%s\nsays %q\nwant %s", command, got, want)
	}
}

// install lets RAUC install a bundle from the second disk.
func (term Terminal) install(bundle string) {
	term.t.Helper()
	began := time.Now()
	output, status := term.RunWithin(onUpdates("rauc install /mnt/"+bundle), installDeadline)
	if status != "0" {
		journal, _ := term.Run("journalctl -b -u rauc.service -o cat | tail -n 20")
		term.t.Fatalf("rauc install %s ended with %s:\n%s\n%s", bundle, status, output, journal)
	}
	term.t.Logf("rauc install %s took %s", bundle, time.Since(began).Round(time.Second))
}

// onUpdates is a command with the medium of updates at /mnt.
func onUpdates(command string) string {
	return "mount LABEL=updates /mnt && " + command + "; status=$?; umount /mnt; (exit $status)"
}

// status fails unless RAUC says what is wanted: the slot that runs, the one that
// is the next, and what it thinks of each.
func (term Terminal) status(booted, next, stateA, stateB string) {
	term.t.Helper()
	output, _ := term.Run("rauc status --output-format=shell")
	says := map[string]string{}
	for line := range strings.Lines(output) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		says[name] = strings.Trim(value, "'")
	}
	// RAUC numbers its slots as it likes.
	got := map[string]string{"booted": says["RAUC_SYSTEM_BOOTED_BOOTNAME"], "next": says["RAUC_BOOT_PRIMARY"]}
	for number := range strings.FieldsSeq(says["RAUC_SLOTS"]) {
		if slot := says["RAUC_SLOT_BOOTNAME_"+number]; slot != "" {
			got[slot] = says["RAUC_SLOT_BOOT_STATUS_"+number]
		}
	}
	want := map[string]string{"booted": booted, "next": next, "A": stateA, "B": stateB}
	if diff := cmp.Diff(want, got); diff != "" {
		term.t.Errorf("rauc status (-want +got):\n%s", diff)
	}
}

// An update and what may become of it, by the real programs. RAUC installs a new
// version into B; it boots, says that it is the new one, and is marked good; what
// A's user had changed stays A's. On the fresh disk our own unit marks the slot
// good, in the update RAUC's does. From there RAUC installs something into A that
// is signed and whole, and does not boot: after three attempts B is back, and
// nobody has touched the machine.
func TestRAUCUpdateAndFallback(t *testing.T) {
	t.Parallel()
	card := newDebianCard(t, false, updateBundle(t), brokenBundle(t), foreignBundle(t))
	card.Session(Reset, "reboot", func(term Terminal) {
		term.says("cat /etc/minos-version /etc/minos-slot", "1\nA")
		term.says("uname -r", `.*-cloud-arm64`)
		term.says("grep ^IMAGE_ /etc/os-release", "IMAGE_ID=minos-demo\nIMAGE_VERSION=1")
		term.says("systemctl is-active minos-mark-good.service", "active")
		term.status("A", "kernel.0", "good", "good")
		term.says("echo mine >/etc/mine && sync", "")
		term.says(onUpdates("rauc install /mnt/foreign.raucb"), ".*signature verification failed.*")
		term.status("A", "kernel.0", "good", "good")
		term.install("update.raucb")
		term.status("A", "kernel.1", "good", "good")
	})
	card.holds("BOOT_A_FROM=3", "BOOT_A_LEFT=3", "BOOT_A_NOW=2", "BOOT_B_LEFT=3", "BOOT_GOOD=A", "BOOT_ORDER=B A")
	card.Session(Reset, "reboot", func(term Terminal) {
		term.says("cat /etc/minos-version", "2")
		term.says("uname -r", `[0-9.]+\+deb13-arm64`)
		term.says("grep ^IMAGE_ /etc/os-release", "IMAGE_ID=minos-demo\nIMAGE_VERSION=2")
		term.says("lsblk -no LABEL,UUID /dev/vda8", "rootfs +"+rootfsUUID)
		term.says("cat /etc/mine", ".*No such file or directory")
		term.says("cat /run/initramfs/overlay/a/upper/etc/mine", "mine")
		term.says(`find /run/initramfs/overlay/a -newerct "$(uptime -s)"`, "")
		term.says("systemctl --failed --no-legend --plain", "")
		term.says("systemctl is-active rauc-mark-good.service", "active")
		term.status("B", "kernel.1", "good", "good")
		term.says("minosctl status", ".*Running +slot B, whole.*Starts next +slot B: .*  A +standby +3\n  B +good +3 +running, starts next.*")
		term.install("broken.raucb")
		term.status("B", "kernel.0", "good", "good")
	})
	card.holds("BOOT_A_FROM=3", "BOOT_A_LEFT=3", "BOOT_A_NOW=2", "BOOT_B_FROM=3", "BOOT_B_LEFT=3", "BOOT_B_NOW=2", "BOOT_GOOD=B", "BOOT_ORDER=A B")
	for range 3 {
		card.PowerOn().failed(t, "init", "/sbin/init")
	}
	card.Session(PowerOff, "poweroff", func(term Terminal) {
		term.says("cat /etc/minos-version", "2")
		term.status("B", "kernel.1", "bad", "good")
		term.says("minosctl status", ".*Starts next +slot B: .*  A +exhausted +0\n +last failure: init: cannot start slot A: the root filesystem has no ini.*  B +good +3 +running, starts next.*")
	})
}

// On a GPT, RAUC finds the partitions by their names. The update that does not
// boot goes into B here, and the device falls back to A.
func TestRAUCFallbackOnGPT(t *testing.T) {
	takesLong(t)
	t.Parallel()
	card := newDebianCard(t, true, brokenBundle(t))
	card.Session(Reset, "reboot", func(term Terminal) {
		term.says("cat /etc/minos-slot", "A")
		term.install("broken.raucb")
		term.status("A", "kernel.1", "good", "good")
	})
	for range 3 {
		card.PowerOn().failed(t, "init", "/sbin/init")
	}
	card.PowerOnUntil("minos: OK layout=slots slot=A ")
}

// The bootloader knows nothing of slots: init picks and counts, and RAUC sees the
// slot through its custom backend, which is minosctl. The harness loads one
// kernel, whatever slot it is for.
func TestRAUCWhenInitPicks(t *testing.T) {
	takesLong(t)
	t.Parallel()
	card := newDebianCard(t, false, brokenBundle(t))
	configuration := strings.Replace(raucConfiguration(card.disk), "bootloader=uboot", "bootloader=custom", 1) +
		"\n[handlers]\nbootloader-custom-backend=/usr/lib/minos/rauc-backend\n"
	if err := card.disk.PutFiles("rootfs-a", card.image, Text("etc/rauc/system.conf", configuration)); err != nil {
		t.Fatal(err)
	}
	card.direct = &Machine{Kernel: machines(t).debian.Image, Initramfs: initramfs(t, "initramfs.cpio.lz4"), Append: sessionWords()}
	card.Session(Reset, "reboot", func(term Terminal) {
		term.says("grep -c rauc.slot /proc/cmdline", "0")
		term.says("systemctl is-active minos-mark-good.service", "active")
		term.status("A", "kernel.0", "good", "good")
		term.install("broken.raucb")
		term.status("A", "kernel.1", "good", "good")
	})
	for range 3 {
		runMachine(t, card.powered(), nil, stubDeadline).failed(t, "init", "/sbin/init")
	}
	vm := start(t, card.powered())
	if err := vm.Expect("minos: OK layout=slots slot=A ", stubDeadline); err != nil {
		t.Fatal(err)
	}
}

// takesLong leaves a test to make test-all.
func takesLong(t *testing.T) {
	t.Helper()
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
}

// updateBundle is the demo's update, as make bundle makes it.
func updateBundle(t *testing.T) string {
	t.Helper()
	machines(t)
	cache, err := UserCache(nil)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "update.raucb")
	if err := cache.WriteDemoUpdate(file, minosctl(t)); err != nil {
		t.Fatal(err)
	}
	return file
}

// brokenBundle is an update with a good signature whose root filesystem has no
// init.
func brokenBundle(t *testing.T) string {
	t.Helper()
	stub := machines(t).stub
	uboot, err := sharedUBoot()
	if err != nil {
		t.Fatal(err)
	}
	cache, err := UserCache(nil)
	if err != nil {
		t.Fatal(err)
	}
	return writeBundle(t, cache, "broken", Bundle{Kernel: Copy{File: uboot.kernel}, RootFS: anyRootFS(24, StubTree(stub).Without("sbin/init"))})
}

// foreignBundle is one that somebody else has signed.
func foreignBundle(t *testing.T) string {
	t.Helper()
	return writeBundle(t, &Cache{Dir: t.TempDir()}, "foreign", Bundle{Kernel: Bytes(noise(10_000)), RootFS: Partition{MiB: 1, Content: Bytes(noise(10_000))}})
}

// writeBundle makes NAME.raucb, signed with the keys of a cache.
func writeBundle(t *testing.T, keys *Cache, name string, bundle Bundle) string {
	t.Helper()
	signing, err := keys.UpdateKeys()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name+".raucb")
	bundle.Version = name
	if err := bundle.Write(file, signing); err != nil {
		t.Fatal(err)
	}
	return file
}
