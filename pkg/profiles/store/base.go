package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/profiles"
)

func isExist(err error) bool { return errors.Is(err, fs.ErrExist) }

// Receive makes a base of a stream of btrfs send; version "" for the name that the
// stream has. Nothing of it can be started before all of it is there.
func (s *Store) Receive(r io.Reader, version profiles.Version) (made profiles.Version, err error) {
	stream, err := btrfs.NewStream(r)
	if err != nil {
		return "", err
	}
	if made = version; made == "" {
		if made, err = profiles.ParseVersion(stream.Name); err != nil {
			return "", fmt.Errorf("the name in the stream is no version, give one: %w", err)
		}
	}
	return made, s.change(func() error {
		if _, err := btrfs.Stat(s.path(made.Dir())); !errors.Is(err, fs.ErrNotExist) {
			return refuse("there is a base %s already", made)
		}
		dir := s.temp(made.Dir())
		if err := s.mkdir(dir); err != nil {
			return err
		}
		if err := s.receive(stream, dir); err != nil {
			return err
		}
		from, err := s.received(dir)
		if err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
		// What is read-only cannot be moved to another directory. A snapshot of it
		// is there as a whole or not at all, and keeps what tells that it was
		// received, so that the next difference can be received too.
		if err := s.snapshot(from, made.Dir(), true); err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
		return s.remove(dir)
	})
}

// SetCurrent makes a base that of all profiles without a pin, from the next boot
// on.
func (s *Store) SetCurrent(version profiles.Version) error {
	return s.change(func() error {
		if err := s.usable(version); err != nil {
			return fmt.Errorf("base %s: %w", version, err)
		}
		made := s.temp(profiles.CurrentLink)
		if err := s.symlink(string(version), made); err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
		if err := s.rename(made, profiles.CurrentLink); err != nil {
			return err
		}
		return s.sync()
	})
}

// Verdict is what becomes of a base, and why.
type Verdict struct {
	Version profiles.Version
	Goes    bool
	Reason  string
}

// Collect removes the bases that nothing needs; with dryRun it only says which.
func (s *Store) Collect(dryRun bool) (verdicts []Verdict, err error) {
	do := func() error {
		bases, err := s.Bases()
		if err != nil {
			return err
		}
		verdicts = judge(bases)
		for _, v := range verdicts {
			if !v.Goes || dryRun {
				continue
			}
			// A base that is being deleted must not be taken for a whole one.
			gone := s.temp(v.Version.Dir())
			if err := s.rename(v.Version.Dir(), gone); err != nil {
				return err
			}
			if err := s.sync(); err != nil {
				return err
			}
			if err := s.remove(gone); err != nil {
				return err
			}
		}
		return nil
	}
	if dryRun {
		err = do()
	} else {
		err = s.change(do)
	}
	return verdicts, err
}

// judge decides which bases go: those before the current one that no profile is
// pinned to and that are not running.
func judge(bases []Base) (verdicts []Verdict) {
	current := slices.IndexFunc(bases, func(b Base) bool { return b.Current && b.Fault == nil })
	for i, b := range bases {
		v := Verdict{Version: b.Version}
		switch {
		case b.InUse:
			v.Reason = "it is running"
		case b.Current:
			v.Reason = "it is current"
		case len(b.Pinned) > 0:
			v.Reason = "it is the base of " + join(b.Pinned)
		case current < 0:
			v.Reason = "no base is current, so any may be chosen"
		case i < current:
			v.Reason = "it is newer than what is current"
		case b.Fault != nil:
			v.Reason = "somebody is making it: " + b.Fault.Error()
		default:
			v.Goes, v.Reason = true, "it is older than what is current, and no profile is pinned to it"
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

func join(ids []profiles.ID) string {
	var texts []string
	for _, id := range ids {
		texts = append(texts, string(id))
	}
	return strings.Join(texts, ", ")
}

// BasePath is where a base is; the error says why it cannot be booted.
func (s *Store) BasePath(version profiles.Version) (string, error) {
	if err := s.usable(version); err != nil {
		return "", fmt.Errorf("base %s: %w", version, err)
	}
	return s.path(version.Dir()), nil
}

// UpperPath is the upper of a profile's overlay.
func (s *Store) UpperPath(id profiles.ID) string {
	return s.path(path.Join(id.Upper(), profiles.RootName))
}
