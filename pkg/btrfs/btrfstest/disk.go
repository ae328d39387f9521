// Package btrfstest makes real btrfs filesystems for tests, in files that a loop
// device mounts. That takes root and a kernel with btrfs; where one is missing a
// test is skipped, and fails with CI=true.
package btrfstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Disk is a filesystem in a file.
type Disk struct {
	testing.TB
	// Top is where its top level is mounted.
	Top string
	// Image is the file.
	Image   string
	mounted bool
}

// New makes a filesystem of size bytes, most of it a hole, and mounts it as init
// does. It is gone when the test ends.
func New(t testing.TB, size int64) *Disk {
	t.Helper()
	for _, program := range []string{"mkfs.btrfs", "btrfs", "mount"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(t, err.Error())
		}
	}
	if os.Geteuid() != 0 {
		missing(t, "mounting a btrfs takes root")
	}
	dir := t.TempDir()
	d := &Disk{TB: t, Top: filepath.Join(dir, "top"), Image: filepath.Join(dir, "image")}
	if err := os.Mkdir(d.Top, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(d.Image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(d.Image, size); err != nil {
		t.Fatal(err)
	}
	d.Run("mkfs.btrfs", "-q", "-L", "profiles", "-m", "single", d.Image)
	t.Cleanup(d.Unmount)
	d.Mount()
	return d
}

func missing(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s, and with CI=true nothing is skipped", why)
	}
	t.Skipf("SKIPPED: %s", why)
}

// Mount mounts the filesystem, a loop device between.
func (d *Disk) Mount() {
	d.Helper()
	options := "loop,subvolid=5,noatime,commit=120"
	if out, err := exec.Command("mount", "-t", "btrfs", "-o", options, d.Image, d.Top).CombinedOutput(); err != nil {
		missing(d.TB, "a btrfs could not be mounted: "+strings.TrimSpace(string(out)))
	}
	d.mounted = true
}

// Unmount unmounts it, if it is mounted.
func (d *Disk) Unmount() {
	d.Helper()
	if !d.mounted {
		return
	}
	d.mounted = false
	if err := unix.Unmount(d.Top, 0); err != nil {
		_ = unix.Unmount(d.Top, unix.MNT_DETACH)
		d.Errorf("%s is still in use: %v", d.Top, err)
	}
}

// Copy is another filesystem with the same content, mounted. This one is
// unmounted for that: the kernel takes two with one UUID for one.
func (d *Disk) Copy(t testing.TB) *Disk {
	t.Helper()
	d.Unmount()
	dir := t.TempDir()
	c := &Disk{TB: t, Top: filepath.Join(dir, "top"), Image: filepath.Join(dir, "image")}
	if err := os.Mkdir(c.Top, 0o755); err != nil {
		t.Fatal(err)
	}
	c.Run("cp", "--sparse=always", d.Image, c.Image)
	t.Cleanup(c.Unmount)
	c.Mount()
	return c
}

// CutPower goes on as after a loss of power: what the filesystem has written to
// its disk by now is there, and nothing else. It is checked and mounted again.
func (d *Disk) CutPower() {
	d.Helper()
	after := d.Image + ".cut"
	d.Run("cp", "--sparse=always", d.Image, after)
	d.Unmount()
	if err := os.Rename(after, d.Image); err != nil {
		d.Fatal(err)
	}
	d.Check()
	d.Mount()
}

// Commit ends the filesystem's transaction, as the kernel does every so often: the
// changes of names are on the disk then, and what was written to files and not
// synced is not.
func (d *Disk) Commit() {
	d.Helper()
	const startSync, waitSync = 0x80089418, 0x40089416 // linux/btrfs.h: BTRFS_IOC_START_SYNC, _WAIT_SYNC
	top, err := os.Open(d.Top)
	if err != nil {
		d.Fatal(err)
	}
	defer top.Close()
	var transaction uint64
	for _, request := range []uintptr{startSync, waitSync} {
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, top.Fd(), request, uintptr(unsafe.Pointer(&transaction))); errno != 0 {
			d.Fatal("commit: ", errno)
		}
	}
}

// Check lets btrfs check judge the unmounted filesystem.
func (d *Disk) Check() {
	d.Helper()
	d.Run("btrfs", "check", d.Image)
}

// Run runs a program that has to go well, and returns what it printed.
func (d *Disk) Run(argv ...string) string {
	d.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		d.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// Path is a place on the filesystem.
func (d *Disk) Path(name string) string { return filepath.Join(d.Top, name) }

// Write makes a file, and the directories to it.
func (d *Disk) Write(name, content string) {
	d.Helper()
	if err := os.MkdirAll(filepath.Dir(d.Path(name)), 0o755); err != nil {
		d.Fatal(err)
	}
	if err := os.WriteFile(d.Path(name), []byte(content), 0o644); err != nil {
		d.Fatal(err)
	}
}

// Read is the content of a file, "(none)" when there is no such file.
func (d *Disk) Read(name string) string {
	d.Helper()
	data, err := os.ReadFile(d.Path(name))
	if os.IsNotExist(err) {
		return "(none)"
	} else if err != nil {
		d.Fatal(err)
	}
	return string(data)
}
