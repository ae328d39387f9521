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
