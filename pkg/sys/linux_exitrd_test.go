package sys

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the way out is made with: the running program under another name, in a
// directory that stays when all around it is emptied, and is shown elsewhere. The
// initramfs is a ramfs where root= is on the command line (init/do_mounts.c,
// init_rootfs), and else a tmpfs.
func TestDirectoryThatStays(t *testing.T) {
	for _, fstype := range []string{"tmpfs", "ramfs"} {
		t.Run(fstype, func(t *testing.T) {
			inNamespace(t, func(t *testing.T, dir string) { emptiedAround(t, dir, fstype) })
		})
	}
}

func emptiedAround(t *testing.T, dir, fstype string) {
	k := Linux{}
	must(t, k.Mount(MountRequest{Source: "old", Target: dir, FSType: fstype}))
	dirs(t, dir, "exitrd/dev", "run/initramfs", "gone/deep")
	must(t, os.WriteFile(dir+"/init", []byte("program"), 0o755))
	must(t, os.Symlink("init", dir+"/self"))
	must(t, k.Link(dir+"/self", dir+"/exitrd/shutdown"))
	must(t, k.Bind(dir+"/exitrd", dir+"/run/initramfs"))
	tree, err := k.OpenTree(dir, dir+"/exitrd")
	must(t, err)
	must(t, tree.Empty())
	for name, there := range map[string]bool{"init": false, "gone": false, "exitrd/dev": true, "exitrd/shutdown": true, "run/initramfs/shutdown": true} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: %v, want it there: %t", name, err, there)
		}
	}
	if content, err := os.ReadFile(dir + "/run/initramfs/shutdown"); string(content) != "program" {
		t.Errorf("the program is %q, %v", content, err)
	}
}

func TestPivotRoot(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		k := Linux{}
		must(t, unix.Unshare(unix.CLONE_FS))
		must(t, k.Mount(MountRequest{Source: "new", Target: dir, FSType: "tmpfs"}))
		dirs(t, dir, "old")
		must(t, os.WriteFile(dir+"/marker", []byte("new root"), 0o644))
		must(t, k.PivotRoot(dir, dir+"/old"))
		if content, err := os.ReadFile("marker"); string(content) != "new root" {
			t.Errorf("marker in the working directory = %q, %v", content, err)
		}
		if _, err := os.Stat("/old" + dir); err != nil {
			t.Error("the old root:", err)
		}
	})
}

func TestKill(t *testing.T) {
	sleep := exec.Command("sleep", "100")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	if err := (Linux{}).Kill(sleep.Process.Pid, 10*time.Second); err != nil {
		t.Error(err)
	}
	began := time.Now()
	if err := sleep.Wait(); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("after %s the process ended with %v, want that it was killed before", time.Since(began), err)
	}
	if err := (Linux{}).Kill(sleep.Process.Pid, time.Second); err != nil {
		t.Errorf("a process that is gone: %v", err)
	}
}

// A device that has no file is no reason to go on trying.
func TestDetachLoopSaysWhy(t *testing.T) {
	if err := (Linux{}).DetachLoop("/dev/null"); err == nil {
		t.Error("/dev/null let go of a file")
	}
}
