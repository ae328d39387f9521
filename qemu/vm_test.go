package qemu

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// stubInitramfs is an initramfs whose /init is the stub real init.
func stubInitramfs(t *testing.T) string {
	t.Helper()
	stub, err := os.ReadFile(machines(t).stub)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	pad := func() { archive.Write(make([]byte, (4-archive.Len()%4)%4)) }
	for i, e := range []struct {
		name         string
		mode         int
		major, minor int
		data         []byte
	}{
		{name: "dev", mode: 0o040755},
		{name: "dev/console", mode: 0o020600, major: 5, minor: 1},
		{name: "dev/null", mode: 0o020666, major: 1, minor: 3}, // without it the Go runtime dies where there is no console
		{name: "proc", mode: 0o040755},
		{name: "init", mode: 0o100755, data: stub},
		{name: "TRAILER!!!"},
	} {
		// The newc format: a magic, 13 numbers, the name, the data, both padded
		// to four bytes.
		fmt.Fprintf(&archive, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
			i+1, e.mode, 0, 0, 1, 0, len(e.data), 0, 0, e.major, e.minor, len(e.name)+1, 0, e.name)
		pad()
		archive.Write(e.data)
		pad()
	}
	path := filepath.Join(t.TempDir(), "initramfs.cpio")
	if err := os.WriteFile(path, archive.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func stubMachine(t *testing.T, words ...string) Machine {
	t.Helper()
	return Machine{Kernel: machines(t).debian.Image, Initramfs: stubInitramfs(t), Append: words}
}

func TestStubReportsItself(t *testing.T) {
	t.Parallel()
	r := runMachine(t, stubMachine(t, "panic=-1", "colour=blue", "extra",
		"stub.do=write:/a%20file=some%2Ctext,read:/a%20file,rm:/a%20file,read:/a%20file,rootwrite,ls:/nothing,fly"), nil, stubDeadline)
	if r.Ending != PowerOff || !r.Stub.Complete {
		t.Fatalf("the machine ended with %s, the stub complete: %t, want a power-off of a complete stub", r.Ending, r.Stub.Complete)
	}
	got := r.Stub
	if got.CPU <= 0 || got.CPU > 5*time.Second {
		t.Errorf("CPU time %s, want something plausible", got.CPU)
	}
	if _, ok := got.MountAt("/proc"); !ok {
		t.Errorf("no /proc among the mounts %q", got.Mounts)
	}
	if got.FDs[1] != "/dev/console" {
		t.Errorf("standard output is %q, want /dev/console", got.FDs[1])
	}
	// What depends on the kernel's release is not compared.
	got.CPU, got.Mounts, got.FDs, got.RootDev = 0, nil, nil, ""
	want := Stub{
		Started: true, Complete: true, PID: 1, Machine: "aarch64", VolatileRoot: "ENOENT",
		Argv: []string{"/init", "extra"}, Env: []string{"HOME=/", "TERM=linux", "colour=blue"},
		Done: []string{
			"write:/a%20file=some%2Ctext ok", `read:/a%20file "some,text"`, "rm:/a%20file ok", "read:/a%20file ENOENT",
			"rootwrite ok", "ls:/nothing ENOENT", "fly unknown verb",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what the stub saw (-want +got):\n%s", diff)
	}
	t.Logf("a boot to the stub's end took %s", r.Took.Round(100*time.Millisecond))
}

func TestEndings(t *testing.T) {
	for _, test := range []struct {
		word   string
		within time.Duration
		want   Ending
	}{
		{"stub.end=poweroff", stubDeadline, PowerOff},
		{"stub.end=reboot", stubDeadline, Reset},
		{"rdinit=/nothing panic=-1", stubDeadline, Reset},
		{"stub.end=hang", 6 * time.Second, Timeout},
	} {
		t.Run(test.word, func(t *testing.T) {
			t.Parallel()
			vm := start(t, stubMachine(t, test.word))
			got, err := vm.Wait(test.within)
			if err != nil || got != test.want {
				t.Errorf("the machine ended with %s, %v; want %s", got, err, test.want)
			}
		})
	}
}

func TestKilledMachineIsBroken(t *testing.T) {
	t.Parallel()
	vm := start(t, stubMachine(t, "stub.end=hang"))
	if _, err := vm.Monitor("quit", nil); err != nil {
		t.Fatal(err)
	}
	if got, err := vm.Wait(stubDeadline); got != Broken || err == nil {
		t.Errorf("the machine ended with %s, %v; want %s and an error", got, err, Broken)
	}
}

// TestNoConsole: without a console the stub's lines reach the kernel log, all
// of them, which the early console shows.
func TestNoConsole(t *testing.T) {
	t.Parallel()
	m := stubMachine(t, "console=null", "earlycon=pl011,0x9000000", "keep_bootcon")
	m.NoConsole = true
	r := runMachine(t, m, nil, stubDeadline)
	if !r.Stub.Complete || len(r.Stub.Mounts) == 0 || r.Stub.FDs[1] != "/dev/null" {
		t.Errorf("the stub says complete %t, %d mounts, standard output %q; want all of it in the kernel log, and /dev/null",
			r.Stub.Complete, len(r.Stub.Mounts), r.Stub.FDs[1])
	}
}

func TestSecondConsole(t *testing.T) {
	t.Parallel()
	m := stubMachine(t, "console=ttyS0")
	m.SecondConsole = true
	r := runMachine(t, m, nil, stubDeadline)
	if !strings.Contains(r.Second, "STUB end") {
		t.Errorf("the last console of the command line lacks the stub's lines:\n%s", r.Second)
	}
	if !strings.Contains(r.Console, "Linux version") {
		t.Errorf("the first console lacks the kernel's lines")
	}
}

// TestInstructionCount: guest time counts instructions, and the stub's figures
// come back.
func TestInstructionCount(t *testing.T) {
	t.Parallel()
	m := stubMachine(t)
	m.InstructionCount = "shift=1,sleep=off"
	r := runMachine(t, m, nil, stubDeadline)
	if !r.Stub.Complete || r.Stub.CPU <= 0 {
		t.Errorf("the stub says complete %t, CPU time %s", r.Stub.Complete, r.Stub.CPU)
	}
}

func TestExpect(t *testing.T) {
	t.Parallel()
	vm := start(t, stubMachine(t, "stub.end=hang"))
	match, err := vm.ExpectRegexp(regexp.MustCompile(`STUB pid (\d+)`), stubDeadline)
	if err != nil || match[1] != "1" {
		t.Fatalf("Expect found %q, %v; want the pid 1", match, err)
	}
	if err := vm.Expect("STUB end", stubDeadline); err != nil {
		t.Error(err)
	}
	if err := vm.Expect("STUB pid", 10*time.Millisecond); err == nil {
		t.Error("Expect found again what it had found before")
	}
	if _, err := vm.Monitor("query-status", nil); err != nil {
		t.Error(err)
	}
	if _, err := vm.Monitor("no-such-command", nil); err == nil {
		t.Error("the monitor took a command that does not exist")
	}
	if err := vm.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := vm.Expect("anything more", time.Hour); err == nil {
		t.Error("Expect found something on a machine that has ended")
	}
	if exists(vm.dir) {
		t.Error("a stopped machine left its temporary files")
	}
}

func TestRefusedArguments(t *testing.T) {
	m := stubMachine(t)
	m.Args = []string{"-no-such-option"}
	_, err := m.Start()
	if err == nil || !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("error %v, want QEMU's own words about -no-such-option", err)
	}
}
