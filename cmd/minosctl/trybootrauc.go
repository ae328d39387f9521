package main

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
)

// raucTryboot is RAUC's custom backend on a device whose firmware makes trials.
// What RAUC asks for maps to them so: a slot that is made the primary one is
// tried at the next restart, and a slot that is marked good in its trial is
// committed.
//
// RAUC marks a slot bad before it writes to it. The default slot is never
// marked so: in a trial that is not committed it is what a restart returns to.
func (c *call) raucTryboot(word string, rest []string) error {
	return c.withTryboot("be RAUC's backend", func(f trybootFacts, p *common, _ running) error {
		standing, ok := f.Mapping.Started(f.defaultPartition())
		if !ok {
			return tryboot.ErrNoDefault
		}
		if word == "get-primary" {
			fmt.Fprintln(c.stdout, c.nextSlot(f, standing))
			return nil
		}
		slot, err := slotOf("be RAUC's backend", rest[0])
		if err != nil {
			return err
		}
		onTrial, _ := f.trial()
		tried := slot == f.Running && onTrial
		switch {
		case word == "get-state":
			fmt.Fprintln(c.stdout, map[bool]string{true: "good", false: "bad"}[slot == standing || tried || slot == c.nextSlot(f, standing)])
			return nil
		case word == "set-primary" && slot == standing, word == "set-state" && rest[1] == "bad" && slot != standing && !tried:
			_, err := c.takeTrialBack()
			return err
		case word == "set-primary" && !tried:
			argument, _, err := decideTry(f)
			if err == nil {
				err = c.requestTrial(argument)
			}
			return err
		case word == "set-primary", rest[1] == "good":
			return c.raucGood(f, p, slot)
		case rest[1] == "bad":
			return refusal("slot %s is what a restart starts, or is running; it is not marked bad", slot)
		}
		return usage("a state is good or bad, and not %s", rest[1])
	})
}

// raucGood commits a slot that is on trial. That another one is good is
// nothing that the firmware keeps.
func (c *call) raucGood(f trybootFacts, p *common, slot slots.Slot) error {
	if slot != f.Running {
		return nil
	}
	return c.commitTrial(f, p)
}

// defaultPartition is that of [all], 0 for none.
func (f trybootFacts) defaultPartition() int {
	n, _ := f.File.All()
	return n
}

// nextSlot is what the next restart starts.
func (c *call) nextSlot(f trybootFacts, standing slots.Slot) slots.Slot {
	trial, ok := f.File.Trial()
	if slot, is := f.Mapping.Started(trial); ok && is && c.pending() != "" {
		return slot
	}
	return standing
}
