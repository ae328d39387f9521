package qemu

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
)

// unpacked is an image without its compression.
func unpacked(t *testing.T, name string) []byte {
	t.Helper()
	plain, err := Unpacked(initramfs(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// imageFile writes an image of a test's own.
func imageFile(t *testing.T, content ...[]byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "initramfs.cpio")
	if err := os.WriteFile(path, bytes.Join(content, nil), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

const releaseImage, debugImage = "initramfs.cpio.lz4", "initramfs-debug.cpio.lz4"

// programs are the names of what an image could run: files that are executable
// and links.
func programs(t *testing.T, image string) (names []string) {
	t.Helper()
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(unpacked(t, image))))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		switch r.Mode & cpio.S_IFMT {
		case cpio.S_IFREG:
			if r.Mode&0o111 != 0 {
				names = append(names, r.Name)
			}
		case cpio.S_IFLNK:
			names = append(names, r.Name)
		}
	}
	return names
}

// A release image has no shell, nor anything else to start but init.
func TestReleaseImageHasOneProgram(t *testing.T) {
	machines(t) // with them come the images
	if diff := cmp.Diff([]string{"init"}, programs(t, releaseImage)); diff != "" {
		t.Errorf("the programs of the release image (-want +got):\n%s", diff)
	}
	if debug := programs(t, debugImage); !slices.Contains(debug, "bbin/gosh") {
		t.Errorf("the debug image has %q, and no shell among them: this test does not see links", debug)
	}
}

// Layouts 6.2, statement 8: no word makes a release image start a shell or wait
// for input; each that asks for one is answered with a warning.
func TestStatement6_2_8_ReleaseImageNeverAsks(t *testing.T) {
	for _, word := range []string{"minos.break=early,disk,layout,handover", "rd.break", "rd.break=pre-mount"} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Append: []string{"rauc.slot=A", word}})
			report := r.handedOver(t)
			const warning = "minos.break= and rd.break need the debug image, ignoring: a break"
			if !slices.Equal(report.Warnings, []string{warning}) {
				t.Errorf("boot.json has the warnings %q, want %q", report.Warnings, warning)
			}
			shows(t, r.Console, "minos: "+warning)
		})
	}
	t.Run("minos.onfail=shell", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Append: []string{"rauc.slot=A", "init=/nothing", "minos.onfail=shell", "panic=1"}})
		r.failed(t, "init", "/nothing: no such file")
		shows(t, r.Console, "minos: minos.onfail=shell needs the debug image; the machine restarts instead")
	})
}

// atShell waits for a shell, types a command, checks what it says, and leaves.
func atShell(t *testing.T, vm *VM, greeting, command, answer string) {
	t.Helper()
	const prompt = `(?m)^\$ `
	for _, talk := range []struct{ expect, send string }{
		{regexp.QuoteMeta(greeting), ""}, {prompt, command + "\n"},
		{"(?m)^" + regexp.QuoteMeta(answer) + "$", ""}, {prompt, "exit\n"}, {"minos: debug: the shell has ended", ""},
	} {
		if _, err := vm.ExpectRegexp(regexp.MustCompile(talk.expect), stubDeadline); err != nil {
			t.Fatal(err)
		}
		if err := vm.Send(talk.send); err != nil {
			t.Fatal(err)
		}
	}
}

// The debug image offers a shell at each stage that was asked for, and always
// before the hand-over; exit goes on.
func TestDebugImageShells(t *testing.T) {
	type stage struct{ name, command, answer string }
	handover := stage{"handover", "ls /sysroot/data", "extensions"}
	for _, test := range []struct {
		word   string
		stages []stage
	}{
		{"none=", []stage{handover}},
		{"rd.break", []stage{handover}},
		{"minos.break=early,disk,layout", []stage{
			{"early", "ls /dev/vda1", "lstat /dev/vda1: no such file or directory"}, {"disk", "ls /dev/vda1", "vda1"}, {"layout", "cat /sysroot/etc/minos-slot", "B"}, handover,
		}},
	} {
		t.Run(test.word, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Debug: true, Append: []string{"rauc.slot=B", test.word, "stub.end=exitrd:poweroff"}, Drive: func(t *testing.T, vm *VM) {
				for _, s := range test.stages {
					atShell(t, vm, "a shell before the boot goes on ("+s.name+")", s.command, s.answer)
				}
			}})
			r.handedOver(t)
			shows(t, r.Console, "minos: minos-init (debug image) ", "minos: OK ", "minos: shut down: 5 of 5 filesystems unmounted")
			if n := strings.Count(r.Console, "a shell before"); n != len(test.stages) {
				t.Errorf("there were %d shells, want %d", n, len(test.stages))
			}
			// The line between init and the real one is not the terminal of a
			// shell that is gone.
			if r.Stub.FDs[0] != "/dev/console" {
				t.Errorf("standard input is %q", r.Stub.FDs[0])
			}
		})
	}
}

// After every failure the debug image offers a shell; what was announced comes
// after it.
func TestDebugImageShellOnError(t *testing.T) {
	t.Parallel()
	r := boot(t, Case{
		Debug: true, Append: []string{"rauc.slot=A", "init=/nothing", "panic=1"},
		Drive: func(t *testing.T, vm *VM) {
			atShell(t, vm, "a shell to look around in", "uname -m", "aarch64")
		},
	})
	r.failed(t, "init", "/nothing: no such file")
}

// The image's modules are for another kernel: both are named, and what follows.
func TestModulesOfAnotherKernel(t *testing.T) {
	t.Parallel()
	release := filepath.Base(machines(t).debian.Modules)
	other := strings.Replace(release, "cloud", "other", 1)
	if len(other) != len(release) || other == release {
		t.Fatalf("cannot make another release of %s that is as long", release)
	}
	// Names and nothing else are changed, and the archive keeps its shape.
	image := bytes.ReplaceAll(unpacked(t, releaseImage), []byte("lib/modules/"+release), []byte("lib/modules/"+other))
	r := boot(t, Case{
		Append: []string{"rauc.slot=A", "minos.timeout=1", "panic=-1"}, Within: stubbornDeadline,
		Change: func(m *Machine) { m.Initramfs = imageFile(t, image) },
	})
	r.failed(t, "disk", "no disk with rootfs-a")
	shows(t, r.Console, "minos: going on without kernel modules, ignoring: the image has kernel modules for "+other+", the running kernel is "+release)
}
