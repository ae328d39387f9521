package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/minos-os/minos-init/qemu"
)

// A run that was interrupted goes on where it was, also when it was interrupted
// in the middle of a note.
func TestMemory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "verdicts")
	want := map[string]verdict{}
	for round, name := range []string{"a-0", "b-1", "c-2"} {
		m, err := openMemory(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, m.verdicts); diff != "" {
			t.Errorf("round %d remembers (-want +got):\n%s", round, diff)
		}
		want[name] = verdict{lost, "because\n" + name}
		if err := m.note(name, want[name]); err != nil {
			t.Fatal(err)
		}
		if _, err := m.file.WriteString(`{"Case":"half`); err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever changes what a case is, or who tries it, makes earlier verdicts void.
func TestKey(t *testing.T) {
	dir := t.TempDir()
	p := parts{stub: filepath.Join(dir, "stub"), minosctl: filepath.Join(dir, "minosctl"), firmware: filepath.Join(dir, "firmware"), kernel: filepath.Join(dir, "modules")}
	l := &laboratory{kernel: filepath.Join(dir, "kernel"), initramfs: filepath.Join(dir, "initramfs"), parts: p}
	for _, file := range []string{l.kernel, l.initramfs, p.stub, p.minosctl, p.firmware, p.kernel} {
		if err := os.WriteFile(file, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]string{}
	for _, s := range scenarios() {
		key, err := l.key(s)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[key]; ok {
			t.Errorf("%s has the key of %s", s.name, other)
		}
		seen[key] = s.name
	}
	state := slices.IndexFunc(scenarios(), func(s scenario) bool { return s.name == "attempt" })
	other := scenarios()[state]
	other.before = append(slices.Clone(other.before[:len(other.before)-1]), withState(torn(qemu.StubDisk("").BootState)))
	if key, _ := l.key(other); seen[key] != "" {
		t.Error("another disk has the same key")
	}
	same, _ := l.key(scenarios()[0])
	if _, ok := seen[same]; !ok {
		t.Error("a scenario has another key each time")
	}
	if err := os.WriteFile(l.initramfs, []byte("another"), 0o644); err != nil {
		t.Fatal(err)
	}
	if key, _ := l.key(scenarios()[0]); key == same {
		t.Error("another initramfs has the same key")
	}
}

// After an error no more scenarios are begun.
func TestRunScenariosStops(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	l := &laboratory{kernel: missing, dir: t.TempDir()}
	out, err := l.runScenarios(scenarios(), options{state: t.TempDir(), places: newPlaces(1)})
	if err == nil || len(out) != len(scenarios()) {
		t.Fatalf("%d outcomes, %v; want an error", len(out), err)
	}
	if told := strings.Count(err.Error(), "scenario "); told > 3 {
		t.Errorf("%d scenarios failed, want the others not to be begun:\n%v", told, err)
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	printTable(&out, []outcome{
		{scenario: "reset", boundaries: 40, cuts: 900, images: 200, tried: 200, count: map[class]int{fine: 196, repaired: 4}, boots: 321, took: 9 * time.Minute},
		{scenario: "settled boot", boundaries: 27, cuts: 451, images: 114, tried: 20, count: map[class]int{lost: 1, deadEnd: 2, degraded: 3, fine: 14}, boots: 29, took: 30 * time.Second},
	})
	want := strings.TrimPrefix(`
scenario             boundaries   cuts   disks        tried   lost dead ends  degraded  repaired  boots     time
reset                        40    900     200          all      0         0         0         4    321     9m0s
settled boot                 27    451     114    20 of 114      1         2         3         0     29      30s
`, "\n")
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// Each scenario asks for what can be looked at, and marks what it says is synced.
func TestScenarios(t *testing.T) {
	names := map[string]bool{}
	for _, s := range scenarios() {
		blank, device := s.marks()
		marks := strings.Count(strings.Join(s.do, ","), "mark:"+device)
		stubless := s.fails || s.machine != nil
		if names[s.name] || len(s.files) == 0 || (marks == 0) != stubless || (s.do == nil) != stubless {
			t.Errorf("scenario %q: its name is there already: %t; it looks at %d files, sets %d marks, does %q", s.name, names[s.name], len(s.files), marks, s.do)
		}
		names[s.name] = true
		used := map[int]bool{}
		if s.environment != nil {
			used[s.environment.marked] = true
			if s.environment.marked > marks {
				t.Errorf("scenario %q cannot judge %+v", s.name, *s.environment)
			}
		}
		for _, name := range s.within {
			if s.partition(name).Size > 0 {
				continue
			}
			t.Errorf("scenario %q has no partition %s to cut within", s.name, name)
		}
		for _, f := range s.files {
			used[f.marked] = true
			if f.marked > marks || (f.where == hidden || f.where == removed) != (len(f.texts) == 0) {
				t.Errorf("scenario %q cannot judge %+v", s.name, f)
			}
		}
		for m := range marks {
			if !used[m+1] {
				t.Errorf("scenario %q sets mark %d and expects nothing of it", s.name, m+1)
			}
		}
		if r := s.partition(blank); fmt.Sprintf("/dev/vda%d", r.Number) != device || !r.Blank() {
			t.Errorf("scenario %q has no blank %s at %s for the marks", s.name, blank, device)
		}
	}
}

// A record that does not make the disk which the machine left is refused; what
// the marks' partition holds does not count.
func TestCompare(t *testing.T) {
	dir := t.TempDir()
	marks := qemu.Range{Name: "marks", Start: 6 * sectorSize, Size: 2 * sectorSize}
	disk := func(name, letters string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, sectors(letters), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	before := disk("before", "----------")
	r := newRecord([]entry{wrote(1, "ab"), wrote(6, "m"), wrote(9, "c")}, 6, 2)
	for letters, want := range map[string]bool{
		"-ab---m--c": true, "-ab---xy-c": true,
		"-ab---m---": false, "-ab---m-xc": false, "-a----m--c": false, "xab---m--c": false, "-ab---m--cx": false,
	} {
		if err := r.compare(before, disk("after", letters), marks); (err == nil) != want {
			t.Errorf("%s: %v, want accepted: %t", letters, err, want)
		}
	}
}

// Holes are read as what they are: zeros.
func TestSameRange(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int64, at int64, text string) string {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := f.Truncate(size); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte(text), at); err != nil {
			t.Fatal(err)
		}
		return f.Name()
	}
	const size = 4 << 20
	hole, zeros, data := file("hole", size, 0, ""), file("zeros", size, 2<<20, "\x00"), file("data", size, 2<<20, "x")
	all := qemu.Range{Name: "all", Size: size}
	part := qemu.Range{Name: "part", Start: 3 << 20, Size: 1 << 20}
	for _, test := range []struct {
		a, b string
		r    qemu.Range
		want bool
	}{
		{hole, zeros, all, true}, {hole, data, all, false}, {data, hole, all, false}, {data, data, all, true}, {data, hole, part, true},
	} {
		got, err := sameRange(test.a, test.b, test.r)
		if err != nil || got != test.want {
			t.Errorf("%s of %s and %s: same %t, %v; want %t", test.r.Name, filepath.Base(test.a), filepath.Base(test.b), got, err, test.want)
		}
	}
}
