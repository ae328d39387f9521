package qemu

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// oddName is a module that is on top of the small set, and whose name would
// fall apart in a list of words.
const oddName = "10-a b,c:ü.sb"

// memoryDir is where the tools of MiniOS look for all of it.
const memoryDir = "/run/initramfs/memory"

// sbModule is a module with the files of a tree.
func sbModule(t *testing.T, name string, tree Tree) File {
	t.Helper()
	from := filepath.Join(t.TempDir(), "module")
	if err := (SquashFS{Compressor: "zstd", Tree: tree.With(Text("etc/top", path.Base(name)))}).Make(from, 0); err != nil {
		t.Fatal(err)
	}
	return File{Name: name, Mode: 0o644, From: from}
}

// smallSet is a set whose core has the stub: three modules, one of them in the
// directory for those that somebody has added, and one that is broken.
func smallSet(t *testing.T, odd string) Tree {
	t.Helper()
	empty := Tree{}.With(Dir("etc"))
	core := StubTree(machines(t).stub).With(Text("etc/minios-release", "VERSION=\"5.0\"\nEDITION=\"standard\"\n"))
	copied := Text("minios/rootcopy/etc/copied", "by init")
	copied.Mode, copied.UID, copied.GID = 0o640, 7, 8
	return Tree{}.With(Dir("minios"), Dir("minios/modules"), Dir("minios/modules/mine"), Dir("minios/rootcopy"), Dir("minios/rootcopy/etc"), copied,
		sbModule(t, "minios/00-core.sb", core),
		sbModule(t, "minios/05-x.sb", empty),
		sbModule(t, "minios/modules/mine/"+odd, empty),
		Text("minios/20-broken.sb", "no squashfs"),
	)
}

// mediumOf is a disk with one filesystem and no table.
func mediumOf(t *testing.T, c Content) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "medium.img")
	if err := c.Make(file, 64*mib); err != nil {
		t.Fatal(err)
	}
	return file
}

// bootModules boots a medium by the layout modules and keeps what is written to
// it.
func bootModules(t *testing.T, medium string, words []string, do ...string) (Result, bootJSON) {
	t.Helper()
	return bootModulesOn(t, medium, keep, words, do...)
}

// bootModulesOn is bootModules on another machine.
func bootModulesOn(t *testing.T, medium string, change func(*Machine), words []string, do ...string) (Result, bootJSON) {
	t.Helper()
	r := boot(t, Case{Image: medium, Append: append([]string{"minos.layout=modules", "stub.end=exitrd:poweroff"}, words...), Do: do, Change: change})
	return r, r.handedOver(t)
}

// twoProcessors keeps what is written, on a machine where init does things side
// by side.
func twoProcessors(m *Machine) {
	keep(m)
	m.Processors = 2
}

// modulesAtOnce is of how many modules the intervals in boot.json have a moment in
// common.
func (b bootJSON) modulesAtOnce() (most int) {
	for _, m := range b.Timeline {
		together := 0
		for _, other := range b.Timeline {
			if strings.HasPrefix(m.Name, "step module-") && strings.HasPrefix(other.Name, "step module-") && other.Began <= m.Began && m.Began < other.At {
				together++
			}
		}
		most = max(most, together)
	}
	return most
}

func sumOfFile(t *testing.T, file string) string {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// Layouts 3.6, statements 5, 9, 11 and 12, on one ext4 over three boots.
func TestModulesLayout(t *testing.T) {
	t.Parallel()
	tools(t, "sqfstar", "debugfs")
	medium := mediumOf(t, Ext4{Label: "STICK", Tree: smallSet(t, oddName)})
	before := sumOfFile(t, medium)

	r, report := bootModulesOn(t, medium, twoProcessors, nil, "read:/etc/top", "ls:"+memoryDir, "ls:"+memoryDir+"/changes", "rootwrite", "write:/written=1", "read:/etc/copied", "stat:/etc/copied")
	r.did(t, "read:/etc/top "+fmt.Sprintf("%q", oddName), "ls:"+memoryDir+` "bundles changes data"`, "ls:"+memoryDir+`/changes "changes workdir"`, "rootwrite ok", "write:/written=1 ok", `read:/etc/copied "by init"`, "stat:/etc/copied "+r.result(t, "stat:/etc/copied"))
	if got := r.result(t, "stat:/etc/copied"); !strings.Contains(got, "mode=100640 uid=7 gid=8 ") {
		t.Errorf("what rootcopy has is %s", got)
	}
	r.mounted(t, Mount{Target: "/", FSType: "overlay", Options: "rw"})
	r.mounted(t, Mount{Target: memoryDir + "/data", FSType: "ext4", Source: "/dev/vda", Options: "ro", Super: "ro,norecovery"})
	r.mounted(t, Mount{Target: memoryDir + "/changes", FSType: "tmpfs"})
	for _, name := range []string{"00-core.sb", "05-x.sb", oddName} {
		r.mounted(t, Mount{Target: memoryDir + "/bundles/" + name, FSType: "squashfs", Options: "ro"})
	}
	if report.Layout != "modules" || report.Choice.Value != "none" || report.Overlay.Durability != "volatile" ||
		len(report.DegradedReasons) != 1 || !strings.HasPrefix(report.DegradedReasons[0], "the module 20-broken.sb is missing: ") {
		t.Errorf("boot.json: %+v", report)
	}
	if got := report.modulesAtOnce(); got < 2 {
		t.Errorf("on two processors the modules are mounted one after the other: %+v", report.Timeline)
	}
	if got := report.Overlay.Lowers; len(got) != 4 || !slices.Contains(got, memoryDir+"/bundles/"+oddName) {
		t.Errorf("the layers are %q", got)
	}
	if after := sumOfFile(t, medium); after != before {
		t.Error("a boot without a word of persistence has changed the medium")
	}

	words := []string{"noload=broken", "perchdir=new"}
	r, report = bootModules(t, medium, words, "write:/written=session-1", "ls:"+memoryDir+"/data/minios/changes")
	r.did(t, "write:/written=session-1 ok", "ls:"+memoryDir+`/data/minios/changes "1 session.json"`)
	r.mounted(t, Mount{Target: memoryDir + "/changes", FSType: "ext4", Source: "/dev/vda", Options: "rw"})
	if report.Degraded || report.Choice.Value != "1" || report.Overlay.Durability != "keep" {
		t.Errorf("boot.json: %+v", report)
	}
	if strings.Contains(r.Console, "does not let go") || !strings.Contains(r.Console, "filesystems unmounted") {
		t.Error("the way out leaves something mounted")
	}
	cleanExt4(t, "the medium", medium)
	sessionClosed(t, medium)

	r, report = bootModules(t, medium, []string{"noload=broken", "perch"}, "read:/written", "ls:"+memoryDir+"/data/minios/changes/1")
	r.did(t, `read:/written "session-1"`, "ls:"+memoryDir+`/data/minios/changes/1 "changes workdir"`)
	if report.Degraded || report.Choice.Value != "1" || report.Overlay.Durability != "keep" {
		t.Errorf("boot.json: %+v", report)
	}
}

// sessionClosed fails unless the store on an ext4 says that its session was
// closed.
func sessionClosed(t *testing.T, file string) {
	t.Helper()
	if out, err := Tool("debugfs", "-R", "cat minios/changes/session.json", file); err != nil || !strings.Contains(string(out), `"state": "clean"`) || strings.Contains(string(out), "running") {
		t.Errorf("the session is not marked as closed: %v: %s", err, out)
	}
}

// Layouts 3.6, statements 3 and 9: a FAT, the image of a CD in a file of it, and the same image as the disk.
func TestModulesOnFATAndISO(t *testing.T) {
	t.Parallel()
	tools(t, "sqfstar", "mcopy", "xorriso")
	const odd = "10-a b,c.sb" // a FAT takes no colon
	set := smallSet(t, odd)
	dir, iso := spread(t, set), filepath.Join(t.TempDir(), "m.iso")
	if out, err := Tool("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	medium := mediumOf(t, FAT{Label: "MINIOS", Files: append(set.Files, File{Name: "m.iso", From: iso})})
	before := sumOfFile(t, medium)

	r, report := bootModules(t, medium, []string{"noload=broken"}, "read:/etc/top", "rootwrite")
	r.did(t, "read:/etc/top "+fmt.Sprintf("%q", odd), "rootwrite ok")
	r.mounted(t, Mount{Target: memoryDir + "/data", FSType: "vfat", Source: "/dev/vda", Options: "ro"})
	if report.Degraded || report.Choice.Value != "none" || report.Overlay.Durability != "volatile" {
		t.Errorf("boot.json: %+v", report)
	}

	r, report = bootModules(t, medium, []string{"from=/m.iso", "noload=05,broken"}, "read:/etc/top", "rootwrite", "ls:"+memoryDir+"/bundles")
	r.did(t, "read:/etc/top "+fmt.Sprintf("%q", odd), "rootwrite ok", "ls:"+memoryDir+"/bundles "+fmt.Sprintf("%q", "00-core.sb "+odd))
	r.mounted(t, Mount{Target: memoryDir + "/data", FSType: "iso9660", Options: "ro"})
	r.mounted(t, Mount{Target: memoryDir + "/iso", FSType: "vfat", Source: "/dev/vda", Options: "ro"})
	if report.Degraded {
		t.Errorf("boot.json: %+v", report)
	}
	if strings.Contains(r.Console, "does not let go") {
		t.Error("the way out leaves something mounted")
	}
	if after := sumOfFile(t, medium); after != before {
		t.Error("the medium has changed")
	}

	// The same image, as it is written to a stick.
	before = sumOfFile(t, iso)
	r, report = bootModules(t, iso, []string{"noload=broken"}, "read:/etc/top", "rootwrite")
	r.did(t, "read:/etc/top "+fmt.Sprintf("%q", odd), "rootwrite ok")
	r.mounted(t, Mount{Target: memoryDir + "/data", FSType: "iso9660", Source: "/dev/vda", Options: "ro"})
	if report.Degraded || sumOfFile(t, iso) != before {
		t.Errorf("the medium has changed, or the boot is degraded: %q", report.DegradedReasons)
	}
}

// Layouts 3.6, statement 21.
func TestStatement3_6_21_ManyModulesInAMachine(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	tools(t, "sqfstar")
	tree := Tree{}.With(Dir("minios"), sbModule(t, "minios/000-core.sb", StubTree(machines(t).stub)))
	module := sbModule(t, "minios/x.sb", Tree{}.With(Dir("etc")))
	for i := 1; i < 150; i++ {
		module.Name = fmt.Sprintf("minios/%03d-a b,c:d.sb", i)
		tree = tree.With(module)
	}
	r, report := bootModulesOn(t, mediumOf(t, Ext4{Tree: tree}), twoProcessors, nil, "read:/etc/top", "rootwrite")
	r.did(t, `read:/etc/top "x.sb"`, "rootwrite ok")
	if len(report.Overlay.Lowers) != 150 || report.Degraded {
		t.Errorf("there are %d layers; degraded: %q", len(report.Overlay.Lowers), report.DegradedReasons)
	}
	if got := report.modulesAtOnce(); got < 2 || got > 4 {
		t.Errorf("%d modules are mounted at a time, want up to four", got)
	}
}
