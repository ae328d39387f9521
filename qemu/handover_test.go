package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ownDescriptors are those that the stub's own Go runtime may have opened.
var ownDescriptors = []string{"anon_inode:[eventpoll]", "anon_inode:[eventfd]"}

// Layouts 6.2, statement 10, with a real init that is not systemd.
func TestStatement6_2_10_CleanHandover(t *testing.T) {
	t.Parallel()
	const shmem = "grep:/proc/meminfo=Shmem:"
	r := boot(t, Case{
		// The kernel makes an argument of "stray" and a variable of the next.
		Append: []string{"rauc.slot=A", "stray", "colour=blue"},
		Do:     []string{shmem, "read:/proc/sys/kernel/printk_devkmsg"},
	})
	r.handedOver(t)
	checkProcess(t, r.Stub, []string{"/sbin/init", "stray"}, nil)
	if r.Stub.Deserialize != "" || r.Stub.InitrdRelease {
		t.Errorf("the new root's init got --deserialize: %q, and sees /etc/initrd-release: %t", r.Stub.Deserialize, r.Stub.InitrdRelease)
	}
	if want := "/dev/block/254:6"; r.Stub.VolatileRoot != want {
		t.Errorf("/run/systemd/volatile-root points to %q, want %q as it is written", r.Stub.VolatileRoot, want)
	}
	if got := r.result(t, "read:/proc/sys/kernel/printk_devkmsg"); got != `"ratelimit\n"` {
		t.Errorf("init left printk_devkmsg at %s, want the kernel's own ratelimit", got)
	}
	// The initramfs, a tmpfs that nobody can see any more, counts as shared
	// memory as long as its files are there: init itself, which stays, and
	// nearly 1 MB of modules.
	program, err := os.Stat(filepath.Join(filepath.Dir(initramfs(t, "initramfs.cpio.lz4")), "init"))
	if err != nil {
		t.Fatal(err)
	}
	if used := kibibytes(t, r.result(t, shmem)) - int(program.Size()/1024); used < 0 || used > 128 {
		t.Errorf("%d KiB of shared memory are in use besides init's own %d: the initramfs was not emptied", used, program.Size()/1024)
	}
}

// kibibytes is the number in a line of /proc/meminfo.
func kibibytes(t *testing.T, line string) int {
	t.Helper()
	match := regexp.MustCompile(`(\d+) kB`).FindStringSubmatch(line)
	if match == nil {
		t.Fatalf("%s is no line of meminfo", line)
	}
	n, err := strconv.Atoi(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// checkProcess compares what the real init was started with. extra are
// descriptors besides the first three.
func checkProcess(t *testing.T, got Stub, argv []string, extra map[int]string) {
	t.Helper()
	if got.PID != 1 {
		t.Errorf("the real init is process %d", got.PID)
	}
	if diff := cmp.Diff(argv, got.Argv); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	env := []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux"}
	if diff := cmp.Diff(env, got.Env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	want := map[int]string{0: "/dev/console", 1: "/dev/console", 2: "/dev/console"}
	for fd, target := range extra {
		want[fd] = target
	}
	open := map[int]string{}
	for fd, target := range got.FDs {
		if !slices.Contains(ownDescriptors, target) {
			open[fd] = target
		}
	}
	if diff := cmp.Diff(want, open); diff != "" {
		t.Errorf("open descriptors (-want +got):\n%s", diff)
	}
}

// Layouts 6.2, statement 10, with a real init that is called systemd: it gets
// the time stamps from which systemd-analyze shows an initrd phase.
func TestStatement6_2_10_CleanHandoverToSystemd(t *testing.T) {
	stub := machines(t).stub
	systemd := func() *Disk {
		disk := StubDisk(stub)
		disk.RootFSA = rootfs(24, Tree{}.With(Dir("usr"), Dir("usr/lib"), Dir("usr/lib/systemd"), Link("sbin", "usr/sbin"), Dir("usr/sbin"),
			File{Name: "usr/lib/systemd/systemd", Mode: 0o755, From: stub},
			Link("usr/sbin/init", "/usr/lib/systemd/systemd"), Dir("etc")), "A")
		return &disk
	}
	for _, test := range []struct {
		name, word string
		stamps     bool
	}{
		{"stamps", "minos.timestamps=1", true},
		{"none", "minos.timestamps=0", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Disk: systemd(), Append: []string{test.word, "--", "--log-level=debug"}, Do: nil})
			r.handedOver(t)
			if !test.stamps {
				checkProcess(t, r.Stub, []string{"/sbin/init", "--log-level=debug"}, nil)
				return
			}
			stamps := regexp.MustCompile(`^fd=(\d+) offset=0 "initrd-timestamp=(\d{16}) (\d{6,8})\\n"$`).FindStringSubmatch(r.Stub.Deserialize)
			if stamps == nil {
				t.Fatalf("--deserialize leads to %s", r.Stub.Deserialize)
			}
			fd, err := strconv.Atoi(stamps[1])
			if err != nil {
				t.Fatal(err)
			}
			checkProcess(t, r.Stub, []string{"/sbin/init", "--switched-root", "--system", fmt.Sprintf("--deserialize=%d", fd), "--log-level=debug"},
				map[int]string{fd: "/memfd:minos-timestamps (deleted)"})
			if !strings.Contains(r.Console, "minos: OK ") {
				t.Error("init did not say that it is done")
			}
		})
	}
}
