package ubootenv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Reader is what Read needs of a partition, or of an image file.
type Reader interface {
	io.ReaderAt
	// Size is the number of bytes that there are.
	Size() (int64, error)
}

// Device is what Update needs.
type Device interface {
	Reader
	io.WriterAt
	// Sync returns when all that was written survives a power cut.
	Sync() error
}

// Source says which copy an environment was read from.
type Source string

// The sources.
const (
	None    Source = ""        // there is no valid copy
	Primary Source = "primary" // the only one that U-Boot knows
	Shadow  Source = "shadow"  // the primary is blank or damaged
	First   Source = "first"   // of a redundant pair
	Second  Source = "second"
)

// Copy is an environment as it was found.
type Copy struct {
	Env  Env
	From Source
	// Torn says why the primary copy does not count: ErrBlank, a *DamagedError
	// or an error of reading. It is nil when the primary is good, and for a
	// pair whenever one copy is good: a pair lives with one.
	Torn error
	// Protected tells whether a write can be cut at any moment: there is a
	// place for a second copy.
	Protected bool
	Header    Header
	Flags     byte // of the copy that was read, 0 where the header has none
	Padding   byte // 0x00 or 0xff
}

// ForeignError says that there is a valid environment of another form than the
// one that was looked for. It is somebody's, so it is never replaced.
type ForeignError struct {
	Offset int64  // bytes, in the partition
	Size   int64  // bytes, of what is there
	Header Header // of what is there
	Wanted int64  // bytes that were looked for
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("the environment at %#x has %#x bytes with a header of %d, and %#x were looked for; correct the configuration",
		e.Offset, e.Size, e.Header, e.Wanted)
}

// Read finds the environment and writes nothing. Where U-Boot knows one copy,
// a valid primary always counts, since other programs write only that one, and
// the shadow counts when the primary is blank, damaged or cannot be read. Of a
// redundant pair the copy counts that U-Boot would take.
//
// Without a valid copy the error is ErrBlank, a *DamagedError, a *ForeignError
// or what reading failed with; Copy says so by From as well. A place that
// cannot be is a *TooSmallError or an error without a type.
func Read(dev Reader, place Place) (Copy, error) {
	place, err := placeIn(dev, place)
	if err != nil {
		return Copy{}, err
	}
	s, err := survey(dev, place)
	if err == nil && s.From == None {
		err = s.Torn
	}
	return s.Copy, err
}

// placeIn fits a place into a device.
func placeIn(dev Reader, place Place) (Place, error) {
	size, err := dev.Size()
	if err != nil {
		return place, fmt.Errorf("size of the environment's partition: %w", err)
	}
	return place.within(size)
}

// block is the bytes at one offset, and what they are.
type block struct {
	offset int64
	bytes  []byte // nil when they cannot be read
	env    Env
	header Header
	err    error // nil, ErrBlank, a *DamagedError or an error of reading
}

// state is all that a writer has to know.
type state struct {
	Copy
	replaced block // what a writer would replace and, when damaged, keep
	foreign  error // why it must not be replaced
}

// survey reads as much as is needed to know which copy counts. Its error says
// that nobody may read or write here.
func survey(dev Reader, place Place) (state, error) {
	if place.isPair() {
		return surveyPair(dev, place)
	}
	primary := readBlock(dev, place.Offset, place.Size)
	if primary.err == nil {
		return state{Copy: primary.copyFrom(Primary, place), replaced: primary}, nil
	}
	if err := primary.foreign(dev, place); err != nil {
		return state{Copy: Copy{Torn: primary.err}}, err
	}
	s := state{Copy: Copy{Torn: primary.err, Protected: place.Shadow >= 0, Header: Plain}, replaced: primary}
	if place.Shadow >= 0 {
		if shadow := readBlock(dev, place.Shadow, place.Size); shadow.err == nil {
			s.Copy = shadow.copyFrom(Shadow, place)
			s.Torn = primary.err
			return s, nil
		}
	}
	if primary.bytes == nil {
		return s, primary.err
	}
	return s, nil
}

func surveyPair(dev Reader, place Place) (state, error) {
	first, second := readBlock(dev, place.Offset, place.Size), readBlock(dev, place.Second, place.Size)
	foreign := [2]error{first.foreign(dev, place), second.foreign(dev, place)}
	good := [2]bool{first.err == nil && foreign[0] == nil, second.err == nil && foreign[1] == nil}
	switch {
	case good[0] && (!good[1] || firstIsNewer(first.bytes[Plain], second.bytes[Plain])):
		return state{Copy: first.copyFrom(First, place), replaced: second, foreign: foreign[1]}, nil
	case good[1]:
		return state{Copy: second.copyFrom(Second, place), replaced: first, foreign: foreign[0]}, nil
	}
	s := state{Copy: Copy{Torn: first.err, Protected: true, Header: WithFlags}, replaced: first}
	if first.bytes == nil {
		// What cannot be read may be valid, and is never replaced by defaults.
		s.replaced = second
	}
	if s.replaced.bytes == nil {
		return s, first.err
	}
	return s, errors.Join(foreign[:]...)
}

// firstIsNewer is the rule of a U-Boot whose environment is on a block device
// (env_check_redund in env/common.c): flags count up and go round from 255 to
// 0, and of two that are the same the first copy counts.
func firstIsNewer(first, second byte) bool {
	switch {
	case first == 255 && second == 0:
		return false
	case second == 255 && first == 0:
		return true
	}
	return first >= second
}

func readBlock(dev io.ReaderAt, offset, size int64) block {
	b := block{offset: offset, bytes: make([]byte, size)}
	if err := readFull(dev, b.bytes, offset); err != nil {
		return block{offset: offset, err: fmt.Errorf("read of the environment at %#x: %w", offset, err)}
	}
	b.env, b.header, b.err = Decode(b.bytes)
	return b
}

func readFull(dev io.ReaderAt, into []byte, offset int64) error {
	n, err := dev.ReadAt(into, offset)
	if n == len(into) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (b block) copyFrom(from Source, place Place) Copy {
	c := Copy{Env: b.env, From: from, Header: b.header, Protected: place.Shadow >= 0 || place.isPair()}
	if b.header == WithFlags {
		c.Flags = b.bytes[Plain]
	}
	if b.bytes[len(b.bytes)-1] == 0xff {
		c.Padding = 0xff
	}
	return c
}

// largest is the size up to which other environments are looked for. U-Boot's
// boards have from 4 to 128 KiB.
const largest = 0x20000

// foreign looks for an environment of another form in a block that holds none
// of the wanted one. A pair has flags in its headers; a single copy may have
// them.
func (b block) foreign(dev Reader, place Place) error {
	if b.err == nil && place.isPair() && b.header == Plain {
		return &ForeignError{b.offset, place.Size, b.header, place.Size}
	}
	var damaged *DamagedError
	if !errors.As(b.err, &damaged) {
		return nil
	}
	end, err := dev.Size()
	if err != nil {
		return nil // Place.within has asked before
	}
	bytes := make([]byte, min(largest, end-b.offset))
	if readFull(dev, bytes, b.offset) != nil {
		// What lies behind cannot be read; what is inside can.
		bytes = b.bytes
	}
	if size, header := sizeOf(bytes); size != 0 {
		return &ForeignError{b.offset, int64(size), header, place.Size}
	}
	return nil
}

// sizeOf finds the number of sectors over which the checksum is right, with
// one reading of the bytes for each header.
func sizeOf(bytes []byte) (size int, header Header) {
	for _, header := range []Header{Plain, WithFlags} {
		sum, from := uint32(0), int(header)
		for end := sector; end <= len(bytes); end += sector {
			sum = crc32.Update(sum, crc32.IEEETable, bytes[from:end])
			from = end
			if sum == binary.LittleEndian.Uint32(bytes) {
				return end, header
			}
		}
	}
	return 0, 0
}
