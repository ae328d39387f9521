package sys

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A file becomes a device, the device is mounted, and goes with its mount.
func TestAttachLoop(t *testing.T) {
	mksquashfs, err := exec.LookPath("mksquashfs")
	_, control := os.Stat(loopControl)
	if err != nil || control != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this level needs mksquashfs and loop devices, and CI has to run it: %v, %v", err, control)
		}
		t.Skipf("SKIPPED: no mksquashfs, or no loop devices: %v, %v", err, control)
	}
	inNamespace(t, func(t *testing.T, dir string) {
		image := filepath.Join(dir, "image")
		dirs(t, dir, "tree", "at")
		must(t, os.WriteFile(filepath.Join(dir, "tree/file"), []byte("in the image"), 0o644))
		must(t, exec.Command(mksquashfs, filepath.Join(dir, "tree"), image, "-quiet", "-no-progress").Run())
		loop, err := (Linux{}).AttachLoop(image)
		must(t, err)
		at := filepath.Join(dir, "at")
		must(t, (Linux{}).Mount(MountRequest{Source: loop.Path(), Target: at, FSType: "squashfs", Flags: ReadOnly}))
		must(t, loop.Close())
		content, err := os.ReadFile(filepath.Join(at, "file"))
		if string(content) != "in the image" {
			t.Errorf("the file in the image reads %q, %v", content, err)
		}
		// It is read-only, and of this file.
		sysfs := filepath.Join("/sys/block", filepath.Base(loop.Path()))
		ro, err := os.ReadFile(sysfs + "/ro")
		if strings.TrimSpace(string(ro)) != "1" {
			t.Errorf("read-only: %q, %v", ro, err)
		}
		if file, err := os.ReadFile(sysfs + "/loop/backing_file"); strings.TrimSpace(string(file)) != image {
			t.Errorf("the file behind %s is %q, %v", loop.Path(), file, err)
		}
		must(t, (Linux{}).Unmount(at))
		if _, err := os.Stat(sysfs + "/loop/backing_file"); err == nil {
			t.Errorf("%s is still attached", loop.Path())
		}
	})
	if _, err := (Linux{}).AttachLoop("/nothing"); err == nil {
		t.Error("a missing file became a device")
	}
}

// Layouts 2.5, statement 16: an overlay that was handed over read-only can be
// made writable.
func TestStatement2_5_16_ReadOnlyOverlayBecomesWritable(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		at := func(name string) string { return filepath.Join(dir, name) }
		dirs(t, dir, "mem", "root")
		must(t, (Linux{}).Mount(MountRequest{Source: "some", Target: at("mem"), FSType: "tmpfs"}))
		dirs(t, at("mem"), "lower", "upper", "work")
		must(t, (Linux{}).Mount(MountRequest{Source: "overlay", Target: at("root"), FSType: "overlay", Options: []string{
			"lowerdir+=" + at("mem/lower"), "upperdir=" + at("mem/upper"), "workdir=" + at("mem/work"), "index=off",
		}}))
		must(t, (Linux{}).Remount(at("root"), ReadOnly))
		if os.WriteFile(at("root/x"), nil, 0o644) == nil {
			t.Error("a read-only overlay took a write")
		}
		must(t, (Linux{}).Remount(at("root"), 0))
		must(t, os.WriteFile(at("root/x"), nil, 0o644))
	})
}

// A device that can be written to changes its file, and a file is made longer and
// never shorter.
func TestAttachWritableLoop(t *testing.T) {
	mke2fs, err := exec.LookPath("mke2fs")
	_, control := os.Stat(loopControl)
	if err != nil || control != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("this level needs mke2fs and loop devices, and CI has to run it: %v, %v", err, control)
		}
		t.Skipf("SKIPPED: no mke2fs, or no loop devices: %v, %v", err, control)
	}
	inNamespace(t, func(t *testing.T, dir string) {
		image, at := filepath.Join(dir, "image"), filepath.Join(dir, "at")
		dirs(t, dir, "at")
		must(t, (Linux{}).MakeSparse(image, 0))
		for _, size := range []int64{4 << 20, 1 << 20} {
			must(t, (Linux{}).Extend(image, size))
			if info, err := os.Stat(image); err != nil || info.Size() != 4<<20 {
				t.Errorf("the file has %d bytes, %v", info.Size(), err)
			}
		}
		for _, content := range []string{"", "written"} {
			loop, err := (Linux{}).AttachWritableLoop(image)
			must(t, err)
			if content == "" {
				must(t, exec.Command(mke2fs, "-q", "-F", "-t", "ext4", loop.Path()).Run())
			}
			must(t, (Linux{}).Mount(MountRequest{Source: loop.Path(), Target: at, FSType: "ext4"}))
			must(t, loop.Close())
			if was, _ := os.ReadFile(filepath.Join(at, "file")); string(was) != content {
				t.Errorf("the file in the image reads %q, want %q", was, content)
			}
			must(t, os.WriteFile(filepath.Join(at, "file"), []byte("written"), 0o644))
			must(t, (Linux{}).Unmount(at))
		}
	})
	if err := (Linux{}).Extend("/nothing", 1); err == nil {
		t.Error("a missing file became longer")
	}
}
