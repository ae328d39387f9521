package block

import (
	"bytes"
	"strconv"
	"strings"
	"testing"
)

// fuzzProbe fuzzes one format: a piece of a device at the place where the
// format has its superblock, all else zero. Its seeds are the fixtures of that
// type; one that is not recognized would let the fuzzer test nothing. seal
// makes the checksum right, or hardly any changed input would pass it.
func fuzzProbe(f *testing.F, types string, offset int, seal func(piece []byte)) {
	seeds := 0
	for _, fixture := range fixtures {
		if !strings.Contains(" "+types+" ", " "+fixture.want.Type+" ") {
			continue
		}
		seeds++
		image := golden(f, fixture.name)
		piece := append(make([]byte, 0, len(image)), image[offset:]...)
		if got := probePiece(f, offset, piece, seal); got != fixture.want {
			f.Errorf("seed %s: %+v, want %+v", fixture.name, got, fixture.want)
		}
		f.Add(piece)
		// One that is too short to be sealed, with a byte changed: its checksum is wrong.
		if sealed := headSize - offset%headSize; seal != nil && len(piece) >= sealed {
			damaged := bytes.Clone(piece[:sealed-1])
			damaged[200] ^= 0xff
			f.Add(damaged)
		}
	}
	f.Add([]byte{})
	if seeds == 0 {
		f.Fatalf("no fixture has one of the types %s", types)
	}
	f.Fuzz(func(t *testing.T, piece []byte) {
		probePiece(t, offset, piece, seal)
	})
}

// probePiece checks what holds for any content.
func probePiece(t testing.TB, offset int, piece []byte, seal func([]byte)) Superblock {
	image := make([]byte, max(offset+len(piece), headSize))
	copy(image[offset:], piece)
	if seal != nil && len(piece) >= headSize-offset%headSize {
		seal(image[offset:])
	}
	sb, err := Probe(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Errorf("%v, but reading never failed", err)
	}
	if sb.Size < 0 {
		t.Errorf("%s spans %d bytes", sb.Type, sb.Size)
	}
	if sb.Type == "" && sb != (Superblock{}) {
		t.Errorf("nothing known, and yet %+v", sb)
	}
	for _, text := range []string{sb.Label, sb.UUID} {
		for _, char := range text {
			if !strconv.IsPrint(char) {
				t.Errorf("%s: %q does not print", sb.Type, text)
			}
		}
	}
	return sb
}

//fuzz:covers superblock_ext.go
func FuzzExt4(f *testing.F) {
	fuzzProbe(f, "ext2 ext3 ext4 jbd", extOffset, func(s []byte) { le.PutUint32(s[0x3fc:], extChecksum(s)) })
}

//fuzz:covers parseErofs erofsChecksum
func FuzzErofs(f *testing.F) {
	fuzzProbe(f, "erofs", erofsOffset, func(s []byte) {
		if s[12] <= 12 {
			le.PutUint32(s[4:], erofsChecksum(s, max(s[12], 4)))
		}
	})
}

//fuzz:covers parseBtrfs btrfsChecksum
func FuzzBtrfs(f *testing.F) {
	fuzzProbe(f, "btrfs", btrfsOffset, func(s []byte) {
		if le.Uint16(s[196:]) == btrfsSumIsCRC32C {
			le.PutUint32(s, btrfsChecksum(s[:btrfsSuperSize]))
		}
	})
}

//fuzz:covers superblock_vfat.go
func FuzzVfat(f *testing.F) { fuzzProbe(f, "vfat", 0, nil) }

//fuzz:covers parseXFS
func FuzzXFS(f *testing.F) { fuzzProbe(f, "xfs", 0, nil) }

//fuzz:covers superblock_media.go
func FuzzBootSectorsOfMedia(f *testing.F) { fuzzProbe(f, "exfat ntfs", 0, nil) }

//fuzz:covers parseSquashfs
func FuzzSquashfs(f *testing.F) { fuzzProbe(f, "squashfs", 0, nil) }

//fuzz:covers parseISO9660 isoDate
func FuzzISO9660(f *testing.F) { fuzzProbe(f, "iso9660", isoOffset, nil) }

//fuzz:covers parseLUKS
func FuzzLUKS(f *testing.F) { fuzzProbe(f, "crypto_LUKS", 0, nil) }

//fuzz:covers isSwapHeader reader.swap
func FuzzSwap(f *testing.F) { fuzzProbe(f, "swap", 0, nil) }
