package block

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
)

// growGPT plans the growth of a partition in a GPT, from its first copy.
//
// That copy has to be whole at each moment: without it the kernel finds no
// partition, whatever the second one says (block/partitions/efi.c,
// find_valid_gpt; only with the word gpt on the command line it looks there).
// A new size changes the entries and, for their checksum, the header, which are
// different sectors. So the header is made to point at a spare copy of the old
// entries, their own place gets the new ones, and the header goes back to them.
// The spare is in space that no partition has as yet. A cut leaves a disk with
// the old size, on which all of it is done again, or with the new one and
// nothing left to do.
func (d reader) growGPT(disk Geometry, mbr []byte, number int) (Growth, error) {
	first, err := d.rawGPTAt(1, disk.Logical)
	if err != nil {
		return Growth{}, fmt.Errorf("the first copy of the GPT is damaged, and nothing is built on the second: %w", err)
	}
	g := growingGPT{rawGPT: first, disk: disk, mbr: mbr, blocks: disk.Size / disk.Logical}
	if err := g.place(); err != nil {
		return Growth{}, err
	}
	extents, err := g.extents()
	if err != nil {
		return Growth{}, err
	}
	ours, err := lastOf(extents, number, uint64(g.backup))
	if err != nil {
		return Growth{}, err
	}
	plan, gains := disk.growth(ours, disk.endOf(uint64(g.backup)))
	if !gains {
		return plan, nil
	}
	g.spare = plan.spare() / disk.Logical
	if g.home, err = g.findHome(d, extents, plan); err != nil {
		return Growth{}, err
	}
	plan.Stages = g.stages(plan)
	return plan, nil
}

// growingGPT is a GPT, and the places of its parts, in blocks.
type growingGPT struct {
	rawGPT
	disk   Geometry
	mbr    []byte
	blocks int64 // of the disk
	backup int64 // where the entries of the second copy belong
	home   int64 // where the entries of the first copy belong
	spare  int64 // where they are meanwhile
}

// place finds where the second copy belongs: in the last blocks of the disk.
func (g *growingGPT) place() error {
	said := max(le.Uint64(g.header[32:]), le.Uint64(g.header[48:])) // the second header, the last usable block
	if said >= uint64(g.blocks) {
		return fmt.Errorf("the GPT goes to block %d, and the disk has %d: the disk is smaller than its table says", said, g.blocks)
	}
	if g.backup = g.blocks - 1 - g.length(); g.backup < 2 {
		return fmt.Errorf("the GPT has %d bytes of entries, and the disk only %d blocks", len(g.array), g.blocks)
	}
	return nil
}

// length is the number of blocks that the entries fill.
func (g growingGPT) length() int64 {
	return (int64(len(g.array)) + g.disk.Logical - 1) / g.disk.Logical
}

// extents are the partitions of the table.
func (g growingGPT) extents() (extents []extent, err error) {
	for i := range len(g.array) / g.entrySize {
		entry := g.array[i*g.entrySize:][:g.entrySize]
		if isZero(entry[:16]) {
			continue
		}
		start, last := le.Uint64(entry[32:]), le.Uint64(entry[40:])
		if start < 2 || last < start || last >= math.MaxInt64/uint64(g.disk.Logical) {
			return nil, fmt.Errorf("partition %d goes from block %d to %d", i+1, start, last)
		}
		extents = append(extents, extent{i + 1, start, last + 1})
	}
	return extents, nil
}

// spare is where the entries are while their own place is written, in bytes:
// in the gained space, where wipe does not write. It depends on nothing but
// the old size, so that whoever goes on after a cut finds it.
func (g Growth) spare() int64 {
	at := g.From + 2*wiped
	for _, mirror := range btrfsMirrors {
		if at <= mirror && mirror < at+gptArrayMax {
			at += 2 * wiped
		}
	}
	return (g.Start + at) &^ (headSize - 1)
}

// homeMax bounds the search for that place, in bytes: images that keep space
// for a boot loader begin their first partition at 16 MiB (Rockchip).
const homeMax = 16 << 20

// findHome is where the entries of the first copy belong. That is where they
// are, before the first partition; only after a cut they are in the spare, and
// their own place has the old ones or the new.
func (g growingGPT) findHome(d reader, extents []extent, plan Growth) (int64, error) {
	limit := int64(math.MaxInt64)
	for _, e := range extents {
		limit = min(limit, int64(e.start))
	}
	if g.arrayAt >= 2 && g.arrayAt+g.length() <= limit {
		return g.arrayAt, nil
	}
	odd := errors.New("the entries of the GPT are not where they belong, before the first partition")
	if g.arrayAt != g.spare {
		return 0, odd
	}
	end := (plan.Number-1)*g.entrySize + 40 // the field that may differ
	for at := int64(2); at+g.length() <= min(limit, homeMax/g.disk.Logical); at++ {
		there, err := d.read(at*g.disk.Logical, len(g.array))
		if err != nil {
			return 0, err
		}
		if bytes.Equal(there[:end], g.array[:end]) && bytes.Equal(there[end+8:], g.array[end+8:]) {
			return at, nil
		}
	}
	return 0, odd
}

// stages are the writes that make the plan true.
func (g growingGPT) stages(plan Growth) []Stage {
	block := g.disk.Logical
	array := append([]byte(nil), g.array...)
	entry := int64((plan.Number - 1) * g.entrySize)
	le.PutUint64(array[entry+40:], uint64((plan.Start+plan.To)/block-1))
	// The sectors of the entries in which something changes.
	from := entry / block * block
	to := min((entry+int64(g.entrySize)+block-1)/block*block, int64(len(array)))

	end := Stage{What: "the second copy of the partition table", Writes: []Write{
		{g.backup * block, array},
		{(g.blocks - 1) * block, g.sealed(g.blocks-1, 1, g.backup, array)},
	}}
	if guarded, changed := protect(g.mbr, uint64(g.blocks)); changed {
		end.Writes = append(end.Writes, Write{0, guarded})
	}
	header := func(at int64, array []byte) Stage {
		return Stage{"the header of the partition table", []Write{{block, g.sealed(1, g.blocks-1, at, array)}}}
	}
	return []Stage{
		end,
		plan.wipe(),
		{"a spare copy of the entries of the partition table", []Write{{g.spare * block, g.array}}},
		header(g.spare, g.array),
		{"the entries of the partition table", []Write{{g.home*block + from, array[from:to]}}},
		header(g.home, array),
	}
}

// sealed is the header for the copy in block at, with its checksums.
func (g growingGPT) sealed(at, other, arrayAt int64, array []byte) []byte {
	s := append([]byte(nil), g.header...)
	le.PutUint64(s[24:], uint64(at))
	le.PutUint64(s[32:], uint64(other))
	le.PutUint64(s[48:], uint64(g.backup-1)) // the last usable block
	le.PutUint64(s[72:], uint64(arrayAt))
	le.PutUint32(s[88:], crc32.ChecksumIEEE(array))
	le.PutUint32(s[16:], headerSum(s))
	return s
}

// protect makes the protective MBR cover the whole disk (UEFI specification
// 2.10, 5.2.3), and says whether that changes it.
func protect(mbr []byte, blocks uint64) (sector []byte, changed bool) {
	sector = append([]byte(nil), mbr...)
	for i, e := range dosEntries(mbr) {
		if e.kind != typeProtective || uint64(e.start) >= blocks {
			continue
		}
		size := uint32(min(blocks-uint64(e.start), math.MaxUint32))
		if e.size == math.MaxUint32 || e.size == size {
			continue
		}
		entry := sector[mbrTable+i*mbrEntrySize:]
		copy(entry[5:8], []byte{0xff, 0xff, 0xff}) // the end, behind what cylinders can tell
		le.PutUint32(entry[12:], size)
		changed = true
	}
	return sector, changed
}
