package qemu

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// port is what there is of this project for an architecture.
type port struct {
	Architecture
	kernel Debian
	images string // directory of the builder's results
	stub   string
}

// portTo makes it, with the release or the debug image. What is for the demo's
// machine is there already.
func portTo(t *testing.T, a Architecture, debug bool, extra ...string) port {
	t.Helper()
	machines(t) // with -short there are none
	tools(t, a.program, "sqfstar")
	p := port{Architecture: a, images: initramfsDirectory()}
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	if p.kernel, err = cache.Kernel(a); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if a != arm64() || len(extra) > 0 {
		p.images = dir
		only := "-release-only"
		if debug {
			only = "-debug-only"
		}
		goRun(t, nil, "run", "./initramfs", "-arch", a.Name, "-sets", "image virtio", "-modules", p.kernel.Modules, "-extra", strings.Join(extra, ","), "-out", dir, only)
	}
	if p.stub, err = a.BuildStub(dir); err != nil {
		t.Fatal(err)
	}
	return p
}

// goRun runs the go command in the root of this module.
func goRun(t *testing.T, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), env...)
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, output)
	}
}

// calls compiles the tests of pkg/sys, which make real system calls.
func (p port) calls(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "calls")
	goRun(t, p.target(), "test", "-c", "-trimpath", "-ldflags=-s -w", "-o", file, "./pkg/sys")
	return file
}

// disk makes a card of the layout image, with more files in the image. The card is
// one of 3 TB, whose sectors a word of 32 bits does not count.
func (p port) disk(t *testing.T, files ...File) string {
	t.Helper()
	tree := StubTree(p.stub).With(files...)
	image, disk := filepath.Join(t.TempDir(), "root.squashfs"), filepath.Join(t.TempDir(), "disk.img")
	if err := (SquashFS{Compressor: "gzip", Tree: tree}).Make(image, 0); err != nil {
		t.Fatal(err)
	}
	card := ImageDisk{ID: 0x61726368, Img: holding(64, "img", map[string]string{"root-squashfs.img": image}),
		Overlay: Partition{MiB: 64, Content: Ext4{Label: "overlay"}}}
	if err := card.Write(disk); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 3e12); err != nil {
		t.Fatal(err)
	}
	return disk
}

// boot boots the architecture's release or debug image to the end of the stub.
func (p port) boot(t *testing.T, image, disk string, drive func(*testing.T, *VM), words ...string) Result {
	t.Helper()
	return runMachine(t, Machine{
		Architecture: p.Architecture, Kernel: p.kernel.Image, Initramfs: filepath.Join(p.images, image),
		Append: append([]string{"minos.layout=image"}, words...), Drives: []Drive{{File: disk}},
	}, drive, stubbornDeadline)
}

// The tests of pkg/sys that run programs of the root filesystem, and those that
// hold since Linux 6.8.
const (
	callsThatNeedPrograms = "Kill|RunTool"
	callsOfNewKernels     = "MountByBothCalls|MountSaysWhy"
)

// Each architecture, in a machine of its own with Debian's kernel for it, boots
// the layout image, runs minosctl, and does what pkg/sys asks of a kernel. That of
// 386 is the oldest kernel of all tests, 6.1.
func TestArchitectures(t *testing.T) {
	for _, a := range Architectures() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			if a.Name == "arm" || a.Name == "riscv64" {
				takesLong(t)
			}
			p := portTo(t, a, false)
			disk := p.disk(t,
				File{Name: "sbin/minosctl", Mode: 0o755, From: filepath.Join(p.images, "minosctl")},
				File{Name: "sbin/calls", Mode: 0o755, From: p.calls(t)})
			skip := callsThatNeedPrograms
			if a.kernel.suite != debianSuite {
				skip += "|" + callsOfNewKernels
			}
			const ctl = "must:/sbin/minosctl%20report"
			calls := "must:/sbin/calls%20-test.short%20-test.skip=" + skip
			r := p.boot(t, releaseImage, disk, nil, "stub.do="+ctl+","+calls)
			report := r.handedOver(t)
			r.did(t, ctl+" ok", calls+" ok")
			if r.Stub.Machine != a.Machine {
				t.Errorf("uname -m says %s, want %s", r.Stub.Machine, a.Machine)
			}
			r.mounted(t, Mount{Target: "/", FSType: "overlay", Options: "rw"})
			r.mounted(t, Mount{Target: "/run/initramfs/rootfs", FSType: "squashfs", Source: "/dev/loop0"})
			if report.Layout != "image" || report.Degraded || len(report.Warnings) != 0 {
				t.Errorf("boot.json: %+v", report)
			}
			t.Logf("a boot to the stub's end took %s", r.Took.Round(100*time.Millisecond))
		})
	}
}

// What is built for arm runs on the processor of the first Raspberry Pi, for which
// Debian has no kernel that QEMU starts: QEMU is the kernel here. Init ends at once,
// since it is not the first process.
func TestARMv6(t *testing.T) {
	if testing.Short() {
		t.Skip("emulates a processor: not with -short")
	}
	takesLong(t)
	tools(t, "qemu-arm")
	dir := t.TempDir()
	goRun(t, nil, "run", "./initramfs", "-arch", "arm", "-release-only", "-out", dir)
	for program, want := range map[string]string{"minosctl": "minosctl VERB", "init": "is the first process of an initramfs"} {
		output, _ := Tool("qemu-arm", "-cpu", "arm1176", filepath.Join(dir, program), "help")
		if !strings.Contains(string(output), want) {
			t.Errorf("%s says %q, want %q in it", program, output, want)
		}
	}
}

// The debug image of each architecture offers its shell, and goes on.
func TestArchitecturesDebug(t *testing.T) {
	for _, a := range Architectures() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			takesLong(t)
			p := portTo(t, a, true)
			r := p.boot(t, "initramfs-debug.cpio.lz4", p.disk(t), func(t *testing.T, vm *VM) {
				atShell(t, vm, "a shell before the boot goes on (handover)", "uname -m", a.Machine)
			})
			r.handedOver(t)
		})
	}
}
