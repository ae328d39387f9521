package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// oldID is the machine-id of a device that has been booted before, as its file
// has it, and anotherID one that must not come into use.
const (
	oldID     = "6f1d2c3b4a59486796a5b4c3d2e1f001\n"
	anotherID = "aaaaaaaaaaaa4aaa8aaaaaaaaaaaaaaa\n"
	firstID   = "000102030405460788090a0b0c0d0e0f\n" // that a new machine in memory makes
)

// identified puts an identity on a card, of a device whose first boot was
// complete.
func identified(d *systest.Disk) *systest.Disk {
	return with(d, 4, "config/system/machine-id:0444="+oldID, "config/system/first-boot-complete:0444="+oldID)
}

// identity is what a boot has made of the machine-id.
type identity struct {
	Etc        string // what the new root shows
	Mode       string // of that file
	Credential string // that systemd gets
	Stored     string // on the data partition
	Complete   bool   // the first boot, as the data partition has it
}

// identityAfter looks at a machine whose boot is over.
func identityAfter(k *systest.Kernel) (got identity) {
	read := func(file string) string { text, _ := k.ReadFile(file); return string(text) }
	got.Etc, got.Credential = read("/etc/machine-id"), read("/run/credentials/@initrd/system.machine_id")
	got.Stored, got.Complete = read("/data/config/system/machine-id"), read("/data/config/system/first-boot-complete") != ""
	if info, err := k.Lstat("/etc/machine-id"); err == nil {
		got.Mode = fmt.Sprintf("%#o", info.Mode)
	}
	return got
}

// identityOn boots a card and looks at the identity.
func identityOn(t *testing.T, cmdline string, d *systest.Disk, seed byte) (identity, *systest.Kernel) {
	t.Helper()
	k := systest.New(cmdline)
	k.RandomFrom(seed)
	k.AddDisk(d)
	k.ReturnAfterExec()
	start(k, mount.InOrder)
	if !strings.Contains(k.Trace(), "\nexec /sbin/init") {
		t.Fatalf("the boot did not reach the real init:\n%s", k.Trace())
	}
	return identityAfter(k), k
}

// restarted is the disk as a restart finds it.
func restarted(k *systest.Kernel) *systest.Disk {
	return k.CutPower(func(int) bool { return true })[0]
}

const uninitialized = "uninitialized\n"

// Layouts 1.7, statement 6: the machine-id of /data is that of the new root, in
// both slots and with each policy of the overlay; where there is none it is made,
// kept, and given to systemd as a credential until the first boot is complete.
func TestStatement1_7_6_MachineID(t *testing.T) {
	bare := strings.TrimSpace(firstID)
	firstBoot := identity{Etc: uninitialized, Mode: "0444", Credential: bare, Stored: firstID}
	settled := identity{Etc: oldID, Mode: "0444", Stored: oldID, Complete: true}
	for _, policy := range []string{"keep", "reset", "volatile"} {
		for _, slot := range []string{"A", "B"} {
			t.Run(policy+slot, func(t *testing.T) {
				cmdline := "rauc.slot=" + slot + " minos.overlay=" + policy
				got, _ := identityOn(t, cmdline, identified(card()), 0)
				if diff := cmp.Diff(settled, got); diff != "" {
					t.Errorf("with an id on /data (-want +got):\n%s", diff)
				}
				got, k := identityOn(t, cmdline, card(), 0)
				if diff := cmp.Diff(firstBoot, got); diff != "" {
					t.Errorf("without one (-want +got):\n%s", diff)
				}
				if info, err := k.Lstat("/data/config/system/machine-id"); err != nil || info.Mode != 0o444 {
					t.Errorf("the file on /data has the mode %v (%v)", info.Mode, err)
				}
				// Nobody has said that the first boot was complete.
				got, k = identityOn(t, strings.NewReplacer("=A", "=B", "=B", "=A").Replace(cmdline), restarted(k), 99)
				if diff := cmp.Diff(firstBoot, got); diff != "" {
					t.Errorf("in the other slot, after a boot that did not become complete (-want +got):\n%s", diff)
				}
				if err := k.WriteFile("/data/config/system/first-boot-complete", []byte(firstID), 0o444); err != nil {
					t.Fatal(err)
				}
				got, _ = identityOn(t, cmdline, restarted(k), 99)
				want := identity{Etc: firstID, Mode: "0444", Stored: firstID, Complete: true}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("after the first boot (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// Layouts 1.7, statement 6, its last part: without /data the image's own file is
// visible, and init says so.
func TestStatement1_7_6_ImageFileWithoutData(t *testing.T) {
	d := with(without(card(), 4), 6, append(rootfsFiles[:len(rootfsFiles):len(rootfsFiles)], "etc/machine-id=image\n")...)
	got, k := identityOn(t, "rauc.slot=A", d, 0)
	if diff := cmp.Diff(identity{Etc: "image\n", Mode: "0644"}, got); diff != "" {
		t.Errorf("without a data partition (-want +got):\n%s", diff)
	}
	if !strings.Contains(k.Trace(), "<4>minos: /etc/machine-id is what the root filesystem has there, ignoring: ") {
		t.Errorf("nobody is told:\n%s", k.Trace())
	}
}

// What else may be found, and what becomes of it.
func TestMachineIDIsFound(t *testing.T) {
	first := strings.TrimSpace(firstID)
	old := strings.TrimSpace(oldID)
	none := slices.DeleteFunc(slices.Clone(rootfsFiles), func(f string) bool { return strings.Contains(f, "first-boot-complete") })
	data := func(content string) *systest.Disk { return with(card(), 4, "config/system/machine-id="+content) }
	for _, c := range []struct {
		name, words string
		disk        *systest.Disk
		want        identity
		says        string
	}{
		{name: "systemd has made one", disk: with(card(), 3, "a/upper/etc/machine-id:0444="+oldID, "a/work/"),
			want: identity{oldID, "0444", "", oldID, true}, says: "its machine-id is taken over"},
		{name: "over the image before", disk: with(card(), 3, "a/lower=another\n", "a/upper/etc/machine-id:0444="+oldID, "a/work/"),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "in the other slot", disk: with(card(), 3, "b/upper/etc/machine-id:0444="+oldID, "b/work/"),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "this slot's comes first", disk: with(card(), 3, "a/upper/etc/machine-id:0444="+oldID, "b/upper/etc/machine-id:0444="+anotherID),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "systemd is not done with it", disk: with(card(), 3, "a/upper/etc/machine-id:0444=uninitialized\n", "a/work/"),
			want: identity{uninitialized, "0444", first, firstID, false}},
		{name: "systemd has kept it", disk: with(with(card(), 4, "config/system/machine-id:0444="+oldID), 3, "a/upper/etc/machine-id:0444="+oldID, "a/work/"),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "the image has one", disk: with(card(), 6, append(slices.Clone(rootfsFiles), "etc/machine-id:0444="+anotherID)...),
			want: identity{uninitialized, "0444", first, firstID, false}},
		{name: "a link in the image", disk: with(identified(card()), 6, append(slices.Clone(rootfsFiles), "etc/machine-id->/run/machine-id")...),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "nonsense on data", disk: data("not an id\n"), want: identity{uninitialized, "0444", first, firstID, false},
			says: "holds no machine-id, 32 hexadecimal digits, ignoring: what it holds, which is put aside in machine-id.invalid"},
		{name: "empty on data, whole in the slot", disk: with(data(""), 3, "a/upper/etc/machine-id:0444="+oldID, "a/work/"), want: identity{oldID, "0444", "", oldID, true}},
		{name: "only zeros", disk: data(strings.Repeat("0", 32) + "\n"), want: identity{uninitialized, "0444", first, firstID, false}},
		{name: "the first boot of another id", disk: with(card(), 4, "config/system/machine-id:0444="+oldID, "config/system/first-boot-complete="+anotherID),
			want: identity{uninitialized, "0444", old, oldID, true}},
		{name: "on the command line", words: " systemd.machine_id=6F1D2C3B-4A59-4867-96A5-B4C3D2E1F001", disk: card(),
			want: identity{uninitialized, "0444", old, oldID, false}, says: "its machine-id is given"},
		{name: "another on the command line", words: " systemd.machine_id=" + strings.TrimSpace(anotherID), disk: identified(card()),
			want: identity{uninitialized, "0444", strings.TrimSpace(anotherID), oldID, true}, says: "ignoring: that of /data, which stays as it is"},
		{name: "nothing on the command line", words: " systemd.machine_id= systemd.condition-first-boot=true", disk: identified(card()),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "nonsense on the command line", words: " systemd.machine_id=abc", disk: identified(card()),
			want: identity{oldID, "0444", "", oldID, true}, says: `systemd.machine_id="abc" is no machine-id`},
		{name: "of the firmware", words: " systemd.machine_id=firmware", disk: identified(card()),
			want: identity{"", "", "", oldID, true}, says: "systemd makes the machine-id of the firmware, ignoring: that of /data"},
		{name: "D-Bus has another", disk: with(card(), 6, append(slices.Clone(rootfsFiles), "var/lib/dbus/machine-id="+anotherID)...),
			want: identity{firstID, "0444", "", firstID, true}},
		{name: "a link of D-Bus", disk: with(card(), 6, append(slices.Clone(rootfsFiles), "var/lib/dbus/machine-id->/etc/machine-id")...),
			want: identity{uninitialized, "0444", first, firstID, false}},
		{name: "systemd has kept another", disk: with(with(card(), 4, "config/system/machine-id:0444="+oldID), 3, "a/upper/etc/machine-id:0444="+anotherID, "a/work/"),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "no systemd", words: " init=/sbin/other", disk: with(card(), 6, append(slices.Clone(rootfsFiles), "usr/sbin/other=\x7fELF")...),
			want: identity{firstID, "0444", "", firstID, true}},
		{name: "nobody tells, and /etc does not last", words: " minos.overlay=reset", disk: with(with(card(), 4, "config/system/machine-id:0444="+oldID), 6, none...),
			want: identity{oldID, "0444", "", oldID, true}},
		{name: "nobody tells, and the id is new", words: " minos.overlay=reset", disk: with(card(), 6, none...),
			want: identity{uninitialized, "0444", first, firstID, false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := systest.New("rauc.slot=A" + c.words)
			k.AddDisk(c.disk)
			k.ReturnAfterExec()
			start(k, mount.InOrder)
			if diff := cmp.Diff(c.want, identityAfter(k)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !strings.Contains(k.Trace(), c.says) || strings.Contains(k.Trace(), "degraded=") {
				t.Errorf("init does not say %q, or is degraded:\n%s", c.says, k.Trace())
			}
		})
	}
}

// A settled boot writes nothing for the identity, and boot.json never has it.
func TestSettledIdentityCostsNoWrite(t *testing.T) {
	_, k := identityOn(t, "rauc.slot=A", used(), 0)
	for _, part := range []string{"machine-id", "random", "credentials", "/mnt/data/"} {
		if strings.Contains(k.Trace(), part) {
			t.Errorf("a settled boot has %q in its trace:\n%s", part, k.Trace())
		}
	}
	_, k = identityOn(t, "rauc.slot=A", card(), 0)
	report, err := k.ReadFile("/run/minos/boot.json")
	if err != nil || strings.Contains(string(report), strings.TrimSpace(firstID)) || !strings.Contains(string(report), `"step root-identity"`) {
		t.Errorf("boot.json of the first boot (%v): %s", err, report)
	}
}

// After a factory reset the machine is the same one, and systemd has a first
// boot, since nothing is left of what it did in the one before. A reset of one
// partition is none.
func TestAFactoryResetIsAFirstBoot(t *testing.T) {
	first := identity{Etc: uninitialized, Mode: "0444", Credential: strings.TrimSpace(oldID), Stored: oldID}
	later := identity{Etc: oldID, Mode: "0444", Stored: oldID, Complete: true}
	overlay := []string{"a/lower=" + identityOf(t) + "\n", "a/upper/etc/machine-id:0444=" + oldID, "a/upper/run/", "a/work/work/"}
	const request = ".minos-reset="
	for _, c := range []struct {
		name          string
		data, overlay []string // requests
		want          identity
	}{
		{"no reset", nil, nil, later},
		{"both", []string{request}, []string{request}, first},
		{"the data partition", []string{request}, nil, later},
		{"the overlay partition", nil, []string{request}, later},
	} {
		d := with(identified(card()), 3, append(c.overlay, overlay...)...)
		part(d, 4).Files = append(part(d, 4).Files, c.data...)
		got, k := identityOn(t, "rauc.slot=A", d, 0)
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		// Without anybody who tells that it is complete it stays so, also after a cut.
		if got, _ = identityOn(t, "rauc.slot=A", restarted(k), 0); got != c.want {
			t.Errorf("%s, the boot after it: %+v", c.name, got)
		}
	}
}

// Power cut at every call of a first boot, of a take-over and of one that finds
// nonsense: the next boot has one identity, and it is that of the boot before
// when systemd was started with it.
func TestPowerCutLeavesOneIdentity(t *testing.T) {
	// The writable layer has its own test, and is at rest here.
	same := "a/lower=" + identityOf(t) + "\n"
	settled := func() *systest.Disk { return with(card(), 3, same, "a/upper/run/", "a/work/work/") }
	for name, fresh := range map[string]func() *systest.Disk{
		"first boot": settled,
		"no config":  func() *systest.Disk { return with(settled(), 4) },
		"taken over": func() *systest.Disk {
			return with(card(), 3, same, "a/upper/etc/machine-id:0444="+oldID, "a/work/work/")
		},
		"nonsense":   func() *systest.Disk { return with(settled(), 4, "config/system/machine-id=?\n") },
		"unfinished": func() *systest.Disk { return with(settled(), 4, "config/system/machine-id:0444="+oldID) },
	} {
		t.Run(name, func(t *testing.T) {
			whole, k := identityOn(t, "rauc.slot=A", fresh(), 0)
			lines := strings.Split(k.Trace(), "\n")
			// What comes before is the same in every boot, and has its own test.
			from := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "mount vfat") })
			for cut := from; cut < len(lines); cut++ {
				for variant := 0; ; variant++ {
					k := systest.New("rauc.slot=A")
					k.AddDisk(fresh())
					k.CutAfter(cut)
					start(k, mount.InOrder)
					keep, last := losses(variant, k.Unsynced())
					begun := k.Ended() == toInit
					after, again := identityOn(t, "rauc.slot=A", k.CutPower(keep)[0], 99)
					where := fmt.Sprintf("cut after %d of %d effects, loss %d", cut, len(lines)-1, variant)
					if name != "nonsense" && strings.Contains(again.Trace(), "holds no machine-id") {
						t.Fatalf("%s: the file is neither absent nor whole", where)
					}
					if begun && after.Stored != whole.Stored {
						t.Fatalf("%s: systemd had the id %q, and has %q in the next boot", where, whole.Stored, after.Stored)
					}
					if stored := strings.TrimSpace(after.Stored); after.Etc != after.Stored && after.Credential != stored || len(stored) != 32 {
						t.Fatalf("%s: the next boot has %+v", where, after)
					}
					if last, _ := identityOn(t, "rauc.slot=A", restarted(again), 199); last.Stored != after.Stored || last.Etc != after.Etc {
						t.Fatalf("%s: the boot after the next has %+v after %+v", where, last, after)
					}
					if last {
						break
					}
				}
			}
		})
	}
}

// Whatever of it fails, the boot goes on, and a file that cannot be read is not
// taken for one that is missing.
func TestIdentityFailing(t *testing.T) {
	_, k := identityOn(t, "rauc.slot=A", card(), 0)
	lines := 0
	for line := range strings.Lines(k.Trace()) {
		if !strings.Contains(line, "config/system") && !strings.Contains(line, "@initrd") && !strings.Contains(line, "machine-id") && !strings.Contains(line, "random") {
			continue
		}
		lines++
		k := systest.New("rauc.slot=A")
		k.AddDisk(card())
		k.Fail(strings.TrimSpace(line), unix.EIO)
		start(k, mount.InOrder)
		if k.Ended() != toInit {
			t.Errorf("when %q fails, the boot ends with %q", line, k.Ended())
		}
	}
	if lines < 10 {
		t.Errorf("only %d calls for the identity", lines)
	}
}

// Files of config/credentials on the boot partition are given to systemd, those
// that it would refuse are told of.
func TestCredentialsOfTheBootPartition(t *testing.T) {
	long := strings.Repeat("x", 1<<20+1)
	half := strings.Repeat("x", 1<<19)
	d := with(identified(card()), 1, "boot.scr=x", "config/credentials/ssh.authorized_keys.root=ssh-ed25519 AAAA me\r\n",
		"config/credentials/system.machine_id="+anotherID, "config/credentials/a:b=1", "config/credentials/.hidden=1", "config/credentials/sub/x=1",
		"config/credentials/too.long="+long, "config/credentials/half="+half, "config/credentials/other.half=y"+half, "config/credentials/é=1")
	_, k := identityOn(t, "rauc.slot=A", d, 0)
	want := []string{"half:0400=" + half, "ssh.authorized_keys.root:0400=ssh-ed25519 AAAA me\r\n"}
	if got := k.Files("/run/credentials/@initrd"); !slices.Equal(got, want) {
		t.Errorf("systemd gets %.90q", got)
	}
	for _, says := range []string{
		`"system.machine_id" of the boot partition, ignoring: the machine-id comes from /data`,
		`"a:b" of the boot partition, ignoring: a name has up to 255 characters`, `".hidden" of the boot partition, ignoring: its name begins with a dot`,
		`"sub" of the boot partition, ignoring: it is not a file`, `"too.long" of the boot partition, ignoring: it has 1048577 bytes`,
		`"other.half" of the boot partition, ignoring: together they have more`, `of the boot partition has lines that end as those of Windows do`,
	} {
		if !strings.Contains(k.Trace(), says) {
			t.Errorf("init does not say %s", says)
		}
	}
	if info, err := k.Lstat("/run/credentials/@initrd"); err != nil || info.Mode.Perm() != 0o700 {
		t.Errorf("the directory has the mode %v (%v)", info.Mode, err)
	}
	if info, err := k.Lstat("/boot/firmware/config/credentials/half"); err != nil || info.Size != int64(len(half)) {
		t.Errorf("the file on the card: %+v, %v", info, err)
	}
}
