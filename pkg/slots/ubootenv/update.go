package ubootenv

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Update reads the environment, lets change work on its variables, and writes
// them when they have changed or the primary copy has to be repaired; it tells
// whether it wrote, or with an error may have written. Where there was a valid
// copy and found.Protected is set, a power cut at any moment leaves one, with
// the variables as they were or as they are now.
//
// found is what was there. With found.From None there is no valid copy: env is
// empty, and change puts everything in that has to be there. An error of
// change ends the update; nothing is written then.
//
// The rule behind the order of the writes: the copy that counts is never
// overwritten before another one is whole and on the disk. So the shadow is
// written before the primary, the primary before the shadow from which it is
// restored, and of a redundant pair the copy that does not count. Each copy is
// written once, in one piece, flushed and read back. A damaged copy is kept at
// place.Torn before it is replaced.
//
// Read back is what the Device returns. One that reads through a cache
// verifies the cache.
//
// Other writers must be kept out by the caller, with the lock of libubootenv.
// The errors are those of Read, but for a blank or damaged environment, which
// is none; an *OverflowError; and what writing failed with.
func Update(dev Device, place Place, change func(env *Env, found Copy) error) (changed bool, err error) {
	place, err = placeIn(dev, place)
	if err != nil {
		return false, err
	}
	s, err := survey(dev, place)
	if err != nil {
		return false, err
	}
	env := s.Env
	if err := change(&env, s.Copy); err != nil {
		return false, err
	}
	if env.Equal(s.Env) && s.From != Shadow {
		return false, nil
	}
	if s.foreign != nil {
		return false, s.foreign
	}
	block, err := env.Encode(int(place.Size), s.Header, s.nextFlags(place), s.Padding)
	if err != nil {
		return false, err
	}
	if err := s.keepTorn(dev, place); err != nil {
		return true, err
	}
	for _, offset := range s.writeOrder(place) {
		if err := write(dev, block, offset); err != nil {
			return true, err
		}
	}
	return true, nil
}

// nextFlags is the byte of flags of what is written. In a pair it counts
// writes, round after 255; a U-Boot that found no valid copy begins with 1
// (env_export in env/common.c). A single copy keeps what it has.
func (s state) nextFlags(place Place) byte {
	if place.isPair() {
		return s.Flags + 1
	}
	return s.Flags
}

// writeOrder is the offsets that are written, one after the other.
func (s state) writeOrder(place Place) []int64 {
	switch {
	case place.isPair():
		return []int64{s.replaced.offset}
	case place.Shadow < 0:
		return []int64{place.Offset}
	case s.From == Shadow:
		return []int64{place.Offset, place.Shadow}
	}
	return shadowFirst(place)
}

// keepTorn puts the damaged copy that is about to be replaced aside, unless it
// is there already.
func (s state) keepTorn(dev Device, place Place) error {
	var damaged *DamagedError
	if place.Torn < 0 || !errors.As(s.replaced.err, &damaged) {
		return nil
	}
	kept := make([]byte, place.Size)
	if readFull(dev, kept, place.Torn) == nil && bytes.Equal(kept, s.replaced.bytes) {
		return nil
	}
	return write(dev, s.replaced.bytes, place.Torn)
}

// write writes a block, waits until it is on the disk, and looks.
func write(dev Device, block []byte, offset int64) error {
	if _, err := dev.WriteAt(block, offset); err != nil {
		return fmt.Errorf("write of the environment at %#x: %w", offset, err)
	}
	if err := dev.Sync(); err != nil {
		return fmt.Errorf("sync of the environment at %#x: %w", offset, err)
	}
	back := make([]byte, len(block))
	if err := readFull(dev, back, offset); err != nil {
		return fmt.Errorf("read of the environment at %#x, just written: %w", offset, err)
	}
	if !slices.Equal(back, block) {
		return fmt.Errorf("the environment at %#x is not what was written there; the disk may be failing", offset)
	}
	return nil
}
