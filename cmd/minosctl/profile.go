package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/minos-os/minos-init/pkg/profiles"
	"github.com/minos-os/minos-init/pkg/profiles/store"
)

// profileVerb is the verb profile with a word behind it.
func (c *call) profileVerb() error {
	return c.doSubverb("profile", map[string]subverb{
		"list":      {"", 0, 0, c.profileList},
		"show":      {"[ID]", 0, 1, c.profileShow},
		"create":    {"ID", 1, 1, c.profileCreate},
		"clone":     {"FROM TO", 2, 2, c.profileClone},
		"reset":     {"ID", 1, 1, c.profileReset},
		"delete":    {"ID", 1, 1, c.profileDelete},
		"snapshot":  {"[ID [TAG]]", 0, 2, c.profileSnapshot},
		"snapshots": {"[ID]", 0, 1, c.profileSnapshots},
		"rollback":  {"[ID [TAG]]", 0, 2, c.profileRollback},
	})
}

// table prints lines of cells in columns.
func table(w io.Writer, lines [][]string) error {
	t := tabwriter.NewWriter(w, 0, 1, 2, ' ', 0)
	for _, line := range lines {
		for i := range line {
			line[i] = printable(line[i])
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(line, "\t"), "\t"))
	}
	return t.Flush()
}

// profileJSON is a profile for programs.
type profileJSON struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Origin    string         `json:"origin"`
	Created   string         `json:"created"`
	MadeOver  string         `json:"made_over"`
	Pin       string         `json:"pin"`
	Base      string         `json:"base"`
	Reason    string         `json:"base_reason"`
	Subvolume uint64         `json:"subvolume"`
	Running   bool           `json:"running"`
	Replaced  bool           `json:"replaced"`
	Pristine  bool           `json:"pristine"`
	Snapshots []snapshotJSON `json:"snapshots"`
	Faults    []string       `json:"faults"`
}

type snapshotJSON struct {
	Tag       string `json:"tag"`
	Created   string `json:"created"`
	Subvolume uint64 `json:"subvolume"`
}

func forPrograms(p store.Profile) profileJSON {
	j := profileJSON{
		ID: string(p.ID), Name: p.Metadata.Name, Origin: p.Metadata.Origin, Created: when(p.Metadata.Created),
		MadeOver: p.Metadata.Base, Pin: p.Pin.Value, Base: string(p.Base.Version), Reason: reasonOf(p),
		Subvolume: p.Upper.ID, Running: p.InUse, Replaced: p.Replaced, Pristine: p.Pristine,
		Snapshots: []snapshotJSON{}, Faults: append([]string{}, p.Faults...),
	}
	for _, t := range p.Snapshots {
		j.Snapshots = append(j.Snapshots, snapshotJSON{string(t.Tag), when(t.Info.Created), t.Info.ID})
	}
	return j
}

func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// reasonOf is why a profile has its base, or why it has none.
func reasonOf(p store.Profile) string {
	switch {
	case p.BaseError != nil:
		return p.BaseError.Error()
	case p.Base.Degraded != nil:
		return p.Base.Degraded.Error()
	}
	return p.Base.Reason
}

// profileList prints all profiles.
func (c *call) profileList() error {
	s, err := c.openStore(profiles.Anywhere)
	if err != nil {
		return err
	}
	all, err := s.Profiles()
	if err != nil {
		return err
	}
	if c.json {
		list := []profileJSON{}
		for _, p := range all {
			list = append(list, forPrograms(p))
		}
		return writeJSON(c.stdout, map[string]any{"schema": 1, "profiles": list})
	}
	lines := [][]string{{"PROFILE", "BASE", "SNAPSHOTS", "ORIGIN", "NAME"}}
	for _, p := range all {
		lines = append(lines, []string{string(p.ID), baseOf(p), strconv.Itoa(len(p.Snapshots)), p.Metadata.Origin, p.Metadata.Name, profileState(p)})
	}
	return table(c.stdout, lines)
}

func baseOf(p store.Profile) string {
	switch {
	case p.BaseError != nil:
		return "none"
	case p.Pin.Given:
		return string(p.Base.Version) + " (pinned)"
	}
	return string(p.Base.Version)
}

// profileState is what is special about a profile, in words.
func profileState(p store.Profile) string {
	var words []string
	if p.InUse {
		words = append(words, "running")
	}
	if p.Replaced {
		words = append(words, "changes at the next boot")
	}
	if len(p.Faults) > 0 {
		words = append(words, "damaged, see minosctl profile show "+string(p.ID))
	}
	return strings.Join(words, ", ")
}

// profileShow prints one profile.
func (c *call) profileShow() error {
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	p, err := s.Profile(id)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, forPrograms(p))
	}
	reset := "--empty only: there is no " + p.ID.Pristine()
	if p.Pristine {
		reset = "what was shipped, " + p.ID.Pristine()
	}
	lines := [][]string{
		{"Profile", string(p.ID)}, {"Name", p.Metadata.Name}, {"Origin", p.Metadata.Origin},
		{"Created", when(p.Metadata.Created)}, {"Made over", "base " + p.Metadata.Base},
		{"Starts over", "base " + baseOf(p) + ": " + reasonOf(p)},
		{"Upper", fmt.Sprintf("%s, subvolume %d", p.ID.Upper(), p.Upper.ID)},
		{"Reset gives", reset},
	}
	if state := profileState(p); state != "" {
		lines = append(lines, []string{"State", state})
	}
	for _, t := range p.Snapshots {
		lines = append(lines, []string{"Snapshot", string(t.Tag)})
	}
	for _, fault := range p.Faults {
		lines = append(lines, []string{"Fault", fault})
	}
	return table(c.stdout, lines)
}

func (c *call) profileCreate() error {
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	f := store.Fresh{Name: c.name}
	if c.base != "" {
		if f.Pin, err = profiles.ParseVersion(c.base); err != nil {
			return problem{statusUsage, err}
		}
	}
	if err := s.Create(id, f); err != nil {
		return err
	}
	c.say("Profile %s is made; flipper.profile=%s on the kernel command line starts it.", id, id)
	return nil
}

func (c *call) profileClone() error {
	from, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	to, err := profiles.ParseID(c.args[1])
	if err != nil {
		return problem{statusUsage, err}
	}
	if err := s.Clone(from, to, c.name); err != nil {
		return err
	}
	c.say("Profile %s is a clone of %s, with a machine-id of its own from its first start on.", to, from)
	return nil
}

func (c *call) profileReset() error {
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	if !c.yes {
		return c.tellLoss(s, id, "All that was written to %s goes, and its %d snapshots; @data stays. With --yes it is done.")
	}
	later, err := s.Reset(id, c.empty)
	if err != nil {
		return err
	}
	c.say("%s is reset.%s", id, nextBoot(later))
	return nil
}

// tellLoss says what somebody who adds --yes would lose. format takes the profile
// and the number of its snapshots.
func (c *call) tellLoss(s *store.Store, id profiles.ID, format string) error {
	p, err := s.Profile(id)
	if err != nil {
		return err
	}
	c.say(format, id, len(p.Snapshots))
	return nil
}

// nextBoot is what has to be known of a change of the running profile.
func nextBoot(later bool) string {
	if !later {
		return ""
	}
	return " It is running: that takes effect at the next boot, and what is written to / until then is lost. Restart now."
}

func (c *call) profileDelete() error {
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	if !c.yes {
		return c.tellLoss(s, id, "%s goes, with all that was written to it and its %d snapshots; @data stays. With --yes it is done.")
	}
	if err := s.Delete(id); err != nil {
		return err
	}
	c.say("%s is deleted.", id)
	return nil
}

// tagArgument is the second argument, where there is one.
func (c *call) tagArgument() (tag profiles.Tag, err error) {
	if len(c.args) < 2 {
		return "", nil
	}
	if tag, err = profiles.ParseTag(c.args[1]); err != nil {
		err = problem{statusUsage, err}
	}
	return tag, err
}

func (c *call) profileSnapshot() error {
	tag, err := c.tagArgument()
	if err != nil {
		return err
	}
	keep := 0
	if c.keep != "" {
		if keep, err = strconv.Atoi(c.keep); err != nil || keep < 1 {
			return usage("cannot keep %s snapshots: it is a number of 1 or more", c.keep)
		}
	}
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	made, err := s.Snapshot(id, tag, keep)
	if err != nil {
		return err
	}
	c.say("Snapshot %s of %s is made.", made, id)
	return nil
}

func (c *call) profileSnapshots() error {
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	p, err := s.Profile(id)
	if err != nil {
		return err
	}
	if c.json {
		return writeJSON(c.stdout, map[string]any{"schema": 1, "id": id, "snapshots": forPrograms(p).Snapshots})
	}
	lines := [][]string{{"TAG", "MADE"}}
	for _, t := range p.Snapshots {
		now := ""
		if t.Info.UUID == p.Upper.Parent {
			now = "rolled back to"
		}
		lines = append(lines, []string{string(t.Tag), when(t.Info.Created), now})
	}
	return table(c.stdout, lines)
}

func (c *call) profileRollback() error {
	tag, err := c.tagArgument()
	if err != nil {
		return err
	}
	id, s, err := c.profileRef(c.args)
	if err != nil {
		return err
	}
	r, err := s.Rollback(id, tag)
	if err != nil {
		return err
	}
	c.say("%s is as it was at %s; what it was until now is kept as %s.%s", id, r.Back, r.Undone, nextBoot(r.Later))
	return nil
}
