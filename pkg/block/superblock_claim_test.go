package block

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClaim(t *testing.T) {
	for _, want := range []Claim{
		{},
		{Start: 4 << 30},
		{Start: 512, Stale: true, Replaces: uuidA},
	} {
		sector := want.Encode()
		got, ok := ParseClaim(sector)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%+v: %v (-want +got):\n%s", want, ok, diff)
		}
		// A cut of power or a bad cell must not make one of something else.
		for bit := range 8 * len(sector) {
			sector[bit/8] ^= 1 << (bit % 8)
			if got, ok := ParseClaim(sector); ok {
				t.Errorf("bit %d is turned, and it is the claim %+v", bit, got)
			}
			sector[bit/8] ^= 1 << (bit % 8)
		}
		if _, ok := ParseClaim(sector[:ClaimSize-1]); ok {
			t.Error("a part of a sector is a claim")
		}
	}
}

// A claim stands before whatever else is on the partition.
func TestProbeClaim(t *testing.T) {
	for _, fixture := range []string{"blank", "ext4", "fat32", "btrfs"} {
		image := golden(t, fixture)
		copy(image, Claim{Start: 1 << 20}.Encode())
		got, err := Probe(bytes.NewReader(image), int64(len(image)))
		if err != nil || got != (Superblock{Type: ClaimType}) {
			t.Errorf("over %s: %+v, %v", fixture, got, err)
		}
	}
}

// What an ext4 says of its past, fs/ext4/ext4.h.
func TestProbeExtPast(t *testing.T) {
	for _, c := range []struct {
		what   string
		change func(super []byte)
		want   Superblock
	}{
		{"made", func([]byte) {}, Superblock{}},
		{"mounted, and not unmounted", func(s []byte) { s[0x60] |= extRecover; s[0x3a] = 0 }, Superblock{}},
		{"without a journal, not unmounted", func(s []byte) { s[0x3a] = 0 }, Superblock{Unclean: true}},
		{"with errors", func(s []byte) { s[0x3a] = 3 }, Superblock{Errors: true}},
		{"with a time of mount", func(s []byte) { s[0x2e] = 1 }, Superblock{Used: true}},
		{"with a count of mounts", func(s []byte) { s[0x34] = 1 }, Superblock{Used: true}},
	} {
		image := golden(t, "ext4-nosum")
		c.change(image[extOffset:])
		got, err := Probe(bytes.NewReader(image), int64(len(image)))
		past := Superblock{Errors: got.Errors, Unclean: got.Unclean, Used: got.Used}
		if err != nil || got.Type != "ext4" || past != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.what, got, err, c.want)
		}
	}
}
