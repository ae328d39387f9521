package store

import (
	"errors"
	"fmt"
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/profiles"
)

// undonePrefix begins the tags of what a rollback has put aside.
const undonePrefix = "undone-"

// autoPrefix begins the tags that are made where nobody names one.
const autoPrefix = "auto-"

// Snapshot keeps the upper of a profile as it is now, under a tag; "" for one
// made of the time. Of those that were named by the time, only the last keep stay,
// 0 for all of them.
func (s *Store) Snapshot(id profiles.ID, tag profiles.Tag, keep int) (made profiles.Tag, err error) {
	err = s.change(func() error {
		p, err := s.Profile(id)
		if err != nil {
			return err
		}
		if err := s.untouched(p, "a snapshot"); err != nil {
			return err
		}
		if made = tag; made == "" {
			made = freeTag(autoPrefix, s.Now(), p.Snapshots)
		}
		if slices.ContainsFunc(p.Snapshots, func(t Snapshot) bool { return t.Tag == made }) {
			return refuse("there is a snapshot %s of %s already", made, id)
		}
		if err := s.keepUpper(id, made); err != nil {
			return err
		}
		return s.prune(id, autoPrefix, keep)
	})
	return made, err
}

// keepUpper makes a snapshot of a profile's upper. It is there as a whole or not
// at all, so it needs no other name first.
func (s *Store) keepUpper(id profiles.ID, tag profiles.Tag) error {
	if err := s.mkdir(id.Snapshots()); err != nil && !isExist(err) {
		return err
	}
	if err := s.sync(); err != nil {
		return err
	}
	return s.snapshot(id.Upper(), id.Snapshot(tag), true)
}

// prune removes the oldest snapshots with such tags, so that keep are left.
func (s *Store) prune(id profiles.ID, prefix string, keep int) error {
	all, err := s.Snapshots(id)
	if err != nil || keep <= 0 {
		return err
	}
	all = slices.DeleteFunc(all, func(t Snapshot) bool { return !automatic(t.Tag, prefix) })
	for ; len(all) > keep; all = all[1:] {
		if err := s.remove(id.Snapshot(all[0].Tag)); err != nil {
			return err
		}
	}
	return nil
}

// Undone is how many uppers that a rollback has put aside are kept.
const Undone = 3

// Rolled is what a rollback has done.
type Rolled struct {
	Back   profiles.Tag // to this snapshot
	Undone profiles.Tag // what was there before is kept under this tag
	Later  bool         // the running system keeps what it has until the next boot
}

// Rollback gives a profile the upper that a snapshot has kept; with tag "" the one
// before its last change. No snapshot goes, and what the profile has now becomes
// one.
func (s *Store) Rollback(id profiles.ID, tag profiles.Tag) (r Rolled, err error) {
	err = s.change(func() error {
		p, err := s.Profile(id)
		if err != nil {
			return err
		}
		to, err := chooseSnapshot(p, tag)
		if err != nil {
			return err
		}
		r = Rolled{Back: to.Tag, Undone: freeTag(undonePrefix, s.Now(), p.Snapshots), Later: p.InUse}
		if err := s.keepUpper(id, r.Undone); err != nil {
			return err
		}
		made := s.temp(id.Upper())
		if err := s.snapshot(id.Snapshot(to.Tag), made, false); err != nil {
			return err
		}
		// Once it was replaced, the upper in use has a name of its own already.
		if err := s.replace(made, id.Upper(), p.InUse && !p.Replaced); err != nil {
			return err
		}
		return s.prune(id, undonePrefix, Undone)
	})
	return r, err
}

// chooseSnapshot is the snapshot with a tag, or with "" the one before the last
// change: the newest that was taken of the upper as it goes on now; where that was
// rolled back to a snapshot and nothing was changed since, the one before that.
func chooseSnapshot(p Profile, tag profiles.Tag) (Snapshot, error) {
	if tag != "" {
		i := slices.IndexFunc(p.Snapshots, func(t Snapshot) bool { return t.Tag == tag })
		if i < 0 {
			return Snapshot{}, fmt.Errorf("there is no snapshot %s of %s", tag, p.ID)
		}
		return p.Snapshots[i], nil
	}
	var before Snapshot
	var all []Snapshot
	for _, t := range p.Snapshots {
		if !automatic(t.Tag, undonePrefix) {
			all = append(all, t)
		}
	}
	for i, t := range all {
		if t.Info.Parent == p.Upper.UUID {
			before = t
		} else if t.Info.UUID == p.Upper.Parent && i > 0 {
			before = all[i-1]
		}
	}
	if before.Tag == "" {
		return Snapshot{}, errors.New("there is nothing to undo: no snapshot is known to be before the last change; name one of minosctl profile snapshots")
	}
	return before, nil
}

// received is the one subvolume in a directory that a stream was received in.
func (s *Store) received(dir string) (string, error) {
	all, err := names(s.path(dir))
	if err != nil {
		return "", err
	}
	if len(all) != 1 {
		return "", fmt.Errorf("the stream made %d subvolumes", len(all))
	}
	name := path.Join(dir, all[0])
	info, err := btrfs.Stat(s.path(name))
	if err != nil {
		return "", err
	}
	if !info.ReadOnly || info.Received == (btrfs.UUID{}) {
		return "", btrfs.ErrIncomplete
	}
	return name, nil
}
