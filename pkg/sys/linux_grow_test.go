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

// This kernel makes a mounted btrfs as large as it is told, and what it has no
// call for is refused. An ext4 grows in the virtual machines: it asks for
// CAP_SYS_RESOURCE, which root has not everywhere.
func TestGrowBtrfs(t *testing.T) {
	if _, err := exec.LookPath("mkfs.btrfs"); err != nil && os.Getenv("CI") != "true" {
		t.Skip("SKIPPED: mkfs.btrfs is not installed")
	}
	inNamespace(t, growBtrfs)
}

func growBtrfs(t *testing.T, dir string) {
	const small, large = 256 << 20, 512 << 20
	file, at := filepath.Join(dir, "disk"), filepath.Join(dir, "mnt")
	run := func(argv ...string) string {
		out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			t.Errorf("%q: %v: %s", argv, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	sized := func(size int64) {
		f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Error(err)
			return
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Error(err)
		}
	}
	sized(small)
	run("mkfs.btrfs", "-q", file)
	sized(large)
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
	size := func() int64 {
		var s unix.Statfs_t
		if err := unix.Statfs(at, &s); err != nil {
			t.Error(err)
		}
		return int64(s.Blocks) * int64(s.Bsize)
	}
	before := size()
	if err := (Linux{}).GrowFilesystem(at, "btrfs", large); err != nil {
		t.Error(err)
	}
	if now := size(); before != small || now != large {
		t.Errorf("it has %d bytes, and had %d; want %d, and %d before", now, before, large, small)
	}
	if err := (Linux{}).GrowFilesystem(at, "f2fs", large); err == nil || err.Error() != "the kernel does not make a mounted f2fs larger" {
		t.Errorf("an f2fs: %v", err)
	}
}
