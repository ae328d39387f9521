package qemu

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Where things lie, seen from this directory.
const (
	logDir          = "../out/test-logs"
	initramfsDir    = "../out/arm64"
	initramfsDirVar = "MINOS_INITRAMFS_DIR"
)

// stubDeadline is ample for a boot to the end of the stub, which takes 2 to 4 s.
const stubDeadline = 60 * time.Second

// stubbornDeadline is for a boot without a disk, for which init looks a minute.
const stubbornDeadline = 2 * time.Minute

// suite is what the tests that boot machines share.
type suite struct {
	dir    string
	debian Debian
	demo   string // image of the demo disk
	stub   string // the stub real init
	disk   string // image of the small disk with the stub in both slots
}

// shared makes the suite when the first test asks for it. Machines take its
// images as snapshots, so that they stay as they are.
var shared = sync.OnceValues(func() (*suite, error) {
	dir, err := os.MkdirTemp("", "minos-suite-")
	if err != nil {
		return nil, err
	}
	s := &suite{dir: dir, disk: filepath.Join(dir, "stub.img")}
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		return s, err
	}
	if s.debian, err = cache.Debian(); err != nil {
		return s, err
	}
	if s.demo, err = cache.DemoDisk(); err != nil {
		return s, err
	}
	if s.stub, err = BuildStub(dir); err != nil {
		return s, err
	}
	return s, StubDisk(s.stub).Write(s.disk)
})

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if !testing.Short() {
		if s, _ := shared(); s != nil {
			os.RemoveAll(s.dir)
		}
	}
	os.Exit(code)
}

// machines returns the suite to a test that boots machines. With -short there
// are none.
func machines(t *testing.T) *suite {
	t.Helper()
	if testing.Short() {
		t.Skip("boots virtual machines: not with -short")
	}
	tools(t, qemuProgram)
	s, err := shared()
	if errors.Is(err, ErrMissingProgram) {
		unable(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Case is one boot of our init. The zero value boots slot A of the stub disk
// until the stub ends it.
type Case struct {
	Disk   *Disk    // made for this boot; nil for the stub disk
	Image  string   // a disk image instead, used as a snapshot
	Append []string // words of the kernel command line
	Debug  bool     // the debug initramfs instead of the release one
	Do     []string // verbs for the stub
	// Drive works with the machine while it runs; nil leaves it alone.
	Drive func(t *testing.T, vm *VM)
	// Change changes the machine before it is started.
	Change func(*Machine)
	Within time.Duration // to the end of the machine; 0 for stubDeadline
}

// Result is what a boot left behind.
type Result struct {
	Ending  Ending
	Console string
	Second  string // of a second console
	Stub    Stub
	Took    time.Duration // from the start of QEMU to its end
}

// Line returns the first line of the console that contains text, or "".
func (r Result) Line(text string) string {
	for line := range strings.Lines(r.Console) {
		if strings.Contains(line, text) {
			return strings.TrimSuffix(line, "\n")
		}
	}
	return ""
}

// boot boots our init and returns when the machine has ended. A machine that
// does not end in time fails the test.
func boot(t *testing.T, c Case) Result {
	t.Helper()
	name := "initramfs.cpio.lz4"
	if c.Debug {
		name = "initramfs-debug.cpio.lz4"
	}
	machine := Machine{
		Kernel:    machines(t).debian.Image,
		Initramfs: initramfs(t, name),
		Append:    append([]string(nil), c.Append...),
		Drives:    []Drive{{File: c.image(t)}},
	}
	if len(c.Do) > 0 {
		machine.Append = append(machine.Append, "stub.do="+strings.Join(c.Do, ","))
	}
	if c.Change != nil {
		c.Change(&machine)
	}
	within := c.Within
	if within == 0 {
		within = stubDeadline
	}
	return runMachine(t, machine, c.Drive, within)
}

func (c Case) image(t *testing.T) string {
	t.Helper()
	if c.Image != "" {
		return c.Image
	}
	if c.Disk == nil {
		return machines(t).disk
	}
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := c.Disk.Write(image); err != nil {
		t.Fatal(err)
	}
	return image
}

// runMachine starts a machine, lets drive work with it, and waits for its end.
func runMachine(t *testing.T, m Machine, drive func(*testing.T, *VM), within time.Duration) Result {
	t.Helper()
	vm := start(t, m)
	if drive != nil {
		drive(t, vm)
	}
	ending, err := vm.Wait(within)
	if err != nil {
		t.Fatal(err)
	}
	if ending == Timeout {
		t.Fatalf("the machine did not end within %s", Scaled(within))
	}
	r := Result{Ending: ending, Console: vm.Console(), Took: time.Since(vm.Started)}
	if r.Stub, err = ReadStub(r.Console); err != nil {
		t.Fatal(err)
	}
	if m.SecondConsole {
		if r.Second, err = vm.SecondConsole(); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// start starts a machine that is stopped with the test. What its console showed
// is kept when the test failed.
func start(t *testing.T, m Machine) *VM {
	t.Helper()
	vm, err := m.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := vm.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			keepLog(t, vm.Console())
		}
	})
	return vm
}

// keepLog writes a console to out/test-logs and shows its end.
func keepLog(t *testing.T, console string) {
	t.Helper()
	const shown = 40
	path := saveLog(t, console)
	lines := strings.Split(strings.TrimRight(console, "\n"), "\n")
	lines = lines[max(0, len(lines)-shown):]
	t.Logf("serial console: %s\nits last %d lines:\n%s", path, len(lines), strings.Join(lines, "\n"))
}

// saveLog writes a console to out/test-logs and returns the file's name, or why
// there is none.
func saveLog(t *testing.T, console string) string {
	name := strings.NewReplacer("/", "-", " ", "_").Replace(t.Name()) + ".log"
	path, err := filepath.Abs(filepath.Join(logDir, name))
	if err == nil {
		err = os.MkdirAll(logDir, 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, []byte(console), 0o644)
	}
	if err != nil {
		return fmt.Sprintf("not kept, %v", err)
	}
	return path
}

// initramfs returns one of the built images.
func initramfs(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("needs the images, which the fast part does not make: not with -short")
	}
	path := filepath.Join(initramfsDirectory(), name)
	if _, err := os.Stat(path); err != nil {
		unable(t, fmt.Sprintf("no initramfs: %v; \"make initramfs\" makes it, %s names another directory", err, initramfsDirVar))
	}
	return path
}

func initramfsDirectory() string {
	if dir := os.Getenv(initramfsDirVar); dir != "" {
		return dir
	}
	return initramfsDir
}

// tools ends a test on a machine that lacks one of the programs.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := program(name); err != nil {
			unable(t, err.Error())
		}
	}
}

// unable ends a test that this machine cannot run. In CI, where nothing may be
// left out, that is a failure.
func unable(t *testing.T, reason string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal("cannot run this test, and CI=true allows no gap: " + reason)
	}
	t.Skip("SKIPPED, NOTHING WAS TESTED: " + reason)
}
