package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/profiles"
	"github.com/minos-os/minos-init/pkg/profiles/drift"
	"github.com/minos-os/minos-init/pkg/profiles/store"
)

// baseVerb is the verb base with a word behind it.
func (c *call) baseVerb() error {
	return c.doSubverb("base", map[string]subverb{
		"list":        {"", 0, 0, c.baseList},
		"receive":     {"FILE|- [VERSION]", 1, 2, c.baseReceive},
		"set-current": {"VERSION", 1, 1, c.baseSetCurrent},
		"check":       {"VERSION [ID]", 1, 2, c.baseCheck},
		"gc":          {"", 0, 0, c.baseGC},
	})
}

// baseJSON is a base for programs.
type baseJSON struct {
	Version   string   `json:"version"`
	Current   bool     `json:"current"`
	Running   bool     `json:"running"`
	Pinned    []string `json:"pinned"`
	Subvolume uint64   `json:"subvolume"`
	Received  string   `json:"received_uuid"`
	Fault     string   `json:"fault"`
}

// baseList prints all bases, the highest version first.
func (c *call) baseList() error {
	s, err := c.openStore(profiles.Anywhere)
	if err != nil {
		return err
	}
	all, err := s.Bases()
	if err != nil {
		return err
	}
	list, lines := []baseJSON{}, [][]string{{"BASE", "STATE"}}
	for _, b := range all {
		j := baseJSON{Version: string(b.Version), Current: b.Current, Running: b.InUse, Pinned: []string{}, Subvolume: b.Info.ID, Received: b.Info.Received.String()}
		var words []string
		for _, id := range b.Pinned {
			j.Pinned = append(j.Pinned, string(id))
		}
		if b.Fault != nil {
			j.Fault = b.Fault.Error()
			words = append(words, "not booted: "+j.Fault)
		}
		if b.Current {
			words = append(words, "current")
		}
		if b.InUse {
			words = append(words, "running")
		}
		if len(j.Pinned) > 0 {
			words = append(words, "pinned by "+strings.Join(j.Pinned, ", "))
		}
		list, lines = append(list, j), append(lines, []string{string(b.Version), strings.Join(words, ", ")})
	}
	if c.json {
		return writeJSON(c.stdout, map[string]any{"schema": 1, "bases": list})
	}
	return table(c.stdout, lines)
}

// baseReceive makes a base of a stream.
func (c *call) baseReceive() error {
	var version profiles.Version
	var err error
	if len(c.args) == 2 {
		if version, err = profiles.ParseVersion(c.args[1]); err != nil {
			return problem{statusUsage, err}
		}
	}
	s, err := c.openStore(profiles.Anywhere)
	if err != nil {
		return err
	}
	var in io.Reader = os.Stdin
	if c.args[0] != "-" {
		f, err := os.Open(c.args[0])
		if err != nil {
			return err
		}
		defer f.Close()
		in = f
	}
	made, err := s.Receive(in, version)
	if err != nil {
		return err
	}
	c.say("Base %s is there. minosctl base check %s says what profiles would not see of it, minosctl base set-current %s has it started from the next boot on.", made, made, made)
	return nil
}

func (c *call) baseSetCurrent() error {
	version, s, err := c.baseArgument()
	if err != nil {
		return err
	}
	if err := s.SetCurrent(version); err != nil {
		return err
	}
	c.say("From the next boot on, profiles without a pin start over base %s.", version)
	return nil
}

func (c *call) baseArgument() (profiles.Version, *store.Store, error) {
	version, err := profiles.ParseVersion(c.args[0])
	if err != nil {
		return "", nil, problem{statusUsage, err}
	}
	s, err := c.openStore(profiles.Anywhere)
	return version, s, err
}

func (c *call) baseGC() error {
	s, err := c.openStore(profiles.Anywhere)
	if err != nil {
		return err
	}
	verdicts, err := s.Collect(c.dryRun)
	var lines [][]string
	for _, v := range verdicts {
		becomes := "stays"
		if v.Goes {
			becomes = "goes"
		}
		lines = append(lines, []string{string(v.Version), becomes, v.Reason})
	}
	if err != nil {
		return err
	}
	return table(c.stdout, lines)
}

// checked is the comparison for one profile.
type checked struct {
	Profile  string        `json:"profile"`
	From     string        `json:"from"`
	To       string        `json:"to"`
	Files    int           `json:"files"`
	Findings []findingJSON `json:"findings"`
}

type findingJSON struct {
	Kind   string `json:"kind"`
	Path   string `json:"path"`
	Detail string `json:"detail"`
}

// baseCheck compares what profiles have written with a base that they do not
// start over yet.
func (c *call) baseCheck() error {
	version, s, err := c.baseArgument()
	if err != nil {
		return err
	}
	all, err := c.toCheck(s)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(c.stdout)
	list, hidden := []checked{}, 0
	for _, p := range all {
		from, r, err := compare(s, p, profiles.Version(c.from), version)
		if err != nil {
			return fmt.Errorf("profile %s: %w", p.ID, err)
		}
		j := checked{Profile: string(p.ID), From: string(from), To: string(version), Files: r.Files, Findings: []findingJSON{}}
		for _, f := range r.Findings {
			j.Findings = append(j.Findings, findingJSON{string(f.Kind), f.Path, f.Detail})
			if !f.Harmless() {
				hidden++
			}
		}
		list = append(list, j)
		if !c.json {
			printFindings(out, j)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	if c.json {
		if err := writeJSON(c.stdout, map[string]any{"schema": 1, "checked": list}); err != nil {
			return err
		}
	}
	if hidden > 0 {
		return problem{statusDiffers, fmt.Errorf("profiles do not see all of base %s, or see it in another way: %d findings", version, hidden)}
	}
	return nil
}

// toCheck is the profile that is named, or all that would get the base: those
// without a pin.
func (c *call) toCheck(s *store.Store) ([]store.Profile, error) {
	if len(c.args) == 2 {
		id, err := profiles.ParseID(c.args[1])
		if err != nil {
			return nil, problem{statusUsage, err}
		}
		p, err := s.Profile(id)
		return []store.Profile{p}, err
	}
	all, err := s.Profiles()
	var unpinned []store.Profile
	for _, p := range all {
		if !p.Pin.Given {
			unpinned = append(unpinned, p)
		}
	}
	return unpinned, err
}

// compare compares a profile with the base that it starts over, or another one,
// and a new one.
func compare(s *store.Store, p store.Profile, from, to profiles.Version) (profiles.Version, drift.Result, error) {
	if from == "" {
		if from = p.Base.Version; p.BaseError != nil {
			return "", drift.Result{}, p.BaseError
		}
	}
	old, err := s.BasePath(from)
	if err != nil {
		return "", drift.Result{}, err
	}
	new, err := s.BasePath(to)
	if err != nil {
		return "", drift.Result{}, err
	}
	r, err := drift.Compare(s.UpperPath(p.ID), old, new)
	return from, r, err
}

// findingsShown is how many findings of a kind are printed for people.
const findingsShown = 20

// printFindings prints them by their kind.
func printFindings(w io.Writer, j checked) {
	fmt.Fprintf(w, "Profile %s, from base %s to %s: %d files looked at\n", j.Profile, j.From, j.To, j.Files)
	if len(j.Findings) == 0 {
		fmt.Fprintln(w, "  nothing of the new base is hidden")
	}
	for _, kind := range drift.Kinds() {
		var of []findingJSON
		for _, f := range j.Findings {
			if f.Kind == string(kind.Kind) {
				of = append(of, f)
			}
		}
		if len(of) == 0 {
			continue
		}
		fmt.Fprintf(w, "\n  %s: %s %s\n", strings.ToUpper(string(kind.Kind)), strconv.Itoa(len(of)), kind.Meaning)
		for i, f := range of {
			if i == findingsShown {
				fmt.Fprintf(w, "    and %d more; --json has all\n", len(of)-findingsShown)
				break
			}
			fmt.Fprintf(w, "    %s: %s\n", printable(f.Path), printable(f.Detail))
		}
	}
}
