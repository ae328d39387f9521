package store

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/profiles"
)

// Profile is what is known of a profile.
type Profile struct {
	ID       profiles.ID
	Metadata profiles.Metadata
	Pin      profiles.Named // the file with its base
	// Base is what the next boot without a word about it takes; BaseError says
	// why there is none.
	Base      profiles.BaseChoice
	BaseError error
	Upper     btrfs.Info
	Snapshots []Snapshot // the oldest first
	Pristine  bool       // there is an upper as it was shipped
	InUse     bool
	// Replaced tells that the running system uses an upper that will be thrown
	// away: the profile was reset or rolled back, and the machine not restarted.
	Replaced bool
	// Faults are what is wrong with it, in words.
	Faults []string
}

// Snapshot is an upper as it was.
type Snapshot struct {
	Tag  profiles.Tag
	Info btrfs.Info
}

// Base is what is known of a base.
type Base struct {
	Version profiles.Version
	Info    btrfs.Info
	Current bool
	InUse   bool
	Pinned  []profiles.ID // by whom
	Fault   error         // why it cannot be booted
}

// Profiles are all profiles, in the order of their names.
func (s *Store) Profiles() (all []Profile, err error) {
	names, err := names(s.path(profiles.ProfilesDir))
	if err != nil {
		return nil, err
	}
	for _, id := range profiles.IDs(names) {
		p, err := s.Profile(id)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// Profile is what is known of one profile. The error says that there is none, or
// that it cannot be read.
func (s *Store) Profile(id profiles.ID) (Profile, error) {
	if _, err := os.Lstat(s.path(id.Dir())); err != nil {
		return Profile{}, fmt.Errorf("there is no profile %s: %w", id, err)
	}
	p := Profile{ID: id, InUse: s.inUse(id)}
	fault := func(what string, err error) {
		if err != nil {
			p.Faults = append(p.Faults, what+": "+err.Error())
		}
	}
	var err error
	p.Upper, err = btrfs.Stat(s.path(id.Upper()))
	fault("its upper", err)
	if err == nil && p.Upper.ReadOnly {
		fault("its upper", errors.New("it is read-only"))
	}
	data, err := os.ReadFile(s.path(id.Metadata()))
	if err == nil {
		p.Metadata, err = profiles.ParseMetadata(data)
	}
	fault("its metadata", err)
	if p.Pin, err = s.pin(id); err != nil {
		fault("its pin", err)
	}
	p.Base, p.BaseError = s.chooseBase(p.Pin)
	if p.Snapshots, err = s.Snapshots(id); err != nil {
		fault("its snapshots", err)
	}
	_, err = btrfs.Stat(s.path(id.Pristine()))
	p.Pristine = err == nil
	p.Replaced, err = s.replaced(id)
	return p, err
}

// pin is what the file with the profile's base says.
func (s *Store) pin(id profiles.ID) (profiles.Named, error) {
	data, err := os.ReadFile(s.path(id.Pin()))
	if errors.Is(err, fs.ErrNotExist) {
		return profiles.Named{}, nil
	}
	return profiles.Named{Value: profiles.FirstLine(data), Given: err == nil}, err
}

// current is where the link to the base of profiles without a pin leads.
func (s *Store) current() (profiles.Named, error) {
	target, err := os.Readlink(s.path(profiles.CurrentLink))
	if errors.Is(err, fs.ErrNotExist) {
		return profiles.Named{}, nil
	}
	return profiles.Named{Value: target, Given: err == nil}, err
}

// chooseBase is what a boot would choose, when nothing on the kernel command
// line has a say in it.
func (s *Store) chooseBase(pin profiles.Named) (profiles.BaseChoice, error) {
	current, err := s.current()
	if err != nil {
		return profiles.BaseChoice{}, err
	}
	return profiles.ChooseBase(profiles.BaseFacts{
		Pin: pin, Current: current,
		Usable: s.usable,
		All:    func() ([]string, error) { return namesIfThere(s.path(profiles.BaseDir)) },
	})
}

// usable says why a base cannot be booted; nil when it can.
func (s *Store) usable(version profiles.Version) error {
	info, err := btrfs.Stat(s.path(version.Dir()))
	switch {
	case errors.Is(err, btrfs.ErrNoSubvolume):
		return profiles.WhyNoBase(false, false)
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("there is no such base")
	case err != nil:
		return err
	}
	return profiles.WhyNoBase(true, info.ReadOnly)
}

// Snapshots are those of a profile, the oldest first.
func (s *Store) Snapshots(id profiles.ID) (all []Snapshot, err error) {
	names, err := namesIfThere(s.path(id.Snapshots()))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		tag, err := profiles.ParseTag(name)
		if err != nil {
			continue
		}
		info, err := btrfs.Stat(s.path(id.Snapshot(tag)))
		if err != nil {
			return nil, err
		}
		all = append(all, Snapshot{tag, info})
	}
	slices.SortFunc(all, func(a, b Snapshot) int { return cmp.Compare(a.Info.ID, b.Info.ID) })
	return all, nil
}

// Bases are all bases, the highest version first.
func (s *Store) Bases() (all []Base, err error) {
	names, err := names(s.path(profiles.BaseDir))
	if err != nil {
		return nil, err
	}
	current, err := s.current()
	if err != nil {
		return nil, err
	}
	pinned, err := s.pinned()
	if err != nil {
		return nil, err
	}
	for _, version := range profiles.Versions(names) {
		b := Base{Version: version, Current: current.Value == string(version), Pinned: pinned[string(version)],
			InUse: slices.Contains(s.Use.Bases, version), Fault: s.usable(version)}
		b.Info, _ = btrfs.Stat(s.path(version.Dir())) // Fault has it
		all = append(all, b)
	}
	return all, nil
}

// pinned are the profiles that name each base.
func (s *Store) pinned() (map[string][]profiles.ID, error) {
	by := map[string][]profiles.ID{}
	names, err := namesIfThere(s.path(profiles.ProfilesDir))
	if err != nil {
		return nil, err
	}
	for _, id := range profiles.IDs(names) {
		pin, err := s.pin(id)
		if err != nil {
			return nil, err
		}
		if pin.Given {
			by[pin.Value] = append(by[pin.Value], id)
		}
	}
	return by, nil
}

// stamp is a part of a name that is made of the time.
func stamp(now time.Time) string { return now.UTC().Format("20060102T150405Z") }

// freeTag is a tag that no snapshot has yet: a prefix and the time.
func freeTag(prefix string, now time.Time, taken []Snapshot) profiles.Tag {
	tag := profiles.Tag(prefix + stamp(now))
	for n := 2; slices.ContainsFunc(taken, func(t Snapshot) bool { return t.Tag == tag }); n++ {
		tag = profiles.Tag(fmt.Sprintf("%s%s.%d", prefix, stamp(now), n))
	}
	return tag
}

// automatic tells whether a tag was made with a prefix by freeTag.
func automatic(tag profiles.Tag, prefix string) bool {
	rest, ok := strings.CutPrefix(string(tag), prefix)
	rest, _, _ = strings.Cut(rest, ".")
	_, err := time.Parse("20060102T150405Z", rest)
	return ok && err == nil
}
