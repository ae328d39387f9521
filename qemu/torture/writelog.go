package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// sectorSize is the unit of all places on a disk here, in bytes.
const sectorSize = 512

// entry is one request that changed the disk, or asked for what was written
// before to be durable.
type entry struct {
	sector, sectors int64
	data            []byte // sectors of it; nil for a discard
	flush           bool   // all before it is durable
	fua             bool   // durable when it is over
	discard         bool
}

// The format of the kernel's dm-log-writes, version 1, little-endian
// (drivers/md/dm-log-writes.c; QEMU's block/blklogwrites.c writes the same): a
// superblock of one sector, and for each entry one sector that describes it and
// then its data. A discard has a length and no data. QEMU writes a request for
// zeros as zeros.
const (
	logMagic   = 0x6a736677736872
	logVersion = 1

	flushFlag   = 1
	fuaFlag     = 2
	discardFlag = 4
	markFlag    = 8
)

// readLog reads a record of a disk's writes.
func readLog(r io.Reader) ([]entry, error) {
	super := make([]byte, sectorSize)
	if _, err := io.ReadFull(r, super); err != nil {
		return nil, fmt.Errorf("cannot read the superblock of the record: %w", err)
	}
	le := binary.LittleEndian
	magic, version, count, size := le.Uint64(super), le.Uint64(super[8:]), le.Uint64(super[16:]), le.Uint32(super[24:])
	if magic != logMagic || version != logVersion || size != sectorSize {
		return nil, fmt.Errorf("cannot read the record: magic %#x, version %d, sectors of %d bytes; want %#x, %d, %d",
			magic, version, size, uint64(logMagic), logVersion, sectorSize)
	}
	var entries []entry
	for i := range count {
		e, err := readEntry(r)
		if err != nil {
			return nil, fmt.Errorf("cannot read entry %d of %d of the record: %w", i+1, count, err)
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// mostSectors bounds an entry: QEMU's largest request has 2 GiB.
const mostSectors = 1 << 22

func readEntry(r io.Reader) (entry, error) {
	head := make([]byte, sectorSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return entry{}, noEOF(err)
	}
	le := binary.LittleEndian
	sector, sectors, flags, length := le.Uint64(head), le.Uint64(head[8:]), le.Uint64(head[16:]), le.Uint64(head[24:])
	if sectors > mostSectors || sector > 1<<54 {
		return entry{}, fmt.Errorf("it says %d sectors at %d", sectors, sector)
	}
	if flags&^(flushFlag|fuaFlag|discardFlag) != 0 || (flags&markFlag == 0 && length != 0) {
		return entry{}, fmt.Errorf("it has the flags %#x and %d bytes of its own, which a disk's writes do not have", flags, length)
	}
	e := entry{sector: int64(sector), sectors: int64(sectors), flush: flags&flushFlag != 0, fua: flags&fuaFlag != 0, discard: flags&discardFlag != 0}
	if e.discard || e.sectors == 0 {
		return e, nil
	}
	e.data = make([]byte, e.sectors*sectorSize)
	_, err := io.ReadFull(r, e.data)
	return e, noEOF(err)
}

// noEOF is err, but never the end of file that means all is well.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
