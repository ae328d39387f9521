package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/minos-os/minos-init/qemu"
)

// A table is as it should be only when nothing but data's end has moved.
func TestPlaced(t *testing.T) {
	const card = 10 << 20
	wanted := []qemu.Range{{Name: "boot", Number: 1, Start: 1 << 20, Size: 1 << 20}, {Name: "data", Number: 4, Start: 2 << 20, Size: 1 << 20}}
	const boot, data = "/tmp/x1/disk1 : start=        2048, size=        2048, type=c, bootable\n", "/tmp/x1/disk4 : start=        4096, size=       "
	for dump, want := range map[string]class{
		"label: dos\n\n" + boot + data + "16384, type=83\n": fine,
		boot + data + "2048, type=83\n":                     lost, // it has not grown
		boot + data + "16392, type=83\n":                    lost, // it ends behind the card
		boot:                                                lost,
		"/tmp/x1/disk1 : start=        2048, size=        2056, type=c\n" + data + "16384, type=83\n": lost,
		boot + "/tmp/x1/disk4 : start=        4104, size=       16376, type=83\n":                     lost,
		"/tmp/x1/disk1 : start=        x\n":                                                           lost,
	} {
		if got := placed(dump, wanted, card); got.Class != want {
			t.Errorf("placed(%q) is %v, want %s", dump, got, want)
		}
	}
}

// Only a partition on which a filesystem is to be made may be without one.
func TestUnmade(t *testing.T) {
	for _, test := range []struct {
		name  string
		makes []string
		at    int64 // of one byte; -1 for none
		want  bool
	}{
		{"blank", []string{"data"}, -1, true},
		{"marked", []string{"data"}, 100, true},
		{"a superblock", []string{"data"}, 1024 + 0x38, false},
		{"blank, and not to be made", nil, -1, false},
	} {
		file := filepath.Join(t.TempDir(), "data")
		content := make([]byte, 4096)
		if test.at >= 0 {
			content[test.at] = 'x'
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := (scenario{makes: test.makes}).unmade("data", file); err != nil || got != test.want {
			t.Errorf("%s: unmade is %t, %v; want %t", test.name, got, err, test.want)
		}
	}
}
