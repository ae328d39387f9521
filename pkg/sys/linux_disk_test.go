package sys

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loopDevice is a disk of blocks of that size; it takes root and losetup.
func loopDevice(t *testing.T, blockSize string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("losetup", "--find", "--show", "--sector-size", blockSize, name).CombinedOutput()
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this level needs loop devices, and CI has to run it: %v: %s", err, out)
		}
		t.Skipf("SKIPPED: a loop device needs root: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	return device
}

// A disk is locked once, tells its blocks, takes writes, and resizes a partition
// that is there.
func TestLockDisk(t *testing.T) {
	for _, size := range []string{"512", "4096"} {
		device := loopDevice(t, size)
		d, err := Linux{}.LockDisk(device)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (Linux{}).LockDisk(device); !errors.Is(err, unix.EAGAIN) {
			t.Errorf("a second lock: %v, want EAGAIN", err)
		}
		logical, physical, err := d.Blocks()
		if want := map[string]int64{"512": 512, "4096": 4096}[size]; err != nil || logical != want || physical < want {
			t.Errorf("blocks of %d, physical %d (%v), want %d", logical, physical, err, want)
		}
		if bytes, err := d.Size(); err != nil || bytes != 1<<20 {
			t.Errorf("a size of %d (%v)", bytes, err)
		}
		if _, err := d.WriteAt([]byte("here"), 4096); err != nil {
			t.Error(err)
		}
		if err := d.Sync(); err != nil {
			t.Error(err)
		}
		if err := d.ResizePartition(1, 4096, 8192); !errors.Is(err, unix.ENXIO) && !errors.Is(err, unix.EINVAL) {
			t.Errorf("resizing what is not there: %v", err)
		}
		resizes(t, d.(disk), device)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		again, err := Linux{}.LockDisk(device)
		if err != nil {
			t.Fatalf("the lock outlives the descriptor: %v", err)
		}
		again.Close()
	}
}

// resizes makes a partition larger that the kernel knows, and looks at what the
// kernel has then.
func resizes(t *testing.T, d disk, device string) {
	t.Helper()
	part := unix.BlkpgPartition{Start: 4096, Length: 4096, Pno: 1}
	change := func(op int32) error {
		arg := unix.BlkpgIoctlArg{Op: op, Datalen: int32(unsafe.Sizeof(part)), Data: (*byte)(unsafe.Pointer(&part))}
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), unix.BLKPG, uintptr(unsafe.Pointer(&arg))); errno != 0 {
			return errno
		}
		return nil
	}
	if err := change(unix.BLKPG_ADD_PARTITION); err != nil {
		t.Fatalf("a partition for the test: %v", err)
	}
	defer func() {
		if err := change(unix.BLKPG_DEL_PARTITION); err != nil {
			t.Error(err)
		}
	}()
	if err := d.ResizePartition(1, 4096, 65536); err != nil {
		t.Error(err)
	}
	name := filepath.Base(device)
	text, err := os.ReadFile(filepath.Join("/sys/class/block", name+"p1", "size"))
	if want := "128\n"; err != nil || string(text) != want { // in sectors of 512 bytes
		t.Errorf("the kernel has a partition of %q sectors (%v), want %q", text, err, want)
	}
}
