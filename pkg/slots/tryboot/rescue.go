package tryboot

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/slots"
)

// RescueFile is the file beside autoboot.txt that counts how often init asked
// for the other slot, because the default one could not be booted. It has
// SizeLimit bytes from the start, so that a count is one sector in place.
const RescueFile = "rescue.txt"

// RescueLimit is how often the other slot is asked for before the machine is
// left to restart into the default one.
const RescueLimit = 3

// Rescues is what RescueFile says.
type Rescues struct {
	Slot  slots.Slot // the default one, which could not be booted
	Times int
}

// ParseRescues reads the file. What it does not understand counts as none: the
// file of a new card is blank.
func ParseRescues(data []byte) Rescues {
	for line := range strings.Lines(string(data)) {
		text := strings.TrimSpace(line)
		_, times, _ := strings.Cut(text, " times=")
		n, err := strconv.ParseUint(times, 10, 16)
		for _, slot := range []slots.Slot{slots.A, slots.B} {
			if r := (Rescues{slot, int(n)}); err == nil && text == r.line() {
				return r
			}
		}
	}
	return Rescues{}
}

func (r Rescues) line() string { return fmt.Sprintf("slot=%s times=%d", r.Slot, r.Times) }

// Bytes is the file, SizeLimit bytes of text.
func (r Rescues) Bytes() []byte {
	text := "# init could not boot this slot, and asked the firmware for the other one\n" + r.line()
	return fmt.Appendf(nil, "%-*s\n", SizeLimit-1, text)
}

// Next is the count with one more failure of a slot. Those of the other slot
// are over: it is the default one no longer. It is false once there were enough.
func (r Rescues) Next(slot slots.Slot) (next Rescues, ok bool) {
	if r.Slot != slot {
		r = Rescues{Slot: slot}
	}
	if r.Times >= RescueLimit {
		return r, false
	}
	r.Times++
	return r, true
}
