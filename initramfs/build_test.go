package main

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"path"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
)

// testInit is a program of a few lines: these tests look at the builder.
const testInit = "./initramfs/testdata/init"

// runBuilder builds into a new directory and returns it.
func runBuilder(t *testing.T, args ...string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "out")
	var stdout, stderr bytes.Buffer
	if status := run(append([]string{"-init", testInit, "-minosctl", testInit, "-out", out}, args...), &stdout, &stderr); status != 0 {
		t.Fatalf("status %d: %s", status, stderr.String())
	}
	return out
}

func readImage(t *testing.T, name string) []cpio.Record {
	t.Helper()
	packed, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return recordsOf(t, hostTool(t, packed, "lz4", "-dc"))
}

func namesOf(records []cpio.Record) []string {
	var names []string
	for _, record := range records {
		names = append(names, record.Name)
	}
	return names
}

// One image for two kernels: without modules, and each kernel's beside it.
func TestSharedImage(t *testing.T) {
	out := runBuilder(t, "-release-only", "-modules", moduleDir(t, testKernel(t)), "-sets", "virtio", "-extra", "overlay")
	all := namesOf(readImage(t, filepath.Join(out, "initramfs.cpio.lz4")))
	shared := namesOf(readImage(t, filepath.Join(out, "initramfs-shared.cpio.lz4")))
	modules := namesOf(readImage(t, filepath.Join(out, "modules.cpio.lz4")))
	dir := "lib/modules/" + testRelease
	if diff := cmp.Diff([]string{"lib", "lib/modules", dir, dir + "/minos.modules", dir + "/overlay.ko"}, modules); diff != "" {
		t.Errorf("the archive of the modules (-want +got):\n%s", diff)
	}
	if slices.Contains(shared, "lib/modules") || !slices.Contains(shared, "init") {
		t.Errorf("the shared image has %q", shared)
	}
	both := append(shared, modules...)
	slices.Sort(both)
	if diff := cmp.Diff(all, slices.Compact(both)); diff != "" {
		t.Errorf("the two together (-image of its own +got):\n%s", diff)
	}
}

// Another archive can follow each image: a bootloader appends one at the end.
func TestImagesAreAligned(t *testing.T) {
	out := runBuilder(t, "-release-only", "-modules", moduleDir(t, testKernel(t)), "-sets", "virtio", "-extra", "overlay")
	for _, name := range []string{"initramfs.cpio.lz4", "initramfs-shared.cpio.lz4", "modules.cpio.lz4"} {
		info, err := os.Stat(filepath.Join(out, name))
		if err != nil || info.Size()%4 != 0 {
			t.Errorf("%s: %v, %d bytes, want a multiple of 4", name, err, info.Size())
		}
	}
	// Whatever the content: some lengths come out right by chance.
	for n := range 40 {
		plain := bytes.Repeat([]byte("0123456789abcdef"), 100)
		plain = append(plain, bytes.Repeat([]byte{'x', byte(n)}, n)...)
		packed := compressAligned(plain)
		if len(packed)%4 != 0 {
			t.Errorf("%d more: %d bytes, want a multiple of 4", n, len(packed))
		}
		got := hostTool(t, packed, "lz4", "-dc")
		if (len(got)-len(plain))%4 != 0 {
			t.Errorf("%d more: %d bytes are added, which puts the next archive at an odd place", n, len(got)-len(plain))
		}
		if !bytes.Equal(bytes.TrimRight(got, "\x00"), bytes.TrimRight(plain, "\x00")) {
			t.Errorf("%d more: it does not come back", n)
		}
	}
}

// The release image holds init, two nodes, directories, configuration and
// modules, and nothing else: no shell, no other program.
func TestReleaseImage(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "minos.conf")
	if err := os.WriteFile(conf, []byte("# demo\nminos.timeout=20\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	modules := moduleDir(t, testKernel(t))
	out := runBuilder(t, "-release-only", "-modules", modules, "-sets", "virtio", "-extra", "overlay", "-config", conf)
	records := readImage(t, filepath.Join(out, "initramfs.cpio.lz4"))
	want := []string{
		"dev", "dev/console", "dev/null", "etc", "etc/initrd-release", "etc/minos.conf",
		"exitrd", "exitrd/dev", "exitrd/oldroot", "exitrd/proc", "exitrd/run", "exitrd/sys", "init",
		"lib", "lib/modules", "lib/modules/" + testRelease,
		"lib/modules/" + testRelease + "/minos.modules", "lib/modules/" + testRelease + "/overlay.ko",
		"proc", "run", "sys", "sysroot",
	}
	if diff := cmp.Diff(want, namesOf(records)); diff != "" {
		t.Errorf("content (-want +got):\n%s", diff)
	}
	program, err := os.ReadFile(filepath.Join(out, "init"))
	// The linker says nothing when a variable that it is to set is not there any more.
	if !bytes.Contains(program, []byte(runtimeSettings)) {
		t.Errorf("init does not start with the runtime's settings %s", runtimeSettings)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range records {
		switch record.Name {
		case "init":
			if contentOf(t, record) != string(program) {
				t.Error("init in the image is not the one beside it")
			}
			if record.Mode != cpio.S_IFREG|0o755 {
				t.Errorf("init has mode %o", record.Mode)
			}
		case "etc/minos.conf":
			if got := contentOf(t, record); got != "# demo\nminos.timeout=20\n" {
				t.Errorf("minos.conf is %q", got)
			}
		}
	}
	if entries, err := os.ReadDir(out); err != nil || len(entries) != 5 {
		t.Errorf("results %v, %v; want init, minosctl, two images and the modules", entries, err)
	}
}

// Each architecture gives a static program for it, which buildProgram checks, and
// for the oldest processor that docs/porting.md promises.
func TestArchitectures(t *testing.T) {
	oldest := map[string]debug.BuildSetting{
		"arm64": {Key: "GOARM64", Value: "v8.0"}, "arm": {Key: "GOARM", Value: "6"}, "386": {Key: "GO386", Value: "softfloat"},
		"amd64": {Key: "GOAMD64", Value: "v1"}, "riscv64": {Key: "GORISCV64", Value: "rva20u64"},
	}
	for _, name := range architectureNames() {
		t.Run(name, func(t *testing.T) {
			// What the caller's environment says of a target is not asked.
			t.Setenv("GOARCH", "mips")
			t.Setenv("GOARM", "5")
			t.Setenv("GO386", "sse2")
			out := runBuilder(t, "-arch", name, "-release-only")
			for _, want := range []string{"init", "minosctl", "initramfs.cpio.lz4"} {
				if _, err := os.Stat(filepath.Join(out, want)); err != nil {
					t.Error(err)
				}
			}
			for _, program := range []string{"init", "minosctl"} {
				info, err := buildinfo.ReadFile(filepath.Join(out, program))
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(info.Settings, oldest[name]) {
					t.Errorf("%s was built with %v, want %v among it", program, info.Settings, oldest[name])
				}
			}
		})
	}
}

func TestReleaseIsReproducible(t *testing.T) {
	modules := moduleDir(t, testKernel(t))
	one, two := runBuilder(t, "-release-only", "-modules", modules), runBuilder(t, "-release-only", "-modules", modules)
	sameFile(t, one, two, "init")
	sameFile(t, one, two, "minosctl")
	sameFile(t, one, two, "initramfs.cpio.lz4")
}

func sameFile(t *testing.T, one, two, name string) {
	t.Helper()
	first, err := os.ReadFile(filepath.Join(one, name))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(filepath.Join(two, name))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("two builds gave two different %s", name)
	}
}

// The debug image has init and every listed command under its name, and what
// the release image has besides. Two builds are equal.
func TestDebugImage(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: building the debug image twice takes most of a minute")
	}
	modules := moduleDir(t, testKernel(t))
	one, two := runBuilder(t, "-debug-only", "-modules", modules), runBuilder(t, "-debug-only", "-modules", modules)
	sameFile(t, one, two, "initramfs-debug.cpio.lz4")

	records := readImage(t, filepath.Join(one, "initramfs-debug.cpio.lz4"))
	names := namesOf(records)
	commands, err := debugCommands()
	if err != nil {
		t.Fatal(err)
	}
	if len(commands) < 30 {
		t.Errorf("only %d debug commands are listed", len(commands))
	}
	want := []string{"init", "bbin/bb", "dev/null", "dev/console", "etc/initrd-release", "lib/modules/" + testRelease + "/overlay.ko"}
	for _, command := range commands {
		want = append(want, "bbin/"+path.Base(command))
	}
	for _, name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("the image lacks %s", name)
		}
	}
	release := contentOf(t, records[slices.Index(names, "etc/initrd-release")])
	_, release, _ = strings.Cut(release, "VERSION_ID=")
	version, _, _ := strings.Cut(release, "\n")
	for _, record := range records {
		if record.Name == "init" && (record.Mode&cpio.S_IFMT != cpio.S_IFLNK || contentOf(t, record) != "bbin/init") {
			t.Errorf("init is %o %q, want a link to bbin/init", record.Mode, contentOf(t, record))
		}
		if record.Name == "bbin/bb" && !strings.Contains(contentOf(t, record), version) {
			t.Error("init in the debug image does not know its version")
		}
	}
}

// A mistake is one line that names it, exit status 1, and nothing is written.
func TestMistakes(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "minos.conf")
	if err := os.WriteFile(conf, []byte("quiet\nminos.tiemout=3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		want []string
	}{
		{"architecture", []string{"-arch", "armv6l"}, []string{`unknown architecture "armv6l"`, "arm64, arm, 386", "riscv64"}},
		{"set", []string{"-sets", "slots,pcmcia"}, []string{`unknown set of modules "pcmcia"`, "virtio"}},
		{"modules directory", []string{"-modules", "/nowhere/6.1"}, []string{"/nowhere/6.1", "no such file"}},
		{"extra without modules", []string{"-extra", "btrfs"}, []string{"btrfs", "MODULES="}},
		{"extra that is not there", []string{"-modules", moduleDir(t, testKernel(t)), "-extra", "zfs"}, []string{"zfs", "EXTRA="}},
		{"configuration file", []string{"-config", "/nowhere/minos.conf"}, []string{"/nowhere/minos.conf", "no such file"}},
		{"unknown key", []string{"-config", conf}, []string{conf + ":2", "minos.tiemout"}},
		{"nothing to build", []string{"-release-only", "-debug-only"}, []string{"nothing to build"}},
		{"argument", []string{"arm64"}, []string{`unknown argument "arm64"`}},
		{"flag", []string{"-architecture", "arm"}, []string{"-architecture"}},
		{"init that is not there", []string{"-init", "./cmd/nothing"}, []string{"cannot compile ./cmd/nothing for arm64"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			var stdout, stderr bytes.Buffer
			status := run(append([]string{"-out", out, "-init", testInit}, test.args...), &stdout, &stderr)
			if status != 1 {
				t.Errorf("status %d, want 1", status)
			}
			for _, word := range test.want {
				if !strings.Contains(stderr.String(), word) {
					t.Errorf("%q lacks %q", stderr.String(), word)
				}
			}
			if _, err := os.Lstat(out); err == nil {
				t.Error("something was written")
			}
		})
	}
}
