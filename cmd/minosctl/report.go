package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/slots"
)

// report tells of the running boot and of those that failed.
func (c *call) report() error {
	run, err := c.host.running()
	if err != nil {
		return err
	}
	if c.where.image != "" {
		run = running{Files: -1}
	}
	if c.svg != "" {
		return c.draw(run)
	}
	f, _, err := c.readState(run)
	if err != nil && run.Boot == nil {
		return err
	}
	if run.Boot != nil {
		c.say("%s", story(*run.Boot))
	}
	if err != nil {
		// The boot can be told without the boot state.
		var p problem
		if errors.As(err, &p) && p.status == statusUsage {
			return err
		}
		c.warn("why earlier boots failed is not known, ignoring: %v", err)
		return nil
	}
	c.say("%s", failures(f))
	return nil
}

// story is the boot for people, in the order of its events.
func story(b boot) string {
	var t strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&t, "%-12s  %s\n", name, oneLine(fmt.Sprintf(format, args...)))
	}
	line("Boot", "minos-init %s, layout %s, disk %s", b.Version, b.Layout, b.Disk)
	line("Chosen", "%s %s, by %s: %s", b.Choice.What, b.Choice.Value, b.Choice.Source, b.Choice.Reason)
	for _, r := range b.Choice.Rejected {
		line("  not taken", "%s: %s", r.Value, r.Reason)
	}
	for _, what := range b.FirstBoot {
		line("Set up", "%s", what)
	}
	for _, why := range b.DegradedReasons {
		line("Degraded", "%s", why)
	}
	for _, w := range b.Warnings {
		line("Warning", "%s", w)
	}
	t.WriteString("\n")
	t.WriteString(waterfall(b.Timeline))
	return t.String()
}

// byStart are the marks in the order in which they began.
func byStart(marks []mark) []mark {
	sorted := slices.Clone(marks)
	slices.SortStableFunc(sorted, func(a, b mark) int {
		return cmp.Compare(a.Began, b.Began)
	})
	return sorted
}

// span is from the first beginning to the last end, in microseconds.
func span(marks []mark) (first, last int64) {
	for i, m := range marks {
		if i == 0 {
			first, last = m.Began, m.Ended
		}
		first, last = min(first, m.Began), max(last, m.Ended)
	}
	return first, last
}

// waterfall is the timeline with a bar for each mark.
func waterfall(marks []mark) string {
	const bar = 32
	first, last := span(marks)
	width := max(last-first, 1)
	column := func(at int64) int { return int((at - first) * bar / width) }
	var b strings.Builder
	fmt.Fprintf(&b, "%10s  %10s  %-*s  %s\n", "BEGAN (s)", "TOOK (ms)", bar, "", "WHAT")
	for _, m := range byStart(marks) {
		from := min(column(m.Began), bar-1)
		length := max(column(m.Ended)-from, 1)
		fmt.Fprintf(&b, "%10.3f  %10.1f  %-*s  %s\n", float64(m.Began)/1e6, float64(m.Ended-m.Began)/1e3,
			bar, strings.Repeat(" ", from)+strings.Repeat("#", length), short(printable(m.Name), 20))
	}
	b.WriteString("\n")
	return b.String()
}

// failures is why each slot failed last.
func failures(f found) string {
	var b strings.Builder
	for _, slot := range []slots.Slot{slots.A, slots.B} {
		e, ok := f.evidence[slot]
		if !ok {
			fmt.Fprintf(&b, "Slot %-7s  no failed boot is recorded\n", slot)
			continue
		}
		fmt.Fprintf(&b, "Slot %-7s  failed last in step %s: %s\n", slot, e.Step, oneLine(e.Error))
		fmt.Fprintf(&b, "%-12s  in the boot %s\n", "", e.Boot)
	}
	return b.String()
}

// draw writes the timeline as a picture.
func (c *call) draw(run running) error {
	if run.Boot == nil {
		return fmt.Errorf("cannot draw the boot: there is no %s of a running boot", bootFile)
	}
	picture := svg(*run.Boot)
	if c.svg == "-" {
		_, err := c.stdout.Write(picture)
		return err
	}
	if err := os.WriteFile(c.svg, picture, 0o644); err != nil {
		return fmt.Errorf("cannot draw the boot: %w", err)
	}
	return nil
}
