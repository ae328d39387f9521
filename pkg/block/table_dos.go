package block

import "fmt"

// An MBR, and each table of the chain behind an extended partition, is one
// sector: boot code, four entries, a signature.
const (
	mbrSize      = 512
	mbrTable     = 446
	mbrEntries   = 4
	mbrEntrySize = 16
	mbrSignature = 440 // of the disk, four bytes

	typeProtective = 0xee // a GPT follows
	firstLogical   = 5
)

// dosEntry is one line of such a table, in sectors.
type dosEntry struct {
	kind        byte
	start, size uint32
}

func dosEntries(table []byte) (entries [mbrEntries]dosEntry) {
	for i := range entries {
		e := table[mbrTable+i*mbrEntrySize:]
		entries[i] = dosEntry{e[4], le.Uint32(e[8:]), le.Uint32(e[12:])}
	}
	return entries
}

// extended tells whether the entry holds logical partitions: DOS's type,
// Windows', and Linux' own (block/partitions/msdos.c).
func (e dosEntry) extended() bool {
	return e.size > 0 && (e.kind == 0x05 || e.kind == 0x0f || e.kind == 0x85)
}

// dos reads an MBR and the logical partitions of its first extended one.
func (d reader) dos(mbr []byte) (Table, error) {
	t := Table{Scheme: "dos", Block: mbrSize}
	if id := le.Uint32(mbr[mbrSignature:]); id != 0 {
		t.ID = fmt.Sprintf("%08x", id)
	}
	var extended dosEntry
	for i, e := range dosEntries(mbr) {
		if boot := mbr[mbrTable+i*mbrEntrySize]; boot&0x7f != 0 {
			// The kernel's own sign that this is no table but a boot sector.
			return Table{}, ErrNoTable
		}
		t.addDOS(i+1, 0, e)
		if e.extended() && extended.size == 0 {
			extended = e
		}
	}
	if extended.size == 0 {
		return t, nil
	}
	return t, d.logical(&t, extended)
}

// logical follows the chain of tables in an extended partition. In each, the
// partitions count from the table itself and the link to the next table counts
// from the start of the extended partition.
func (d reader) logical(t *Table, extended dosEntry) error {
	number, seen := firstLogical, map[uint64]bool{}
	for at := uint64(extended.start); ; {
		if seen[at] || len(seen) == maxEntries {
			return fmt.Errorf("the logical partitions of the MBR have no end: sector %d is their table again", at)
		}
		seen[at] = true
		table, err := d.read(int64(at)*mbrSize, mbrSize)
		if err != nil {
			return err
		}
		if table[510] != 0x55 || table[511] != 0xaa {
			if len(seen) == 1 && isZero(table) {
				return nil // an extended partition in which nothing was made yet
			}
			return fmt.Errorf("the table of the logical partition %d, in sector %d, has no signature", number, at)
		}
		next, linked := uint64(0), false
		for _, e := range dosEntries(table) {
			switch {
			case e.extended() && !linked:
				next, linked = uint64(extended.start)+uint64(e.start), true
			case e.size > 0 && !e.extended():
				t.addDOS(number, at, e)
				number++
			}
		}
		if !linked {
			return nil
		}
		at = next
	}
}

// addDOS adds an entry whose start counts from a sector, unless it is unused.
func (t *Table) addDOS(number int, from uint64, e dosEntry) {
	if e.size == 0 || len(t.Entries) == maxEntries {
		return
	}
	t.Entries = append(t.Entries, TableEntry{
		Number: number, Start: int64(from+uint64(e.start)) * mbrSize, Size: int64(e.size) * mbrSize,
		Type: fmt.Sprintf("%02x", e.kind),
	})
}
