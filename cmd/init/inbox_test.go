package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// slotA starts slot A, without an identity of the device: that is another's.
const slotA = "rauc.slot=A systemd.machine_id=firmware "

// consumes is the provisioning of today's MinOS in one word.
const consumes = slotA + "minos.inbox=config:config:consume"

// cardAnd is the card with these files on its boot and its data partition.
func cardAnd(boot, data []string) *systest.Disk { return with(with(card(), 1, boot...), 4, data...) }

// bootCard boots a card, and breaks what is to be broken first.
func bootCard(t *testing.T, cmdline string, d *systest.Disk, breaks func(*systest.Kernel)) *systest.Kernel {
	t.Helper()
	k := systest.New(cmdline)
	k.AddDisk(d)
	if breaks != nil {
		breaks(k)
	}
	start(k, mount.InOrder)
	if k.Ended() != toInit {
		t.Fatalf("the boot ended with %q:\n%s", k.Ended(), k.Trace())
	}
	return k
}

// listed compares what is below a place with what is to be there.
func listed(t *testing.T, k *systest.Kernel, place string, want ...string) {
	t.Helper()
	slices.Sort(want)
	if diff := cmp.Diff(want, k.Files(place)); diff != "" {
		t.Errorf("%s: -want +got:\n%s", place, diff)
	}
}

// tells looks for a text on the console.
func tells(t *testing.T, k *systest.Kernel, text string) {
	t.Helper()
	if !strings.Contains(k.Trace(), text) {
		t.Errorf("the boot does not say %q:\n%s", text, k.Trace())
	}
}

// Layouts 1.7, statement 7.
func TestStatement1_7_7_Consume(t *testing.T) {
	d := cardAnd([]string{"boot.scr=x", "config/wifi/w.conf=new", "config/a/b/c=deep"},
		[]string{"config/wifi/w.conf=old", "config/wifi/other=o", "apps/"})
	k := bootCard(t, consumes, d, nil)
	listed(t, k, "/boot/firmware", "boot.scr=x")
	listed(t, k, "/data", "apps/", "config/", "config/a/", "config/a/b/", "config/a/b/c:0600=deep",
		"config/wifi/", "config/wifi/other=o", "config/wifi/w.conf=new")
	tells(t, k, "files taken over from the boot partition to the data partition: 2; removed there afterwards: 2")
	if last := strings.LastIndex(k.Trace(), "remount /mnt/boot "); !strings.HasPrefix(k.Trace()[last:], "remount /mnt/boot ro,noatime\n") {
		t.Errorf("the boot partition stays writable:\n%s", k.Trace())
	}
}

// Layouts 1.7, statement 8, with each way in which a disk can refuse.
func TestStatement1_7_8_FullData(t *testing.T) {
	data := []string{"config/wifi/w.conf=old"}
	boot := []string{"config/small=s", "config/wifi/w.conf=new"}
	for name, c := range map[string]struct {
		breaks func(*systest.Kernel)
		full   bool
		says   string
	}{
		"statfs says so": {nil, true, "config/wifi/w.conf of the boot partition is not taken over, ignoring: it takes 3 bytes, and the data partition has 0 left"},
		"no directory":   {func(k *systest.Kernel) { k.Fail("mkdir /mnt/data/.minos-inbox", unix.ENOSPC) }, false, "config/small of the boot partition is not taken over, ignoring: mkdir"},
		"no file":        {func(k *systest.Kernel) { k.Fail("create /mnt/data/.minos-inbox/", unix.ENOSPC) }, false, "config/wifi/w.conf of the boot partition is not taken over, ignoring: open"},
		"no content":     {func(k *systest.Kernel) { k.Fail("append /mnt/data/.minos-inbox/", unix.ENOSPC) }, false, "config/wifi/w.conf of the boot partition is not taken over, ignoring: write"},
		"not durable":    {func(k *systest.Kernel) { k.FailTimes("syncfs /mnt/data", 1, unix.EIO) }, false, "config/wifi/w.conf of the boot partition is not taken over, ignoring: syncfs"},
		"no name":        {func(k *systest.Kernel) { k.Fail("rename /mnt/data/.minos-inbox/", unix.EDQUOT) }, false, "config/wifi/w.conf of the boot partition is not taken over, ignoring: rename"},
		"read-only card": {func(k *systest.Kernel) { k.Fail("remount /mnt/boot rw", unix.EACCES) }, false, "ignoring: it could not be removed afterwards: remount"},
	} {
		t.Run(name, func(t *testing.T) {
			d := cardAnd(boot, data)
			d.Parts[3].Full = c.full
			k := bootCard(t, consumes, d, func(k *systest.Kernel) {
				if c.breaks != nil {
					c.breaks(k)
				}
			})
			tells(t, k, c.says)
			listed(t, k, "/boot/firmware", "config/", "config/small=s", "config/wifi/", "config/wifi/w.conf=new")
			listed(t, k, "/data", "config/", "config/wifi/", "config/wifi/w.conf=old")
		})
	}
}

// forgetful is a machine whose disk keeps other bytes than were written.
type forgetful struct{ *systest.Kernel }

func (f forgetful) OpenReader(name string) (io.ReadCloser, error) {
	if strings.Contains(name, "/.minos-inbox/") {
		return io.NopCloser(strings.NewReader("nex")), nil
	}
	return f.Kernel.OpenReader(name)
}

// What does not come back as it was written replaces nothing, and stays on the
// card.
func TestInboxOnAFailingDisk(t *testing.T) {
	k := systest.New(consumes)
	k.AddDisk(cardAnd([]string{"config/w.conf=new"}, []string{"config/w.conf=old"}))
	run(machine{kernel: forgetful{k}, schedule: mount.InOrder})
	listed(t, k, "/data", "config/", "config/w.conf=old")
	listed(t, k, "/boot/firmware", "config/", "config/w.conf=new")
	tells(t, k, "config/w.conf of the boot partition is not taken over, ignoring: what was read back is not what was written; the card may be failing")
}

// Layouts 1.7, statement 9, with the rule of the default.
func TestStatement1_7_9_IfAbsent(t *testing.T) {
	const target = "config/wifi/wpa_supplicant.conf"
	for name, c := range map[string]struct {
		boot, data, want []string
	}{
		"absent":                    {[]string{"config/wpa_supplicant.conf=net\r\n"}, []string{"apps/"}, []string{"apps/", "config/", "config/wifi/", target + ":0600=net\r\n"}},
		"in capitals":               {[]string{"CONFIG/WPA_Supplicant.CONF=net"}, nil, []string{"config/", "config/wifi/", target + ":0600=net"}},
		"with Windows's suffix":     {[]string{"config/wpa_supplicant.conf.txt=net"}, nil, []string{"config/", "config/wifi/", target + ":0600=net"}},
		"there already":             {[]string{"config/wpa_supplicant.conf=net"}, []string{target + "=mine"}, []string{"config/", "config/wifi/", target + "=mine"}},
		"a link there, to nowhere":  {[]string{"config/wpa_supplicant.conf=net"}, []string{target + "->/nowhere"}, []string{"config/", "config/wifi/", target + "->/nowhere"}},
		"the directory is a link":   {[]string{"config/wpa_supplicant.conf=net"}, []string{"config/wifi->../other", "other/"}, []string{"config/", "config/wifi->../other", "other/", "other/wpa_supplicant.conf:0600=net"}},
		"the directory leads out":   {[]string{"config/wpa_supplicant.conf=net"}, []string{"config/wifi->../../../etc", "etc/"}, []string{"config/", "config/wifi->../../../etc", "etc/", "etc/wpa_supplicant.conf:0600=net"}},
		"the directory is a file":   {[]string{"config/wpa_supplicant.conf=net"}, []string{"config/wifi=x"}, []string{"config/", "config/wifi=x"}},
		"other files on the card":   {[]string{"config/other.conf=net", "wpa_supplicant.conf=net"}, nil, nil},
		"nothing but a directory":   {[]string{"config/"}, nil, nil},
		"a directory of that name":  {[]string{"config/wpa_supplicant.conf/x=1"}, []string{target + "=mine"}, []string{"config/", "config/wifi/", target + "=mine"}},
		"a file in the directory's": {[]string{"config=1"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := bootCard(t, slotA, cardAnd(c.boot, c.data), nil)
			if diff := cmp.Diff(c.want, k.Files("/data")); diff != "" {
				t.Errorf("/data: -want +got:\n%s", diff)
			}
			listed(t, k, "/boot/firmware", systestTree(c.boot)...)
			if strings.Contains(k.Trace(), "remount") {
				t.Errorf("the boot partition was made writable:\n%s", k.Trace())
			}
		})
	}
}

// systestTree is what a partition with these files lists.
func systestTree(files []string) []string {
	k := systest.New("")
	k.AddDisk(with(card(), 1, files...))
	if k.Mkdir("/x", 0o755) != nil || k.Mount(sys.MountRequest{Source: "/dev/vda1", Target: "/x", FSType: "vfat"}) != nil {
		panic("the card cannot be mounted")
	}
	return k.Files("/x")
}

// What one rule leaves is another's, and what desktop systems leave is nobody's.
func TestInboxOfATree(t *testing.T) {
	d := cardAnd([]string{
		"config/wpa_supplicant.conf=net", "config/._x=mac", "config/sub/.DS_Store=mac", "config/sub/.hidden=h",
		"config/System Volume Information/x=w", "config/credentials/ssh.key=k", "config/bad\xff=b", "config/users/a=1",
		"config/dir/x=file", "config/empty/e/",
	}, []string{"config/users/a=old", "config/dir/x/y=1"})
	k := bootCard(t, slotA+"minos.inbox=config:config:consume:0644 minos.inbox=config/WPA_supplicant.conf:config/wifi/w.conf", d, nil)
	listed(t, k, "/data", "config/", "config/sub/", "config/sub/.hidden=h", "config/users/", "config/users/a=1",
		"config/dir/", "config/dir/x/", "config/dir/x/y=1", "config/wifi/", "config/wifi/w.conf:0600=net")
	listed(t, k, "/boot/firmware", "config/", "config/wpa_supplicant.conf=net", "config/._x=mac", "config/sub/", "config/sub/.DS_Store=mac",
		"config/System Volume Information/", "config/System Volume Information/x=w", "config/credentials/", "config/credentials/ssh.key=k",
		"config/bad\xff=b", "config/dir/", "config/dir/x=file")
	tells(t, k, `"config/bad\xff" of the boot partition is not taken over, ignoring: its name is not UTF-8`)
	tells(t, k, "config/dir/x of the boot partition is not taken over, ignoring: its target is a directory")
}

// Lines that are there already are not written again, in whatever way they end.
func TestInboxAppendsUniqueLines(t *testing.T) {
	const words = slotA + "minos.inbox=keys:ssh/keys:append-unique:0644"
	boot := []string{"keys=\uFEFFone\r\ntwo\r\n\r\nthree"}
	k := bootCard(t, words, cardAnd(boot, []string{"ssh/keys=two\nmine"}), nil)
	listed(t, k, "/data", "ssh/", "ssh/keys=two\nmine\none\nthree\n")
	listed(t, k, "/boot/firmware", boot...)
	again := bootCard(t, words, k.CutPower(func(int) bool { return true })[0], nil)
	if strings.Contains(again.Trace(), "/mnt/data/") {
		t.Errorf("the second boot writes:\n%s", again.Trace())
	}
	listed(t, again, "/data", "ssh/", "ssh/keys=two\nmine\none\nthree\n")
}

// Layouts 1.7, statement 11.
func TestStatement1_7_11_Directories(t *testing.T) {
	words := slotA + "minos.data-dirs=extensions/sysext,extensions/confext,config/bootconf"
	k := bootCard(t, words, cardAnd(nil, []string{"config/x=1", "extensions/sysext/y=1"}), nil)
	listed(t, k, "/data", "config/", "config/bootconf/", "config/x=1", "extensions/", "extensions/confext/", "extensions/sysext/", "extensions/sysext/y=1")
	k = bootCard(t, words, cardAnd(nil, []string{"extensions=a file"}), nil)
	listed(t, k, "/data", "config/", "config/bootconf/", "extensions=a file")
	tells(t, k, "degraded=1")
}

// A boot without an inbox reads the root of the card, and writes nothing.
func TestSettledInboxCostsNothing(t *testing.T) {
	k := bootCard(t, consumes, cardAnd([]string{"boot.scr=x"}, []string{"config/wifi/w.conf=old"}), nil)
	for _, text := range []string{"remount", "/mnt/data/", "syncfs", "fsync /mnt"} {
		if strings.Contains(k.Trace(), text) {
			t.Errorf("a settled boot has %q:\n%s", text, k.Trace())
		}
	}
}

// The partitions that a wish is about, and what a reset leaves of them.
var (
	usedData    = []string{"apps/a=1", "config/system/name=id", "config/ssh/key=k", "config/wifi/w=1", "config/rauc.status=s", "file=1", "lost+found/"}
	keptData    = []string{"config/", "config/ssh/", "config/ssh/key=k", "config/system/", "config/system/name=id", "lost+found/"}
	usedOverlay = []string{"a/upper/mine=1", "a/work/work/", "b/upper/mine=1", "b/work/", "a.old/upper/older=1", "lost+found/"}
)

// Power cut at every call of each policy and each wish: what a cut leaves at a
// target is the old file or the whole new one, and the boots that follow end
// where a boot without a cut does.
func TestPowerCutAtEveryCallOfTheInbox(t *testing.T) {
	long := strings.Repeat("long ", 20)
	// The writable layer is settled: its own cuts are those of another test.
	settled := []string{"a/lower=" + identityOf(t) + "\n", "a/upper/run/", "a/work/work/"}
	for _, s := range []struct {
		name, words string
		disk        func() *systest.Disk
		target      string   // on data
		contents    []string // that it may have after a cut
	}{
		{"if-absent", "", func() *systest.Disk {
			return cardAnd([]string{"config/wpa_supplicant.conf=" + long}, nil)
		}, "config/wifi/wpa_supplicant.conf", []string{"nothing", long}},
		{"append-unique", "minos.inbox=keys:ssh/keys:append-unique", func() *systest.Disk {
			return cardAnd([]string{"keys=one\ntwo"}, []string{"ssh/keys=two\n"})
		}, "ssh/keys", []string{"two\n", "two\none\n"}},
		{"consume", "minos.inbox=config:config:consume", func() *systest.Disk {
			return cardAnd([]string{"config/a=" + long, "config/b/c=2"}, []string{"config/a=old"})
		}, "config/a", []string{"old", long}},
		{"reset-overlay", "", func() *systest.Disk {
			return with(cardAnd([]string{"reset-overlay="}, []string{"apps/a=1"}), 3, "a/upper/mine=1", "a/work/", "b/upper/mine=1")
		}, "apps/a", []string{"1"}},
		{"reset-data", "minos.build=v1", func() *systest.Disk {
			return cardAnd([]string{"reset-data=v1"}, []string{"apps/a=1", "config/system/name=id", "config/x=1", "file=1"})
		}, "config/system/name", []string{"id"}},
		{"request", "", func() *systest.Disk {
			return cardAnd(nil, []string{".minos-reset=", "apps/a=1", "config/ssh/key=k"})
		}, "config/ssh/key", []string{"k"}},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			words, disk := slotA+s.words, s.disk
			if s.name != "reset-overlay" {
				disk = func() *systest.Disk { return with(s.disk(), 3, settled...) }
			}
			whole := bootCard(t, words, disk(), nil)
			effects := strings.Count(whole.Trace(), "\n")
			cases := 0
			for cut := range effects + 1 {
				for variant := 0; ; variant++ {
					k := systest.New(words)
					k.AddDisk(disk())
					k.CutAfter(cut)
					start(k, mount.InOrder)
					keep, last := losses(variant, k.Unsynced())
					where := fmt.Sprintf("cut after %d of %d effects, loss %d", cut, effects, variant)
					files, d := filesOf(t, k.CutPower(keep)[0], 4)
					if content := contentIn(files, s.target); !slices.Contains(s.contents, content) {
						t.Fatalf("%s: %s holds %q, want one of %q", where, s.target, content, s.contents)
					}
					next := bootCard(t, words, d, nil)
					for _, place := range []string{"/data", "/boot/firmware", "/run/initramfs/overlay"} {
						if diff := cmp.Diff(unprobed(whole.Files(place)), unprobed(next.Files(place))); diff != "" {
							t.Fatalf("%s: %s: -without a cut +after it:\n%s", where, place, diff)
						}
					}
					if cases++; last {
						break
					}
				}
			}
			t.Logf("%d boundaries, %d cases", effects+1, cases)
		})
	}
}

// unprobed are the files of an overlay partition without what the probe of a
// new layer leaves there.
func unprobed(files []string) []string {
	return slices.DeleteFunc(files, func(f string) bool { return strings.HasPrefix(f, "a/upper/run/") })
}

// filesOf lists a partition of a disk, and returns the disk for another machine.
func filesOf(t *testing.T, d *systest.Disk, number int) ([]string, *systest.Disk) {
	t.Helper()
	k := systest.New("")
	k.AddDisk(d)
	m := sys.MountRequest{Source: fmt.Sprintf("/dev/vda%d", number), Target: "/x", FSType: "ext4", Flags: sys.ReadOnly}
	if err := k.Mkdir("/x", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := k.Mount(m); err != nil {
		t.Fatal(err)
	}
	return k.Files("/x"), k.CutPower(func(int) bool { return true })[0]
}

func contentIn(files []string, name string) string {
	for _, f := range files {
		if file, content, ok := strings.Cut(f, "="); ok && strings.TrimSuffix(file, ":0600") == name {
			return content
		}
	}
	return "nothing"
}
