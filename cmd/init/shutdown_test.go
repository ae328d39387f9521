package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// goingDown is a machine that systemd has left to the way out, and what was
// done to it before.
func goingDown(t *testing.T) (k *systest.Kernel, before string) {
	t.Helper()
	k = systest.New("", "shutdown=#!", "oldroot/", "rootfs/", "overlay/", "sys/")
	k.AddDisk(used())
	for _, m := range []sys.MountRequest{
		{Source: "proc", Target: "/proc", FSType: "proc"},
		{Source: "sysfs", Target: "/sys", FSType: "sysfs"},
		{Source: "devtmpfs", Target: "/dev", FSType: "devtmpfs"},
		{Source: "tmpfs", Target: "/run", FSType: "tmpfs"},
		{Source: "/dev/vda6", Target: "/rootfs", FSType: "ext4", Flags: sys.ReadOnly},
		{Source: "/dev/vda3", Target: "/overlay", FSType: "ext4"},
		{Source: "overlay", Target: "/oldroot", FSType: "overlay", Options: []string{"lowerdir+=/rootfs", "upperdir=/overlay/a/upper", "workdir=/overlay/a/work"}},
		{Source: "tmpfs", Target: "/oldroot/run", FSType: "tmpfs"},
		{Source: "/dev/vda4", Target: "/oldroot/data", FSType: "ext4"},
	} {
		if err := k.Mount(m); err != nil {
			t.Fatal(err)
		}
	}
	return k, k.Trace()
}

func TestWayOut(t *testing.T) {
	for _, test := range []struct {
		name, word string
		make       func(*systest.Kernel)
		ends       string
	}{
		{"poweroff", "poweroff", nil, "poweroff"},
		{"argument", "reboot", func(k *systest.Kernel) {
			_ = k.Mkdir("/run/systemd", 0o755)
			_ = k.WriteFile("/run/systemd/reboot-param", []byte("0 tryboot\n"), 0o644)
		}, `reboot "0 tryboot"`},
		{"unknown-word", "fly", nil, "reboot"},
		{"no-kexec", "kexec", func(k *systest.Kernel) { k.Fail("end kexec", unix.EINVAL) }, "reboot"},
		{"held", "poweroff", func(k *systest.Kernel) {
			k.AddProcess(214, "sleep", "/dev/null", "/oldroot/data/file")
			k.AddProcess(215, "stays", "/oldroot/database")
			k.FailTimes("unmount /oldroot/data", 2, unix.EBUSY)
		}, "poweroff"},
		{"does-not-let-go", "poweroff", func(k *systest.Kernel) { k.Fail("unmount /oldroot/data", unix.EBUSY) }, "poweroff"},
		{"stays-writable", "halt", func(k *systest.Kernel) { k.Fail("unmount /overlay", unix.EBUSY); k.Fail("remount", unix.EBUSY) }, "halt"},
		{"loop", "poweroff", func(k *systest.Kernel) {
			k.AddLoop("loop0", "/data/file")
			k.FailTimes("unmount /oldroot/data", 1, unix.EBUSY)
		}, "poweroff"},
		{"nothing-is-known", "poweroff", func(k *systest.Kernel) { _ = k.Unmount("/proc") }, "poweroff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, _ := goingDown(t)
			if test.make != nil {
				test.make(k)
			}
			before := k.Trace()
			runExitrd(machine{kernel: k, args: []string{test.word, "--timeout=90000000us"}})
			if k.Ended() != test.ends {
				t.Errorf("the machine ended with %q, want %q", k.Ended(), test.ends)
			}
			golden(t, "exitrd-"+test.name, strings.TrimPrefix(k.Trace(), before))
		})
	}
}

// An init that is not systemd becomes the way out where it is: in the root that
// is to be unmounted. This one was booted by the other half of this program.
func TestWayOutByItself(t *testing.T) {
	k := systest.New("rauc.slot=A")
	k.AddDisk(used())
	k.ReturnAfterExec()
	start(k, mount.InOrder)
	before := k.Trace()
	runExitrd(machine{kernel: k, args: []string{"poweroff"}})
	if k.Ended() != "poweroff" {
		t.Errorf("the machine ended with %q, want poweroff", k.Ended())
	}
	golden(t, "exitrd-by-itself", strings.TrimPrefix(k.Trace(), before))
}

// Whatever fails, the machine goes down.
func TestWayOutWithEveryEffectFailing(t *testing.T) {
	k, before := goingDown(t)
	runExitrd(machine{kernel: k, args: []string{"poweroff"}})
	lines := strings.Split(strings.TrimSpace(strings.TrimPrefix(k.Trace(), before)), "\n")
	if len(lines) < 10 {
		t.Fatalf("the way out has only %d effects; this test looks at nothing", len(lines))
	}
	for _, line := range lines {
		k, _ := goingDown(t)
		k.Fail(line, unix.EIO)
		runExitrd(machine{kernel: k, args: []string{"poweroff"}})
		want := "poweroff"
		if line == "end poweroff" {
			want = "reboot"
		}
		if k.Ended() != want {
			t.Errorf("when %q fails the machine ends with %q, want %q", line, k.Ended(), want)
		}
	}
}

// panicking is a kernel on which one call shows a fault of init.
type panicking struct {
	*systest.Kernel
	call string
}

func (p panicking) Unmount(at string) error {
	if p.call == "unmount" {
		panic("out of range")
	}
	return p.Kernel.Unmount(at)
}

func (p panicking) ReadFile(name string) ([]byte, error) {
	if p.call == "mountinfo" && strings.HasSuffix(name, p.call) {
		panic("out of range")
	}
	return p.Kernel.ReadFile(name)
}

func TestWayOutAfterAPanic(t *testing.T) {
	for _, call := range []string{"unmount", "mountinfo"} {
		k, _ := goingDown(t)
		runExitrd(machine{kernel: panicking{k, call}, args: []string{"halt"}})
		if k.Ended() != "halt" || !strings.Contains(k.Trace(), "panic: out of range") {
			t.Errorf("%s: the machine ended with %q, want halt:\n%s", call, k.Ended(), k.Trace())
		}
	}
}

func TestDecideWish(t *testing.T) {
	for _, test := range []struct {
		args     []string
		argument string
		want     string
		problem  bool
	}{
		{[]string{"poweroff", "reboot"}, "", "poweroff", false},
		{[]string{"poweroff"}, "0 tryboot\n", "poweroff", false}, // left from a restart that was called off
		{[]string{"reboot"}, "0 tryboot\n", `reboot "0 tryboot"`, false},
		{[]string{"reboot"}, "\n", "reboot", false},
		{[]string{"halt"}, "", "halt", false},
		{[]string{"kexec"}, "x", "kexec", false},
		{[]string{"exit"}, "", "reboot", true},
		{[]string{"stay"}, "", "reboot", true},
		{nil, "0 tryboot", "reboot", true},
	} {
		got := decideWish(test.args, test.argument)
		if got.String() != test.want || (got.problem != nil) != test.problem {
			t.Errorf("%q with the argument %q is %s, problem %v; want %s, problem: %t", test.args, test.argument, got, got.problem, test.want, test.problem)
		}
	}
}

func TestFindHolders(t *testing.T) {
	k, _ := goingDown(t)
	k.AddProcess(1, "shutdown", "/oldroot/data/own")
	k.AddProcess(7, "far", "/dev/null", "/oldroot2/x", "pipe:[1]")
	k.AddProcess(8, "root", "/oldroot/bin/true")
	k.AddProcess(9, "data", "/dev/null", "/oldroot/data")
	root, data := mount.Mounted{ID: 1, At: "/oldroot"}, mount.Mounted{ID: 2, At: "/oldroot/data"}
	got := map[int]string{}
	for _, h := range findHolders(k, []mount.Mounted{root, data}) {
		got[h.pid] = h.name + " " + h.what + " " + h.of.At
	}
	want := map[int]string{8: "root /oldroot/bin/true /oldroot", 9: "data /oldroot/data /oldroot/data"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
