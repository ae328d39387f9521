package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/firstboot"
)

// cardImage is an image with an MBR whose last partition is number 4: 32 MiB
// from 4 MiB on, in an image of 36 MiB.
func cardImage(t *testing.T, content map[int64]string) string {
	t.Helper()
	const start, size = 4 << 20, 32 << 20
	image := make([]byte, start+size)
	for i, part := range map[int][2]uint32{0: {2048, 4096}, 3: {start / 512, size / 512}} {
		entry := image[446+16*i:]
		entry[4] = 0x83
		binary.LittleEndian.PutUint32(entry[8:], part[0])
		binary.LittleEndian.PutUint32(entry[12:], part[1])
	}
	image[510], image[511] = 0x55, 0xaa
	for at, text := range content {
		copy(image[start+at:], text)
	}
	name := filepath.Join(t.TempDir(), "card.img")
	if err := os.WriteFile(name, image, 0o644); err != nil {
		t.Fatal(err)
	}
	return name
}

// luks is the start of a LUKS header (on-disk format 1.2.3, figure 1).
const luks = "LUKS\xba\xbe\x00\x01aes"

// The plan is what the golden file shows, for a person, and the image is as it
// was.
func TestFirstBootShown(t *testing.T) {
	d := newDevice(t)
	var text strings.Builder
	for _, card := range []struct {
		name    string
		content map[int64]string
	}{
		{"blank", nil}, {"a stray byte", map[int64]string{0x10000: "x"}}, {"LUKS", map[int64]string{0: luks}},
	} {
		image := cardImage(t, card.content)
		before, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{image}, {"--card", "8G", image}} {
			fmt.Fprintf(&text, "== %s: first-boot %s\n%s\n", card.name, strings.Join(args[:len(args)-1], " "), d.ok(append([]string{"first-boot"}, args...)...))
		}
		if after, err := os.ReadFile(image); err != nil || !bytes.Equal(before, after) {
			t.Error("a reader has written")
		}
	}
	fits(t, text.String())
	golden(t, "testdata/first-boot.golden", text.String())
}

// Each finding leads to its steps, and to no other's.
func TestOutlook(t *testing.T) {
	entry := block.TableEntry{Number: 4, Start: 1 << 30, Size: 64 << 20}
	grown := block.Growth{Number: 4, From: entry.Size, To: 8 << 30, Stages: []block.Stage{{}}}
	full := block.Growth{Number: 4, From: entry.Size, To: entry.Size}
	ext4 := block.Superblock{Type: "ext4", Size: 64 << 20}
	marks, grows, makes, enlarges := "mark the partition", "give it the space", "make an ext4", "grow the ext4"
	for _, test := range []struct {
		name   string
		found  firstboot.Finding
		growth block.Growth
		want   []string
	}{
		{"settled", firstboot.Finding{Content: firstboot.Filesystem, Super: ext4}, full, nil},
		{"larger card", firstboot.Finding{Content: firstboot.Filesystem, Super: ext4}, grown, []string{grows, enlarges}},
		{"grown by half", firstboot.Finding{Content: firstboot.Filesystem, Super: block.Superblock{Type: "ext4", Size: 32 << 20}}, full, []string{enlarges}},
		{"btrfs", firstboot.Finding{Content: firstboot.Filesystem, Super: block.Superblock{Type: "btrfs"}}, full, []string{"has ext4 there"}},
		{"blank", firstboot.Finding{Content: firstboot.Blank}, full, []string{marks, makes}},
		{"blank, larger", firstboot.Finding{Content: firstboot.Blank}, grown, []string{marks, grows, makes}},
		{"half made", firstboot.Finding{Content: firstboot.HalfMade}, full, []string{makes}},
		{"leftover", firstboot.Finding{Content: firstboot.Leftover, Super: ext4}, full, []string{"clear the mark"}},
		{"stale", firstboot.Finding{Content: firstboot.Stale}, full, []string{"minos.format-data="}},
		{"half made, larger", firstboot.Finding{Content: firstboot.HalfMade}, grown, []string{grows, makes}},
		{"unknown", firstboot.Finding{Content: firstboot.Unknown}, grown, []string{"not proved"}},
		{"unreadable", firstboot.Finding{Content: firstboot.Unreadable}, full, []string{"not proved"}},
	} {
		text := outlook(block.Table{Scheme: "dos"}, entry, test.found, test.growth, nil)
		for _, step := range []string{marks, grows, makes, enlarges, "clear the mark", "minos.format-data=", "not proved", "has ext4 there"} {
			want := false
			for _, w := range test.want {
				want = want || w == step
			}
			if got := strings.Contains(text, step); got != want {
				t.Errorf("%s: has %q: %t, want %t, in\n%s", test.name, step, got, want, text)
			}
		}
		if nothing := strings.Contains(text, "nothing is to do"); test.name == "settled" && !nothing {
			t.Errorf("%s:\n%s", test.name, text)
		}
	}
}

// What cannot be told is refused with a reason.
func TestFirstBootRefusals(t *testing.T) {
	d := newDevice(t)
	image := cardImage(t, nil)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, make([]byte, 1<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	short := cardImage(t, nil)
	if err := os.Truncate(short, 20<<20); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{empty}, "there is no partition table"},
		{[]string{empty + "-not"}, "no such file"},
		{[]string{"--card", "1M", image}, "is smaller"},
		{[]string{"--card", "large", image}, "for example 32G"},
		{[]string{"--card", "9999999999999T", image}, "for example 32G"},
		{[]string{"--data", "7", image}, "there is no partition 7"},
		{[]string{"--data", "other", image}, "no partition is called other"},
		{[]string{short}, "it was cut short"},
	} {
		status, out, err := d.run(append([]string{"first-boot"}, test.args...)...)
		if status == statusOK || out != "" || !strings.Contains(err, "cannot tell what the first boot does: ") || !strings.Contains(err, test.want) {
			t.Errorf("%q: status %d, %q, %q; want %q", test.args, status, out, err, test.want)
		}
	}
}
