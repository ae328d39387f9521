package main

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// Layouts 1.7, statement 16: mark-good gives the running slot its attempts,
// leaves the rest, and fw_printenv reads the result.
func TestStatement1_7_16_MarkGood(t *testing.T) {
	d := newDevice(t)
	d.put(0, "MACHINE_ID=0123=x", "BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3")
	d.ok("mark-good")
	const want = "MACHINE_ID=0123=x BOOT_ORDER=A B BOOT_A_LEFT=3 BOOT_B_LEFT=3 BOOT_GOOD=A"
	if got := d.at(0); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if d.at(0x400000) != want {
		t.Errorf("the shadow is %s", d.at(0x400000))
	}
	printed := strings.Fields(d.fw("fw_printenv"))
	for _, v := range []string{"BOOT_A_LEFT=3", "BOOT_GOOD=A", "MACHINE_ID=0123=x"} {
		if !strings.Contains(" "+strings.Join(printed, " ")+" ", " "+v+" ") {
			t.Errorf("fw_printenv has no %s: %q", v, printed)
		}
	}
	// Nothing changes, and nothing is written: not even a time.
	before, err := os.Stat(d.path("dev/vda9"))
	if err != nil {
		t.Fatal(err)
	}
	d.ok("mark-good", "A")
	if after, err := os.Stat(d.path("dev/vda9")); err != nil || !after.ModTime().Equal(before.ModTime()) {
		t.Errorf("written at %v, %v", after.ModTime(), err)
	}
}

// fw runs a tool of libubootenv on the boot state.
func (d testDevice) fw(tool string, args ...string) string {
	d.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") == "true" {
			d.Fatalf("%s is not installed, and with CI=true nothing is skipped", tool)
		}
		d.Skipf("SKIPPED: %s, of the package libubootenv-tool, is not installed", tool)
	}
	d.file("etc/tool.config", d.path("dev/vda9")+" 0x0 0x4000\n")
	out, err := exec.Command(tool, append([]string{"-c", d.path("etc/tool.config")}, args...)...).CombinedOutput()
	if err != nil {
		d.Fatalf("%s %q: %v: %s", tool, args, err, out)
	}
	return string(out)
}

// What fw_setenv wrote we read, and what RAUC writes through it counts.
func TestAgreesWithFwSetenv(t *testing.T) {
	d := newDevice(t)
	d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3")
	d.ok("set-primary", "B", "--device", d.path("dev/vda9"))
	d.fw("fw_setenv", "BOOT_A_LEFT", "0")
	d.fw("fw_setenv", "BOOT_B_LEFT", "a")
	out := d.ok("status")
	if !strings.Contains(out, "B     new        10") || !strings.Contains(out, "A     exhausted  0") {
		t.Error(out)
	}
}

// Layouts 1.7, statement 17: without a valid environment defaults are written
// with a warning; a good shadow is restored instead; unknown variables stay.
func TestStatement1_7_17_NoEnvironment(t *testing.T) {
	const defaults = "BOOT_ORDER=A B BOOT_A_LEFT=3 BOOT_B_LEFT=3 BOOT_GOOD=A"
	damaged := bytes.Repeat([]byte("torn"), 0x1000)
	for _, c := range []struct {
		name    string
		prepare func(testDevice)
		want    string
		warns   bool
		kept    bool // the damaged bytes
	}{
		{"blank", func(testDevice) {}, defaults, true, false},
		{"erased", func(d testDevice) { d.write(0, bytes.Repeat([]byte{0xff}, 0x4000)) }, defaults, true, false},
		{"damaged, no shadow", func(d testDevice) { d.write(0, damaged) }, defaults, true, true},
		{"damaged, shadow", func(d testDevice) {
			d.write(0, damaged)
			d.put(0x400000, "BOOT_ORDER=B A", "BOOT_A_LEFT=1", "BOOT_B_LEFT=2", "MACHINE_ID=1")
		}, "BOOT_ORDER=B A BOOT_A_LEFT=3 BOOT_B_LEFT=2 MACHINE_ID=1 BOOT_GOOD=A", false, true},
		{"others' variables only", func(d testDevice) { d.put(0, "MACHINE_ID=1", "x=y=z") },
			"MACHINE_ID=1 x=y=z BOOT_ORDER=A B BOOT_A_LEFT=3 BOOT_B_LEFT=3 BOOT_GOOD=A", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t)
			c.prepare(d)
			status, _, stderr := d.run("mark-good")
			if status != statusOK || (stderr != "") != c.warns || c.warns && !strings.Contains(stderr, ", ignoring: ") {
				t.Errorf("status %d, %q", status, stderr)
			}
			if d.at(0) != c.want || d.at(0x400000) != c.want {
				t.Errorf("%s\nshadow %s\nwant %s", d.at(0), d.at(0x400000), c.want)
			}
			if kept := bytes.Equal(d.bytes("dev/vda9")[0x700000:][:0x4000], damaged); kept != c.kept {
				t.Errorf("damaged bytes kept: %t", kept)
			}
		})
	}
}

// Layouts 1.7, statement 18: no verb writes outside of the environment, its
// shadow, and for damaged ones the place where these are kept.
func TestStatement1_7_18_NothingElseIsWritten(t *testing.T) {
	for _, torn := range []bool{false, true} {
		for _, args := range [][]string{{"mark-good"}, {"mark-bad", "A"}, {"set-primary", "B"}, {raucVerb, "set-state", "B", "bad"}, {raucVerb, "set-primary", "B"}} {
			d := newDevice(t)
			noise := make([]byte, stateSize)
			rand.NewChaCha8([32]byte{1}).Read(noise) // no two places are the same
			d.write(0, noise)
			if !torn {
				d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=2")
			} else {
				d.put(0x400000, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=2")
			}
			before := d.bytes("dev/vda9")
			d.ok(args...)
			after := d.bytes("dev/vda9")
			if bytes.Equal(before, after) {
				t.Fatalf("%q wrote nothing", args)
			}
			ours := []int{0, 0x400000}
			if torn {
				ours = append(ours, 0x700000)
			}
			for _, offset := range ours {
				clear(before[offset:][:0x4000])
				clear(after[offset:][:0x4000])
			}
			if !bytes.Equal(before, after) {
				t.Errorf("%q, torn %t: something else was written", args, torn)
			}
		}
	}
}

// A degraded boot of a slot on trial is not marked good, by nobody, unless it
// is forced; everything else is.
func TestDegradedTrialIsRefused(t *testing.T) {
	const lacks = "what is written to / is lost: cannot mount"
	for _, c := range []struct {
		good, running, degraded string
		args                    []string
		refused                 bool
	}{
		{"B", "A", lacks, []string{"mark-good"}, true},
		{"B", "A", lacks, []string{"mark-good", "A"}, true},
		{"B", "A", lacks, []string{raucVerb, "set-state", "A", "good"}, true},
		{"B", "A", lacks, []string{"mark-good", "--force"}, false},
		{"B", "A", lacks, []string{"mark-good", "B"}, false},
		{"A", "A", lacks, []string{"mark-good"}, false},
		{"", "A", lacks, []string{"mark-good"}, false},
		{"B", "A", "", []string{"mark-good"}, false},
	} {
		d := newDevice(t)
		d.file("run/minos/boot.json", bootJSON(c.running, c.degraded))
		d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=1", "BOOT_GOOD="+c.good)
		before := d.bytes("dev/vda9")
		status, _, stderr := d.run(c.args...)
		if want := map[bool]int{true: statusRefused, false: statusOK}[c.refused]; status != want {
			t.Errorf("%+v: status %d, %s", c, status, stderr)
		}
		if written := !bytes.Equal(before, d.bytes("dev/vda9")); written == c.refused {
			t.Errorf("%+v: written %t", c, written)
		}
		if c.refused && !strings.Contains(stderr, lacks) {
			t.Errorf("%+v: it does not say why: %s", c, stderr)
		}
	}
}

// Whatever is wrong: one line that begins as it should, its status, nothing
// written.
func TestErrors(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(testDevice)
		args    []string
		status  int
		says    string
	}{
		{"no boot state", func(d testDevice) { d.remove("run/minos/boot.json") }, []string{"status"}, statusNoState, "/etc/fw_env.config"},
		{"init found none", func(d testDevice) { d.file("run/minos/boot.json", `{"schema":1}`) }, []string{"mark-good", "A"}, statusNoState, "names no boot state"},
		{"device gone", func(d testDevice) { d.remove("dev/vda9") }, []string{"mark-good"}, statusNoState, "no such file"},
		{"unknown slot", nil, []string{"mark-bad", "C"}, statusUsage, "C is no slot"},
		{"lower case", nil, []string{"set-primary", "a"}, statusUsage, "a is no slot"},
		{"no slot", nil, []string{"mark-bad"}, statusUsage, "minosctl mark-bad SLOT"},
		{"unknown verb", nil, []string{"reboot"}, statusUsage, "no such verb"},
		{"unknown flag", nil, []string{"status", "--jsn"}, statusUsage, "minosctl status [--json]"},
		{"nothing", nil, nil, statusUsage, "give a verb"},
		{"two places", nil, []string{"status", "--device", "x", "--image", "y"}, statusUsage, "give one"},
		{"which slot runs", func(d testDevice) { d.remove("run/minos/boot.json") }, []string{"mark-good"}, statusUsage, "name one"},
		{"another schema", func(d testDevice) { d.file("run/minos/boot.json", `{"schema":2}`) }, []string{"status"}, statusFailed, "schema 2"},
		{"no JSON", func(d testDevice) { d.file("run/minos/boot.json", `{`) }, []string{"mark-good", "A"}, statusFailed, "cannot read"},
		{"a filesystem", func(d testDevice) { d.write(0, []byte("hsqs\x01\x00\x00\x00")); squash(d) }, []string{"mark-good"}, statusFailed, "it holds squashfs"},
		{"a whole disk", func(d testDevice) {
			d.write(510, []byte{0x55, 0xaa})
			d.write(446+4, []byte{0x83, 0, 0, 0, 8, 0, 0, 0, 8})
		}, []string{"mark-good"}, statusFailed, "--image"},
		{"another size", func(d testDevice) { d.write(0, bigBlock(d)) }, []string{"mark-good"}, statusFailed, "correct the configuration"},
		{"too small", func(d testDevice) { _ = os.Truncate(d.path("dev/vda9"), 512) }, []string{"mark-good"}, statusFailed, "ends at"},
		{"a directory", func(d testDevice) { d.remove("dev/vda9"); _ = os.Mkdir(d.path("dev/vda9"), 0o755) }, []string{"status"}, statusFailed, "dev/vda9"},
		{"no table", nil, []string{"status", "--image", "/dev/null"}, statusFailed, "neither a block device"},
		{"no such state for RAUC", nil, []string{raucVerb, "set-state", "A", "new"}, statusUsage, "good or bad"},
		{"no such word for RAUC", nil, []string{raucVerb, "get-next"}, statusUsage, "get-primary"},
		{"RAUC says no state", nil, []string{raucVerb, "set-state", "A"}, statusUsage, "get-primary"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t)
			d.file("proc/cmdline", "quiet\n")
			if c.prepare != nil {
				c.prepare(d)
			}
			before, _ := os.ReadFile(d.path("dev/vda9"))
			status, _, stderr := d.run(c.args...)
			if status != c.status || !strings.HasPrefix(stderr, "minosctl: cannot ") || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, c.says) {
				t.Errorf("status %d, want %d: %s\nwant %q", status, c.status, stderr, c.says)
			}
			if after, _ := os.ReadFile(d.path("dev/vda9")); !bytes.Equal(before, after) {
				t.Error("something was written")
			}
		})
	}
}

// squash makes the smallest header that block.Probe takes for a squashfs.
func squash(d testDevice) {
	d.Helper()
	name := d.path("tree")
	if err := os.Mkdir(name, 0o755); err != nil {
		d.Fatal(err)
	}
	if out, err := exec.Command("mksquashfs", name, d.path("image"), "-quiet", "-no-progress").CombinedOutput(); err != nil {
		if os.Getenv("CI") != "true" {
			d.Skipf("SKIPPED: mksquashfs: %v", err)
		}
		d.Fatalf("mksquashfs: %v: %s", err, out)
	}
	d.write(0, d.bytes("image"))
}

// bigBlock is an environment of 32 KiB.
func bigBlock(d testDevice) []byte {
	d.Helper()
	var env = mustEnv(d, "BOOT_ORDER=A B")
	b, err := env.Encode(0x8000, 4, 0, 0)
	if err != nil {
		d.Fatal(err)
	}
	return b
}

// An ordinary user and a read-only device get one line, too. Root may do
// everything, so the program is run by somebody else.
func TestOrdinaryUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("not root: the test is its own ordinary user")
	}
	d := newDevice(t)
	d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=1")
	program := d.path("minosctl")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for dir := d.root; dir != os.TempDir() && dir != "/"; dir = parent(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(d.path("dev/vda9"), 0o444); err != nil {
		t.Fatal(err)
	}
	before := d.bytes("dev/vda9")
	as := func(args ...string) (int, string) {
		cmd := exec.Command(program, append(args, "--device", d.path("dev/vda9"))...)
		if os.Getuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		out, _ := cmd.CombinedOutput()
		return cmd.ProcessState.ExitCode(), string(out)
	}
	if status, out := as("status"); status != 0 || !strings.Contains(out, "starts next") {
		t.Errorf("status: %d %s", status, out)
	}
	for _, args := range [][]string{{"mark-good", "A"}, {"mark-bad", "A"}, {"set-primary", "B"}} {
		status, out := as(args...)
		if status != statusFailed || strings.Count(out, "\n") != 1 || !strings.Contains(out, "run minosctl as root") {
			t.Errorf("%q: %d %s", args, status, out)
		}
	}
	if !bytes.Equal(before, d.bytes("dev/vda9")) {
		t.Error("something was written")
	}
}

func parent(dir string) string { return dir[:max(strings.LastIndexByte(dir, '/'), 1)] }

// While another program holds libubootenv's lock nothing is written, and the
// wait ends. Without a place for the lock the device itself is locked.
func TestLock(t *testing.T) {
	d := newDevice(t)
	d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=1", "BOOT_B_LEFT=1")
	held, err := os.OpenFile(d.path("var/lock/fw_printenv.lock"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := flock(held); err != nil {
		t.Fatal(err)
	}
	before := d.bytes("dev/vda9")
	status, _, stderr := d.run("mark-good")
	if status != statusFailed || !strings.Contains(stderr, "fw_printenv.lock") || !bytes.Equal(before, d.bytes("dev/vda9")) {
		t.Errorf("under another's lock: status %d, %s", status, stderr)
	}
	held.Close()
	d.ok("mark-good")

	d.remove("var/lock/fw_printenv.lock")
	d.remove("var/lock")
	status, _, stderr = d.run("mark-bad", "B")
	if status != statusOK || !strings.Contains(stderr, ", ignoring: ") || !strings.Contains(d.at(0), "BOOT_ORDER=A ") {
		t.Errorf("without a place for locks: status %d, %s %s", status, stderr, d.at(0))
	}
}
