package main

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/btrfs/btrfstest"
)

// profilesDevice is a device that runs the profile desk over base 1.0, on a real
// btrfs at the place where init mounts it.
type profilesDevice struct {
	testDevice
	*btrfstest.Disk
}

func newProfilesDevice(t *testing.T) profilesDevice {
	t.Helper()
	d := profilesDevice{newDevice(t), btrfstest.New(t, 256<<20)}
	at := d.testDevice.path("run/initramfs/profiles")
	d.must(os.MkdirAll(at, 0o755), unix.Mount(d.Top, at, "", unix.MS_BIND, ""))
	t.Cleanup(func() {
		if err := unix.Unmount(at, 0); err != nil {
			t.Error(err)
		}
	})
	d.must(os.MkdirAll(d.testDevice.path("proc/self"), 0o755), os.MkdirAll(d.testDevice.path("proc/sys/kernel/random"), 0o755))
	d.file("proc/sys/kernel/random/boot_id", "first\n")
	d.runs("desk", "1.0")
	for _, version := range []string{"1.0", "2.0"} {
		d.must(btrfs.Create(d.Path("src")), os.MkdirAll(d.Path("@base"), 0o755))
		d.Disk.Write("src/etc/issue", "issue of "+version)
		d.must(btrfs.Snapshot(d.Path("src"), d.Path("@base/"+version), true), btrfs.Delete(d.Path("src")))
	}
	d.ok("base", "set-current", "1.0")
	d.ok("profile", "create", "--name", "The desk", "desk")
	d.ok("profile", "create", "--base", "1.0", "router")
	return d
}

// runs has init say which profile it has booted over which base.
func (d profilesDevice) runs(profile, base string) {
	d.testDevice.Helper()
	report := strings.Replace(bootJSON("A", ""), `"what": "slot", "value": "A"`, `"what": "profile", "value": "`+profile+`"`, 1)
	top := d.testDevice.path("run/initramfs/profiles")
	d.file("run/minos/boot.json", strings.Replace(report, `"disk"`, `"base": {"value": "`+base+`"},
"overlay": {"lowers": ["`+top+`/@base/`+base+`"], "upper": "`+top+`/@profiles/`+profile+`/upper/root", "subvolume": 300},
"disk"`, 1))
}

func (d profilesDevice) must(errs ...error) {
	d.testDevice.Helper()
	for _, err := range errs {
		if err != nil {
			d.testDevice.Fatal(err)
		}
	}
}

// says runs minosctl and compares its status, and a part of what it says.
func (d profilesDevice) says(status int, part string, args ...string) {
	d.testDevice.Helper()
	got, stdout, stderr := d.testDevice.run(args...)
	if said := strings.Join(strings.Fields(stdout+stderr), " "); got != status || !strings.Contains(said, part) {
		d.testDevice.Errorf("minosctl %q: status %d, %s\nwant %d, %s", args, got, said, status, part)
	}
}

func TestProfileVerbs(t *testing.T) {
	d := newProfilesDevice(t)
	d.says(statusOK, "desk 1.0 0 new The desk running router 1.0 (pinned) 0 new", "profile", "list")
	d.says(statusOK, "Starts over base 1.0: it is current", "profile", "show")
	d.says(statusOK, "Starts over base 1.0 (pinned): the profile is pinned to it", "profile", "show", "router")
	d.says(statusOK, "Profile desk2 is a clone of desk", "profile", "clone", "desk", "desk2")
	d.says(statusOK, "All that was written to desk2 goes", "profile", "reset", "desk2")
	d.says(statusRefused, "there is no @pristine/desk2", "profile", "reset", "--yes", "desk2")
	d.says(statusOK, "desk2 is reset.", "profile", "reset", "--yes", "--empty", "desk2")
	d.says(statusRefused, "desk is running", "profile", "delete", "--yes", "desk")
	d.says(statusOK, "With --yes it is done", "profile", "delete", "desk2")
	d.says(statusOK, "desk2 is deleted", "profile", "delete", "desk2", "--yes")
	d.says(statusFailed, "there is no profile desk2", "profile", "show", "desk2")
	d.says(statusOK, "Snapshot t1 of router is made", "profile", "snapshot", "router", "t1")
	d.says(statusOK, "Snapshot auto-", "profile", "snapshot", "--keep", "2")
	d.says(statusOK, "TAG MADE auto-", "profile", "snapshots")
	d.says(statusOK, "It is running: that takes effect at the next boot", "profile", "rollback")
	d.says(statusRefused, "restart first", "profile", "snapshot")
	d.says(statusOK, "router is as it was at t1", "profile", "rollback", "router", "t1")
	for _, c := range []struct {
		part string
		args []string
	}{
		{"it is called as: minosctl profile", []string{"fly"}},
		{"minosctl profile clone FROM TO", []string{"clone", "desk"}},
		{"is no name", []string{"show", "../x"}},
		{"is no name", []string{"clone", "desk", ".hidden"}},
		{"is no name", []string{"create", strings.Repeat("x", 200)}},
		{"is no name", []string{"create", ""}},
		{"is no name", []string{"create", "a/b"}},
		{"is no name", []string{"create", "--base", "1..0", "x"}},
		{"it means that no profile is started", []string{"show", "none"}},
		{"it is a number", []string{"snapshot", "--keep", "many"}},
	} {
		d.says(statusUsage, c.part, append([]string{"profile"}, c.args...)...)
	}
	d.runs("none", "1.0")
	d.says(statusNoState, "no profile is running", "profile", "snapshot")
	d.says(statusNoState, "no btrfs with profiles is mounted", "profile", "list", "--top", d.testDevice.path("etc"))
	d.says(statusNoState, "/run/initramfs/profiles-sd", "profile", "show", "sd:desk")
}

// What overlays are mounted is in use, too, also when init says nothing of them;
// a card with a profile of the same name is another filesystem.
func TestProfileInUse(t *testing.T) {
	d := newProfilesDevice(t)
	d.remove("run/minos/boot.json")
	top := d.testDevice.path("run/initramfs/profiles")
	d.file("proc/self/mounts", "overlay / overlay rw,lowerdir="+top+"/@base/2.0,upperdir="+top+"/@profiles/router/upper/root,workdir=x 0 0\n")
	d.says(statusRefused, "router is running", "profile", "delete", "--yes", "router")
	d.says(statusOK, "2.0 running", "base", "list")
	d.file("proc/self/mountinfo", "20 1 0:30 / / rw - ext4 /dev/vda1 rw\n21 1 0:31 / "+top+" rw - btrfs /dev/vda2 rw\n22 1 0:32 / "+d.Top+" rw - btrfs /dev/sda1 rw\n")
	d.says(statusRefused, "router is running", "profile", "delete", "--yes", "router")
	d.says(statusOK, "router is deleted", "profile", "delete", "--yes", "--top", d.Top, "router")
}

func TestBaseVerbs(t *testing.T) {
	d := newProfilesDevice(t)
	d.says(statusOK, "BASE STATE 2.0 1.0 current, running, pinned by router", "base", "list")
	d.Disk.Write("@profiles/desk/upper/root/etc/issue", "mine")
	d.says(statusDiffers, "Profile desk, from base 1.0 to 2.0: 2 files looked at SHADOWED: 1 files that the new base changes, and the profile has its own of /etc/issue: the base has changed it minosctl: cannot check: profiles do not see all of base 2.0", "base", "check", "2.0")
	d.says(statusOK, "nothing of the new base is hidden", "base", "check", "2.0", "router")
	d.says(statusOK, "nothing of the new base is hidden", "base", "check", "--from", "2.0", "2.0")
	d.says(statusFailed, "there is no such base", "base", "check", "9")
	d.says(statusOK, "start over base 2.0", "base", "set-current", "2.0")
	d.says(statusOK, "Starts over base 2.0", "profile", "show")
	d.says(statusOK, "2.0 stays it is current 1.0 stays it is running", "base", "gc")
	d.runs("desk", "2.0")
	d.says(statusOK, "1.0 stays it is the base of router", "base", "gc")
	d.ok("profile", "delete", "--yes", "router")
	d.says(statusOK, "1.0 goes", "base", "gc", "--dry-run")
	d.says(statusOK, "1.0 goes", "base", "gc")
	stream, err := exec.Command("btrfs", "send", "-q", d.Path("@base/2.0")).Output()
	d.must(err)
	file := filepath.Join(d.testDevice.TempDir(), "stream")
	d.must(os.WriteFile(file, stream[:len(stream)-1], 0o644))
	d.says(statusFailed, "cannot receive: the stream ends before its end", "base", "receive", file, "3.0")
	d.must(os.WriteFile(file, stream, 0o644))
	d.says(statusRefused, "there is a base 2.0 already", "base", "receive", file)
	d.says(statusOK, "Base 3.0 is there.", "base", "receive", file, "3.0")
	d.says(statusOK, "BASE STATE 3.0 2.0 current, running", "base", "list")
}

func TestProfileJSON(t *testing.T) {
	d := newProfilesDevice(t)
	d.ok("profile", "snapshot", "router", "t1")
	d.must(os.WriteFile(d.Path("@profiles/desk/profile.json"), []byte("{"), 0o644))
	var list struct {
		Schema   int
		Profiles []profileJSON
	}
	d.must(json.Unmarshal([]byte(d.ok("profile", "list", "--json")), &list))
	if p := list.Profiles; list.Schema != 1 || len(p) != 2 || !p[0].Running || len(p[0].Faults) != 1 || p[1].Pin != "1.0" || p[1].Base != "1.0" ||
		len(p[1].Snapshots) != 1 || p[1].Snapshots[0].Tag != "t1" || p[1].Created == "" || p[0].Subvolume == 0 {
		t.Errorf("%+v", list)
	}
	var show profileJSON
	d.must(json.Unmarshal([]byte(d.ok("profile", "show", "--json", "router")), &show))
	var bases struct{ Bases []baseJSON }
	d.must(json.Unmarshal([]byte(d.ok("base", "list", "--json")), &bases))
	if show.ID != "router" || len(bases.Bases) != 2 || bases.Bases[1].Version != "1.0" || !bases.Bases[1].Current || !bases.Bases[1].Running {
		t.Errorf("%+v %+v", show, bases)
	}
	d.Disk.Write("@profiles/desk/upper/root/etc/issue", "mine")
	_, out, _ := d.testDevice.run("base", "check", "--json", "2.0")
	var check struct{ Checked []checked }
	d.must(json.Unmarshal([]byte(out), &check))
	if c := check.Checked; len(c) != 1 || c[0].Profile != "desk" || len(c[0].Findings) != 1 || c[0].Findings[0].Path != "/etc/issue" {
		t.Errorf("%+v", check)
	}
	// Names on the filesystem are anybody's, and go to a terminal.
	d.must(os.WriteFile(d.Path("@profiles/router/profile.json"), []byte(`{"name": "a\u001b[31mb"}`), 0o644))
	if out := d.ok("profile", "list"); bytes.ContainsRune([]byte(out), 0x1b) {
		t.Errorf("%q", out)
	}
}
