package ubootenv

import "fmt"

// sector is what a disk writes as a whole, or not at all.
const sector = 512

// maxSize is more than any U-Boot has; its boards have from 4 to 128 KiB, and a
// few 512. What a configuration says beyond that is a slip, and would take the
// memory of a small device.
const maxSize = 1 << 20

// Place says where in a partition the environment is. All numbers are bytes
// and multiples of 512; a negative offset says that there is no such thing.
type Place struct {
	Offset int64 // of the environment
	Size   int64 // of the environment with its header, and of each copy
	// Second is the offset of the second copy of a U-Boot that was built for
	// a redundant pair. Then the shadow is not used.
	Second int64
	// Shadow is the offset of a copy that only we know of and write first, so
	// that there is always one which is whole, under a U-Boot that knows one
	// copy. It belongs into another erase block of the card.
	Shadow int64
	// Torn is the offset at which a damaged environment is kept for those who
	// want to know what happened, before it is replaced.
	Torn int64
}

// DefaultPlace is the environment of the layout slots: a single one of 16 KiB
// at the start of a partition of 8 MiB, which U-Boot finds by its own
// configuration (fw_env.config: 0x0000 0x4000).
func DefaultPlace() Place {
	return Place{Offset: 0, Size: 0x4000, Second: -1, Shadow: 0x400000, Torn: 0x700000}
}

// TooSmallError says that the environment is not inside its partition.
type TooSmallError struct {
	Needed int64 // bytes, up to the end of the environment
	There  int64 // bytes that the partition has
}

func (e *TooSmallError) Error() string {
	return fmt.Sprintf("the environment ends at %#x and the partition at %#x", e.Needed, e.There)
}

// isPair tells whether U-Boot knows two copies.
func (p Place) isPair() bool { return p.Second >= 0 }

// within is the place in a partition of size bytes. The environment has to be
// inside it. What is only for safety, shadow and torn copy, is left out where
// the partition ends before it: a device with a small partition has to boot.
func (p Place) within(size int64) (Place, error) {
	if p.Offset < 0 || p.Size <= 0 || p.Size > maxSize {
		return p, fmt.Errorf("there is no environment of %d bytes at %d; correct the configuration", p.Size, p.Offset)
	}
	if p.isPair() {
		p.Shadow = -1
	}
	for _, offset := range []int64{p.Offset, p.Second} {
		if end := offset + p.Size; offset >= 0 && (end < 0 || end > size) {
			return p, &TooSmallError{Needed: end, There: size}
		}
	}
	for _, offset := range []*int64{&p.Shadow, &p.Torn} {
		if *offset >= 0 && *offset > size-p.Size {
			*offset = -1
		}
	}
	return p, p.check()
}

// check refuses what would write one thing over another, or a part of a
// sector.
func (p Place) check() error {
	var taken []int64
	if p.Size%sector != 0 {
		return fmt.Errorf("an environment of %#x bytes does not end with a sector of %d bytes", p.Size, sector)
	}
	for _, offset := range []int64{p.Offset, p.Second, p.Shadow, p.Torn} {
		if offset < 0 {
			continue
		}
		if offset%sector != 0 {
			return fmt.Errorf("an environment at %#x does not begin with a sector of %d bytes", offset, sector)
		}
		for _, other := range taken {
			if offset < other+p.Size && other < offset+p.Size {
				return fmt.Errorf("two copies of the environment of %#x bytes, at %#x and at %#x, overlap", p.Size, other, offset)
			}
		}
		taken = append(taken, offset)
	}
	return nil
}
