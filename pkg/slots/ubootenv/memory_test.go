package ubootenv

import (
	"errors"
	"io"
	"slices"
)

// memory is a disk in memory, and what a power cut leaves of it.
type memory struct {
	bytes      []byte // as the running machine reads it
	durable    []byte // what survives for certain
	unsynced   []extent
	unreadable []extent // reads here fail until all of it is written
	broken     []extent // those of durable
	log        []effect

	cutAfter  int // effects that are done before all fail; <0 never
	dropSync  int // the sync, counted from 0, that does nothing; <0 none
	mangle    bool
	failWrite error
	failSync  error
}

// effect is a write, or with bytes nil a sync.
type effect extent

type extent struct {
	offset int64
	bytes  []byte
}

var (
	errCut        = errors.New("the power is gone")
	errUnreadable = errors.New("input/output error")
)

func newMemory(size int) *memory {
	return &memory{bytes: make([]byte, size), durable: make([]byte, size), cutAfter: -1, dropSync: -1}
}

func (m *memory) Size() (int64, error) { return int64(len(m.bytes)), nil }

func (m *memory) ReadAt(into []byte, offset int64) (int, error) {
	for _, bad := range m.unreadable {
		if bad.overlaps(offset, len(into)) {
			return 0, errUnreadable
		}
	}
	if offset >= int64(len(m.bytes)) {
		return 0, io.EOF
	}
	n := copy(into, m.bytes[offset:])
	if n < len(into) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memory) WriteAt(from []byte, offset int64) (int, error) {
	if m.isCut() || m.failWrite != nil {
		return 0, errors.Join(m.failWrite, errCut)
	}
	if offset < 0 || int(offset)+len(from) > len(m.bytes) {
		return 0, io.ErrShortWrite
	}
	w := extent{offset, slices.Clone(from)}
	m.log = append(m.log, effect(w))
	m.unsynced = append(m.unsynced, w)
	m.unreadable = without(m.unreadable, w)
	n := copy(m.bytes[offset:], from)
	if m.mangle {
		m.bytes[offset] ^= 1
	}
	return n, nil
}

func (m *memory) Sync() error {
	if m.isCut() || m.failSync != nil {
		return errors.Join(m.failSync, errCut)
	}
	_, syncs := m.counts()
	m.log = append(m.log, effect{})
	if syncs != m.dropSync {
		m.unsynced = nil
		copy(m.durable, m.bytes)
		m.broken = m.unreadable
	}
	return nil
}

func (m *memory) isCut() bool { return m.cutAfter >= 0 && len(m.log) >= m.cutAfter }

func (e extent) overlaps(offset int64, length int) bool {
	return offset < e.offset+int64(len(e.bytes)) && e.offset < offset+int64(length)
}

// without are the unreadable extents that are left after a write.
func without(unreadable []extent, w extent) []extent {
	return slices.DeleteFunc(slices.Clone(unreadable), func(e extent) bool { return w.overlaps(e.offset, len(e.bytes)) })
}

// spoil makes a place unreadable before a test begins.
func (m *memory) spoil(e extent) {
	m.unreadable = append(m.unreadable, e)
	m.broken = m.unreadable
}

// put lays bytes on the disk before a test begins.
func (m *memory) put(offset int64, bytes []byte) {
	copy(m.bytes[offset:], bytes)
	copy(m.durable[offset:], bytes)
}

// at are the bytes of a copy of the environment.
func (m *memory) at(offset int64, place Place) []byte { return m.bytes[offset : offset+place.Size] }

// clone is another disk with the same content.
func (m *memory) clone() *memory {
	c := newMemory(0)
	c.bytes, c.durable = slices.Clone(m.bytes), slices.Clone(m.durable)
	c.unreadable, c.broken = slices.Clone(m.unreadable), slices.Clone(m.broken)
	return c
}

// counts are the writes and the syncs that there were.
func (m *memory) counts() (writes, syncs int) {
	for _, e := range m.log {
		if e.bytes == nil {
			syncs++
		} else {
			writes++
		}
	}
	return writes, syncs
}

// fate is what becomes of a write that a power cut meets before its sync.
type fate func(m *memory, e extent)

// fates are those of a write of a number of sectors: not done, done, done up
// to a sector or from one, every second sector, and left unreadable.
func fates(sectors int) []fate {
	all := []fate{part(0, 0, 1), done, part(0, sectors, 2), part(1, sectors, 2), (*memory).spoil}
	for k := 1; k < sectors; k++ {
		all = append(all, part(0, k, 1), part(k, sectors, 1))
	}
	return all
}

func done(m *memory, e extent) {
	m.put(e.offset, e.bytes)
	m.unreadable = without(m.unreadable, e)
	m.broken = m.unreadable
}

func part(from, to, step int) fate {
	return func(m *memory, e extent) {
		for k := from; k < to; k += step {
			m.put(e.offset+int64(k*sector), e.bytes[k*sector:(k+1)*sector])
		}
	}
}

// afterCut calls visit with each disk that a power cut can leave. Writes that
// were not synced have their fates independent of each other, so that the
// later one may be there and the earlier one not.
func (m *memory) afterCut(visit func(*memory) error) error {
	survivor := m.clone()
	copy(survivor.bytes, m.durable)
	survivor.unreadable = slices.Clone(m.broken)
	return applyFates(survivor, m.unsynced, visit)
}

func applyFates(m *memory, writes []extent, visit func(*memory) error) error {
	if len(writes) == 0 {
		return visit(m)
	}
	for _, f := range fates(len(writes[0].bytes) / sector) {
		next := m.clone()
		f(next, writes[0])
		if err := applyFates(next, writes[1:], visit); err != nil {
			return err
		}
	}
	return nil
}
