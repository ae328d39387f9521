package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

const storeDir = "/run/initramfs/memory/store"

// stickWithPersistence is a stick with a set, and a partition behind it that is for
// sessions and has these files.
func stickWithPersistence(files ...string) *systest.Disk {
	stick := stickWith(aSet()...)
	stick.Parts = append(stick.Parts, &systest.Part{Number: 2, FS: "ext4", Label: "persistence", Files: files})
	return stick
}

// Layouts 3.1: a partition with the label persistence on the medium's disk has the
// sessions, in the directory that the newer MiniOS has them in or at its top, where
// the older one had them.
func TestPersistencePartition(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		store string
	}{
		"empty":            {nil, storeDir + "/minios/changes"},
		"of the newer one": {[]string{"minios/changes/session.json={}"}, storeDir + "/minios/changes"},
		"of the older one": {[]string{"session.conf=default=4\nsession_mode[4]=native\n", "4/changes/mine=x"}, storeDir},
	} {
		k := bootModules(t, "perchdir=resume", stickWithPersistence(c.files...))
		if got := k.MountedAt(changesDir); got != "/dev/sda2" || !slices.ContainsFunc(names(k, c.store), func(f string) bool { return strings.HasPrefix(f, "session.") }) {
			t.Errorf("%s: the session is on %q, the store holds %q:\n%s", name, got, names(k, c.store), k.Trace())
		}
		if strings.Contains(k.Trace(), "mount ext4 /dev/sda1 "+dataDir+" rw") || !strings.Contains(readFile(k, "/run/minos/boot.json"), `"found_by": "label"`) {
			t.Errorf("%s: the medium can be written to, or the store was not found by its label:\n%s", name, k.Trace())
		}
		if name == "of the older one" && readFile(k, "/mine") != "x" {
			t.Errorf("session 4 is not resumed:\n%s", k.Trace())
		}
	}
	// A word counts before it, and without one nothing is looked at.
	k := bootModules(t, "perchdir=/dev/sda1/mine", stickWithPersistence())
	usesSession(t, k, "1")
	if k = bootModules(t, "", stickWithPersistence()); strings.Contains(k.Trace(), "/dev/sda2 "+storeDir) {
		t.Errorf("without a word of persistence the partition is mounted:\n%s", k.Trace())
	}
	// One on another disk is somebody else's.
	other := named(stickWith("x=y"), "sdb")
	other.Parts[0].Label = "persistence"
	usesSession(t, bootModules(t, "perchdir=resume", stickWith(aSet()...), other), "1")
}

// Layouts 3.3, step 6: modules beside the sessions come after all others.
func TestModulesBesideTheSessions(t *testing.T) {
	own := []string{sbFile("minios/modules/a/05-x.sb", "etc/where=store"), sbFile("minios/modules/20-y.sb"), sbFile("minios/99-not.sb")}
	k := bootModules(t, "perchdir=new noload=10", stickWithPersistence(own...))
	if got := lowers(k); !slices.Equal(got, []string{"20-y.sb", "05-x.sb", "01-kernel-6.1.sb", "00-core.sb"}) || readFile(k, "/etc/where") != "store" || readFile(k, "/etc/top") != "20-y.sb" {
		t.Errorf("the layers are %q:\n%s", got, k.Trace())
	}
	k = bootModules(t, "perchdir=/dev/sdb1", stickWith(aSet()...), named(stickWith(own...), "sdb"))
	if got := lowers(k); len(got) != 5 || got[0] != "20-y.sb" {
		t.Errorf("of a store elsewhere: the layers are %q", got)
	}
	k = bootModules(t, "perchdir=new", stickWithPersistence("minios->../../nowhere"))
	if got := lowers(k); len(got) != 4 || !strings.Contains(k.Trace(), "the modules beside the sessions are not taken, ignoring: minios leads nowhere") {
		t.Errorf("a link that leads out: the layers are %q:\n%s", got, k.Trace())
	}
	failed := systest.New(onModules + " perchdir=new load=nothing")
	failed.AddDisk(stickWithPersistence(own...))
	start(failed, mount.InOrder)
	if failed.MountedAt(storeDir) != "" || failed.MountedAt(dataDir) != "" || failed.Ended() != "reboot" {
		t.Errorf("after a failed boot the store is mounted:\n%s", failed.Trace())
	}
}
