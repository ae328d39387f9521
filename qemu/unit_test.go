package qemu

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestTree(t *testing.T) {
	base := filepath.Join(t.TempDir(), "base.tar")
	var archive bytes.Buffer
	err := Tree{Files: []File{Dir("etc"), Text("etc/hostname", "old"), Dir("dev"), Text("dev/null", ""), Text("device", "kept")}}.WriteTar(&archive)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(base, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	tree := Tree{Base: base, Remove: []string{"dev"}}.With(Text("etc/hostname", "older"), Text("etc/hostname", "new"),
		Link("sbin", "usr/sbin"), File{Name: "su", Mode: os.ModeSetuid | 0o755, GID: 8}, Text("gone", "")).Without("gone")
	archive.Reset()
	if err := tree.WriteTar(&archive); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"etc/ 755 0:0 ", "device 644 0:0 kept", "etc/hostname 644 0:0 new", "sbin 777 0:0 -> usr/sbin", "su 4755 0:8 ",
	}
	if diff := cmp.Diff(want, listTar(t, &archive)); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

func listTar(t *testing.T, r io.Reader) (list []string) {
	t.Helper()
	in := tar.NewReader(r)
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeSymlink {
			content = []byte("-> " + h.Linkname)
		}
		list = append(list, fmt.Sprintf("%s %o %d:%d %s", h.Name, h.Mode, h.Uid, h.Gid, content))
	}
}

func TestAccounts(t *testing.T) {
	files := accounts(map[string]string{
		"passwd.master": "root:*:0:0:root:/root:/bin/bash\nnobody:*:65534:65534:nobody:/:/bin/false\n",
		"group.master":  "root:*:0:\n",
	})
	got := map[string]string{}
	for _, f := range files {
		got[f.Name] = f.Data
	}
	want := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65534:nobody:/:/bin/false\n",
		"etc/group":  "root:*:0:\n",
		"etc/shadow": "root::19675:0:99999:7:::\nnobody:*:19675:0:99999:7:::\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSparseCopy(t *testing.T) {
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	f, err := os.Create(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []int64{0, 10 * mib, 50 * mib} {
		if _, err := f.WriteAt([]byte("data"), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(f.Truncate(64*mib), f.Close()); err != nil {
		t.Fatal(err)
	}
	if err := CopyImage(to, from); err != nil {
		t.Fatal(err)
	}
	a, errA := os.ReadFile(from)
	b, errB := os.ReadFile(to)
	if err := errors.Join(errA, errB); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a, b) {
		t.Error("the copy differs")
	}
}

func TestCache(t *testing.T) {
	c := &Cache{Dir: filepath.Join(t.TempDir(), "cache")}
	made := 0
	fill := func(dir string) error {
		made++
		return os.WriteFile(filepath.Join(dir, "asset"), []byte("x"), 0o644)
	}
	first, err := c.Get("thing", "recipe 1", fill)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Get("thing", "recipe 1", fill); err != nil || again != first || made != 1 {
		t.Errorf("the second time: %s, %v, made %d times; want the first one, made once", again, err, made)
	}
	failure := errors.New("no mirror")
	if _, err := c.Get("thing", "recipe 2", func(string) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("error %v, want that of the recipe", err)
	}
	if left, _ := filepath.Glob(filepath.Join(c.Dir, "*.partial")); len(left) != 0 {
		t.Errorf("a failure left %q", left)
	}
	if second, err := c.Get("thing", "recipe 2", fill); err != nil || !exists(first) || !exists(second) {
		t.Errorf("a newer recipe, %v, must not remove what was used just now", err)
	}
	old := time.Now().Add(-2 * keepStale)
	if err := os.Chtimes(first+".lock", old, old); err != nil {
		t.Fatal(err)
	}
	if third, err := c.Get("thing", "recipe 3", fill); err != nil || exists(first) || !exists(third) {
		t.Errorf("a newer recipe, %v, must remove what nobody uses", err)
	}
}

// TestCacheLocks: while an asset is being made, nobody else gets as far.
func TestCacheLocks(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	_, err := c.Get("thing", "recipe", func(dir string) error {
		other, err := os.Open(strings.TrimSuffix(dir, ".partial") + ".lock")
		if err != nil {
			return err
		}
		defer other.Close()
		if err := flock(other, unix.LOCK_SH|unix.LOCK_NB); err != unix.EWOULDBLOCK {
			t.Errorf("another process that locks the asset gets %v, want %v", err, unix.EWOULDBLOCK)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestConsoleExpect(t *testing.T) {
	c := newConsole()
	if _, err := c.Write([]byte("one\r\ntwo\r\none\r\n")); err != nil {
		t.Fatal(err)
	}
	one := regexp.MustCompile(`on(e)`)
	for range 2 {
		if match, err := c.expect(one, time.Hour); err != nil || match[1] != "e" {
			t.Fatalf("found %q, %v; want each of the two, once", match, err)
		}
	}
	if _, err := c.expect(one, time.Millisecond); err == nil || errors.Is(err, errEnded) {
		t.Errorf("error %v, want that of the deadline", err)
	}
	var writer sync.WaitGroup
	writer.Go(func() { _, _ = c.Write([]byte("a late one")) })
	if _, err := c.expect(one, time.Minute); err != nil {
		t.Errorf("what comes later is not found: %v", err)
	}
	writer.Wait()
	c.close()
	if _, err := c.expect(one, time.Hour); !errors.Is(err, errEnded) {
		t.Errorf("error %v, want %v at once", err, errEnded)
	}
	if got := c.text(); strings.Contains(got, "\r") {
		t.Errorf("carriage returns in %q", got)
	}
}

func TestReadStub(t *testing.T) {
	const console = `[    1.5] Run /init as init process
STUB pid 1
STUB argv 0 "/sbin/init"
[    2.0] STUB argv 1 "a b"
STUB env "TERM=linux"
STUB mount 22 1 0:5 / /da\040ta rw,noatime shared:1 - ext4 /dev/vda4 rw,errors=continue
STUB boot.json begin
STUB boot.json|{"slot":
STUB boot.json|"A",
STUB boot.json+ "n": 1}
STUB boot.json end
STUB cpu self_us=12 children_us=3
STUB do read:/x "a b"
STUB end
`
	s, err := ReadStub(console)
	if err != nil {
		t.Fatal(err)
	}
	if !s.Complete || s.PID != 1 || s.CPU != 12*time.Microsecond || s.Children != 3*time.Microsecond {
		t.Errorf("read %+v", s)
	}
	if diff := cmp.Diff([]string{`read:/x "a b"`}, s.Done); diff != "" {
		t.Errorf("results (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"/sbin/init", "a b"}, s.Argv); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	report, err := s.BootReport()
	if diff := cmp.Diff(map[string]any{"slot": "A", "n": 1.0}, report); err != nil || diff != "" {
		t.Errorf("report: %v (-want +got):\n%s", err, diff)
	}
	mount, ok := s.MountAt("/da ta")
	want := Mount{Target: "/da ta", Options: "rw,noatime", FSType: "ext4", Source: "/dev/vda4", Super: "rw,errors=continue"}
	if diff := cmp.Diff(want, mount); !ok || diff != "" {
		t.Errorf("mount (-want +got):\n%s", diff)
	}
	for _, broken := range []string{"STUB pid one\n", "STUB argv 0 unquoted\n", "STUB fd x y\n"} {
		if _, err := ReadStub(broken); err == nil {
			t.Errorf("%q was read", broken)
		}
	}
}

func TestMachineArguments(t *testing.T) {
	m := Machine{Kernel: "K", Initramfs: "I", Append: []string{"quiet"}, InstructionCount: "shift=1,sleep=off",
		Drives: []Drive{{File: "a,b"}, {File: "c", Keep: true, NVMe: true}}}
	got := strings.Join(m.Arguments(), " ")
	for _, want := range []string{
		"-m 512M", "-append console=ttyAMA0 quiet", "-initrd I", "-icount shift=1,sleep=off",
		"id=disk0,if=none,format=raw,snapshot=on,file=a,,b -device virtio-blk-pci,drive=disk0",
		"id=disk1,if=none,format=raw,snapshot=off,file=c -device nvme,serial=disk1,drive=disk1",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %s", want, got)
		}
	}
}

func TestScaled(t *testing.T) {
	for value, want := range map[string]time.Duration{"": time.Second, "2.5": 2500 * time.Millisecond, "0": time.Second, "fast": time.Second} {
		t.Setenv(slowVariable, value)
		if got := Scaled(time.Second); got != want {
			t.Errorf("%s=%q: a second becomes %s, want %s", slowVariable, value, got, want)
		}
	}
}
