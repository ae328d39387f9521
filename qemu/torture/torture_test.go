package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/qemu"
)

// boundedState is where failures of the bounded part go.
const boundedState = "../../out/torture/test"

// bounded is how many disks of a scenario are tried here: few, but enough to find
// the planted faults, and where U-Boot takes its time the fewest.
func bounded(s scenario) int {
	switch {
	case s.machine != nil:
		return 3
	case slices.ContainsFunc(plantedFaults, func(p planted) bool { return p.scenario == s.name }):
		return 12
	case s.name == sessionScenarios()[0].name:
		return 2
	}
	return 5
}

// inTest are the scenarios of make test; make test-all has all.
func inTest() []scenario {
	list := scenarios()
	if os.Getenv("MINOS_TEST_ALL") != "" {
		return list
	}
	return slices.DeleteFunc(list, func(s scenario) bool {
		return slices.ContainsFunc(sessionScenarios()[1:], func(later scenario) bool { return later.name == s.name })
	})
}

// release returns the laboratory with the built release image.
func release(t *testing.T) *laboratory {
	t.Helper()
	if testing.Short() {
		t.Skip("boots virtual machines: not with -short")
	}
	tools(t, "qemu-system-aarch64", "e2fsck", "debugfs", "fsck.vfat", "mcopy", "mke2fs", "sfdisk", "sgdisk", "fakeroot", "fw_printenv", "mkenvimage", "mkimage")
	dir := os.Getenv("MINOS_INITRAMFS_DIR")
	if dir == "" {
		dir = "../../out/arm64"
	}
	l, err := newLaboratory(filepath.Join(dir, "initramfs.cpio.lz4"), nil)
	if errors.Is(err, qemu.ErrMissingProgram) || errors.Is(err, os.ErrNotExist) {
		unable(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// tools ends a test on a machine that lacks one of the programs.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := qemu.Tool(name, "--version"); errors.Is(err, qemu.ErrMissingProgram) {
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

// fresh is a state directory in which nothing is remembered.
func fresh(t *testing.T, name string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(boundedState, name))
	if err == nil {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// A power cut at any of these points loses nothing that was synced, and the
// next boot comes up.
func TestPowerCutOnARealDisk(t *testing.T) {
	l := release(t)
	state := fresh(t, "release")
	list := inTest()
	all, err := l.runScenarios(list, options{state: state, cases: bounded, places: newPlaces(runtime.NumCPU()), shrink: true, progress: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	for n, out := range all {
		if want := min(bounded(list[n]), out.images); out.tried != want || want == 0 {
			t.Errorf("scenario %s: %d disks of %d were tried, want %d", out.scenario, out.tried, out.images, want)
		}
		if len(out.failures) > 0 {
			t.Error(out.tell())
		}
	}
	var table strings.Builder
	printTable(&table, all)
	t.Logf("a part of all, %s prints the rest:\n%s", "make torture", table.String())
	if !t.Failed() {
		fresh(t, "release") // several hundred MB are of no more use
	}
}

// plantedFaults are mistakes of a writer of files, as the build tag faults plants
// them, and the scenario that has to show each.
var plantedFaults = []planted{
	{"missing-fsync", "adopted upper"},
	{"missing-fsync", "first upper"},
	{"rename-before-data", "adopted upper"},
	{"missing-fsync", "first identity"},
	{"removed-before-stored", "inbox consumed"},
	{"primary-before-shadow", "attempt"},
	{"primary-before-shadow", "attempt, old shadow"},
}

type planted struct{ fault, scenario string }

// Each of the planted mistakes is found by as many cases as the test above
// tries.
func TestPlantedFaultsAreFound(t *testing.T) {
	l := release(t)
	image, err := qemu.FaultyInitramfs(l.initramfs, l.dir)
	if err != nil {
		t.Fatal(err)
	}
	holdsFaults(t, l.initramfs, image)
	faulty := map[string]*laboratory{}
	for _, test := range plantedFaults {
		if faulty[test.fault] == nil {
			faulty[test.fault] = &laboratory{kernel: l.kernel, initramfs: image, parts: l.parts, dir: t.TempDir(), extra: []string{"fault=" + test.fault}}
		}
		t.Run(test.fault+" "+test.scenario, func(t *testing.T) {
			i := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == test.scenario })
			out, err := faulty[test.fault].runScenario(scenarios()[i], options{state: fresh(t, test.fault), cases: bounded, places: newPlaces(runtime.NumCPU()), stopAt: 1, progress: t.Output()})
			if err != nil {
				t.Fatal(err)
			}
			if out.count[lost] == 0 {
				t.Errorf("%d of %d disks were tried, and none is lost: %v", out.tried, out.images, out.count)
			}
			t.Logf("found after %d of %d disks: %v", out.tried, out.images, out.count)
			fresh(t, test.fault)
		})
	}
}

// holdsFaults fails when the release image can break, or when this could not be
// told.
func holdsFaults(t *testing.T, release, faulty string) {
	t.Helper()
	// A text of cmd/init's faults, and a function of pkg/mount's. A short text
	// alone can be an instruction's operand, which is not found.
	for _, trace := range []string{"planted in a goroutine", "pkg/mount.inOrder"} {
		for image, want := range map[string]bool{release: false, faulty: true} {
			content, err := qemu.Unpacked(image)
			if err != nil {
				t.Fatal(err)
			}
			if got := bytes.Contains(content, []byte(trace)); got != want {
				t.Errorf("%s holds %q: %t, want %t", filepath.Base(image), trace, got, want)
			}
		}
	}
}
