// Package slots decides which of a device's two systems is started. The
// decision is pure: the same words lead to the same slot, with the reason.
package slots

import (
	"fmt"
	"strings"
)

// Slot is one of the two systems of a device, by the name that the bootloader
// and RAUC give it.
type Slot string

// The slots.
const (
	A Slot = "A"
	B Slot = "B"
)

// Lower is the slot as partitions and directories spell it: "a" or "b".
func (s Slot) Lower() string { return strings.ToLower(string(s)) }

// Other is the slot beside this one.
func (s Slot) Other() Slot {
	if s == A {
		return B
	}
	return A
}

// Choice is a slot with the reason for it.
type Choice struct {
	Slot     Slot
	Source   string // what decided: "rauc.slot=" or "default"
	Reason   string // in words
	Rejected []Rejected
	Warnings []string // in words, each for one line of the log
}

// Rejected is an alternative that was there and was not taken.
type Rejected struct{ Value, Reason string }

// Choose takes the values of rauc.slot= in the order of the kernel command
// line. Only the exact names are valid and the last valid one wins, as for the
// bootloaders' scripts that append to a line: a bootloader that names a slot
// has picked and counted it, and is obeyed.
func Choose(named []string) Choice {
	c := Choice{Slot: A, Source: "default", Reason: "the kernel command line has no rauc.slot="}
	for _, value := range named {
		slot := Slot(value)
		if slot != A && slot != B {
			c.Rejected = append(c.Rejected, Rejected{value, "names no slot, A or B"})
			c.Warnings = append(c.Warnings, fmt.Sprintf("a slot is A or B, in upper case, ignoring: rauc.slot=%s", value))
			if c.Source == "default" {
				c.Reason = "rauc.slot= names no slot"
			}
			continue
		}
		if c.Source != "default" && c.Slot != slot {
			c.Rejected = append(c.Rejected, Rejected{string(c.Slot), "a later rauc.slot= names " + value})
		}
		c.Slot, c.Source, c.Reason = slot, "rauc.slot=", "the bootloader named it"
	}
	return c
}
