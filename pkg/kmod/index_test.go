package kmod

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sample is an index with every shape of a line.
const sample = `crc32c_generic crc32c_generic.ko - crc32c crypto-crc32c
libcrc32c libcrc32c.ko crc32c_generic?
erofs erofs.ko libcrc32c fs-erofs
scsi_common scsi_common.ko -
scsi_mod scsi_mod.ko scsi_common
sd_mod sd_mod.ko scsi_common,scsi_mod,crc32c_generic? scsi:t-0x00* scsi:t-0x07*
`

func TestIndexText(t *testing.T) {
	index, err := ParseIndex([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	want := Module{
		Name:    "sd_mod",
		File:    "sd_mod.ko",
		Needs:   []string{"scsi_common", "scsi_mod"},
		Wants:   []string{"crc32c_generic"},
		Aliases: []string{"scsi:t-0x00*", "scsi:t-0x07*"},
	}
	if diff := cmp.Diff(want, index[len(index)-1]); diff != "" {
		t.Errorf("last module (-want +got):\n%s", diff)
	}
	text, err := index.Format()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sample, string(text)); diff != "" {
		t.Errorf("formatted again (-want +got):\n%s", diff)
	}
}

func TestParseIndexRefuses(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"too few fields", "ext4 ext4.ko\n", "line 1: \"ext4 ext4.ko\" has 2 fields"},
		{"empty line", "a a.ko -\n\nb b.ko -\n", "line 2"},
		{"two spaces", "a  a.ko -\n", "no file"},
		{"dash in the name", "a-b a.ko -\n", "no name"},
		{"twice", "a a.ko -\na a.ko -\n", "module a is there twice"},
		{"dependency after it", "a a.ko b\nb b.ko -\n", `module a needs "b"`},
		{"dependency on itself", "a a.ko a\n", `module a needs "a"`},
		{"wanted one not there", "a a.ko b?\n", `module a needs "b"`},
		{"no dependency named", "a a.ko b,\n", "module a needs"},
		{"file outside", "a ../a.ko -\n", "no file below"},
		{"file from the root", "a /a.ko -\n", "no file below"},
		{"trailing space", "a a.ko - \n", `"" is no alias`},
		{"carriage return", "a a.ko -\r\n", "module a needs"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseIndex([]byte(test.text))
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

func TestFormatRefuses(t *testing.T) {
	for _, index := range []Index{
		{{Name: "a b", File: "a.ko"}},
		{{Name: "a", File: "a.ko", Aliases: []string{"x\ny"}}},
		{{Name: "a", File: "a.ko", Needs: []string{"-"}}},
		{{Name: "a", File: "a b.ko"}},
	} {
		if text, err := index.Format(); err == nil {
			t.Errorf("%v was written as %q", index, text)
		}
	}
}

// What is accepted is written as it was read, but for the order of
// dependencies; and nothing depends on what comes after it.
//
//fuzz:covers index.go
func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("a a.ko -"))
	f.Add([]byte("a a.ko -\nb b.ko a?,a x:*\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		index, err := ParseIndex(text)
		if err != nil {
			return
		}
		formatted, err := index.Format()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := ParseIndex(formatted)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if diff := cmp.Diff(index, again); diff != "" {
			t.Errorf("read again (-first +second):\n%s", diff)
		}
	})
}
