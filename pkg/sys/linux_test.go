package sys

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace runs a test that mounts, as root, where nobody sees it. The
// thread is never given back, so it dies with its mounts.
func inNamespace(t *testing.T, test func(t *testing.T, dir string)) {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this level needs root to mount, and CI has to run it")
		}
		t.Skip("SKIPPED: real mounts need root; run it as root")
	}
	dir := t.TempDir()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
			t.Errorf("unshare: %v", err)
			return
		}
		if err := (Linux{}).MakePrivate("/"); err != nil {
			t.Error(err)
			return
		}
		test(t, dir)
	}()
	<-done
}

// must ends a test in a namespace, which t.Fatal cannot.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
		runtime.Goexit()
	}
}

func dirs(t *testing.T, root string, names ...string) {
	t.Helper()
	for _, name := range names {
		must(t, os.MkdirAll(filepath.Join(root, name), 0o755))
	}
}

// A layer's name may hold what separates layers and options.
const oddName = `lower:with,odd=\name and space`

func TestMountByBothCalls(t *testing.T) {
	for name, mount := range map[string]func(MountRequest) error{
		"fsopen(2)": mountByContext, "mount(2)": mountByString,
	} {
		t.Run(name, func(t *testing.T) {
			inNamespace(t, func(t *testing.T, dir string) {
				at := func(name string) string { return filepath.Join(dir, name) }
				dirs(t, dir, "mem", "merged")
				must(t, mount(MountRequest{Source: "some", Target: at("mem"), FSType: "tmpfs",
					Flags: NoSuid | NoDev | NoAtime, Options: []string{"mode=0755", "size=1m"}}))
				dirs(t, at("mem"), oddName, "second", "upper", "work")
				must(t, os.WriteFile(at("mem/"+oddName+"/file"), []byte("lower"), 0o644))
				must(t, mount(MountRequest{Source: "overlay", Target: at("merged"), FSType: "overlay", Options: []string{
					"lowerdir+=" + at("mem/"+oddName), "lowerdir+=" + at("mem/second"),
					"upperdir=" + at("mem/upper"), "workdir=" + at("mem/work"), "index=off", "xino=off",
				}}))
				content, err := os.ReadFile(at("merged/file"))
				if string(content) != "lower" {
					t.Errorf("the lower's file reads %q, %v", content, err)
				}
				must(t, os.WriteFile(at("merged/new"), nil, 0o644))
				if _, err := os.Stat(at("mem/upper/new")); err != nil {
					t.Error("a write to the overlay did not reach the upper:", err)
				}
				must(t, mount(MountRequest{Source: "ro", Target: at("merged"), FSType: "tmpfs", Flags: ReadOnly}))
				if err := os.WriteFile(at("merged/x"), nil, 0o644); !errors.Is(err, unix.EROFS) {
					t.Errorf("a write to a read-only mount: %v", err)
				}
				st, err := (Linux{}).Statfs(at("merged"))
				if err != nil || !st.ReadOnly || st.Magic != unix.TMPFS_MAGIC {
					t.Errorf("Statfs = %+v, %v", st, err)
				}
				info, err := os.ReadFile("/proc/thread-self/mountinfo")
				must(t, err)
				if !slices.ContainsFunc(strings.Split(string(info), "\n"), func(line string) bool {
					return strings.Contains(line, "/mem rw,nosuid,nodev,noatime ")
				}) {
					t.Error("the flags did not take")
				}
			})
		})
	}
}

func TestMountSaysWhy(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		err := (Linux{}).Mount(MountRequest{Source: "x", Target: dir, FSType: "tmpfs", Options: []string{"size=much"}})
		if !errors.Is(err, unix.EINVAL) || !strings.Contains(err.Error(), "size") {
			t.Errorf("Mount with a bad option = %v", err)
		}
		// Without options it is mount(2) that fails, which gives no reasons.
		err = (Linux{}).Mount(MountRequest{Source: "/no/such/disk", Target: dir, FSType: "ext4"})
		if !errors.Is(err, unix.ENOENT) || !strings.Contains(err.Error(), "lookup blockdev") {
			t.Errorf("Mount of a disk that is not there = %v", err)
		}
		err = (Linux{}).Mount(MountRequest{Source: "x", Target: dir, FSType: "nosuchfs"})
		if !errors.Is(err, unix.ENODEV) {
			t.Errorf("Mount of an unknown type = %v", err)
		}
	})
}

func TestOptionString(t *testing.T) {
	got, err := optionString([]string{"lowerdir+=/a:b", "lowerdir+=/c,d", "upperdir=/u,p", "index=off", "ro"})
	if want := `lowerdir=/a\:b:/c\,d,upperdir=/u\,p,index=off,ro`; got != want || err != nil {
		t.Errorf("optionString = %s, %v; want %s", got, err, want)
	}
	_, err = optionString([]string{"x=" + strings.Repeat("y", os.Getpagesize())})
	if !errors.Is(err, unix.E2BIG) {
		t.Errorf("options of more than a page: %v", err)
	}
}

// The way from one root to the next, on real mounts: what is below moves
// along, and only the old root's own memory is emptied.
func TestEnterRoot(t *testing.T) {
	inNamespace(t, func(t *testing.T, dir string) {
		k := Linux{}
		tmpfs := func(at string) {
			must(t, k.Mount(MountRequest{Source: "t", Target: at, FSType: "tmpfs"}))
		}
		// An initramfs to leave, with a mount in it that has to survive.
		tmpfs(dir)
		dirs(t, dir, "new", "keep", "deep/er", "bin")
		must(t, os.WriteFile(dir+"/deep/er/file", nil, 0o644))
		must(t, os.WriteFile(dir+"/bin/self", nil, 0o755))
		must(t, os.Symlink("bin/self", dir+"/init"))
		tmpfs(dir + "/new")
		tmpfs(dir + "/keep")
		must(t, os.WriteFile(dir+"/keep/survivor", []byte("here"), 0o644))
		must(t, os.WriteFile(dir+"/new/marker", []byte("new root"), 0o644))
		dirs(t, dir, "new/kept")
		keep, err := k.OpenTree(dir+"/keep", "")
		must(t, err)
		must(t, unix.Chroot(dir))
		must(t, unix.Chdir("/"))

		old, err := k.OpenTree("/", "/init")
		must(t, err)
		must(t, k.EnterRoot("/new"))
		if content, err := os.ReadFile("/marker"); string(content) != "new root" {
			t.Errorf("/marker = %q, %v", content, err)
		}
		if err := old.Empty(); err != nil {
			t.Error("Empty:", err)
		}
		names, err := os.ReadDir(fmt.Sprintf("/proc/self/fd/%d", old.(tree).fd))
		if err == nil && len(names) > 3 { // the two mount points stay, and /bin
			t.Errorf("the old root still holds %v", names)
		}
		var st unix.Stat_t
		if err := unix.Fstatat(keep.(tree).fd, "survivor", &st, 0); err != nil {
			t.Error("what was mounted in the old root was emptied too:", err)
		}
		if err := unix.Fstatat(old.(tree).fd, "deep", &st, 0); err != unix.ENOENT {
			t.Errorf("a directory of the old root: %v", err)
		}
		if err := unix.Fstatat(old.(tree).fd, "bin/self", &st, 0); err != nil {
			t.Error("the file to keep is gone:", err)
		}
	})
}

func TestEmptyRefusesADisk(t *testing.T) {
	st, err := Linux{}.Statfs(".")
	if err != nil {
		t.Fatal(err)
	}
	if st.Magic == unix.TMPFS_MAGIC || st.Magic == unix.RAMFS_MAGIC {
		t.Fatal("this test has to run on a disk; the repository lies in memory")
	}
	dir, err := os.MkdirTemp(".", "empty-test-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "precious")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	tree, err := Linux{}.OpenTree(dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Close()
	if err := tree.Empty(); err == nil {
		t.Error("Empty of a directory on a disk returned no error")
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestResolveIn(t *testing.T) {
	root := t.TempDir()
	dirs(t, root, "usr/sbin", "usr/lib/systemd")
	for link, target := range map[string]string{
		"sbin": "usr/sbin", "usr/sbin/init": "/usr/lib/systemd/systemd", "out": "../../../../../..", "loop": "loop",
	} {
		must(t, os.Symlink(target, filepath.Join(root, link)))
	}
	must(t, os.WriteFile(filepath.Join(root, "usr/lib/systemd/systemd"), nil, 0o755))
	for name, want := range map[string]string{
		"/sbin/init": "/usr/lib/systemd/systemd", "/out": "/", "/out/usr": "/usr", "/": "/",
		"/usr/sbin": "/usr/sbin", "/sbin/../lib": "/usr/lib", "/usr/lib/../../..": "/",
	} {
		got, _, err := Linux{}.ResolveIn(root, name)
		if got != want || err != nil {
			t.Errorf("ResolveIn(%s) = %q, %v; want %q", name, got, err, want)
		}
	}
	if _, info, err := (Linux{}).ResolveIn(root, "/sbin/init"); err != nil || !info.Executable() {
		t.Errorf("the init is not executable: %+v, %v", info, err)
	}
	for name, want := range map[string]error{"/nothing": fs.ErrNotExist, "/loop": unix.ELOOP} {
		if _, _, err := (Linux{}).ResolveIn(root, name); !errors.Is(err, want) {
			t.Errorf("ResolveIn(%s): %v, want %v", name, err, want)
		}
	}
}

func TestUeventsTimeOut(t *testing.T) {
	u, err := Linux{}.Uevents()
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	began := time.Now()
	for { // a real event of this machine may come in between
		if _, err = u.Next(50 * time.Millisecond); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTimeout) || time.Since(began) < 50*time.Millisecond {
		t.Errorf("Next = %v after %v", err, time.Since(began))
	}
}

func TestMemfdReadsFromItsStart(t *testing.T) {
	fd, err := Linux{}.Memfd("test", []byte("content"))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	buf := make([]byte, 20)
	if n, err := unix.Read(fd, buf); string(buf[:max(n, 0)]) != "content" || err != nil {
		t.Errorf("read %q, %v", buf[:max(n, 0)], err)
	}
	if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC != 0 {
		t.Errorf("flags = %#x, %v: it would not survive an exec", flags, err)
	}
}

func TestGoBringsPanicsBack(t *testing.T) {
	err := <-Go(func() error { panic("thrown") })
	var p *PanicError
	if !errors.As(err, &p) || p.Value != "thrown" || !strings.Contains(string(p.Stack), "TestGoBringsPanicsBack") {
		t.Errorf("Go = %v", err)
	}
}

func TestRunTool(t *testing.T) {
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("this level needs root to change the root, and CI has to run it")
		}
		t.Skip("SKIPPED: another root needs root; run it as root")
	}
	run := func(limit time.Duration, argv ...string) (Exit, error) {
		return Linux{}.RunTool(Tool{Root: "/", Argv: argv, Env: []string{"A=b", "PATH=/usr/bin:/bin"}, Limit: limit})
	}
	t.Run("status and words", func(t *testing.T) {
		const script = `echo out; echo err >&2; pwd; env | grep ^A; readlink /proc/self/fd/0
			[ "$(cut -d ' ' -f 6 /proc/$$/stat)" = $$ ] && echo a session of its own
			exit 5`
		exit, err := run(time.Minute, "/bin/sh", "-c", script)
		if want := (Exit{5, "out\nerr\n/\nA=b\n/dev/null\na session of its own\n"}); err != nil || exit != want {
			t.Errorf("%+v, %v; want %+v", exit, err, want)
		}
	})
	t.Run("the end of many words", func(t *testing.T) {
		exit, err := run(time.Minute, "/bin/sh", "-c", "yes 1234567 | head -c 100000; echo end")
		if err != nil || len(exit.Output) != 16<<10 || !strings.HasSuffix(exit.Output, "1234567\nend\n") {
			t.Errorf("%d bytes, %v; want the last 16384", len(exit.Output), err)
		}
	})
	t.Run("another root", func(t *testing.T) {
		_, err := Linux{}.RunTool(Tool{Root: t.TempDir(), Argv: []string{"/bin/sh"}, Limit: time.Minute})
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("error %v, want that there is no shell in an empty root", err)
		}
	})
	t.Run("too long", func(t *testing.T) {
		began := time.Now()
		_, err := run(50*time.Millisecond, "/bin/sleep", "60")
		if !errors.Is(err, ErrKilled) || time.Since(began) > 20*time.Second {
			t.Errorf("error %v after %v, want %v at once", err, time.Since(began), ErrKilled)
		}
	})
	t.Run("a signal", func(t *testing.T) {
		if _, err := run(time.Minute, "/bin/sh", "-c", "kill -SEGV $$"); err == nil || !strings.Contains(err.Error(), "segmentation fault") {
			t.Errorf("error %v, want that of the signal", err)
		}
	})
}

func TestSparse(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sparse")
	const size = 1 << 40
	if err := (Linux{}).MakeSparse(file, size); err != nil {
		t.Fatal(err)
	}
	if err := (Linux{}).MakeSparse(file, size); !errors.Is(err, fs.ErrExist) {
		t.Errorf("made a second time: %v", err)
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const at int64 = 3 << 30
	if _, err := f.WriteAt(make([]byte, 4096), at); err != nil { // zeros are data too
		t.Fatal(err)
	}
	s, err := Linux{}.OpenSparse(file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if n, err := s.Size(); n != size || err != nil {
		t.Errorf("%d bytes, %v, want %d", n, err, int64(size))
	}
	start, end, err := s.NextData(0)
	if start > at || start < at-1<<20 || end < at+4096 || end > at+1<<20 || err != nil {
		t.Errorf("data from %d to %d, %v, want that at %d", start, end, err, int64(at))
	}
	if _, _, err := s.NextData(end); err != io.EOF {
		t.Errorf("behind the data: %v, want the end", err)
	}
}

// A date is what was set, to the nanosecond, and a link keeps its own.
func TestSetModified(t *testing.T) {
	k, dir := Linux{}, t.TempDir()
	file, link := dir+"/file", dir+"/link"
	if err := errors.Join(k.WriteFile(file, []byte("x"), 0o600), k.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	before, err := k.Lstat(file)
	if err != nil || before.Inode == 0 || time.Since(time.Unix(0, before.Modified)).Abs() > time.Hour {
		t.Fatalf("a new file: %+v, %v", before, err)
	}
	const date = 1_234_567_890_123_456_789
	if err := errors.Join(k.SetModified(file, date), k.SetModified(link, date+1)); err != nil {
		t.Fatal(err)
	}
	want := before
	want.Modified = date
	if after, err := k.Lstat(file); err != nil || after != want {
		t.Errorf("after it: %+v, %v; want %+v", after, err, want)
	}
	if after, err := k.Lstat(link); err != nil || after.Modified != date+1 {
		t.Errorf("the link: %+v, %v", after, err)
	}
	if err := k.SetModified(dir+"/none", date); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("of nothing: %v", err)
	}
}
