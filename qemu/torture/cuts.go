package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// kind is what a cut did to the writes that the disk had not made durable.
type kind string

// The kinds of cuts, the plainest first.
const (
	prefixCut  kind = "prefix"  // all writes up to a point
	missingCut kind = "missing" // all up to a point but one
	earlyCut   kind = "early"   // all up to a point, and one of those after it
	tornCut    kind = "torn"    // all up to a point, and a part of the next
)

func kinds() []kind { return []kind{prefixCut, missingCut, earlyCut, tornCut} }

// piece is a run of sectors that reached the disk.
type piece struct {
	sector int64
	data   []byte
	sums   []sum // of each of its sectors
}

// sum stands for a sector's place and content.
type sum [16]byte

func newPiece(sector int64, data []byte) piece {
	p := piece{sector: sector, data: data}
	for i := 0; i < len(data); i += sectorSize {
		p.sums = append(p.sums, sumOf(sector+int64(i/sectorSize), data[i:i+sectorSize]))
	}
	return p
}

func sumOf(sector int64, data []byte) sum {
	hash := sha256.Sum256(binary.LittleEndian.AppendUint64(bytes.Clone(data), uint64(sector)))
	return sum(hash[:16])
}

// part is a run of a piece's sectors.
func (p piece) part(from, to int) piece {
	return piece{p.sector + int64(from), p.data[from*sectorSize : to*sectorSize], p.sums[from:to]}
}

// cut is one state in which a power cut can leave the disk.
type cut struct {
	kind   kind
	name   string // in words
	writes int    // how many reached the disk, whole or in part
	synced int    // how many marks the machine had set by then
	pieces []piece
}

// record is what a machine did to its disk: the writes, less the marks.
type record struct {
	writes []write
	marks  int
	// Requests of the disk for which nothing is written.
	flushes, discards int
	// within is where a write is whose cuts are wanted; none for anywhere.
	within []span
}

// span is a run of sectors, the last one not included.
type span struct {
	from, to int64
	every    bool // its writes are few, and torn at each sector
}

// spanOf is where a write is, as far as cuts are wanted there.
func (r record) spanOf(w write) (span, bool) {
	for _, s := range r.within {
		if w.sector >= s.from && w.sector < s.to {
			return s, true
		}
	}
	return span{}, len(r.within) == 0
}

// wanted tells whether the cuts of a write are.
func (r record) wanted(w write) bool {
	_, ok := r.spanOf(w)
	return ok
}

// isBoundary tells whether a cut after the first n writes is wanted: one of its
// neighbours is.
func (r record) isBoundary(n int) bool {
	return (n > 0 && r.wanted(r.writes[n-1])) || (n < len(r.writes) && r.wanted(r.writes[n]))
}

// write is one write and what is known of its time.
type write struct {
	piece
	window int // the number of flushes before it: those of one window are in no order
	synced int // the number of marks before it
	after  int // the number of marks before what came next, be it a flush
	fua    bool
}

// newRecord finds the marks among the entries: writes at this place.
func newRecord(entries []entry, markSector, markSectors int64) (r record) {
	marks := 0
	defer func() { r.marks = marks }()
	for _, e := range entries {
		if e.flush {
			r.flushes++
		}
		switch {
		case e.sectors == 0:
		case e.sector >= markSector && e.sector < markSector+markSectors:
			marks++
			if last := len(r.writes) - 1; last >= 0 && r.writes[last].window == r.flushes {
				r.writes[last].after = marks
			}
		case e.discard:
			// What is read from there afterwards is the disk's choice; zeros are
			// what a filesystem can bear the least.
			r.discards++
			r.add(e, make([]byte, e.sectors*sectorSize), marks)
		default:
			r.add(e, e.data, marks)
		}
	}
	return r
}

func (r *record) add(e entry, data []byte, marks int) {
	r.writes = append(r.writes, write{newPiece(e.sector, data), r.flushes, marks, marks, e.fua})
}

// boundaries is the number of points at which the power can be cut: before each
// write, and after the last, of those that are wanted.
func (r record) boundaries() (number int) {
	for n := range len(r.writes) + 1 {
		if r.isBoundary(n) {
			number++
		}
	}
	return number
}

// marksBefore is how many marks there were before write n, counted from 0.
func (r record) marksBefore(n int) int {
	if n < len(r.writes) {
		return r.writes[n].synced
	}
	return r.marks
}

// prefix are the first n writes, less one of them.
func (r record) prefix(n, without int) []piece {
	var pieces []piece
	for i, w := range r.writes[:n] {
		if i != without {
			pieces = append(pieces, w.piece)
		}
	}
	return pieces
}

const none = -1

// cuts are all states in which a cut can leave the disk, as far as they are
// tried: see docs/reliability.md.
//
// Two writes of one window that are swapped make two states: the later one is
// there and the earlier not yet, at the earlier one's point (early) and at the
// later one's (missing). When both are there, the order matters only if they
// overlap; then the older content stays, as if the newer were missing.
func (r record) cuts() []cut {
	var cuts []cut
	add := func(k kind, writes, synced int, pieces []piece, format string, args ...any) {
		cuts = append(cuts, cut{k, fmt.Sprintf(format, args...), writes, synced, pieces})
	}
	for n := range len(r.writes) + 1 {
		if !r.isBoundary(n) {
			continue
		}
		// A mark before the next write was set when all before it was durable
		// that the machine believed to be.
		add(prefixCut, n, r.marksBefore(n), r.prefix(n, none), "%d of %d writes", n, len(r.writes))
	}
	for i, w := range r.writes {
		for j := i + 1; j < len(r.writes) && r.writes[j].window == w.window; j++ {
			later := r.writes[j]
			if !w.fua && r.wanted(w) {
				add(missingCut, j, later.after, r.prefix(j+1, i), "%d of %d writes, number %d missing", j+1, len(r.writes), i+1)
			}
			if fuaBetween(r.writes[i:j]) || !r.wanted(later) {
				continue
			}
			add(earlyCut, i+1, later.after, append(r.prefix(i, none), later.piece), "%d of %d writes and number %d", i, len(r.writes), j+1)
		}
		within, ok := r.spanOf(w)
		if !ok {
			continue
		}
		sectors := len(w.data) / sectorSize
		for _, at := range tears(sectors, within.every) {
			add(tornCut, i+1, w.after, append(r.prefix(i, none), w.part(0, at)), "%d of %d writes and the first %d of %d sectors of the next", i, len(r.writes), at, sectors)
			add(tornCut, i+1, w.after, append(r.prefix(i, none), w.part(at, sectors)), "%d of %d writes and the last %d of %d sectors of the next", i, len(r.writes), sectors-at, sectors)
		}
	}
	return cuts
}

// fuaBetween tells whether one of these had to be durable before the next began.
func fuaBetween(writes []write) bool {
	for _, w := range writes {
		if w.fua {
			return true
		}
	}
	return false
}

// tears are the sectors at which a write of so many is torn: all of them for a
// block of 4 KiB or less. A larger write is torn after its first sector, before
// its last, and between its blocks, at most mostTears times at even distances.
// every asks for all of them.
func tears(sectors int, every bool) (at []int) {
	const block, mostTears = 4096 / sectorSize, 14
	step := block * max(1, (sectors/block+mostTears-1)/mostTears)
	for i := 1; i < sectors; i++ {
		if every || sectors <= block || i == 1 || i%step == 0 || i == sectors-1 {
			at = append(at, i)
		}
	}
	return at
}
