package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/minos-os/minos-init/pkg/slots"
)

// trybootState is what tryboot status tells; its JSON is described in
// docs/minosctl.md.
type trybootState struct {
	Schema    int          `json:"schema"`
	Running   trybootPlace `json:"running"`
	Default   trybootPlace `json:"default"`
	TrialOf   trybootPlace `json:"trial_of"`
	Next      trybootPlace `json:"next"`
	OnTrial   bool         `json:"on_trial"`
	Committed bool         `json:"committed"` // in this boot
	Reason    string       `json:"reason"`    // why it is a trial, or is none
	Request   string       `json:"request"`   // "flag" or "selector"
	Pending   string       `json:"pending"`   // the argument of the next restart, "" for a plain one
	Degraded  []string     `json:"degraded_reasons"`
	Warnings  []string     `json:"warnings"`
}

// trybootPlace is a partition that the firmware starts, and whose it is.
type trybootPlace struct {
	Slot      string `json:"slot"`      // "" where the partition is no slot's
	Partition int    `json:"partition"` // 0 where nothing tells
}

func (p trybootPlace) text() string {
	switch {
	case p.Partition == 0 && p.Slot == "":
		return "not known"
	case p.Partition == 0:
		return "slot " + p.Slot
	case p.Slot == "":
		return fmt.Sprintf("partition %d, which is no slot's", p.Partition)
	}
	return fmt.Sprintf("slot %s, partition %d", p.Slot, p.Partition)
}

func (c *call) trybootStatus() error {
	return c.withTryboot("show the trial", func(f trybootFacts, _ *common, run running) error {
		st := c.trybootStateOf(f, run)
		if c.json {
			return writeJSON(c.stdout, st)
		}
		c.say("%s", st.table())
		return nil
	})
}

func (c *call) trybootStateOf(f trybootFacts, run running) trybootState {
	place := func(partition int) trybootPlace {
		slot, _ := f.Mapping.Started(partition)
		return trybootPlace{string(slot), partition}
	}
	trial, _ := f.File.Trial()
	st := trybootState{
		Schema: 1, Running: trybootPlace{string(f.Running), f.booted()}, Default: place(f.defaultPartition()), TrialOf: place(trial),
		Committed: f.Committed, Request: string(f.Request), Pending: c.pending(),
		Degraded: append([]string{}, run.Boot.DegradedReasons...), Warnings: append([]string{}, f.Firmware.Doubts...),
	}
	st.OnTrial, st.Reason = f.trial()
	st.Next = st.Default
	if st.Pending != "" {
		st.Next = st.TrialOf
	}
	if _, err := f.File.Swapped(); err != nil {
		st.Warnings = append(st.Warnings, "no trial is possible: "+err.Error())
	} else if !f.File.AB() {
		st.Warnings = append(st.Warnings, "autoboot.txt has no tryboot_a_b=1: in a trial by the flag the firmware looks for tryboot.txt")
	}
	if named, ok := slots.Named([]string{st.Running.Slot}); ok && f.Firmware.Partition != 0 && f.Mapping.Of(named).Boot != f.Firmware.Partition {
		st.Warnings = append(st.Warnings, fmt.Sprintf("the firmware started partition %d, and init has chosen slot %s", f.Firmware.Partition, named))
	}
	return st
}

// table is the state for people.
func (st trybootState) table() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s  %s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	line("Running", "%s", st.Running.text())
	is := "  no trial"
	if st.OnTrial {
		is = "  on trial"
	}
	line(is, "%s", st.Reason)
	for _, why := range st.Degraded {
		line("  degraded", "%s", why)
	}
	line("Default", "%s", st.Default.text())
	line("Trial of", "%s, asked for by the %s", st.TrialOf.text(), st.Request)
	if st.Pending != "" {
		line("Starts next", "%s, on trial: reboot %q", st.Next.text(), st.Pending)
	} else {
		line("Starts next", "%s", st.Next.text())
	}
	for _, w := range st.Warnings {
		line("Warning", "%s", w)
	}
	return b.String()
}

// restart asks systemd to restart the machine, and returns at once.
func restart() error {
	cmd := exec.Command("systemctl", "reboot")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
