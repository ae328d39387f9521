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

// usesSession fails unless this session is the upper; "none": memory is.
func usesSession(t *testing.T, k *systest.Kernel, number string) {
	t.Helper()
	report := readFile(k, "/run/minos/boot.json")
	durability, source := "keep", "/dev/sda1"
	if number == "none" {
		durability, source = "volatile", "tmpfs"
	}
	if !strings.Contains(report, `"what": "session",`+"\n"+`    "value": "`+number+`"`) || !strings.Contains(report, `"durability": "`+durability+`"`) || k.MountedAt(changesDir) != source {
		t.Errorf("session %s is not used, %s is %q:\n%s\n%s", number, changesDir, k.MountedAt(changesDir), report, k.Trace())
	}
}

// Layouts 3.6, statement 11.
func TestStatement3_6_11_NewSession(t *testing.T) {
	k := bootModules(t, "perchdir=new", stickWith(aSet(sessions("2", 1, 2, 9, 10)...)...))
	usesSession(t, k, "11")
	meta := readFile(k, setStore+"/session.json")
	for _, want := range []string{`"default": "11"`, `"running": "11"`, `"owner": {`, `"policy": "mine"`,
		"\"11\": {\n      \"mode\": \"native\",\n      \"version\": \"5.0\",\n      \"edition\": \"standard\",\n      \"union\": \"overlayfs\",\n      \"state\": \"dirty\"\n    }"} {
		if !strings.Contains(meta, want) {
			t.Errorf("session.json lacks %s:\n%s", want, meta)
		}
	}
	for _, n := range []string{"1", "2", "9", "10"} {
		if got := readFile(k, setStore+"/"+n+"/changes/mine"); got != "of "+n {
			t.Errorf("session %s holds %q", n, got)
		}
	}
	// A number that only the metadata has was somebody's, too.
	k = bootModules(t, "perchdir=new", stickWith(aSet("minios/changes/session.conf=default=4\nsession_mode[12]=native\n", "minios/changes/3/")...))
	usesSession(t, k, "13")
	if got, want := readFile(k, setStore+"/session.conf"), "default=13\nsession_mode[12]=native\nrunning=13\nsession_mode[13]=native\nsession_version[13]=5.0\nsession_edition[13]=standard\nsession_union[13]=overlayfs\nsession_state[13]=dirty\n"; got != want {
		t.Errorf("session.conf: -want +got\n%s", cmp.Diff(want, got))
	}
}

// Layouts 3.6, statement 12.
func TestStatement3_6_12_Resume(t *testing.T) {
	k := bootModules(t, "perchdir=resume", stickWith(aSet(sessions("2", 1, 2)...)...))
	usesSession(t, k, "2")
	if got := readFile(k, "/mine"); got != "of 2" {
		t.Errorf("the file of the session reads %q", got)
	}
	if err := k.WriteFile("/written", []byte("now"), 0o644); err != nil {
		t.Fatal(err)
	}
	k = bootModules(t, "perch", cutOff(k)...)
	if got := readFile(k, "/written"); got != "now" {
		t.Errorf("what the boot before wrote reads %q:\n%s", got, k.Trace())
	}
	writes := strings.Count(k.Trace(), "write "+setStore)
	k = bootModules(t, "perch", cutOff(k)...)
	if again := strings.Count(k.Trace(), "write "+setStore); writes != 0 || again != 0 {
		t.Errorf("a boot that resumes what ran before writes metadata %d and %d times", writes, again)
	}
	old := aSet(strings.Split(strings.ReplaceAll(strings.Join(sessions("2", 2), "\x00"), `"5.0"`, `"4.0"`), "\x00")...)
	k = bootModules(t, "perchdir=resume", stickWith(old...))
	usesSession(t, k, "3")
	if got := readFile(k, setStore+"/2/changes/mine"); got != "of 2" || !strings.Contains(k.Trace(), "session 2 is of the version 4.0, and this is 5.0") {
		t.Errorf("session 2 holds %q:\n%s", got, k.Trace())
	}
}

// Layouts 3.6, statement 13.
func TestStatement3_6_13_NothingToResume(t *testing.T) {
	k := bootModules(t, "perch", stickWith(aSet()...))
	usesSession(t, k, "none")
	if k.Files(setStore) != nil || !strings.Contains(readFile(k, "/run/minos/boot.json"), `"degraded": true`) ||
		!strings.Contains(k.Trace(), "what is written is lost at power-off, ignoring: cannot open a session: there is no session to resume, and perch alone makes none") {
		t.Errorf("the store holds %q:\n%s", k.Files(setStore), k.Trace())
	}
}

// Layouts 3.6, statement 14.
func TestStatement3_6_14_ByNumber(t *testing.T) {
	disk := func() *systest.Disk { return stickWith(aSet(sessions("2", 2, 7)...)...) }
	k := bootModules(t, "perchdir=7", disk())
	usesSession(t, k, "7")
	if !strings.Contains(readFile(k, setStore+"/session.json"), `"default": "7"`) {
		t.Error("session 7 is not the default")
	}
	k = bootModules(t, "perchdir=8", disk())
	usesSession(t, k, "2")
	if slices.Contains(names(k, setStore), "8/") || !strings.Contains(readFile(k, "/run/minos/boot.json"), "there is no such session") {
		t.Errorf("session 8:\n%s", k.Trace())
	}
}

// Layouts 3.6, statements 15 and 19: where no session can be kept, memory takes
// its place, and nothing of a session is left mounted.
func TestStatement3_6_15_And19_NoPlaceForSessions(t *testing.T) {
	fat := stickWith(aSet()...)
	fat.Parts[0].FS = "vfat"
	iso := stickWith(aSet()...)
	iso.Parts[0].FS = "iso9660"
	linked := stickWith(aSet("minios/changes->/../../etc")...)
	for name, c := range map[string]struct {
		disk   *systest.Disk
		break_ func(*systest.Kernel)
		said   string
	}{
		"FAT":         {fat, nil, "vfat keeps no owners and no links, so a session of the mode native cannot be on it"},
		"ISO":         {iso, nil, "iso9660 cannot be written to"},
		"no writes":   {stickWith(aSet()...), func(k *systest.Kernel) { k.FailTimes("mount ext4 /dev/sda1 "+dataDir+" rw", 1, unix.EROFS) }, "the medium cannot be written to"},
		"no links":    {stickWith(aSet()...), func(k *systest.Kernel) { k.Fail("symlink "+setStore, unix.EPERM) }, "is not fit for sessions: "},
		"full":        {stickWith(aSet()...), func(k *systest.Kernel) { k.Fail("mkdir "+setStore+"/1", unix.ENOSPC) }, "no space left on device"},
		"no bind":     {stickWith(aSet()...), func(k *systest.Kernel) { k.Fail("bind "+setStore, unix.EPERM) }, "operation not permitted"},
		"a link":      {linked, nil, "changes leads nowhere"},
		"no overlay":  {stickWith(aSet()...), func(k *systest.Kernel) { k.FailTimes("mount overlay", 1, unix.EINVAL) }, "cannot lay the writable layer over the modules"},
		"no probe":    {stickWith(aSet()...), func(k *systest.Kernel) { k.FailTimes("write /sysroot/run/.minos-probe", 1, unix.EIO) }, "does not take a write"},
		"no metadata": {stickWith(aSet("minios/changes/session.json={")...), nil, "session.json is not understood, and stays as it is: it is no JSON"},
	} {
		k := bootModulesWith(t, "perchdir=new", c.break_, c.disk)
		report := readFile(k, "/run/minos/boot.json")
		if !strings.Contains(k.Trace(), c.said) || !strings.Contains(report, `"durability": "volatile"`) || !strings.Contains(report, `"degraded": true`) ||
			k.MountedAt(changesDir) != "tmpfs" || strings.Contains(k.Trace(), "rename "+setStore) {
			t.Errorf("%s: a session is used or recorded, or %q is not said:\n%s\n%s", name, c.said, k.Trace(), report)
		}
		if !strings.Contains(report, `"value": "none"`) {
			t.Errorf("%s: the choice is a session: %s", name, report)
		}
		if err := k.WriteFile("/written", []byte("x"), 0o644); err != nil {
			t.Errorf("%s: the root: %v", name, err)
		}
		if slices.ContainsFunc(k.Files(dataDir), func(f string) bool { return strings.Contains(f, "written") }) {
			t.Errorf("%s: what is written is on the medium", name)
		}
	}
}

// Layouts 3.6, statement 18.
func TestStatement3_6_18_NumbersOnly(t *testing.T) {
	for _, number := range []string{"../../x", "1 2", "", "007", "-1", "1e3", "4294967296000", "."} {
		for _, file := range []string{
			fmt.Sprintf("session.json={\"default\": %q, \"sessions\": {%q: {\"mode\": \"native\"}}}", number, number),
			fmt.Sprintf("session.conf=default=%s\nsession_mode[%s]=native\n", number, number),
		} {
			k := bootModules(t, "perch", stickWith(aSet("minios/changes/"+file)...))
			usesSession(t, k, "none")
			if k = bootModules(t, "perchdir=resume", stickWith(aSet("minios/changes/"+file)...)); k.MountedAt(changesDir) != "/dev/sda1" {
				t.Errorf("%q: no new session:\n%s", number, k.Trace())
			}
			usesSession(t, k, "1")
		}
	}
}

// Layouts 3.6, statement 22, of the modes that are not there.
func TestStatement3_6_22_OtherModesLeadToMemory(t *testing.T) {
	for words, said := range map[string]string{
		"perchmode=dynfilefs perchdir=new": "dynfilefs needs a program that is not in the image",
		"perchdir=2":                       "session 2: dynfilefs needs a program that is not in the image",
		"perch":                            "session 2: dynfilefs needs a program that is not in the image",
		"perchdir=3":                       "session 3: it was written by another union filesystem, aufs",
	} {
		files := aSet("minios/changes/session.conf=default=2\nsession_mode[2]=dynfilefs\nsession_union[3]=aufs\n", "minios/changes/2/changes.dat=x", "minios/changes/3/changes/")
		k := bootModules(t, words, stickWith(files...))
		usesSession(t, k, "none")
		if !strings.Contains(k.Trace(), said) || len(names(k, setStore)) != 5 || k.Unsynced() != 0 || readFile(k, setStore+"/2/changes.dat") != "x" {
			t.Errorf("%s: want %q, and no change on the medium:\n%s", words, said, k.Trace())
		}
	}
}

// Sessions may be on another medium.
func TestSessionsElsewhere(t *testing.T) {
	for _, words := range []string{"perchdir=/dev/vdb1/store", "perchdir=/dev/disk/by-label/KEEP/store", "perchdir=label:KEEP/store", "perch=/dev/vdb1:/store"} {
		other := named(stickWith("x=y"), "vdb")
		other.Parts[0].Label = "KEEP"
		k := bootModules(t, words, stickWith(aSet()...), other)
		if got := names(k, "/run/initramfs/memory/store/store"); !slices.Contains(got, "session.json") || k.MountedAt(changesDir) != "/dev/vdb1" {
			t.Errorf("%s: the store holds %q:\n%s", words, got, k.Trace())
		}
		if strings.Contains(k.Trace(), "mount ext4 /dev/sda1 "+dataDir+" rw") {
			t.Errorf("%s: the medium can be written to:\n%s", words, k.Trace())
		}
	}
	k := bootModules(t, "perchdir=/dev/vdb1", stickWith(aSet()...))
	usesSession(t, k, "none")
	if !strings.Contains(k.Trace(), "no /dev/vdb1/minios/changes within 10s") {
		t.Errorf("a store that is not there:\n%s", k.Trace())
	}
	// The medium's own name for it.
	k = bootModules(t, "perchdir=/dev/sda1/mine", stickWith(aSet()...))
	usesSession(t, k, "1")
	if got := names(k, dataDir+"/mine"); !slices.Contains(got, "session.json") {
		t.Errorf("the store on the medium holds %q", got)
	}
}

// Whatever a cut leaves of a new session: the old ones are what they were, the
// metadata is the old or the new, and the next boot has a session that works.
func TestPowerCutWhileASessionIsMade(t *testing.T) {
	for _, metadata := range []string{"session.json", "session.conf"} {
		disk := func() *systest.Disk {
			files := sessions("2", 1, 2)
			if metadata == "session.conf" {
				files = append(files[:len(files)-1], "minios/changes/session.conf=default=2\nsession_mode[1]=native\nsession_mode[2]=native\n")
			}
			return stickWith(aSet(files...)...)
		}
		whole := systest.New(onModules + " perchdir=new")
		whole.AddDisk(disk())
		start(whole, mount.InOrder)
		effects := strings.Count(whole.Trace(), "\n")
		cases := 0
		for cut := range effects {
			for variant := 0; ; variant++ {
				k := systest.New(onModules + " perchdir=new")
				k.AddDisk(disk())
				k.CutAfter(cut)
				start(k, mount.InOrder)
				keep, last := losses(variant, k.Unsynced())
				after := bootModules(t, "perchdir=resume", k.CutPower(keep)...)
				cases++
				number := "2"
				if strings.Contains(readFile(after, setStore+"/"+metadata), "default=3") || strings.Contains(readFile(after, setStore+"/"+metadata), `"default": "3"`) {
					number = "3"
				}
				usesSession(t, after, number)
				for _, n := range []string{"1", "2"} {
					if got := readFile(after, setStore+"/"+n+"/changes/mine"); got != "of "+n {
						t.Errorf("session %s holds %q", n, got)
					}
				}
				if t.Failed() {
					t.Fatalf("%s: cut after %d effects, loss %d", metadata, cut, variant)
				}
				if last || testing.Short() && variant == 6 {
					break
				}
			}
		}
		if cases < 2*effects {
			t.Errorf("only %d cases of %d effects: nothing was ever lost", cases, effects)
		}
	}
}
