package slots

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The variables of the boot state, in the U-Boot environment. The first two
// kinds are RAUC's (src/bootloaders/uboot.c, contrib/uboot.sh), the others
// minos-init's own.
const (
	orderVariable     = "BOOT_ORDER"     // slots to try, the first first
	leftSuffix        = "_LEFT"          // BOOT_A_LEFT: attempts left, hexadecimal without 0x
	fromSuffix        = "_FROM"          // BOOT_A_FROM: attempts left when this run of them began
	nowSuffix         = "_NOW"           // BOOT_A_NOW: what the last attempt left of them
	goodVariable      = "BOOT_GOOD"      // the slot that was last marked good
	exhaustedVariable = "BOOT_EXHAUSTED" // the place in Pauses of the next boot without attempts
	filesVariable     = "BOOT_FILES"     // the current set of boot files: missing, 1 or 2
	filesTryVariable  = "BOOT_FILES_TRY" // the one to be tried once: missing, 1 or 2
)

// DefaultAttempts is how often a slot is tried before it has been marked good,
// RAUC's boot-attempts.
const DefaultAttempts = 3

// Variables is where a boot state is kept; *ubootenv.Env is one.
type Variables interface {
	Get(name string) (value string, ok bool)
	Set(name, value string) error
	Unset(name string)
}

// State is the boot state: which slots are to be tried, and how often still.
type State struct {
	// Order is the names to try as they are written, those included that are
	// no slots of ours; Slots are the others.
	Order []string
	// Left is how many attempts each slot has left. It is 0 during the last.
	Left map[Slot]uint64
	// Good is the slot that was marked good last; "" when none ever was.
	Good Slot
	// Exhausted is how many boots in a row there was no slot with attempts
	// left, at most one less than there are Pauses.
	Exhausted int
	// Files says which boot files the bootloader starts.
	Files Files
	// Warnings say what could not be read and what holds instead, each for one
	// line of the log.
	Warnings []string

	from, now map[Slot]uint64 // the run of attempts, where one was begun
}

// Fresh is the boot state of a device that has none: A before B, each with
// DefaultAttempts.
func Fresh() State {
	return State{
		Order: []string{string(A), string(B)},
		Left:  map[Slot]uint64{A: DefaultAttempts, B: DefaultAttempts},
		from:  map[Slot]uint64{}, now: map[Slot]uint64{},
	}
}

// Read takes the boot state from its variables. A variable that is missing or
// empty has its default, as in RAUC's script for U-Boot; one with nonsense in
// it is read as U-Boot and RAUC read it, so that all agree on the slot.
func Read(vars Variables) State {
	s := Fresh()
	if order, _ := vars.Get(orderVariable); order != "" {
		s.Order = strings.Fields(order)
		s.checkOrder(order)
	}
	for _, slot := range []Slot{A, B} {
		if text, _ := vars.Get(slot.variable(leftSuffix)); text != "" {
			s.Left[slot] = s.number(slot.variable(leftSuffix), text)
		}
		if from, ok := vars.Get(slot.variable(fromSuffix)); ok {
			s.from[slot], _ = parseHex(from)
		}
		if now, ok := vars.Get(slot.variable(nowSuffix)); ok {
			s.now[slot], _ = parseHex(now)
		}
	}
	if good, _ := vars.Get(goodVariable); good != "" {
		if s.Good = Slot(good); !s.Good.valid() {
			s.Good = ""
			s.warn("%s=%s names no slot, A or B, ignoring: %s", goodVariable, quoted(good), goodVariable)
		}
	}
	if text, _ := vars.Get(exhaustedVariable); text != "" {
		n, _ := parseHex(text)
		s.Exhausted = int(min(n, lastPause))
	}
	s.Files = readFiles(vars)
	return s
}

// IsState tells whether these are the variables of a boot state, and not those
// of another environment.
func IsState(vars Variables) bool {
	_, order := vars.Get(orderVariable)
	_, left := vars.Get(A.variable(leftSuffix))
	return order && left
}

// checkOrder warns of names that are no slots, and falls back to A B when there
// are no others.
func (s *State) checkOrder(order string) {
	slots := s.Slots()
	for _, name := range s.Order {
		if !Slot(name).valid() {
			s.warn("%s=%s names a slot that is neither A nor B, ignoring: %s", orderVariable, quoted(order), quoted(name))
		}
	}
	if len(slots) == 0 {
		s.Order = Fresh().Order
		s.warn("%s=%s names no slot, ignoring: %s; the order is A B", orderVariable, quoted(order), orderVariable)
	}
}

// Slots are the slots of the order, each once. A slot that is not among them
// has been marked bad.
func (s State) Slots() (slots []Slot) {
	for _, name := range s.Order {
		if slot := Slot(name); slot.valid() && !slices.Contains(slots, slot) {
			slots = append(slots, slot)
		}
	}
	return slots
}

// first is the slot that the state would start; "" when none has an attempt
// left.
func (s State) first() Slot {
	for _, slot := range s.Slots() {
		if s.Left[slot] > 0 {
			return slot
		}
	}
	return ""
}

// rescue is the slot for a boot when none has an attempt left.
func (s State) rescue() (slot Slot, why string) {
	if s.Good != "" {
		return s.Good, "it was the last to be marked good"
	}
	return s.Slots()[0], "it is the first of " + orderVariable
}

// OnTrial tells whether another slot is known to be better: the one that was
// marked good last. A device on which no slot ever was has nothing to return
// to.
func (s State) OnTrial(slot Slot) bool { return s.Good != "" && s.Good != slot }

// lastOfSeveral tells whether the attempt that leaves this slot none is the
// last of a run of at least two, and not the only one that somebody granted.
// left is what there is before it is taken.
func (s State) lastOfSeveral(slot Slot, left uint64) bool {
	return left == 1 && s.now[slot] == 1 && s.from[slot] > 1
}

// Attempt is the state after one attempt of a slot has been taken.
func (s State) Attempt(slot Slot) State {
	s = s.clone()
	if left := s.Left[slot]; s.now[slot] != left || s.from[slot] == 0 {
		s.from[slot] = left
	}
	s.Left[slot]--
	s.now[slot] = s.Left[slot]
	s.Exhausted = 0
	return s
}

// WithoutAttempt is the state after a boot for which no slot had an attempt
// left.
func (s State) WithoutAttempt() State {
	s = s.clone()
	s.Exhausted = min(s.Exhausted+1, lastPause)
	return s
}

// MarkGood is the state after a slot has proved itself: it has all its attempts
// again. Like RAUC, it does not put a slot that was marked bad back into the
// order.
func (s State) MarkGood(slot Slot) State {
	s = s.clone()
	s.Left[slot], s.Good, s.Exhausted = DefaultAttempts, slot, 0
	return s
}

// Bootable tells whether a slot is in the order and has an attempt left: RAUC
// calls such a slot good.
func (s State) Bootable(slot Slot) bool { return slices.Contains(s.Slots(), slot) && s.Left[slot] > 0 }

// MarkBad is the state in which a slot is not started any more. The last slot
// stays in the order, without attempts, where RAUC would leave an empty one:
// an order without a slot is a missing one to U-Boot, and means A B.
func (s State) MarkBad(slot Slot) State {
	s = s.clone()
	if in := s.Slots(); len(in) > 1 || !slices.Contains(in, slot) {
		s.Order = slices.DeleteFunc(s.Order, func(name string) bool { return name == string(slot) })
	}
	s.Left[slot] = 0
	if s.Good == slot {
		s.Good = ""
	}
	return s
}

// SetPrimary is the state in which a slot is tried before all others.
func (s State) SetPrimary(slot Slot) State {
	s = s.clone()
	s.Order = slices.DeleteFunc(s.Order, func(name string) bool { return name == string(slot) })
	s.Order = slices.Insert(s.Order, 0, string(slot))
	s.Left[slot], s.Exhausted = DefaultAttempts, 0
	return s
}

// Write puts the state into its variables. The order and the counters are
// always there afterwards, since RAUC takes a missing one for an error; what
// somebody else keeps beside them stays.
func (s State) Write(vars Variables) error {
	set := func(name, value string) error {
		if was, ok := vars.Get(name); ok && was == value {
			return nil
		}
		return vars.Set(name, value)
	}
	if err := set(orderVariable, strings.Join(s.Order, " ")); err != nil {
		return err
	}
	for _, slot := range []Slot{A, B} {
		if err := set(slot.variable(leftSuffix), hex(s.Left[slot])); err != nil {
			return err
		}
	}
	for _, slot := range []Slot{A, B} {
		from, ok := s.from[slot]
		if !ok {
			continue
		}
		if err := set(slot.variable(fromSuffix), hex(from)); err != nil {
			return err
		}
		if err := set(slot.variable(nowSuffix), hex(s.now[slot])); err != nil {
			return err
		}
	}
	for _, v := range []struct {
		name, value string
		has         bool
	}{
		{exhaustedVariable, hex(uint64(s.Exhausted)), s.Exhausted > 0},
		{goodVariable, string(s.Good), s.Good != ""},
	} {
		if !v.has {
			vars.Unset(v.name)
		} else if err := set(v.name, v.value); err != nil {
			return err
		}
	}
	return s.Files.write(vars)
}

func (s State) clone() State {
	s.Order = slices.Clone(s.Order)
	s.Left, s.from, s.now = clone(s.Left), clone(s.from), clone(s.now)
	return s
}

func clone(m map[Slot]uint64) map[Slot]uint64 {
	c := map[Slot]uint64{}
	for slot, n := range m {
		c[slot] = n
	}
	return c
}

func (s *State) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// number reads a counter, and warns of what is none.
func (s *State) number(name, text string) uint64 {
	n, whole := parseHex(text)
	if !whole {
		s.warn("%s=%s is no hexadecimal number, ignoring: all of it but %s", name, quoted(text), hex(n))
	}
	return n
}

// parseHex reads a counter as U-Boot's simple_strtoul and RAUC's
// g_ascii_strtoull do with base 16: with or without 0x, up to the first
// character that is no digit. whole tells whether that was all of it.
func parseHex(text string) (n uint64, whole bool) {
	digits := strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
	end := strings.IndexFunc(digits, func(r rune) bool { return !strings.ContainsRune("0123456789abcdefABCDEF", r) })
	whole = end < 0 && digits != ""
	if !whole {
		digits = digits[:max(end, 0)]
	}
	if digits == "" {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		return n, false // too large; n is the largest there is
	}
	return n, whole
}

func hex(n uint64) string { return strconv.FormatUint(n, 16) }

// quoted is a text of unknown content, for one line of a console.
func quoted(text string) string {
	const most = 60
	if len(text) > most {
		return strconv.QuoteToASCII(text[:most]) + "…"
	}
	return strconv.QuoteToASCII(text)
}
