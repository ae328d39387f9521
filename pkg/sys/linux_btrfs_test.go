package sys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// This kernel tells of subvolumes what btrfs-progs does.
func TestSubvolume(t *testing.T) {
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED: mkfs.btrfs is not installed")
	}
	inNamespace(t, subvolume)
}

func subvolume(t *testing.T, dir string) {
	file, at := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	run := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v: %s", argv, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("truncate", "-s", "256M", file)
	run("mkfs.btrfs", "-q", file)
	device := run("losetup", "--find", "--show", file)
	defer run("losetup", "--detach", device)
	if err := (Linux{}).Mkdir(at, 0o755); err != nil {
		t.Error(err)
	}
	err := unix.Mount(device, at, "btrfs", 0, "")
	if errors.Is(err, unix.ENODEV) && os.Getenv("CI") != "true" {
		t.Log("SKIPPED, NOTHING WAS TESTED: this kernel has no btrfs")
		return
	}
	if err != nil {
		t.Errorf("mount: %v", err)
		return
	}
	defer func() { _ = unix.Unmount(at, 0) }()
	run("btrfs", "subvolume", "create", at+"/one")
	run("mkdir", at+"/one/dir")
	run("btrfs", "subvolume", "create", at+"/two")
	run("btrfs", "property", "set", at+"/two", "ro", "true")
	for name, want := range map[string]Subvolume{
		"":        {5, true, false},
		"one":     {256, true, false},
		"one/dir": {256, false, false},
		"two":     {257, true, true},
	} {
		if got, err := (Linux{}).Subvolume(filepath.Join(at, name)); err != nil || got != want {
			t.Errorf("%q: %+v, %v, want %+v", name, got, err, want)
		}
	}
	if _, err := (Linux{}).Subvolume(at + "/three"); !errors.Is(err, unix.ENOENT) {
		t.Errorf("one that is not there: %v", err)
	}
	if _, err := (Linux{}).Subvolume("/proc"); !errors.Is(err, unix.ENOTTY) {
		t.Errorf("one that is no btrfs: %v", err)
	}
}
