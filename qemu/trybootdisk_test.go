package qemu

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// trybootCard makes a small card whose boot partition A has files that say their
// names.
func trybootCard(t *testing.T, mbr bool) (TrybootDisk, string) {
	t.Helper()
	tools(t, "sfdisk", "mkfs.vfat", "mcopy")
	dir := t.TempDir()
	kernel, initramfs := filepath.Join(dir, "kernel"), filepath.Join(dir, "initramfs")
	for _, file := range []string{kernel, initramfs} {
		if err := os.WriteFile(file, []byte(filepath.Base(file)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d := NewTrybootDisk(PiBootFiles(kernel, initramfs, "console=ttyAMA0", "of=A"), Tree{}.With(Text("which", "A")), 16)
	d.MBR = mbr
	card := filepath.Join(dir, "card.img")
	if err := d.Write(card); err != nil {
		t.Fatal(err)
	}
	return d, card
}

// The numbers of both tables are those of the layout, as sfdisk reads them from
// the image.
func TestTrybootDisk(t *testing.T) {
	for _, mbr := range []bool{false, true} {
		d, card := trybootCard(t, mbr)
		out, err := Tool("sfdisk", "--dump", card)
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		want := []string{"common 1", "bootfs-a 2", "bootfs-b 3", "rootfs-a 4", "rootfs-b 5", "shared 6"}
		if mbr {
			want = []string{"common 1", "bootfs-a 2", "bootfs-b 3", "extended 4", "rootfs-a 5", "rootfs-b 6", "shared 7"}
		}
		var got []string
		for _, r := range d.Ranges() {
			got = append(got, fmt.Sprint(r.Name, " ", r.Number))
			line := fmt.Sprintf("card.img%d : start= %11d, size= %11d, ", r.Number, r.Start/sectorSize, r.Size/sectorSize)
			if !strings.Contains(string(out), line) {
				t.Errorf("MBR %v: no %q in\n%s", mbr, line, out)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("MBR %v: %q, want %q", mbr, got, want)
		}
	}
}

// What the firmware takes from a card, and what it tells of it.
func TestPiFirmware(t *testing.T) {
	tools(t, qemuProgram, "fdtput", "fdtget", "mtype")
	d, card := trybootCard(t, false)
	for _, c := range []struct {
		firmware  PiFirmware
		argument  string
		bIsThere  bool
		partition int
		told      string // partition and tryboot
	}{
		{PiFirmware{}, "", false, 2, "2 0"},
		{PiFirmware{}, "0 tryboot", false, 2, "2 1"}, // B is empty: it takes what it can start
		{PiFirmware{}, "0 tryboot", true, 3, "3 1"},
		{PiFirmware{}, "3", true, 3, "3 0"},
		{PiFirmware{Inert: true}, "0 tryboot", true, 2, "2 0"},
		{PiFirmware{Silent: true}, "", true, 2, "0 0"},
		{PiFirmware{Silent: true}, "3", true, 3, "3 0"},
	} {
		f := c.firmware
		f.Card, f.Image, f.Dir = d, card, t.TempDir()
		if c.bIsThere {
			d.BootB = d.BootA
			if err := d.Install("bootfs-b", card); err != nil {
				t.Fatal(err)
			}
		}
		start, err := f.Start(c.argument)
		if err != nil {
			t.Fatal(err)
		}
		out, err := Tool("fdtget", "-t", "u", start.DeviceTree, "/chosen/bootloader", "partition", "/chosen/bootloader", "tryboot")
		told := strings.Join(strings.Fields(string(out)), " ")
		if err != nil || start.Partition != c.partition || told != c.told {
			t.Errorf("%+v, reboot %q: it starts %d and tells %q, %v; want %d, %q", c.firmware, c.argument, start.Partition, told, err, c.partition, c.told)
		}
		if words := strings.Join(start.Machine.Append, " "); words != "console=ttyAMA0 of=A" {
			t.Errorf("the words are %q", words)
		}
		if kernel, err := os.ReadFile(start.Machine.Kernel); err != nil || string(kernel) != "kernel" {
			t.Errorf("the kernel is %q, %v", kernel, err)
		}
		if seed, err := Tool("fdtget", start.DeviceTree, "/chosen", "rng-seed"); err == nil {
			t.Errorf("there is still a seed: %s", seed)
		}
	}
}

func TestRestartArgument(t *testing.T) {
	for console, want := range map[string]string{
		"[ 1.0] reboot: Restarting system\n":                          " true",
		"[ 1.0] reboot: Restarting system with command '0 tryboot'\n": "0 tryboot true",
		"[ 1.0] reboot: Power down\n":                                 " false",
	} {
		argument, ok := RestartArgument(console)
		if got := fmt.Sprint(argument, " ", ok); got != want {
			t.Errorf("%q: %q, want %q", console, got, want)
		}
	}
}
