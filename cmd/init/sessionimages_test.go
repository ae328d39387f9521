package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// aSetWithTools is a set whose core has the programs that a session in an image
// takes, and what is given besides.
func aSetWithTools(files ...string) []string {
	tools := []string{"tmp/", "usr/sbin/mke2fs=\x7fELF", "usr/sbin/e2fsck=\x7fELF", "usr/sbin/e2undo=\x7fELF"}
	return append(aSet(files...)[1:], coreFile("minios/00-core.sb", tools...))
}

// onFAT is a stick whose filesystem is a FAT.
func onFAT(d *systest.Disk) *systest.Disk {
	d.Parts[0].FS, d.Parts[0].Room = "vfat", 1500<<20
	return d
}

// imageSession are the files of session 2, the default one, in an image of so
// many MiB.
func imageSession(mib int64, fields string) []string {
	return []string{
		"minios/changes/2/changes.img=" + systest.Ext4(mib<<20, "changes/mine=of 2", "workdir/work/"),
		`minios/changes/session.json={"default": "2", "sessions": {"2": {"mode": "raw", "version": "5.0"` + fields + `}}}`,
	}
}

// usesImage fails unless the session of this number, in an image, is the upper.
func usesImage(t *testing.T, k *systest.Kernel, number string) {
	t.Helper()
	report := readFile(k, "/run/minos/boot.json")
	if !strings.Contains(report, `"value": "`+number+`"`) || !strings.Contains(report, `"durability": "keep"`) || !strings.HasPrefix(k.MountedAt(changesDir), "/dev/loop") {
		t.Errorf("session %s is not used, %s is %q:\n%s\n%s", number, changesDir, k.MountedAt(changesDir), report, k.Trace())
	}
	if k.MountedAt("/mnt/stack") != "" || k.MountedAt("/mnt/tools-session") != "" {
		t.Errorf("the tools' place is still mounted:\n%s", k.Trace())
	}
}

// sizeOf is how many MiB a file of the store has.
func sizeOf(t *testing.T, k *systest.Kernel, name string) int64 {
	t.Helper()
	info, err := k.Lstat(setStore + "/" + name)
	if err != nil {
		t.Errorf("%v:\n%s", err, k.Trace())
	}
	return info.Size >> 20
}

// Layouts 3.6, statement 16: an image is made, resumed, made larger and never
// smaller.
func TestStatement3_6_16_SessionInAnImage(t *testing.T) {
	disk := stickWith(aSetWithTools()...)
	disk.Parts[0].Room = 3001 << 20
	k := bootModules(t, "perchdir=resume perchmode=raw perchsize=1000", disk)
	usesImage(t, k, "1")
	if got := sizeOf(t, k, "1/changes.img"); got != 1000 {
		t.Errorf("the image has %d MiB", got)
	}
	if err := k.WriteFile("/written", []byte("now"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		words string
		mib   int64
	}{{"perch", 1000}, {"perch perchsize=500", 1000}, {"perch perchsize=2000", 2000}, {"perchdir=resume perchmode=raw", 2000}, {"perch perchsize=9G", 2744}} {
		k = bootModules(t, c.words, cutOff(k)...)
		usesImage(t, k, "1")
		if got := readFile(k, "/written"); got != "now" {
			t.Errorf("%s: what the first boot wrote reads %q", c.words, got)
		}
		grown := strings.Contains(k.Trace(), fmt.Sprintf("grow ext4 %s to %#x bytes", changesDir, c.mib<<20))
		if got := sizeOf(t, k, "1/changes.img"); got != c.mib || grown != (got != 1000 && !strings.Contains(c.words, "raw")) {
			t.Errorf("%s: the image has %d MiB, want %d:\n%s", c.words, got, c.mib, k.Trace())
		}
		if meta := readFile(k, setStore+"/session.json"); !strings.Contains(meta, fmt.Sprintf(`"size": "%d"`, c.mib)) || !strings.Contains(meta, `"mode": "raw"`) {
			t.Errorf("%s: session.json: %s", c.words, meta)
		}
	}
}

// Layouts 3.6, statements 15 and 16: what there is room for, and where an image
// takes the place of a directory.
func TestStatement3_6_15_And16_RoomAndFAT(t *testing.T) {
	for _, c := range []struct {
		name, words string
		fs          string
		room        int64 // MiB
		want        int64 // of the image; 0: none
		said        string
	}{
		{"as asked", "perchmode=raw perchsize=600", "ext4", 3000, 600, ""},
		{"the usual size", "perchmode=raw", "ext4", 9000, 4000, ""},
		{"the reserve stays free", "perchmode=raw", "ext4", 1000, 744, ""},
		{"another reserve", "perchmode=raw perchreserve=500", "ext4", 1000, 500, ""},
		{"nothing free", "perchmode=raw", "ext4", 280, 0, "there is room for an image of 24 MiB, and it takes 32"},
		{"FAT", "", "vfat", 9000, 4000, "there is no session to resume, in an image: vfat keeps no owners"},
		{"FAT, native", "perchmode=native", "vfat", 9000, 4000, ""},
		{"FAT, more than a file has", "perchsize=8G", "vfat", 9000, 4000, "making room for session 1: 256 of 4000 MiB"},
	} {
		disk := stickWith(aSetWithTools()...)
		disk.Parts[0].FS, disk.Parts[0].Room = c.fs, (c.room<<20)+(1<<19)
		k := bootModules(t, "perchdir=resume "+c.words, disk)
		if c.want == 0 {
			usesSession(t, k, "none")
			if got := names(k, setStore); len(got) != 0 {
				t.Errorf("%s: the store holds %q", c.name, got)
			}
		} else {
			usesImage(t, k, "1")
			if got := sizeOf(t, k, "1/changes.img"); got != c.want {
				t.Errorf("%s: the image has %d MiB, want %d", c.name, got, c.want)
			}
		}
		if !strings.Contains(k.Trace(), c.said) {
			t.Errorf("%s: want %q:\n%s", c.name, c.said, k.Trace())
		}
	}
	// A session that is a directory cannot be on a FAT, and stays what it is.
	disk := stickWith(aSetWithTools(sessions("2", 2)...)...)
	disk.Parts[0].FS = "vfat"
	k := bootModules(t, "perch", disk)
	usesSession(t, k, "none")
	if got := readFile(k, setStore+"/2/changes/mine"); got != "of 2" || strings.Contains(k.Trace(), "write "+setStore) {
		t.Errorf("session 2 holds %q:\n%s", got, k.Trace())
	}
}

// Layouts 3.6, statement 17: an image that e2fsck cannot mend is as it was, and
// memory takes its place.
func TestStatement3_6_17_DamagedImage(t *testing.T) {
	e2fsck := func(status int) func(*systest.Kernel) {
		return func(k *systest.Kernel) { k.Answer("e2fsck", sys.Exit{Status: status, Output: "words\n"}) }
	}
	const undone = "tool in /mnt/tools-session: /usr/sbin/e2undo /tmp/before-e2fsck /dev/loop"
	for _, c := range []struct {
		name   string
		break_ func(*systest.Kernel)
		fields string
		used   bool
		said   string
	}{
		{"whole", nil, "", true, "/usr/sbin/e2fsck -p -z /tmp/before-e2fsck -f /dev/loop"},
		{"closed", nil, `, "state": "clean"`, true, "/usr/sbin/e2fsck -p -z /tmp/before-e2fsck /dev/loop"},
		{"mended", e2fsck(1), "", true, "mount ext4 /dev/loop"},
		{"to be restarted", e2fsck(2), "", false, "it is damaged, and stays as it is: e2fsck ended with exit status 2: words"},
		{"not mended", e2fsck(4), "", false, "it is damaged, and stays as it is: e2fsck ended with exit status 4: words"},
		{"not ended", func(k *systest.Kernel) { k.Fail("/usr/sbin/e2fsck", sys.ErrKilled) }, "", false, "it is damaged, and stays as it is: exec /usr/sbin/e2fsck: was killed"},
		{"not undone", func(k *systest.Kernel) { e2fsck(4)(k); k.Answer("e2undo", sys.Exit{Status: 1}) }, "", false,
			"it is damaged, and e2fsck has changed it: e2fsck ended with exit status 4: words; e2undo ended with exit status 1"},
		{"not mounted", func(k *systest.Kernel) { k.Fail("mount ext4 /dev/loop", unix.EUCLEAN) }, "", false, "structure needs cleaning"},
	} {
		k := bootModulesWith(t, "perch", c.break_, stickWith(aSetWithTools(imageSession(500, c.fields)...)...))
		if c.used {
			usesImage(t, k, "2")
		} else {
			usesSession(t, k, "none")
			if got := strings.Contains(k.Trace(), undone); got != strings.Contains(c.said, "damaged") {
				t.Errorf("%s: e2undo is run: %v:\n%s", c.name, got, k.Trace())
			}
		}
		if !strings.Contains(k.Trace(), c.said) {
			t.Errorf("%s: want %q:\n%s", c.name, c.said, k.Trace())
		}
	}
	// Without e2fsck it is used, without e2undo e2fsck is not let at it.
	set := func(tools ...string) []string {
		return append(aSet(imageSession(500, "")...)[1:], coreFile("minios/00-core.sb", append(tools, "tmp/")...))
	}
	k := bootModules(t, "perch", stickWith(set()...))
	usesImage(t, k, "2")
	if !strings.Contains(k.Trace(), "session 2 is used unchecked, ignoring: the set has no e2fsck in ") {
		t.Errorf("without e2fsck:\n%s", k.Trace())
	}
	k = bootModules(t, "perch", stickWith(set("usr/sbin/e2fsck=\x7fELF")...))
	usesSession(t, k, "none")
	if !strings.Contains(k.Trace(), "the set has no e2undo in ") || strings.Contains(k.Trace(), "/usr/sbin/e2fsck -p") {
		t.Errorf("without e2undo:\n%s", k.Trace())
	}
	// Nor is a link followed.
	k = bootModules(t, "perch", stickWith(aSetWithTools("minios/changes/2/changes.img->/etc/x", imageSession(5, "")[1])...))
	usesSession(t, k, "none")
	if !strings.Contains(k.Trace(), "/2/changes.img is no regular file") {
		t.Errorf("a link:\n%s", k.Trace())
	}
}

// Where no image can be made, nothing is left of it, and memory takes its place.
func TestImageThatCannotBeMade(t *testing.T) {
	for _, call := range []string{
		"make " + setStore + "/1/changes.img.minos-new", "extend " + setStore, "writable loop", "mount overlay overlay /mnt/stack", "/usr/sbin/mke2fs",
		"fsync " + setStore + "/1/changes.img.minos-new", "rename " + setStore,
	} {
		k := bootModulesWith(t, "perchdir=new perchmode=raw", func(k *systest.Kernel) { k.Fail(call, unix.EIO) }, stickWith(aSetWithTools()...))
		usesSession(t, k, "none")
		if got := names(k, setStore); len(got) != 0 {
			t.Errorf("%s fails, and the store holds %q:\n%s", call, got, k.Trace())
		}
	}
	k := bootModules(t, "perchdir=new perchmode=raw", stickWith(aSet()...))
	usesSession(t, k, "none")
	if !strings.Contains(k.Trace(), "the set has no mke2fs in ") || len(names(k, setStore)) != 0 {
		t.Errorf("without mke2fs, the store holds %q:\n%s", names(k, setStore), k.Trace())
	}
	// Larger it cannot become, and it is used as it is.
	for call, said := range map[string]string{
		"extend " + setStore: "session 2 stays as large as it is, ignoring: ",
		"grow ext4":          "session 2 does not fill its image, ignoring: ",
	} {
		k := bootModulesWith(t, "perch perchsize=700", func(k *systest.Kernel) { k.Fail(call, unix.EIO) }, stickWith(aSetWithTools(imageSession(500, "")...)...))
		usesImage(t, k, "2")
		if !strings.Contains(k.Trace(), said) {
			t.Errorf("%s fails: want %q:\n%s", call, said, k.Trace())
		}
	}
}

// Whatever a cut leaves of a new image, or of one that grows: the old session is
// what it was, and the next boot has one that works. What was not finished is
// removed.
func TestPowerCutWhileAnImageIsMade(t *testing.T) {
	for _, c := range []struct{ words, after string }{
		{"perchdir=new perchmode=raw perchsize=300", "perchdir=resume"},
		{"perchdir=new perchmode=raw perchsize=300", "perchdir=new perchmode=raw perchsize=300"},
		{"perch perchsize=700", "perch"},
	} {
		disk := func() *systest.Disk { return stickWith(aSetWithTools(imageSession(500, "")...)...) }
		machine := func() *systest.Kernel {
			k := systest.New(onModules + " " + c.words)
			k.AddDisk(disk())
			return k
		}
		whole := machine()
		start(whole, mount.InOrder)
		effects, cases := strings.Count(whole.Trace(), "\n"), 0
		for cut := range effects {
			for variant := 0; ; variant++ {
				k := machine()
				k.CutAfter(cut)
				start(k, mount.InOrder)
				keep, last := losses(variant, k.Unsynced())
				after := bootModules(t, c.after, k.CutPower(keep)...)
				cases++
				number := "2"
				if value := between(readFile(after, setStore+"/session.json"), `"default": "`, `"`); value != "2" {
					number = value
				}
				usesImage(t, after, number)
				if number == "2" && readFile(after, changesDir+"/changes/mine") != "of 2" {
					t.Errorf("session 2 holds %q", names(after, changesDir))
				}
				if hasUnfinished(after) && strings.Contains(c.after, "new") {
					t.Errorf("what was not finished is still there: %q", names(after, setStore))
				}
				if t.Failed() {
					t.Fatalf("%s: cut after %d effects, loss %d:\n%s", c.words, cut, variant, k.Trace())
				}
				if last || testing.Short() && variant == 6 {
					break
				}
			}
		}
		if cases <= effects {
			t.Errorf("%s: only %d cases of %d effects: nothing was ever lost", c.words, cases, effects)
		}
	}
}

// hasUnfinished tells whether there is an image in the store that was not
// finished.
func hasUnfinished(k *systest.Kernel) bool {
	return slices.ContainsFunc(names(k, setStore), func(name string) bool {
		return strings.Contains(name, "/changes.") && strings.Contains(name, ".minos-new")
	})
}

// between is what stands between two texts.
func between(text, from, to string) string {
	_, text, _ = strings.Cut(text, from)
	text, _, _ = strings.Cut(text, to)
	return text
}
