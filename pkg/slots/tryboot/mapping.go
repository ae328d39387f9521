package tryboot

import "github.com/minos-os/minos-init/pkg/slots"

// Mapping is which partitions of the card belong to which slot, by number: slot
// B is a copy of A, so that labels and identities say nothing.
type Mapping struct {
	Common int // has autoboot.txt
	A, B   Parts
	Shared int // /home/shared
}

// Parts are the partitions of one slot, by number.
type Parts struct {
	Boot int // what the firmware starts: kernel, config.txt, cmdline.txt
	Root int // the root filesystem
}

// MappingOf is the mapping of partitions in the order of minos.tryboot-parts=:
// the common one, the boot partitions of A and B, their root filesystems, and
// the shared one.
func MappingOf(n [6]int) Mapping {
	return Mapping{Common: n[0], A: Parts{Boot: n[1], Root: n[3]}, B: Parts{Boot: n[2], Root: n[4]}, Shared: n[5]}
}

// Of are the partitions of a slot.
func (m Mapping) Of(slot slots.Slot) Parts {
	if slot == slots.B {
		return m.B
	}
	return m.A
}

// Started is the slot whose boot partition has this number.
func (m Mapping) Started(partition int) (slot slots.Slot, ok bool) {
	switch partition {
	case m.A.Boot:
		return slots.A, true
	case m.B.Boot:
		return slots.B, true
	}
	return "", false
}
