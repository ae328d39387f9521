// Package slots decides which of a device's two systems is started. The
// decision is pure: the same words and the same boot state lead to the same
// slot, with the reason. Whoever picks a slot counts the attempt: a bootloader
// that names one has done both, and without a name init does.
package slots

import (
	"fmt"
	"slices"
	"strings"
	"time"
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

func (s Slot) valid() bool { return s == A || s == B }

// variable is the name of one of the slot's variables in the boot state.
func (s Slot) variable(suffix string) string { return "BOOT_" + string(s) + suffix }

// Pauses is how long a boot waits for which no slot had an attempt left: the
// first such boot in a row, the second, and so on; the last for ever. A device
// that nobody can reach keeps trying, but not so fast that it wears itself out.
func Pauses() [lastPause + 1]time.Duration {
	return [...]time.Duration{0, 10 * time.Second, time.Minute, 5 * time.Minute}
}

// lastPause is the place in Pauses of the one that stays.
const lastPause = 3

// Choice is a slot with the reason for it.
type Choice struct {
	Slot     Slot
	Source   string // what decided: "rauc.slot=", "boot state" or "default"
	Reason   string // in words
	Rejected []Rejected
	Warnings []string // in words, each for one line of the log
	// Picked tells that init chose, and so has to store After before anything
	// is tried; a bootloader that chose has done so.
	Picked bool
	After  State
	// Pause is how long to wait first.
	Pause time.Duration
	// LastAttempt tells that this is the last of several attempts, which is
	// made without what earlier boots wrote: that may be what broke them.
	LastAttempt bool
	// OnTrial tells that the other slot is the one that was marked good.
	OnTrial bool
}

// Rejected is an alternative that was there and was not taken.
type Rejected struct{ Value, Reason string }

// Known is the boot state as far as it could be read.
type Known struct {
	State
	// Absent tells that the device keeps none, or that it cannot be read:
	// State is Fresh then, and is not to be written.
	Absent bool
	// Why says in words why it is absent, or that a fresh one is begun.
	Why string
}

// Named is the slot that a bootloader has picked: the last valid value of
// rauc.slot=, as for the scripts that append to a command line. Only the exact
// names are valid.
func Named(values []string) (slot Slot, ok bool) {
	for _, v := range values {
		if Slot(v).valid() {
			slot, ok = Slot(v), true
		}
	}
	return slot, ok
}

// Choose takes the values of rauc.slot= in the order of the kernel command
// line, and the boot state.
func Choose(named []string, known Known) Choice {
	c := Choice{Warnings: known.Warnings}
	slot, ok := Named(named)
	if ok {
		c.obey(slot, named, known)
	} else {
		c.pick(known, len(named) == 0)
	}
	for _, value := range named {
		if !Slot(value).valid() {
			c.reject(value, "names no slot, A or B")
			c.warn("a slot is A or B, in upper case, ignoring: rauc.slot=%s", value)
		}
	}
	c.OnTrial = known.OnTrial(c.Slot)
	return c
}

// obey takes the slot that the bootloader named, and looks whether the boot
// state agrees.
func (c *Choice) obey(slot Slot, named []string, known Known) {
	c.Slot, c.Source, c.Reason = slot, "rauc.slot=", "the bootloader named it"
	if slices.Contains(named, string(slot.Other())) {
		c.reject(string(slot.Other()), "a later rauc.slot= names "+string(slot))
	}
	if known.Absent || known.Why != "" {
		return
	}
	// Its attempt is counted already, so that 0 left is as it should be.
	c.LastAttempt = known.Left[slot] == 0 && known.now[slot] == 0 && known.from[slot] > 1
	if first := known.first(); first == slot.Other() && known.before(first, slot) {
		c.reject(string(first), "the bootloader passed it over")
		c.warn("the boot state has %d attempts left for slot %s, which comes before %s, but the bootloader named %s, ignoring: the boot state",
			known.Left[first], first, slot, slot)
	}
}

// before tells whether a slot comes before another in the order. A slot that
// is not in it comes last.
func (s State) before(slot, other Slot) bool {
	for _, in := range s.Slots() {
		if in == slot || in == other {
			return in == slot
		}
	}
	return false
}

// pick takes the first slot that has an attempt left. When the bootloader gave
// a name that is none, it counted something, and nothing is counted here.
func (c *Choice) pick(known Known, counts bool) {
	c.Source = "boot state"
	if known.Absent {
		c.Source = "default"
	}
	why := "the kernel command line has no rauc.slot="
	if !counts {
		why = "rauc.slot= names no slot"
	}
	c.Picked = counts && !known.Absent
	c.Slot = known.first()
	if c.Slot == "" {
		c.rescue(known, why)
		return
	}
	switch left := known.Left[c.Slot]; {
	case known.Absent:
		c.Reason = why + ", and " + known.Why
	case c.Picked:
		c.Reason = fmt.Sprintf("the first of %s with an attempt left; this one leaves %d", strings.Join(known.Order, " "), left-1)
		if known.Why != "" {
			c.warn("%s, ignoring: what was there; A and B begin with %d attempts each", known.Why, DefaultAttempts)
		}
		c.LastAttempt = known.lastOfSeveral(c.Slot, left)
		c.After = known.Attempt(c.Slot)
	default:
		c.Reason = fmt.Sprintf("%s; it is the first of %s with an attempt left, and none is taken", why, strings.Join(known.Order, " "))
	}
	if other := c.Slot.Other(); !known.Absent && known.before(other, c.Slot) {
		c.reject(string(other), "it has no attempt left")
	}
}

// rescue takes a slot when none has an attempt left.
func (c *Choice) rescue(known Known, why string) {
	var because string
	c.Slot, because = known.State.rescue()
	c.Reason = fmt.Sprintf("no slot has an attempt left; %s", because)
	c.reject(string(c.Slot.Other()), "it has no attempt left either")
	if !c.Picked {
		c.Reason = why + "; " + c.Reason
		return
	}
	c.Pause = Pauses()[known.Exhausted]
	c.After = known.WithoutAttempt()
	c.warn("no slot has an attempt left, ignoring: the counters; slot %s is started after a pause of %v", c.Slot, c.Pause)
}

func (c *Choice) reject(value, reason string) {
	c.Rejected = append(c.Rejected, Rejected{value, reason})
}

func (c *Choice) warn(format string, args ...any) {
	c.Warnings = append(c.Warnings, fmt.Sprintf(format, args...))
}
