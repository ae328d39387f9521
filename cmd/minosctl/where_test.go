package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// fw_env.config says where it is when init does not: one copy, or two. Beside
// them nothing is touched, unless a shadow of ours is there.
func TestFwEnvConfig(t *testing.T) {
	noise := bytes.Repeat([]byte("file"), stateSize/4)
	for _, shadow := range []bool{false, true} {
		d := newDevice(t)
		d.remove("run/minos/boot.json")
		d.file("etc/fw_env.config", "# the boot state\n/dev/vda9 0x0000 0x4000\n")
		d.write(0, noise)
		d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=1")
		if shadow {
			d.put(0x400000, "BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=1")
		}
		d.ok("mark-good", "A")
		if !strings.Contains(d.at(0), "BOOT_A_LEFT=3") || shadow != strings.Contains(d.at(0x400000), "BOOT_A_LEFT=3") {
			t.Errorf("shadow %t: %s, %s", shadow, d.at(0), d.at(0x400000))
		}
		if !shadow && !bytes.Equal(noise[0x4000:], d.bytes("dev/vda9")[0x4000:]) {
			t.Error("something was written behind the environment")
		}
	}
	d := newDevice(t)
	d.remove("run/minos/boot.json")
	for _, bad := range []string{"/dev/vda9 0x0\n", "/dev/vda9 x 0x4000\n", "/dev/vda9 -0x4000 0x4000\n", "/dev/vda9 0 0x4000\n/dev/vdb9 0 0x4000\n"} {
		d.file("etc/fw_env.config", bad)
		if status, _, stderr := d.run("status"); status != statusFailed || !strings.Contains(stderr, "fw_env.config, line ") {
			t.Errorf("%q: %d %s", bad, status, stderr)
		}
	}
	d.file("etc/fw_env.config", "/dev/vda9 0 0x4000\n/dev/vda9 0x4000 0x4000\n")
	if status, _, stderr := d.run("mark-good", "A"); status != 0 {
		t.Fatal(stderr)
	}
	if out := d.ok("status"); !strings.Contains(out, "copy of two") {
		t.Error(out)
	}
}

// A whole disk image: the partition is found by its GPT name, or by its
// number, and nothing outside of it is written.
func TestImage(t *testing.T) {
	for _, script := range []string{
		"label: gpt\nstart=2048,size=2048,name=\"boot\"\nstart=4096,size=16384,name=\"bootstate\"\n",
		"label: dos\nstart=64,size=64,type=c\nstart=2048,size=30000,type=f\nstart=33000,size=100,type=83\nstart=34000,size=100,type=83\n" +
			"start=2100,size=10,type=83\nstart=2200,size=10,type=83\nstart=2300,size=10,type=83\nstart=2400,size=10,type=83\nstart=4096,size=16384,type=da\n",
	} {
		d := newDevice(t)
		d.file("disk", "")
		if err := os.Truncate(d.path("disk"), 20<<20); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("sfdisk", "--quiet", d.path("disk"))
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			if os.Getenv("CI") != "true" {
				t.Skipf("SKIPPED: sfdisk: %v: %s", err, out)
			}
			t.Fatalf("sfdisk: %v: %s", err, out)
		}
		before := d.bytes("disk")
		if status, _, stderr := d.run("set-primary", "B", "--image", d.path("disk")); status != 0 {
			t.Fatal(stderr)
		}
		after := d.bytes("disk")
		const start = 4096 * 512
		for _, offset := range []int{start, start + 0x400000} {
			if bytes.Equal(before[offset:][:0x4000], after[offset:][:0x4000]) {
				t.Errorf("nothing was written at %#x", offset)
			}
			clear(after[offset:][:0x4000])
		}
		if !bytes.Equal(before, after) {
			t.Error("something else was written")
		}
		if out := d.ok("status", "--image", d.path("disk")); !strings.Contains(out, "slot B: the first of B A") || strings.Contains(out, "unning") {
			t.Error(out)
		}
		if status, _, stderr := d.run("mark-good", "--image", d.path("disk")); status != statusUsage {
			t.Errorf("an image has no running slot: %d %s", status, stderr)
		}
	}
}

// A block device that is read-only is refused in one line before anything is
// said of its content; one that is not is written to.
func TestBlockDevice(t *testing.T) {
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("SKIPPED: this machine has no loop devices, and no package brings them")
	}
	d := newDevice(t)
	for _, readOnly := range []bool{true, false} {
		args := []string{"-f", "--show", d.path("dev/vda9")}
		if readOnly {
			args = append(args, "-r")
		}
		out, err := exec.Command("losetup", args...).CombinedOutput()
		if err != nil {
			if os.Getenv("CI") == "true" && os.Getuid() == 0 {
				t.Fatalf("losetup: %v: %s", err, out)
			}
			t.Skipf("SKIPPED: no loop devices here: %v: %s", err, out)
		}
		loop := strings.TrimSpace(string(out))
		status, _, stderr := d.run("mark-good", "A", "--device", loop)
		if out, err := exec.Command("losetup", "-d", loop).CombinedOutput(); err != nil {
			t.Errorf("losetup -d: %v: %s", err, out)
		}
		if readOnly && (status != statusFailed || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "is read-only")) {
			t.Errorf("status %d, %s", status, stderr)
		}
		if written := strings.Contains(d.at(0), "BOOT_GOOD=A"); written == readOnly {
			t.Errorf("read-only %t: written %t; status %d, %s", readOnly, written, status, stderr)
		}
	}
}
