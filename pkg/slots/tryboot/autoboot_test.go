package tryboot

import (
	"errors"
	"strings"
	"testing"
)

// documented is the example of the firmware's manual, in which partition 2 is
// the default and 3 is for trials.
const documented = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"

func mustParse(t testing.TB, text string) File {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return f
}

// Statement 14: comments, blank lines, CRLF, blanks and keys that nobody knows
// are read over, and of a key that is there twice the last one holds.
func TestStatement5_5_14(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		all, trial int
		ab         bool
	}{
		"the manual's":           {documented, 2, 3, true},
		"CRLF":                   {strings.ReplaceAll(documented, "\n", "\r\n"), 2, 3, true},
		"no end of line":         {strings.TrimSuffix(documented, "\n"), 2, 3, true},
		"comments, blank lines":  {"# of the factory\n\n[all]\n#boot_partition=9\nboot_partition=2 # A\n\n \t\n[tryboot]\n# B\nboot_partition=3#B\n", 2, 3, false},
		"blanks":                 {" [ all ] \n\ttryboot_a_b = 1 \n boot_partition\t=  2\t\n[tryboot]\t\n  boot_partition = 3 \n", 2, 3, true},
		"unknown keys":           {"[all]\nboot_partition=2\npartition_walk=1\nboot_partition_x=7\n[tryboot]\nboot_partition=3\nfoo\n=\n", 2, 3, false},
		"no section at the top":  {"boot_partition=2\n[tryboot]\nboot_partition=3\n", 2, 3, false},
		"[none], others":         {"[all]\nboot_partition=2\n[none]\nboot_partition=8\n[pi4]\nboot_partition=9\n[tryboot]\nboot_partition=3\n", 2, 3, false},
		"twice":                  {"[all]\nboot_partition=4\nboot_partition=2\n[tryboot]\nboot_partition=9\nboot_partition=3\n", 2, 3, false},
		"a section twice":        {"[all]\nboot_partition=4\n[tryboot]\nboot_partition=9\n[all]\nboot_partition=2\n[tryboot]\nboot_partition=3\n", 2, 3, false},
		"[all] behind [tryboot]": {"[tryboot]\nboot_partition=3\n[all]\nboot_partition=2\n", 2, 0, false},
		"no trial":               {"[all]\ntryboot_a_b=1\nboot_partition=2\n", 2, 0, true},
		"0 is the default":       {"[all]\nboot_partition=0\n[tryboot]\nboot_partition=3\n", 0, 3, false},
		"no number":              {"[all]\nboot_partition=two\ntryboot_a_b=yes\n[tryboot]\nboot_partition=-3\n", 0, 0, false},
		"more than fits":         {"[all]\nboot_partition=99999999999999999999\n", 0, 0, false},
		"behind column 98":       {"[all]\nboot_partition=2\n" + strings.Repeat(" ", 98) + "boot_partition=7\n[tryboot]\nboot_partition=3\n", 2, 3, false},
		"half a section":         {"[all]\nboot_partition=2\n[tryboot\nboot_partition=3\n", 3, 0, false},
		"empty":                  {"", 0, 0, false},
		"512 bytes":              {documented + strings.Repeat("#", SizeLimit-len(documented)), 2, 3, true},
	} {
		f := mustParse(t, c.text)
		all, hasAll := f.All()
		trial, hasTrial := f.Trial()
		if all != c.all || hasAll != (c.all > 0) || trial != c.trial || hasTrial != (c.trial > 0) || f.AB() != c.ab {
			t.Errorf("%s: [all] %d %v, [tryboot] %d %v, A/B %v; want %d, %d, %v", name, all, hasAll, trial, hasTrial, f.AB(), c.all, c.trial, c.ab)
		}
		if string(f.Bytes()) != c.text {
			t.Errorf("%s: it is written as %q", name, f.Bytes())
		}
	}
	if _, err := Parse([]byte(documented + strings.Repeat("#", SizeLimit-len(documented)+1))); !errors.Is(err, ErrTooLong) {
		t.Errorf("513 bytes: %v", err)
	}
}

// Statement 8, the file: the numbers change places, and nothing else changes.
func TestSwapped(t *testing.T) {
	for _, c := range []struct{ before, after string }{
		{documented, "[all]\ntryboot_a_b=1\nboot_partition=3\n[tryboot]\nboot_partition=2\n"},
		{"[all]\nboot_partition=9\nx=9\n[tryboot]\nboot_partition=10\n", "[all]\nboot_partition=10\nx=9\n[tryboot]\nboot_partition=9\n"},
		{"# 2 3\r\nboot_partition = 2 # A\r\n\r\n[tryboot]\r\nboot_partition=3\r\n[none]\r\nboot_partition=2",
			"# 2 3\r\nboot_partition = 3 # A\r\n\r\n[tryboot]\r\nboot_partition=2\r\n[none]\r\nboot_partition=2"},
		{"[all]\nboot_partition=7\nboot_partition=2\n[tryboot]\nboot_partition=3\n", "[all]\nboot_partition=7\nboot_partition=3\n[tryboot]\nboot_partition=2\n"},
	} {
		swapped, err := mustParse(t, c.before).Swapped()
		if err != nil || string(swapped.Bytes()) != c.after {
			t.Errorf("%q becomes %q, %v", c.before, swapped.Bytes(), err)
			continue
		}
		if back, err := swapped.Swapped(); err != nil || string(back.Bytes()) != c.before {
			t.Errorf("and back: %q, %v", back.Bytes(), err)
		}
	}
	long := "[all]\n" + strings.Repeat(" ", lineLimit-len("boot_partition=2")) + "boot_partition=2\n[tryboot]\nboot_partition=10\n"
	for text, want := range map[string]error{
		"": ErrNoDefault, "[tryboot]\nboot_partition=3\n": ErrNoDefault, "[all]\nboot_partition=2\n": ErrNoTrial,
		"[tryboot]\nboot_partition=3\n[all]\nboot_partition=2\n":  ErrNoTrial,
		"[all]\nboot_partition=2\n[tryboot]\nboot_partition=02\n": ErrSame,
		long: ErrLongLine,
	} {
		if _, err := mustParse(t, text).Swapped(); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

// FuzzAutoboot: any file is read and written as it was, and a swap changes the
// two answers and not the length.
//
//fuzz:covers autoboot.go
func FuzzAutoboot(f *testing.F) {
	for _, seed := range []string{documented, "boot_partition=2 # x\r\n[tryboot]\nboot_partition=3", "[all]\nboot_partition=9\n[tryboot]\nboot_partition=10\n", "[", "=", "\n\r\n[none]\x00"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := Parse(data)
		if err != nil {
			if len(data) <= SizeLimit {
				t.Fatal(err)
			}
			return
		}
		if string(file.Bytes()) != string(data) {
			t.Fatalf("%q is written as %q", data, file.Bytes())
		}
		all, hasAll := file.All()
		trial, hasTrial := file.Trial()
		swapped, err := file.Swapped()
		if err != nil {
			if hasAll && hasTrial && all != trial && !errors.Is(err, ErrLongLine) {
				t.Fatalf("%q: %v", data, err)
			}
			return
		}
		newAll, _ := swapped.All()
		newTrial, _ := swapped.Trial()
		if newAll != trial || newTrial != all || len(swapped.Bytes()) != len(data) || swapped.AB() != file.AB() {
			t.Fatalf("%q: %d and %d become %d and %d in %q", data, all, trial, newAll, newTrial, swapped.Bytes())
		}
	})
}
