package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// setWithTools is smallSet, with programs of Debian in another module than the
// core.
func setWithTools(t *testing.T, programs ...string) Tree {
	t.Helper()
	files, err := SlotTools(machines(t).debian.RootFS, programs...)
	if err != nil {
		t.Fatal(err)
	}
	return smallSet(t, "10-a b.sb").With(sbModule(t, "minios/02-tools.sb", Tree{}.With(Dir("etc"), Dir("usr")).With(files...)))
}

// ext4Tools are what a session in an image takes.
var ext4Tools = []string{"usr/sbin/mke2fs", "usr/sbin/e2fsck", "usr/sbin/e2undo"}

// Layouts 3.6, statements 15, 16 and 17, on a FAT over three boots: an image is
// made, resumed and made larger, and left byte for byte when it is damaged.
func TestStatement3_6_15_To_17_SessionInAnImage(t *testing.T) {
	t.Parallel()
	tools(t, "sqfstar", "mcopy", "debugfs")
	medium := filepath.Join(t.TempDir(), "medium.img")
	if err := (FAT{Label: "MINIOS", Files: setWithTools(t, ext4Tools...).Files}).Make(medium, 400*mib); err != nil {
		t.Fatal(err)
	}
	const store = memoryDir + "/data/minios/changes"

	r, report := bootModules(t, medium, []string{"noload=broken", "perchdir=resume", "perchsize=64"}, "rootwrite", "write:/written=session-1", "ls:"+store+"/1")
	r.did(t, "rootwrite ok", "write:/written=session-1 ok", "ls:"+store+`/1 "changes.img"`)
	r.mounted(t, Mount{Target: memoryDir + "/changes", FSType: "ext4", Options: "rw"})
	if report.Degraded || report.Choice.Value != "1" || report.Overlay.Durability != "keep" {
		t.Errorf("boot.json: %+v", report)
	}
	wentDown(t, r)

	r, report = bootModules(t, medium, []string{"noload=broken", "perch", "perchsize=96"}, "read:/written", "write:/more=2")
	r.did(t, `read:/written "session-1"`, "write:/more=2 ok")
	shows(t, r.Console, "session 1 has grown to 96 MiB")
	if report.Degraded || report.Choice.Value != "1" {
		t.Errorf("boot.json: %+v", report)
	}
	wentDown(t, r)

	metadata := filepath.Join(t.TempDir(), "session.json")
	fromFAT(t, medium, "minios/changes/session.json", metadata)
	if text, err := os.ReadFile(metadata); err != nil || !strings.Contains(string(text), `"state": "clean"`) || !strings.Contains(string(text), `"size": "96"`) || strings.Contains(string(text), "running") {
		t.Errorf("the session is not marked as closed, or has another size: %v: %s", err, text)
	}
	image := filepath.Join(t.TempDir(), "changes.img")
	fromFAT(t, medium, "minios/changes/1/changes.img", image)
	if info, err := os.Stat(image); err != nil || info.Size() != 96*mib {
		t.Errorf("the image: %v, %v", info.Size(), err)
	}
	cleanExt4(t, "the session's image", image)
	breakInode(t, image, 2)
	toFAT(t, medium, image, "minios/changes/1/changes.img")
	// As after a loss of power: then all of it is looked at.
	text, err := os.ReadFile(metadata)
	if err == nil {
		err = os.WriteFile(metadata, []byte(strings.ReplaceAll(string(text), "clean", "dirty")), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	toFAT(t, medium, metadata, "minios/changes/session.json")
	before := sumOfFile(t, image)
	r, report = bootModules(t, medium, []string{"noload=broken", "perch"}, "read:/written", "rootwrite")
	r.did(t, "read:/written ENOENT", "rootwrite ok")
	if !report.Degraded || report.Overlay.Durability != "volatile" || len(report.DegradedReasons) != 1 ||
		!strings.Contains(report.DegradedReasons[0], "it is damaged, and stays as it is: e2fsck ended with exit status 4") {
		t.Errorf("boot.json: %+v", report)
	}
	fromFAT(t, medium, "minios/changes/1/changes.img", image)
	if sumOfFile(t, image) != before {
		t.Error("the damaged image is not what it was")
	}
}

// wentDown fails unless the way out has let all of it go.
func wentDown(t *testing.T, r Result) {
	t.Helper()
	if strings.Contains(r.Console, "does not let go") || !strings.Contains(r.Console, "filesystems unmounted") {
		t.Error("the way out leaves something mounted")
	}
}

// fromFAT copies a file off a FAT.
func fromFAT(t *testing.T, medium, name, to string) {
	t.Helper()
	if out, err := Tool("mcopy", "-n", "-o", "-i", medium, "::"+name, to); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// toFAT replaces a file of a FAT.
func toFAT(t *testing.T, medium, from, name string) {
	t.Helper()
	if out, err := Tool("mcopy", "-o", "-i", medium, from, "::"+name); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

var inodeAt = regexp.MustCompile(`located at block (\d+), offset (0x[0-9a-f]+)`)

// breakInode writes over an inode of an ext4 with blocks of 4 KiB, in a file, which
// damages it beyond what e2fsck -p mends.
func breakInode(t *testing.T, file string, inode int) {
	t.Helper()
	out, err := exec.Command("debugfs", "-R", "imap <"+strconv.Itoa(inode)+">", file).Output()
	at := inodeAt.FindStringSubmatch(string(out))
	if err != nil || at == nil {
		t.Fatalf("debugfs: %v: %s", err, out)
	}
	block, _ := strconv.ParseInt(at[1], 10, 64)
	offset, _ := strconv.ParseInt(at[2], 0, 64)
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	garbage := strings.Repeat("\xff", 128)
	if _, err := f.WriteAt([]byte(garbage), block*4096+offset); err != nil {
		t.Fatal(err)
	}
}
