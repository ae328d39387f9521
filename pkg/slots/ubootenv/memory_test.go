package ubootenv

import (
	"errors"
	"io"
	"slices"
)

// memory is a disk in memory. What was written and not synced can be lost.
type memory struct {
	bytes  []byte // as a reader of the running machine sees it
	synced []byte // what survives for certain
	// unsynced are the writes since the last sync.
	unsynced []extent
	// log has each effect: "write 0x0 0x4000", "sync".
	log []effect

	failRead  func(offset int64) error
	failAfter int // effects that are done before all fail; <0 never
	mangle    bool
}

type effect struct {
	sync bool
	extent
}

type extent struct {
	offset int64
	bytes  []byte
}

var errCut = errors.New("the power is gone")

func newMemory(size int) *memory {
	return &memory{bytes: make([]byte, size), synced: make([]byte, size), failAfter: -1}
}

func (m *memory) ReadAt(into []byte, offset int64) (int, error) {
	if m.failRead != nil {
		if err := m.failRead(offset); err != nil {
			return 0, err
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
	if m.cut() {
		return 0, errCut
	}
	w := extent{offset, slices.Clone(from)}
	m.log = append(m.log, effect{extent: w})
	m.unsynced = append(m.unsynced, w)
	n := copy(m.bytes[offset:], from)
	if m.mangle {
		m.bytes[offset] ^= 1
	}
	return n, nil
}

func (m *memory) Sync() error {
	if m.cut() {
		return errCut
	}
	m.log = append(m.log, effect{sync: true})
	m.unsynced = nil
	copy(m.synced, m.bytes)
	return nil
}

func (m *memory) Size() (int64, error) { return int64(len(m.bytes)), nil }

func (m *memory) cut() bool { return m.failAfter >= 0 && len(m.log) >= m.failAfter }

// put lays bytes on the disk before a test begins.
func (m *memory) put(offset int64, bytes []byte) {
	copy(m.bytes[offset:], bytes)
	copy(m.synced[offset:], bytes)
}

// counts are the writes and the syncs that there were.
func (m *memory) counts() (writes, syncs int) {
	for _, e := range m.log {
		if e.sync {
			syncs++
		} else {
			writes++
		}
	}
	return writes, syncs
}
