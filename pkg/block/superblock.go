package block

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Superblock is what a filesystem, or another known content of a device, says
// of itself.
type Superblock struct {
	// Type is the name that mount(8) and blkid(8) use: ext2, ext3, ext4, jbd
	// (an ext4 journal on a device of its own), vfat, squashfs, erofs, btrfs,
	// xfs, exfat, ntfs, iso9660, swap or crypto_LUKS; or ClaimType. It is empty when the content is
	// not known, which does not mean that the device is blank.
	Type string
	// Label is the filesystem's label, never the GPT's name of the partition.
	// It is safe to print: a backslash and every byte that is not part of a
	// printable UTF-8 character stand as \xNN.
	Label string
	// UUID is in the form of blkid(8): 8-4-4-4-12 in lower case, XXXX-XXXX in
	// upper case for vfat and exfat, 16 digits in upper case for ntfs, a date for
	// iso9660. Empty when there is none.
	UUID string
	// Size is the number of bytes that the filesystem says it spans on this
	// device, 0 when it does not say.
	Size int64
	// Errors is set when the kernel has met damage in this ext2, ext3 or ext4,
	// and nobody has mended it since.
	Errors bool
	// Unclean is set when this ext2, ext3 or ext4 was not unmounted and has no
	// journal to say what was going on.
	Unclean bool
	// Used is set when this ext2, ext3 or ext4 has been mounted since it was
	// made.
	Used bool
}

// headSize is one page: a device is read through the page cache, so a shorter
// read would cost as much.
const headSize = 4096

// Probe tells what is on a device of size bytes. A device whose content is not
// known has an empty Type and no error; only a read that fails is an error,
// and it names the offset.
//
// The order is fixed, because the tools that make filesystems leave remains of
// older ones behind. What begins at byte 0 is judged first: every tool whose
// own header lies further in clears or overwrites the first sector, so a whole
// header there is the newer one. For the rest the same holds by distance from
// the start. An erofs is judged before ext4, whose magic may be part of the
// erofs's random UUID. A swap area is judged last of what fits into the first
// page, since mkswap overwrites all that page and mke2fs only a part.
func Probe(r io.ReaderAt, size int64) (Superblock, error) {
	d := reader{r, size}
	head, err := d.read(0, headSize)
	if err != nil {
		return Superblock{}, err
	}
	for _, parse := range []func([]byte) (Superblock, bool){parseClaim, parseLUKS, parseSquashfs, parseXFS} {
		if sb, ok := parse(head); ok {
			return sb, nil
		}
	}
	if sb, ok, err := d.bootSectorOfMedium(head); ok || err != nil {
		return sb, err
	}
	if fat, ok := parseBootSector(head); ok {
		return d.vfat(fat)
	}
	for _, parse := range []func([]byte) (Superblock, bool){parseErofs, parseExt} {
		if sb, ok := parse(head); ok {
			return sb, nil
		}
	}
	return d.beyondHead(head)
}

// bootSectorOfMedium looks for the two formats whose boot sector is like that of a
// FAT.
func (d reader) bootSectorOfMedium(head []byte) (Superblock, bool, error) {
	switch {
	case isExFAT(head):
		return d.exFAT(head)
	case isNTFS(head):
		return d.ntfs(head)
	}
	return Superblock{}, false, nil
}

// beyondHead looks for what the first page alone cannot tell.
func (d reader) beyondHead(head []byte) (Superblock, error) {
	if isSwapHeader(head) {
		sb, ok, err := d.swap(head)
		if ok || err != nil {
			return sb, err
		}
	}
	descriptor, err := d.read(isoOffset, isoDescriptorSize)
	if err != nil {
		return Superblock{}, err
	}
	if sb, ok := parseISO9660(descriptor); ok {
		return sb, nil
	}
	block, err := d.read(btrfsOffset, btrfsSuperSize)
	if err != nil {
		return Superblock{}, err
	}
	if sb, ok := parseBtrfs(block); ok {
		return sb, nil
	}
	return Superblock{}, nil
}

// reader reads pieces of a device.
type reader struct {
	r    io.ReaderAt
	size int64
}

// read returns n bytes at an offset. What lies behind the device's end reads
// as zeros, so that no parser needs to look at lengths.
func (d reader) read(offset int64, n int) ([]byte, error) {
	piece := make([]byte, n)
	if offset < 0 || offset >= d.size {
		return piece, nil
	}
	want := piece[:min(int64(n), d.size-offset)]
	got, err := d.r.ReadAt(want, offset)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("read of %d bytes at offset %d: %w", len(want), offset, err)
	}
	clear(piece[got:])
	return piece, nil
}

// The formats store numbers in little-endian order but for LUKS.
var le, be = binary.LittleEndian, binary.BigEndian

// span is count units in bytes. It is false for nothing and for more than any
// device can hold, which no filesystem claims.
func span(count, unit uint64) (int64, bool) {
	high, low := bits.Mul64(count, unit)
	return int64(low), high == 0 && low != 0 && low <= math.MaxInt64
}

// isPowerOfTwo tells whether n is a power of two between low and high.
func isPowerOfTwo(n, low, high uint32) bool {
	return n >= low && n <= high && bits.OnesCount32(n) == 1
}

// uuidText is a UUID as blkid prints it; none when all its bytes are zero.
func uuidText(b []byte) string {
	if isZero(b) {
		return ""
	}
	text := hex.EncodeToString(b)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

func isZero(b []byte) bool {
	return len(bytes.Trim(b, "\x00")) == 0
}

// labelText makes a field of a superblock printable. Labels come from media
// that anybody may have written, and are printed on consoles; the backslash is
// escaped too, so that two labels never become the same text.
func labelText(field []byte) string {
	field, _, _ = bytes.Cut(field, []byte{0})
	field = bytes.TrimRight(field, " ")
	var text strings.Builder
	for len(field) > 0 {
		char, n := utf8.DecodeRune(field)
		if (char == utf8.RuneError && n == 1) || char == '\\' || !strconv.IsPrint(char) {
			for _, b := range field[:n] {
				fmt.Fprintf(&text, `\x%02x`, b)
			}
		} else {
			text.Write(field[:n])
		}
		field = field[n:]
	}
	return text.String()
}
