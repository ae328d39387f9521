package main

import (
	"errors"
	"fmt"

	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

// found is a boot state that was read.
type found struct {
	known    slots.Known
	from     ubootenv.Source
	torn     error // why the first copy does not count
	evidence map[slots.Slot]slots.Evidence
}

// read reads the boot state and writes nothing. A blank or damaged one is a
// fresh one, with the reason, as for init.
func (s site) read(dev *device) (found, error) {
	f := found{evidence: map[slots.Slot]slots.Evidence{}}
	place := s.placeIn(dev)
	copied, err := ubootenv.Read(dev, place)
	f.from, f.torn = copied.From, copied.Torn
	var damaged *ubootenv.DamagedError
	switch {
	case err == nil:
		f.known.State = slots.Read(&copied.Env)
	case errors.Is(err, ubootenv.ErrBlank):
		f.known = slots.Known{State: slots.Fresh(), Why: "the boot state is blank"}
	case errors.As(err, &damaged):
		f.known = slots.Known{State: slots.Fresh(), Why: "the boot state is damaged, and has no good shadow copy"}
	default:
		return found{}, fmt.Errorf("cannot read the boot state in %s: %w", s.file, err)
	}
	if f.from == ubootenv.None {
		if err := notOurs(dev); err != nil {
			return found{}, fmt.Errorf("cannot use the boot state in %s: %w", s.file, err)
		}
	}
	for _, slot := range []slots.Slot{slots.A, slots.B} {
		if e, ok := slots.ReadEvidence(dev, slot); ok && (!s.strange || place.Shadow >= 0) {
			f.evidence[slot] = e
		}
	}
	return f, nil
}

// update changes the boot state on a device. Nothing is written when nothing
// changes. The change may refuse.
func update(dev ubootenv.Device, place ubootenv.Place, fresh func(torn error) error, change func(slots.State) (slots.State, error)) error {
	_, err := ubootenv.Update(dev, place, func(env *ubootenv.Env, was ubootenv.Copy) error {
		if was.From == ubootenv.None {
			if err := fresh(was.Torn); err != nil {
				return err
			}
		}
		next, err := change(slots.Read(env))
		if err != nil {
			return err
		}
		return next.Write(env)
	})
	return err
}

// change is a verb that writes: it opens, locks and updates.
func (c *call) change(what string, run running, change func(slots.State) (slots.State, error)) error {
	s, err := c.site(run)
	if err != nil {
		return err
	}
	dev, err := s.open(true)
	if err != nil {
		return err
	}
	defer dev.Close()
	unlock, err := c.lock(s, dev)
	if err != nil {
		return err
	}
	defer unlock()
	err = update(dev, s.placeIn(dev), func(torn error) error {
		if err := notOurs(dev); err != nil {
			return err
		}
		c.warn("%v and there is no good shadow copy, ignoring: what was in %s; A and B begin with %d attempts each", torn, s.file, slots.DefaultAttempts)
		return nil
	}, change)
	var refused problem
	if err != nil && !errors.As(err, &refused) {
		return fmt.Errorf("cannot %s in %s: %w", what, s.file, err)
	}
	return err
}

// slot is the slot that an argument names, exactly.
func slotOf(what, text string) (slots.Slot, error) {
	slot, ok := slots.Named([]string{text})
	if !ok {
		return "", usage("cannot %s: %s is no slot; there are A and B", what, text)
	}
	return slot, nil
}

// runningSlot is the slot for a verb without an argument.
func (c *call) runningSlot(what string, run running) (slots.Slot, error) {
	switch {
	case c.where.image != "":
		return "", usage("cannot %s: no slot of an image is running; name one: minosctl mark-good A", what)
	case run.Slot == "":
		return "", usage("cannot %s: neither %s nor rauc.slot= on the kernel command line names the running slot; name one: minosctl mark-good A", what, bootFile)
	}
	return run.Slot, nil
}

func (c *call) markGood() error {
	run, err := c.host.running()
	if err != nil {
		return err
	}
	const what = "mark a slot good"
	var slot slots.Slot
	if len(c.args) == 1 {
		slot, err = slotOf(what, c.args[0])
	} else {
		slot, err = c.runningSlot(what, run)
	}
	if err != nil {
		return err
	}
	return c.good(slot, run)
}

// good marks a slot good, unless that would give up a better one.
func (c *call) good(slot slots.Slot, run running) error {
	return c.change(fmt.Sprintf("mark slot %s good", slot), run, func(s slots.State) (slots.State, error) {
		if why := unproven(s, slot, run); why != "" && c.where.image == "" && !c.force {
			return s, problem{statusRefused, fmt.Errorf("cannot mark slot %s good: %s; mend that, or say --force", slot, why)}
		}
		next := s.MarkGood(slot)
		if slot == run.Slot && run.Files >= 0 && !c.named() {
			next = next.CommitFiles(run.Files) // they have started it
		}
		return next, nil
	})
}

// unproven is why a slot cannot be called good yet, "" when it can: it is
// running, something of it is missing, and the slot or the boot files that were
// good before are still there to return to.
func unproven(s slots.State, slot slots.Slot, run running) string {
	why := degraded(run)
	switch {
	case slot != run.Slot || why == "":
		return ""
	case s.OnTrial(slot):
		return "it is on trial and this boot is degraded: " + why
	case filesOnTrial(s, run):
		return "its boot files are on trial and this boot is degraded: " + why
	}
	return ""
}

// degraded is the first thing that this boot lacks, "" for a whole one.
func degraded(run running) string {
	if run.Boot == nil || !run.Boot.Degraded {
		return ""
	}
	if len(run.Boot.DegradedReasons) == 0 {
		return "for an unknown reason"
	}
	return run.Boot.DegradedReasons[0]
}

func (c *call) markBad() error {
	return c.changeSlot("mark a slot bad", "mark slot %s bad", slots.State.MarkBad)
}

func (c *call) setPrimary() error {
	return c.changeSlot("start a slot first", "start slot %s first", slots.State.SetPrimary)
}

// changeSlot is a verb with a slot for its argument.
func (c *call) changeSlot(what, whatOfSlot string, change func(slots.State, slots.Slot) slots.State) error {
	slot, err := slotOf(what, c.args[0])
	if err != nil {
		return err
	}
	run, err := c.host.running()
	if err != nil {
		return err
	}
	return c.change(fmt.Sprintf(whatOfSlot, slot), run, func(s slots.State) (slots.State, error) { return change(s, slot), nil })
}
