package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
)

// status is what the verb status tells; its JSON is described in
// docs/minosctl.md.
type status struct {
	Schema   int          `json:"schema"`
	Device   string       `json:"device"`
	ReadFrom string       `json:"read_from"` // "primary", "shadow", "first", "second"; "" when nothing whole is there
	Damage   string       `json:"damage"`    // why the first copy does not count, "" when it does
	Order    []string     `json:"order"`
	Slots    []slotStatus `json:"slots"`
	Next     nextStatus   `json:"next"`
	Running  *runStatus   `json:"running"` // null when this is not the running device, or nothing tells
	Files    filesStatus  `json:"boot_files"`
	Warnings []string     `json:"warnings"`
}

// filesStatus are numbers of sets of boot files; docs/boot-update.md says what
// they are.
type filesStatus struct {
	Current int  `json:"current"`
	Try     int  `json:"try"`     // at the next start, once; 0 for none
	Running *int `json:"running"` // null when nothing tells
}

type slotStatus struct {
	Name     string      `json:"name"`
	State    string      `json:"state"` // "good", "on trial", "standby", "new", "exhausted", "bad"
	Attempts uint64      `json:"attempts_left"`
	Running  bool        `json:"running"`
	Next     bool        `json:"next"`
	Failure  *lastFailed `json:"last_failure"`
}

type lastFailed struct {
	Step  string `json:"step"`
	Error string `json:"error"`
	Boot  string `json:"boot_id"`
}

type nextStatus struct {
	Slot    string `json:"slot"`
	Reason  string `json:"reason"`
	Seconds int    `json:"pause_seconds"` // before it, when no slot has an attempt left
}

type runStatus struct {
	Slot     string   `json:"slot"`
	Version  string   `json:"version"` // of init, "" without its report
	Reason   string   `json:"reason"`
	Took     int64    `json:"took_us"`
	Degraded []string `json:"degraded_reasons"`
}

func (c *call) status() error {
	run, err := c.host.running()
	if err != nil {
		return err
	}
	if c.where.image != "" {
		run = running{Files: -1}
	}
	f, s, err := c.readState(run)
	if err != nil {
		return err
	}
	st := statusOf(s, f, run)
	if c.json {
		return writeJSON(c.stdout, st)
	}
	c.say("%s", st.table())
	return nil
}

func writeJSON(to io.Writer, value any) error {
	encoder := json.NewEncoder(to)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// statusOf puts together what is known. What starts next is what init would
// choose.
func statusOf(s site, f found, run running) status {
	next := slots.Choose(nil, f.known)
	st := status{
		Schema: 1, Device: s.file, ReadFrom: string(f.from), Order: f.known.Order,
		Files:    filesStatus{Current: f.known.Files.Current, Try: f.known.Files.Try},
		Next:     nextStatus{string(next.Slot), next.Reason, int(next.Pause / time.Second)},
		Warnings: append([]string{}, f.known.Warnings...),
	}
	if f.torn != nil {
		st.Damage = f.torn.Error()
	}
	if f.known.Why != "" {
		st.Next.Reason = f.known.Why + ", and A comes before B"
	}
	for _, slot := range []slots.Slot{slots.A, slots.B} {
		info := slotStatus{
			Name: string(slot), Attempts: f.known.Left[slot],
			State: stateOf(f.known.State, slot, slot == run.Slot || slot == next.Slot), Running: slot == run.Slot, Next: slot == next.Slot,
		}
		if e, ok := f.evidence[slot]; ok {
			info.Failure = &lastFailed{e.Step, e.Error, e.Boot}
		}
		st.Slots = append(st.Slots, info)
	}
	if run.Files >= 0 {
		st.Files.Running = &run.Files
	}
	if run.Slot != "" {
		st.Running = &runStatus{Slot: string(run.Slot), Degraded: []string{}}
		if b := run.Boot; b != nil {
			st.Running.Version, st.Running.Reason, st.Running.Took = b.Version, b.Choice.Reason, b.took().Microseconds()
			st.Running.Degraded = append(st.Running.Degraded, b.DegradedReasons...)
		}
	}
	return st
}

// stateOf is one word for a slot. inUse tells that it runs or starts next: the
// other of two good slots is not on trial, it stands by.
func stateOf(s slots.State, slot slots.Slot, inUse bool) string {
	switch {
	case !slices.Contains(s.Slots(), slot):
		return "bad"
	case s.Left[slot] == 0:
		return "exhausted"
	case s.Good == slot:
		return "good"
	case s.OnTrial(slot) && inUse:
		return "on trial"
	case s.OnTrial(slot):
		return "standby"
	}
	return "new" // no slot was ever marked good
}

// table is the status for people.
func (st status) table() string {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s  %s\n", name, fmt.Sprintf(format, args...))
	}
	line("Boot state", "%s, %s", st.Device, st.source())
	if r := st.Running; r != nil {
		line("Running", "%s", r.text())
		for _, why := range r.Degraded {
			line("  degraded", "%s", oneLine(why))
		}
	}
	pause := ""
	if st.Next.Seconds > 0 {
		pause = fmt.Sprintf(", after a pause of %d s", st.Next.Seconds)
	}
	line("Starts next", "slot %s: %s%s", st.Next.Slot, st.Next.Reason, pause)
	if text := st.Files.text(); text != "" {
		line("Boot files", "%s", text)
	}
	fmt.Fprintf(&b, "\n  SLOT  STATE      ATTEMPTS LEFT\n")
	for _, s := range st.Slots {
		var marks []string
		if s.Running {
			marks = append(marks, "running")
		}
		if s.Next {
			marks = append(marks, "starts next")
		}
		row := fmt.Sprintf("  %-4s  %-9s  %-13d  %s", s.Name, s.State, s.Attempts, strings.Join(marks, ", "))
		fmt.Fprintln(&b, strings.TrimRight(row, " "))
		if f := s.Failure; f != nil {
			fmt.Fprintln(&b, short(printable("        last failure: "+f.Step+": "+oneLine(f.Error)), lineWidth))
		}
	}
	if len(st.Warnings) > 0 {
		b.WriteString("\n")
	}
	for _, w := range st.Warnings {
		line("Warning", "%s", w)
	}
	return b.String()
}

// text is "" where there has never been an update of the boot files.
func (f filesStatus) text() string {
	if f.Current == 0 && f.Try == 0 && (f.Running == nil || *f.Running == 0) {
		return ""
	}
	text := setName(f.Current) + " is current"
	switch {
	case f.Running == nil:
	case *f.Running == f.Current:
		text += " and running"
	case *f.Running == 0:
		text += ", but could not be started: the top is running"
	default:
		text += "; " + setName(*f.Running) + " is running, on trial"
	}
	if f.Try != 0 {
		text += "; " + setName(f.Try) + " is tried at the next start"
	}
	return text
}

func (st status) source() string {
	switch ubootenv.Source(st.ReadFrom) {
	case ubootenv.Primary:
		return "whole"
	case ubootenv.Shadow:
		return "from its shadow copy: " + st.Damage
	case ubootenv.First, ubootenv.Second:
		return "the " + st.ReadFrom + " copy of two"
	}
	return "nothing to read: " + st.Damage
}

func (r runStatus) text() string {
	text := "slot " + r.Slot
	if r.Version == "" {
		return text + "; init left no report"
	}
	if text += ", whole"; len(r.Degraded) > 0 {
		text = strings.TrimSuffix(text, ", whole") + ", degraded"
	}
	return text + fmt.Sprintf("; init %s took %.3f s", r.Version, time.Duration(r.Took*1000).Seconds())
}
