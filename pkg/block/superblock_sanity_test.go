package block

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each of these changes makes an image that the kernel refuses to mount.
func TestProbeRefusesDamage(t *testing.T) {
	for _, c := range []struct {
		fixture, what string
		damage        func(image []byte)
	}{
		{"ext4", "a bit, which the checksum sees", func(b []byte) { b[1024+0x78] ^= 1 }},
		{"ext4-nosum", "no inodes", func(b []byte) { clear(b[1024:1028]) }},
		{"ext4-nosum", "blocks of 128 MiB", func(b []byte) { b[1024+0x18] = 17 }},
		{"ext4-nosum", "no blocks", func(b []byte) { clear(b[1024+4 : 1024+8]) }},
		{"ext4-nosum", "more bytes than a device can have", func(b []byte) { b[1024+0x60] |= ext64Bit; b[1024+0x153] = 0xff }},
		{"ext4-nosum", "inodes of 3 bytes", func(b []byte) { b[1024+0x58], b[1024+0x59] = 3, 0 }},
		{"ext4-nosum", "no inodes in a group", func(b []byte) { clear(b[1024+0x28 : 1024+0x2c]) }},
		{"ext4-nosum", "a revision to come", func(b []byte) { b[1024+0x4c] = 2 }},
		{"ext4-nosum", "first block 3", func(b []byte) { b[1024+0x14] = 3 }},
		{"fat16", "no jump", func(b []byte) { b[0] = 0x33 }},
		{"fat16", "no signature", func(b []byte) { b[511] = 0 }},
		{"fat16", "sectors of 513 bytes", func(b []byte) { b[11] = 1 }},
		{"fat16", "clusters of 3 sectors", func(b []byte) { b[13] = 3 }},
		{"fat16", "no boot sector", func(b []byte) { clear(b[14:16]) }},
		{"fat16", "no tables, as NTFS has", func(b []byte) { b[16] = 0 }},
		{"fat16", "an unknown medium", func(b []byte) { b[21] = 0xf1 }},
		{"fat16", "no sectors", func(b []byte) { clear(b[19:21]); clear(b[32:36]) }},
		{"fat16", "tables behind the end", func(b []byte) { b[19], b[20] = 1, 0 }},
		{"fat16", "neither root directory nor root cluster", func(b []byte) { clear(b[17:19]) }},
		{"fat16", "clusters for FAT32 without its root", func(b []byte) { b[13] = 1; b[35] = 1 }},
		{"fat32", "root directory before the first cluster", func(b []byte) { b[44] = 1 }},
		{"fat32", "root directory behind the end", func(b []byte) { b[47] = 0xf }},
		{"squashfs", "version 3", func(b []byte) { b[28] = 3 }},
		{"squashfs", "block sizes that differ", func(b []byte) { b[22]++ }},
		{"squashfs", "no bytes", func(b []byte) { clear(b[40:48]) }},
		{"squashfs", "more bytes than a device can have", func(b []byte) { b[47] = 0xff }},
		{"erofs", "a bit, which the checksum sees", func(b []byte) { b[1024+48] ^= 1 }},
		{"erofs", "blocks of 2 bytes", func(b []byte) { b[1024+12] = 1 }},
		{"erofs", "unknown directory blocks and no checksum", func(b []byte) { b[1024+8] = 0; b[1024+90] = 1 }},
		{"erofs", "no blocks and no checksum", func(b []byte) { b[1024+8] = 0; clear(b[1024+36 : 1024+40]) }},
		{"luks2", "a copy of the header", func(b []byte) { b[262] = 0x40 }},
		{"luks2", "a header of no length", func(b []byte) { clear(b[8:16]) }},
		{"luks1", "version 3", func(b []byte) { b[7] = 3 }},
		{"swap-4k", "version 0", func(b []byte) { b[1024] = 0 }},
		{"swap-4k", "no pages", func(b []byte) { clear(b[1028:1032]) }},
		{"iso9660", "a supplementary descriptor", func(b []byte) { b[isoOffset] = 2 }},
		{"iso9660", "sizes that differ", func(b []byte) { b[isoOffset+80] ^= 1 }},
		{"iso9660", "sector sizes that differ", func(b []byte) { b[isoOffset+130] ^= 1 }},
		{"btrfs", "a bit, which the checksum sees", func(b []byte) { b[btrfsOffset+32] ^= 1 }},
		{"btrfs-sha256", "a copy of the superblock", func(b []byte) { b[btrfsOffset+51] = 4 }},
		{"btrfs-sha256", "sectors of no length", func(b []byte) { clear(b[btrfsOffset+144 : btrfsOffset+148]) }},
		{"btrfs-sha256", "more bytes than a device can have", func(b []byte) { b[btrfsOffset+216] = 0xff }},
		{"btrfs-sha256", "nodes of no length", func(b []byte) { clear(b[btrfsOffset+148 : btrfsOffset+152]) }},
	} {
		image := golden(t, c.fixture)
		c.damage(image)
		got, err := Probe(bytes.NewReader(image), int64(len(image)))
		if err != nil || got != (Superblock{}) {
			t.Errorf("%s with %s: %+v, %v, want nothing known", c.fixture, c.what, got, err)
		}
	}
}

// What a filesystem need not have.
func TestProbeVariants(t *testing.T) {
	for _, c := range []struct {
		fixture, what string
		change        func(image []byte)
		want          Superblock
	}{
		{"fat16", "a serial number and no label", func(b []byte) { b[38] = 0x28 },
			Superblock{"vfat", "", "0000-0001", 32 << 20, false, false, false}},
		{"fat16", "no extended boot record", func(b []byte) { b[38] = 0 },
			Superblock{"vfat", "", "", 32 << 20, false, false, false}},
		{"iso9660", "a date of creation only", func(b []byte) { copy(b[isoOffset+813:], "2001020304050607"); clear(b[isoOffset+830:][:16]) },
			Superblock{"iso9660", "MINIOS", "2001-02-03-04-05-06-07", 376832, false, false, false}},
		{"iso9660", "no date", func(b []byte) { copy(b[isoOffset+813:], "0000000000000000\x000000000000000000") },
			Superblock{"iso9660", "MINIOS", "", 376832, false, false, false}},
		{"ext4-nosum", "no UUID", func(b []byte) { clear(b[1024+0x68 : 1024+0x78]) },
			Superblock{"ext4", "", "", 16 << 20, false, false, false}},
	} {
		image := golden(t, c.fixture)
		c.change(image)
		got, err := Probe(bytes.NewReader(image), int64(len(image)))
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s with %s: %v -want +got:\n%s", c.fixture, c.what, err, diff)
		}
	}
}

// An erofs whose random UUID has the magic number of ext4 in the right place.
func TestProbeErofsBeforeExt(t *testing.T) {
	image := golden(t, "ext4-nosum")
	copy(image[1024:], "\xe2\xe1\xf5\xe0") // number of inodes
	clear(image[1024+8 : 1024+12])         // reserved blocks: no checksum
	image[1024+12] = 9                     // free blocks: size of a block
	if got, err := Probe(bytes.NewReader(image), int64(len(image))); err != nil || got.Type != "erofs" {
		t.Errorf("%+v, %v, want erofs", got, err)
	}
}

// No magic number alone makes random bytes a filesystem. The bytes are the
// same in each run.
func TestProbeRandomBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	image := make([]byte, btrfsOffset+btrfsSuperSize)
	for round := range 2000 {
		for i := range headSize {
			image[i] = byte(random.Uint32())
		}
		for _, magic := range []struct {
			at   int
			text string
		}{
			{0, "\xeb\x58\x90"}, {510, "\x55\xaa"}, {0x438, "\x53\xef"}, {1024, "\xe2\xe1\xf5\xe0"},
			{0, "hsqs"}, {4086, swapSignature},
		} {
			kept := string(image[magic.at : magic.at+len(magic.text)])
			copy(image[magic.at:], magic.text)
			if magic.text == "\xeb\x58\x90" {
				copy(image[510:], "\x55\xaa")
			}
			got, err := Probe(bytes.NewReader(image), int64(len(image)))
			if err != nil || got.Type != "" {
				t.Fatalf("round %d, %q at %d: %+v, %v", round, magic.text, magic.at, got, err)
			}
			copy(image[magic.at:], kept)
		}
	}
}

func TestLabelText(t *testing.T) {
	for _, c := range []struct{ field, want string }{
		{"", ""},
		{"rootfs\x00garbage", "rootfs"},
		{"boot   ", "boot"},
		{"two words", "two words"},
		{"ümlaut ✓", "ümlaut ✓"},
		{"\x1b[31mred", `\x1b[31mred`},
		{"latin \xe9", `latin \xe9`},
		{"\xff\xfe", `\xff\xfe`},
		{"line\nbreak\x7f", `line\x0abreak\x7f`},
		{`back\slash`, `back\x5cslash`},
		{"\u202eleft", `\xe2\x80\xaeleft`},
		{"\ufffd", "\ufffd"},
	} {
		if got := labelText([]byte(c.field)); got != c.want {
			t.Errorf("labelText(%q) = %q, want %q", c.field, got, c.want)
		}
	}
}

func TestVolumeEntry(t *testing.T) {
	entry := func(name string, attr byte) string {
		return (name + "           ")[:11] + string([]byte{attr}) + string(make([]byte, 20))
	}
	for _, c := range []struct{ what, entries, want string }{
		{"nothing", "", ""},
		{"a file only", entry("FILE", 0x20), ""},
		{"behind a file", entry("FILE", 0x20) + entry("LABEL", 0x08), "LABEL"},
		{"deleted", entry("\xe5LABEL", 0x08) + entry("NEW", 0x08), "NEW"},
		{"a long name", entry("LONG", 0x0f) + entry("LABEL", 0x28), "LABEL"},
		{"a directory", entry("DIR", 0x18), ""},
		{"behind the end", string(make([]byte, 32)) + entry("LABEL", 0x08), ""},
		{"no name", entry("NO NAME", 0x08), ""},
		{"first letter of code page 437", entry("\x05X", 0x08), `\xe5X`},
		{"half an entry", entry("LABEL", 0x08)[:20], ""},
	} {
		if got := volumeEntry([]byte(c.entries)); got != c.want {
			t.Errorf("%s: %q, want %q", c.what, got, c.want)
		}
	}
}

// Labels of NTFS and exFAT are in UTF-16, and what does not print is escaped.
func TestUTF16Text(t *testing.T) {
	for field, want := range map[string]string{
		"K\x00\xe4\x00s\x00e\x00": "Käse",
		"\x3d\xd8\x00\xde":        "\U0001f600",
		"a\x00\x00\x00b\x00":      "a",
		"a\x00\x07\x00":           `a\x07`,
		"\x3d\xd8a\x00b":          "\ufffda",
		"":                        "",
	} {
		if got := utf16Text([]byte(field)); got != want {
			t.Errorf("%q reads %q, want %q", field, got, want)
		}
	}
}

// A label of a length that no label has is none, also where an integer has 32 bits.
func TestLabelsOfMediaThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		name, label string // how what has the label begins
		at          int    // of its length, from there
		with        string
	}{
		{"exfat", "\x83\x07S\x00t\x00", 1, "\x0c"},
		{"ntfs", "\x60\x00\x00\x00\x28\x00\x00\x00", 16, "\xff\xff\xff\xff"},
	} {
		image := bytes.Clone(golden(t, c.name))
		begins := bytes.Index(image, []byte(c.label))
		if begins < 0 {
			t.Fatalf("%s: the label is not where it was", c.name)
		}
		copy(image[begins+c.at:], c.with)
		got, err := Probe(bytes.NewReader(image), int64(len(image)))
		if err != nil || got.Type != c.name || got.Label != "" {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

// What is no whole exFAT or NTFS is none, and no broken one is read where it is not.
func TestBrokenBootSectorsOfMedia(t *testing.T) {
	for _, c := range []struct {
		name string
		at   int
		with []byte
	}{
		{"exfat", 11, []byte{1}},                    // a FAT's bytes in a sector
		{"exfat", 108, []byte{13}},                  // larger sectors than there are
		{"exfat", 109, []byte{26}},                  // clusters of more than 32 MiB
		{"exfat", 96, []byte{1, 0, 0, 0}},           // clusters are counted from 2
		{"exfat", 72, make([]byte, 8)},              // no size
		{"exfat", 510, []byte{0}},                   //
		{"ntfs", 11, []byte{0, 1}},                  // sectors of 256 bytes
		{"ntfs", 13, []byte{0}},                     // clusters of nothing
		{"ntfs", 14, []byte{1}},                     // a FAT's reserved sectors
		{"ntfs", 48, bytes.Repeat([]byte{0xff}, 8)}, // a table that is nowhere
		{"ntfs", 511, []byte{0}},                    //
		{"xfs", 126, []byte{1}},                     // mkfs has not finished
		{"xfs", 120, []byte{13}},                    //
		{"xfs", 102, []byte{2, 1}},                  //
	} {
		image := bytes.Clone(golden(t, c.name))
		copy(image[c.at:], c.with)
		if got, err := Probe(bytes.NewReader(image), int64(len(image))); err != nil || got.Type != "" {
			t.Errorf("%s with %v at %d: %q, %v", c.name, c.with, c.at, got.Type, err)
		}
	}
}
