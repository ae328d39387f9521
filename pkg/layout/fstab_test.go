package layout

import (
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
)

var trybootPlaces = []string{"/", "/boot", "/boot/firmware", "/home/shared"}

func TestFilterFstab(t *testing.T) {
	called := func(device string) bool { return device == "LABEL=my boot" || device == "/dev/mmcblk0p2" }
	for name, c := range map[string]struct{ line, want string }{
		"root":                     {"/dev/sda1 / ext4 ro 0 0\n", "# minos-init, init has mounted /: /dev/sda1 / ext4 ro 0 0\n"},
		"a place with a slash":     {"LABEL=x /home/shared/ ext4\r\n", "# minos-init, init has mounted /home/shared: LABEL=x /home/shared/ ext4\r\n"},
		"a device":                 {"\t/dev/mmcblk0p2 /mnt vfat", "# minos-init, a partition of a slot is not mounted by its name: \t/dev/mmcblk0p2 /mnt vfat"},
		"a device with octal":      {`LABEL=my\040boot /mnt vfat` + "\n", "# minos-init, a partition of a slot is not mounted by its name: " + `LABEL=my\040boot /mnt vfat` + "\n"},
		"in quotes":                {`LABEL="my\040boot" /mnt vfat` + "\n", "# minos-init, a partition of a slot is not mounted by its name: " + `LABEL="my\040boot" /mnt vfat` + "\n"},
		"a place with octal":       {`x /bo\157t vfat`, `# minos-init, init has mounted /boot: x /bo\157t vfat`},
		"a comment":                {"# /dev/mmcblk0p2 / ext4\n", "# /dev/mmcblk0p2 / ext4\n"},
		"below a place":            {"tmpfs /boot/firmware/x tmpfs\n", "tmpfs /boot/firmware/x tmpfs\n"},
		"swap":                     {"/dev/mmcblk1p2 none swap sw\n", "/dev/mmcblk1p2 none swap sw\n"},
		"too short, blank, binary": {"/dev/mmcblk0p2\n\n\x00\xff \\9\n", "/dev/mmcblk0p2\n\n\x00\xff \\9\n"},
	} {
		got, taken := filterFstab("before\n"+c.line, trybootPlaces, called)
		if got != "before\n"+c.want || (len(taken) == 1) != (c.line != c.want) {
			t.Errorf("%s: %q, %q; want %q", name, got, taken, c.want)
		}
	}
}

func TestNamedPartition(t *testing.T) {
	p := namedPartition{Device: block.Device{Name: "mmcblk0p2", Number: 2, PartName: "boot a", Major: 179, Minor: 2},
		label: "boot fs", uuid: "1A2B-3C4D", partUUID: "0badcafe-02"}
	for device, want := range map[string]bool{
		"/dev/mmcblk0p2": true, "/dev//mmcblk0p2": true, "/dev/mmcblk0p20": false, "/dev/mmcblk1p2": false, "mmcblk0p2": false,
		"/dev/block/179:2": true, "/dev/block/179:3": false,
		"LABEL=boot fs": true, "LABEL=bootfs": false, "LABEL=": false, "UUID=1a2b-3c4d": true, "UUID=": false,
		"PARTLABEL=boot a": true, "PARTUUID=0BADCAFE-02": true, "PARTUUID=0badcafe-03": false, "ID=x": false,
		`/dev/disk/by-label/boot\x20fs`: true, "/dev/disk/by-uuid/1A2B-3C4D": true, "/dev/disk/by-partuuid/0badcafe-02": true,
		`/dev/disk/by-partlabel/boot\x20a`: true, "/dev/disk/by-id/mmc-SC32G_0x1-part2": true,
		"/dev/disk/by-path/platform-3f202000.mmc-part2": true, "/dev/disk/by-path/platform-3f202000.mmc-part12": false,
		"/dev/mapper/x": false, "tmpfs": false,
	} {
		if got := p.called(device); got != want {
			t.Errorf("%s: %v, want %v", device, got, want)
		}
	}
	blank := namedPartition{Device: block.Device{Name: "mmcblk0p3", Number: 3}}
	for _, device := range []string{"LABEL=", "UUID=", "PARTLABEL=", "PARTUUID=", `LABEL=""`} {
		if blank.called(fstabField(device)) {
			t.Errorf("a blank partition is called %s", device)
		}
	}
}

// Whatever is in the file: a line stays as it is, or stays behind a comment; no
// line is left for a place of init; and what was filtered once stays.
//
//fuzz:covers filterFstab fstabField unescape namedPartition.called
func FuzzFilterFstab(f *testing.F) {
	for _, seed := range []string{"proc /proc proc\nLABEL=bootfs /boot/firmware vfat\n", "x / y", `LABEL="a\040b" /mnt`, "a\r\n\x00\n# / /\n", "/dev/mmcblk0p2 /x"} {
		f.Add(seed)
	}
	p := namedPartition{Device: block.Device{Name: "mmcblk0p2", Number: 2}, label: "bootfs"}
	f.Fuzz(func(t *testing.T, text string) {
		got, taken := filterFstab(text, trybootPlaces, p.called)
		was, is := slices.Collect(strings.Lines(text)), slices.Collect(strings.Lines(got))
		if len(was) != len(is) {
			t.Fatalf("%d lines became %d", len(was), len(is))
		}
		changed := 0
		for i := range was {
			if was[i] == is[i] {
				continue
			}
			changed++
			if !strings.HasPrefix(is[i], "# minos-init, ") || !strings.HasSuffix(is[i], ": "+was[i]) {
				t.Errorf("%q became %q", was[i], is[i])
			}
		}
		if changed != len(taken) {
			t.Errorf("%d lines were changed, and %d told", changed, len(taken))
		}
		if again, more := filterFstab(got, trybootPlaces, p.called); again != got || len(more) > 0 {
			t.Errorf("a second time: %q", more)
		}
	})
}
