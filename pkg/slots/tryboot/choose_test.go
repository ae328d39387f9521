package tryboot

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/slots"
)

// byDefault is the numbering of a GPT.
var byDefault = Mapping{Common: 1, A: Parts{2, 4}, B: Parts{3, 5}, Shared: 6}

// tree is a device tree with these files.
func tree(files map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if text, there := files[name]; there {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

// autoboot is a file with these lines.
func autoboot(t *testing.T, text string) func() (File, error) {
	t.Helper()
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return func() (File, error) { return f, nil }
}

const standing2 = "[all]\ntryboot_a_b=1\nboot_partition=2\n[tryboot]\nboot_partition=3\n"

// Layouts 5.5, statement 1, its reading half: four bytes, the highest first.
func TestReadFirmware(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  Firmware
	}{
		"A":            {map[string]string{"partition": "\x00\x00\x00\x02", "tryboot": "\x00\x00\x00\x00"}, Firmware{Partition: 2, Tryboot: Clear}},
		"a trial of B": {map[string]string{"partition": "\x00\x00\x00\x03", "tryboot": "\x00\x00\x00\x01"}, Firmware{Partition: 3, Tryboot: Set}},
		"nothing":      {nil, Firmware{}},
		"0":            {map[string]string{"partition": "\x00\x00\x00\x00"}, Firmware{}},
		"lowest byte first": {map[string]string{"partition": "\x02\x00\x00\x00"},
			Firmware{Doubts: []string{"chosen/bootloader/partition of the device tree is 33554432, which is no partition"}}},
		"three bytes": {map[string]string{"partition": "\x00\x00\x02"},
			Firmware{Doubts: []string{"chosen/bootloader/partition of the device tree has 3 bytes, and a number has 4"}}},
		"text": {map[string]string{"partition": "3\n", "tryboot": "\x00\x00\x00\x02"}, Firmware{Doubts: []string{
			"chosen/bootloader/partition of the device tree has 2 bytes, and a number has 4",
			"chosen/bootloader/tryboot of the device tree is 2, and not 0 or 1"}}},
	} {
		if d := cmp.Diff(c.want, ReadFirmware(tree(c.files))); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
	broken := ReadFirmware(func(string) ([]byte, error) { return nil, errors.New("input/output error") })
	if len(broken.Doubts) != 2 || broken.Partition != 0 || broken.Tryboot != Untold {
		t.Errorf("a tree that cannot be read: %+v", broken)
	}
}

// Layouts 5.5, statement 2: the order of what tells the slot, each with its
// reason; and statement 15, the other numbering.
func TestChoose(t *testing.T) {
	mbr := Mapping{Common: 1, A: Parts{2, 5}, B: Parts{3, 6}, Shared: 7}
	for name, c := range map[string]struct {
		f        Facts
		slot     slots.Slot
		source   string
		reason   string
		warnings []string
	}{
		"the firmware": {Facts{Firmware: Firmware{Partition: 3}, Mapping: byDefault}, slots.B, "firmware", "the firmware started partition 3", nil},
		"and the same from kn86.slot=": {Facts{Firmware: Firmware{Partition: 2}, Mapping: mbr, Named: []string{"A"}},
			slots.A, "firmware", "the firmware started partition 2", nil},
		"and another from kn86.slot=": {Facts{Firmware: Firmware{Partition: 3}, Mapping: byDefault, Named: []string{"A"}},
			slots.B, "firmware", "the firmware started partition 3", []string{"the firmware started partition 3, which is slot B, ignoring: kn86.slot=A"}},
		"kn86.slot=": {Facts{Mapping: byDefault, Named: []string{"B"}, File: autoboot(t, standing2)},
			slots.B, "kn86.slot=", "the firmware does not tell what it started, and kn86.slot= names it", nil},
		"the last valid kn86.slot=": {Facts{Mapping: byDefault, Named: []string{"A", "B", "b"}},
			slots.B, "kn86.slot=", "the firmware does not tell what it started, and kn86.slot= names it",
			[]string{"a slot is A or B, in upper case, ignoring: kn86.slot=b"}},
		"another partition": {Facts{Firmware: Firmware{Partition: 1}, Mapping: byDefault, Named: []string{"B"}},
			slots.B, "kn86.slot=", "the firmware started partition 1, which is no slot's, and kn86.slot= names it",
			[]string{"the firmware started partition 1, which is no slot's, ignoring: it"}},
		"autoboot.txt": {Facts{Mapping: byDefault, File: autoboot(t, "boot_partition=3\n")},
			slots.B, "autoboot.txt", "the firmware does not tell what it started, there is no kn86.slot=, and [all] of autoboot.txt has partition 3", nil},
		"autoboot.txt in a trial": {Facts{Firmware: Firmware{Tryboot: Set}, Mapping: byDefault, File: autoboot(t, standing2)},
			slots.B, "autoboot.txt", "the firmware does not tell what it started, there is no kn86.slot=, and [tryboot] of autoboot.txt has partition 3", nil},
		"autoboot.txt with the flag clear": {Facts{Firmware: Firmware{Tryboot: Clear}, Mapping: byDefault, File: autoboot(t, standing2)},
			slots.A, "autoboot.txt", "the firmware does not tell what it started, there is no kn86.slot=, and [all] of autoboot.txt has partition 2", nil},
		"autoboot.txt names another": {Facts{Mapping: byDefault, File: autoboot(t, "boot_partition=4\n")},
			slots.A, "default", "the firmware does not tell what it started, there is no kn86.slot=, and autoboot.txt names no slot's partition; a new card has slot A", nil},
		"autoboot.txt cannot be read": {Facts{Mapping: byDefault, Firmware: Firmware{Doubts: []string{"a"}}, File: func() (File, error) { return File{}, errors.New("no such file") }},
			slots.A, "default", "the firmware does not tell what it started, there is no kn86.slot=, and autoboot.txt cannot be read; a new card has slot A",
			[]string{"a, ignoring: it", "what the firmware starts is not known, ignoring: autoboot.txt: no such file"}},
	} {
		got := Choose(c.f)
		if got.Slot != c.slot || got.Source != c.source || got.Reason != c.reason {
			t.Errorf("%s: slot %s by %s: %s\nwant slot %s by %s: %s", name, got.Slot, got.Source, got.Reason, c.slot, c.source, c.reason)
		}
		if d := cmp.Diff(c.warnings, got.Warnings); d != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", name, d)
		}
	}
}

// A settled boot does not look at the common partition.
func TestChooseReadsNoFileWithoutNeed(t *testing.T) {
	read := func() (File, error) { t.Error("autoboot.txt was read"); return File{}, nil }
	Choose(Facts{Firmware: Firmware{Partition: 2}, Mapping: byDefault, File: read})
	Choose(Facts{Mapping: byDefault, Named: []string{"A"}, File: read})
}

// Layouts 5.5, statement 12, its first half: the partition tells of a trial
// where the flag does not.
func TestTrial(t *testing.T) {
	for name, c := range map[string]struct {
		fw   Firmware
		text string
		want bool
		why  string
	}{
		"the flag":                   {Firmware{Partition: 3, Tryboot: Set}, standing2, true, "flag"},
		"the flag, and nothing else": {Firmware{Tryboot: Set}, "", true, "flag"},
		"Zero 2 W":                   {Firmware{Partition: 3, Tryboot: Clear}, standing2, true, "partition 3, and [all] of autoboot.txt has 2"},
		"without the flag's answer":  {Firmware{Partition: 3}, standing2, true, "partition 3, and [all] of autoboot.txt has 2"},
		"the default":                {Firmware{Partition: 2, Tryboot: Clear}, standing2, false, "partition 2, which [all]"},
		"the default, told as 0":     {Firmware{Tryboot: Clear}, standing2, false, "does not tell"},
		"no default":                 {Firmware{Partition: 3, Tryboot: Clear}, "[tryboot]\nboot_partition=3\n", false, "names no partition"},
		"a default of 0":             {Firmware{Partition: 3, Tryboot: Clear}, "boot_partition=0\n", false, "names no partition"},
	} {
		file, err := Parse([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if got, why := Trial(c.fw, file); got != c.want || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v, %q; want %v with %q", name, got, why, c.want, c.why)
		}
	}
}
