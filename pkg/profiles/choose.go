package profiles

import (
	"errors"
	"fmt"
	"slices"
)

// Rejected is something that could have been chosen.
type Rejected struct{ Value, Reason string }

// Named is what somebody asks for, as it was written.
type Named struct {
	Value string
	Given bool // "" is an answer too, and a wrong one
}

// ProfileFacts is what ChooseProfile looks at.
type ProfileFacts struct {
	CommandLine Named // flipper.profile=
	Next        Named // the one-shot file
	Default     Named // minos.profile=
	// Find looks for a profile, and says on which medium it is.
	Find func(Ref) (Medium, error)
	// All are the profiles of the device's own filesystem.
	All func() []ID
}

// ProfileChoice is the profile of a boot, and why.
type ProfileChoice struct {
	ID     ID     // None: what is written stays in memory
	Medium Medium // Internal or Card
	Source string // who chose: "flipper.profile", "next", "minos.profile", "default"
	Reason string
	// Degraded is what has become of a wish that is not fulfilled; nil when none
	// is open.
	Degraded error
	Rejected []Rejected
}

// ChooseProfile decides which profile a boot gets: the one that the command line
// names, the one that was asked for once, the default, or the only one there is
// when nobody names any. A wish that cannot be fulfilled never leads to a profile
// that nobody has chosen.
func ChooseProfile(f ProfileFacts) ProfileChoice {
	c := ProfileChoice{ID: None, Source: "default"}
	for _, wish := range []struct {
		named          Named
		source, reason string
	}{
		{f.CommandLine, "flipper.profile", "the command line names it"},
		{f.Next, "next", "it was asked for once, in " + NextFile},
		{f.Default, "minos.profile", "it is the default"},
	} {
		if !wish.named.Given {
			continue
		}
		ref, err := ParseRef(wish.named.Value)
		if err == nil && ref.ID != None {
			c.Medium, err = f.Find(ref)
		}
		if err == nil {
			c.ID, c.Source, c.Reason = ref.ID, wish.source, wish.reason
			c.Degraded = unfulfilled(c.Rejected, string(ref.ID)+" is started")
			return c
		}
		c.Rejected = append(c.Rejected, Rejected{wish.named.Value, err.Error()})
	}
	if len(c.Rejected) > 0 {
		c.Reason = "what was asked for is not there"
		c.Degraded = unfulfilled(c.Rejected, "no other was asked for")
		return c
	}
	return f.chooseOnly(c)
}

// chooseOnly is for a boot in which nobody has named a profile.
func (f ProfileFacts) chooseOnly(c ProfileChoice) ProfileChoice {
	switch all := f.All(); len(all) {
	case 0:
		c.Reason = "there is no profile"
	case 1:
		c.ID, c.Medium, c.Reason = all[0], Internal, "it is the only one"
	default:
		c.Reason = fmt.Sprintf("nobody has named one of the %d there are", len(all))
		c.Degraded = errors.New(c.Reason + "; name one with flipper.profile= or minos.profile=")
	}
	return c
}

// unfulfilled says what was asked for and is not there; nil when nothing is
// missing.
func unfulfilled(rejected []Rejected, instead string) error {
	if len(rejected) == 0 {
		return nil
	}
	first := rejected[0]
	return fmt.Errorf("%q was asked for: %s; %s", first.Value, first.Reason, instead)
}

// BaseFacts is what ChooseBase looks at.
type BaseFacts struct {
	CommandLine Named // flipper.base=
	Pin         Named // the profile's own
	Current     Named // what the link @base/current leads to
	// Usable says why a base cannot be used; nil when it can.
	Usable func(Version) error
	// All are the names of the bases, in any order.
	All func() ([]string, error)
}

// BaseChoice is the base of a boot, and why.
type BaseChoice struct {
	Version Version
	Source  string // who chose: "flipper.base", "pin", "current", "highest"
	Reason  string
	// Degraded is what has become of a wish that is not fulfilled; nil when none
	// is open.
	Degraded error
	Rejected []Rejected
}

// ChooseBase decides over which base the profile starts: the one that the command
// line names, the profile's pin, what is current, or the highest version. What
// cannot be used is passed over. The error is that there is none at all.
func ChooseBase(f BaseFacts) (BaseChoice, error) {
	var c BaseChoice
	for _, wish := range []struct {
		named          Named
		source, reason string
	}{
		{f.CommandLine, "flipper.base", "the command line names it"},
		{f.Pin, "pin", "the profile is pinned to it"},
		{f.Current, "current", "it is current"},
	} {
		if !wish.named.Given {
			continue
		}
		version, err := ParseVersion(wish.named.Value)
		if err == nil {
			err = f.Usable(version)
		}
		if err == nil {
			c.Version, c.Source, c.Reason = version, wish.source, wish.reason
			c.Degraded = unfulfilled(c.Rejected, string(version)+" is booted")
			return c, nil
		}
		c.Rejected = append(c.Rejected, Rejected{wish.named.Value, err.Error()})
	}
	return f.chooseHighest(c)
}

// chooseHighest takes the highest version that can be used.
func (f BaseFacts) chooseHighest(c BaseChoice) (BaseChoice, error) {
	names, err := f.All()
	if err != nil {
		return c, err
	}
	wishes := c.Rejected
	for _, version := range Versions(names) {
		if slices.ContainsFunc(c.Rejected, func(r Rejected) bool { return r.Value == string(version) }) {
			continue
		}
		if err := f.Usable(version); err != nil {
			c.Rejected = append(c.Rejected, Rejected{string(version), err.Error()})
			continue
		}
		c.Version, c.Source, c.Reason = version, "highest", "it is the highest version"
		c.Degraded = unfulfilled(wishes, string(version)+" is booted")
		return c, nil
	}
	err = fmt.Errorf("there is no base in %s", BaseDir)
	for _, r := range c.Rejected {
		err = fmt.Errorf("%w; %s: %s", err, r.Value, r.Reason)
	}
	return c, err
}

// Versions are those of the names that can be bases, the highest first.
func Versions(names []string) (versions []Version) {
	for _, name := range names {
		if v, err := ParseVersion(name); err == nil {
			versions = append(versions, v)
		}
	}
	slices.SortFunc(versions, func(a, b Version) int { return Compare(b, a) })
	return versions
}

// IDs are those of the names that can be profiles, in order.
func IDs(names []string) (ids []ID) {
	for _, name := range names {
		if id, err := ParseID(name); err == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// WhyNoBase says why a directory of @base is no base to boot; nil when it is one.
// btrfs receive makes a subvolume that can be written to, and makes it read-only
// when the stream has come to its end: what can be written to is half a base, or
// one that somebody is changing.
func WhyNoBase(subvolume, readOnly bool) error {
	switch {
	case !subvolume:
		return errors.New("it is no subvolume")
	case !readOnly:
		return errors.New("it is not read-only, so it was not received to its end, or is being changed")
	}
	return nil
}
