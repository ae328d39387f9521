package block

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"unicode/utf16"
)

// Table is the partition table of a whole disk, read from its bytes. A running
// kernel has read it already and tells of it by events; this is for images on
// a workstation, and for whoever changes a table.
type Table struct {
	Scheme  string // "gpt" or "dos", as blkid prints PTTYPE
	ID      string // as blkid prints PTUUID, "" for none
	Block   int64  // the size of a logical block in bytes, 512 or 4096
	Entries []TableEntry
	// Backup tells that the first copy of a GPT is damaged, and the one at the
	// end of the disk was read.
	Backup bool
}

// TableEntry is one partition of a Table.
type TableEntry struct {
	Number int    // as in /dev/vda6
	Start  int64  // bytes from the start of the disk
	Size   int64  // bytes; Start+Size may lie behind the end of a disk that was cut short
	Type   string // two hexadecimal digits of an MBR, or the GUID, in lower case
	Name   string // of a GPT, safe to print as Superblock.Label is
}

// ErrNoTable says that a disk has no partition table.
var ErrNoTable = errors.New("there is no partition table")

// maxEntries is how many partitions a table may have. The kernel numbers 256
// on a disk (block/genhd.c, DISK_MAX_PARTS).
const maxEntries = 256

// ReadTable reads the partition table of a disk, or of the image of one, of
// size bytes. The error is ErrNoTable, what reading failed with, or says what
// is wrong with the table.
//
// A disk with a protective MBR has a GPT, and nothing else is looked for: an
// older table under it would lead to partitions that are not there any more.
// An MBR is taken from a disk of 512-byte blocks only.
func ReadTable(r io.ReaderAt, size int64) (Table, error) {
	d := reader{r, size}
	mbr, err := d.read(0, mbrSize)
	if err != nil {
		return Table{}, err
	}
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return Table{}, ErrNoTable
	}
	if _, fat := parseBootSector(append(mbr, make([]byte, headSize-mbrSize)...)); fat {
		return Table{}, ErrNoTable // the same signature, and boot code where an MBR has partitions
	}
	for i := range mbrEntries {
		if mbr[mbrTable+i*mbrEntrySize+4] == typeProtective {
			return d.gpt()
		}
	}
	return d.dos(mbr)
}

// Find returns the partition with that GPT name, or, on a table without names,
// with that number.
func (t Table) Find(name string, number int) (TableEntry, bool) {
	for _, e := range t.Entries {
		if t.Scheme == "gpt" && e.Name == name || t.Scheme == "dos" && e.Number == number {
			return e, true
		}
	}
	return TableEntry{}, false
}

// The header of a GPT, and its entries (UEFI specification 2.10, 5.3).
const (
	gptMagic     = "EFI PART"
	gptHeaderMin = 92
	gptEntryMin  = 128
	gptArrayMax  = 1 << 20 // bytes; the least that the specification wants is 16 KiB
)

// gpt reads the first copy, else the one in the last block, as the kernel does
// (block/partitions/efi.c, find_valid_gpt). The size of a block is what the
// header's place tells.
func (d reader) gpt() (Table, error) {
	var first error
	for _, block := range []int64{512, 4096} {
		for _, at := range []int64{1, d.size/block - 1} {
			t, err := d.gptAt(at, block)
			if err == nil {
				t.Backup = at != 1
				return t, nil
			}
			if first == nil {
				first = err
			}
		}
	}
	return Table{}, fmt.Errorf("the GPT is damaged, in both of its copies: %w", first)
}

// rawGPT is one copy of a GPT whose checksums are right.
type rawGPT struct {
	header []byte // one block
	array  []byte // of the entries
	// entrySize is that of one of them, and arrayAt the block of the first.
	entrySize int
	arrayAt   int64
}

// rawGPTAt reads the copy whose header is in block number at.
func (d reader) rawGPTAt(at, block int64) (g rawGPT, err error) {
	header, err := d.read(at*block, int(block))
	if err != nil {
		return g, err
	}
	length := le.Uint32(header[12:])
	if string(header[:8]) != gptMagic || length < gptHeaderMin || int64(length) > block {
		return g, fmt.Errorf("block %d holds no header", at)
	}
	if sum, got := le.Uint32(header[16:]), headerSum(header); got != sum {
		return g, fmt.Errorf("the CRC of the header in block %d is %08x, and not %08x", at, sum, got)
	}
	count, entrySize := le.Uint32(header[80:]), le.Uint32(header[84:])
	start, fits := span(le.Uint64(header[72:]), uint64(block))
	if le.Uint64(header[24:]) != uint64(at) || !fits ||
		!isPowerOfTwo(entrySize, gptEntryMin, 4096) || uint64(count)*uint64(entrySize) > gptArrayMax {
		return g, fmt.Errorf("the header in block %d says what cannot be: block %d, %d entries of %d bytes",
			at, le.Uint64(header[24:]), count, entrySize)
	}
	array, err := d.read(start, int(count*entrySize))
	if err != nil {
		return g, err
	}
	if sum, got := le.Uint32(header[88:]), crc32.ChecksumIEEE(array); got != sum {
		return g, fmt.Errorf("the CRC of the entries of block %d is %08x, and not %08x", at, sum, got)
	}
	return rawGPT{header: header, array: array, entrySize: int(entrySize), arrayAt: start / block}, nil
}

// headerSum is the CRC of a header, in which its own field counts as zero.
func headerSum(header []byte) uint32 {
	sealed := append([]byte(nil), header[:le.Uint32(header[12:])]...)
	clear(sealed[16:20])
	return crc32.ChecksumIEEE(sealed)
}

// gptAt reads the table of the copy whose header is in block number at.
func (d reader) gptAt(at, block int64) (Table, error) {
	g, err := d.rawGPTAt(at, block)
	if err != nil {
		return Table{}, err
	}
	t := Table{Scheme: "gpt", ID: guid(g.header[56:72]), Block: block}
	for i := range min(len(g.array)/g.entrySize, maxEntries) {
		if err := t.addGPT(i+1, g.array[i*g.entrySize:][:g.entrySize]); err != nil {
			return Table{}, err
		}
	}
	return t, nil
}

// addGPT adds an entry, unless it is unused.
func (t *Table) addGPT(number int, entry []byte) error {
	if isZero(entry[:16]) {
		return nil
	}
	first, last := le.Uint64(entry[32:]), le.Uint64(entry[40:])
	if first == 0 || last < first || last >= math.MaxInt64/uint64(t.Block) {
		return fmt.Errorf("partition %d goes from block %d to %d", number, first, last)
	}
	name := make([]uint16, 36)
	for i := range name {
		name[i] = le.Uint16(entry[56+2*i:])
	}
	t.Entries = append(t.Entries, TableEntry{
		Number: number, Start: int64(first) * t.Block, Size: int64(last-first+1) * t.Block,
		Type: guid(entry), Name: labelText([]byte(string(utf16.Decode(name)))),
	})
	return nil
}
