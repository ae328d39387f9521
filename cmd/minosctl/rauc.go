package main

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/slots"
)

// rauc answers as RAUC's custom bootloader backend (src/bootloaders/custom.c
// of RAUC): a word on standard output, and a status of 0 or not. RAUC looks at
// rauc.slot= of the kernel command line first and asks for get-current only
// without it, which is when init has picked the slot.
func (c *call) rauc() error {
	word, rest := c.args[0], c.args[1:]
	wants := map[string]int{"get-primary": 0, "get-current": 0, "set-primary": 1, "get-state": 1, "set-state": 2}
	if n, ok := wants[word]; !ok || n != len(rest) {
		v, _ := findVerb(raucVerb)
		return usage("cannot be RAUC's backend: it is called as: minosctl %s", v.synopsis())
	}
	run, err := c.host.running()
	if err != nil {
		return err
	}
	if word == "get-current" {
		if run.Slot == "" {
			return fmt.Errorf("cannot tell the running slot: neither %s nor rauc.slot= on the kernel command line names it", bootFile)
		}
		fmt.Fprintln(c.stdout, run.Slot)
		return nil
	}
	if run.trybootLayout() {
		return c.raucTryboot(word, rest)
	}
	if word == "get-primary" {
		f, _, err := c.readState(run)
		if err != nil {
			return err
		}
		// Also without an attempt left something starts, and RAUC has to know
		// which slot it must not write to.
		fmt.Fprintln(c.stdout, slots.Choose(nil, f.known).Slot)
		return nil
	}
	slot, err := slotOf("be RAUC's backend", rest[0])
	if err != nil {
		return err
	}
	switch word {
	case "set-primary":
		return c.change(fmt.Sprintf("start slot %s first", slot), run, func(s slots.State) (slots.State, error) { return s.SetPrimary(slot), nil })
	case "get-state":
		f, _, err := c.readState(run)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, map[bool]string{true: "good", false: "bad"}[f.known.Bootable(slot)])
		return nil
	}
	switch rest[1] {
	case "good":
		return c.good(slot, run)
	case "bad":
		return c.change(fmt.Sprintf("mark slot %s bad", slot), run, func(s slots.State) (slots.State, error) { return s.MarkBad(slot), nil })
	}
	return usage("cannot be RAUC's backend: a state is good or bad, and not %s", rest[1])
}

// readState opens the boot state, reads it and closes it.
func (c *call) readState(run running) (found, site, error) {
	s, err := c.site(run)
	if err != nil {
		return found{}, s, err
	}
	dev, err := s.open(false)
	if err != nil {
		return found{}, s, err
	}
	defer dev.Close()
	f, err := s.read(dev)
	return f, s, err
}
