package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const sampleModinfo = "license=GPL\x00softdep=pre: crc32c sha-256 post: xor pre: last\x00" +
	"alias=fs-btrfs\x00alias=devname:btrfs-control\x00alias=platform:two words\x00\x00" +
	"depends=raid6_pq,xor-neon\x00name=btrfs\x00vermagic=6.12.1-test SMP mod_unload aarch64\x00"

func TestParseModinfo(t *testing.T) {
	got, err := parseModinfo([]byte(sampleModinfo))
	if err != nil {
		t.Fatal(err)
	}
	want := modinfo{
		release: "6.12.1-test",
		depends: []string{"raid6_pq", "xor_neon"},
		softPre: []string{"crc32c", "sha-256", "last"},
		aliases: []string{"fs-btrfs", "devname:btrfs-control"},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(modinfo{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseModinfoEmpty(t *testing.T) {
	got, err := parseModinfo([]byte("depends=\x00vermagic=6.1\x00"))
	if err != nil || got.depends != nil || got.release != "6.1" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = parseModinfo([]byte("depends=a\x00"))
	wantError(t, err, "vermagic")
}

// Whatever a module says of itself fits into a line of the index, or the index
// refuses it; here: no field has a blank or a NUL.
//
//fuzz:covers modinfo.go
func FuzzParseModinfo(f *testing.F) {
	f.Add([]byte(sampleModinfo))
	f.Add([]byte("vermagic=1\x00softdep=pre:\x00depends=,,"))
	f.Add([]byte("=\x00==\x00alias"))
	f.Fuzz(func(t *testing.T, section []byte) {
		info, err := parseModinfo(section)
		if err != nil {
			return
		}
		for _, list := range [][]string{info.aliases, info.softPre} {
			for _, word := range list {
				if word == "" || strings.ContainsAny(word, " \x00\n") {
					t.Errorf("%q is no field", word)
				}
			}
		}
		if info.release == "" || strings.ContainsAny(info.release, " \x00") {
			t.Errorf("%q is no release", info.release)
		}
	})
}
