package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"github.com/minos-os/minos-init/pkg/profiles"
)

// Fresh is how a new profile begins.
type Fresh struct {
	Name string           // for people
	Pin  profiles.Version // "" for a profile that goes along with what is current
}

// Create makes a profile: of the upper that was shipped under its name, where
// there is one, else with nothing in it.
func (s *Store) Create(id profiles.ID, f Fresh) error {
	return s.change(func() error {
		if err := s.free(id); err != nil {
			return err
		}
		pin := profiles.Named{Value: string(f.Pin), Given: f.Pin != ""}
		if pin.Given {
			if err := s.usable(f.Pin); err != nil {
				return fmt.Errorf("base %s: %w", f.Pin, err)
			}
		}
		base, _ := s.chooseBase(pin) // a card may have profiles only
		m := profiles.Metadata{Name: f.Name, Base: string(base.Version), Origin: "new", Created: s.Now()}
		pristine, err := s.pristine(id)
		if err != nil {
			return err
		}
		if pristine != "" {
			m.Origin = "pristine"
		}
		made, err := s.build(id, pristine, m, pin)
		if err != nil {
			return err
		}
		if err := s.unlikeBase(path.Join(made, profiles.UpperName), base.Version); err != nil {
			return err
		}
		return s.publish(made, id)
	})
}

// Clone makes a profile with the content of another one, and an identity of its
// own.
func (s *Store) Clone(from, to profiles.ID, name string) error {
	return s.change(func() error {
		source, err := s.Profile(from)
		if err != nil {
			return err
		}
		if err := s.free(to); err != nil {
			return err
		}
		if err := s.untouched(source, "a clone"); err != nil {
			return err
		}
		m := profiles.Metadata{Name: name, Base: source.Metadata.Base, Origin: "clone of " + string(from), Created: s.Now()}
		if err := s.sync(); err != nil { // what a running system has written is a part of it
			return err
		}
		made, err := s.build(to, from.Upper(), m, source.Pin)
		if err != nil {
			return err
		}
		upper := path.Join(made, profiles.UpperName)
		if err := s.freshIdentity(upper); err != nil {
			return err
		}
		if err := s.unlikeBase(upper, source.Base.Version); err != nil {
			return err
		}
		return s.publish(made, to)
	})
}

// Reset gives a profile the upper that was shipped, or with empty one with
// nothing in it. Its snapshots go too: what was in it is gone. When the profile
// is in use, the running system keeps what it has until the next boot; later says
// so.
func (s *Store) Reset(id profiles.ID, empty bool) (later bool, err error) {
	err = s.change(func() error {
		p, err := s.Profile(id)
		if err != nil {
			return err
		}
		pristine, err := s.pristine(id)
		if err != nil {
			return err
		}
		if pristine == "" && !empty {
			return refuse("there is no %s, so nothing was shipped that %s could be reset to; --empty begins with nothing but the base", id.Pristine(), id)
		}
		if empty {
			pristine = ""
		}
		made, err := s.build(id, pristine, p.Metadata, p.Pin)
		if err != nil {
			return err
		}
		if err := s.unlikeBase(path.Join(made, profiles.UpperName), p.Base.Version); err != nil {
			return err
		}
		later = p.InUse
		return s.replace(made, id.Dir(), p.InUse)
	})
	return later, err
}

// Delete removes a profile. One that is in use is refused.
func (s *Store) Delete(id profiles.ID) error {
	return s.change(func() error {
		if s.inUse(id) {
			return refuse("%s is running; start another profile first", id)
		}
		if _, err := s.Profile(id); err != nil {
			return err
		}
		gone := s.temp(id.Dir())
		if err := s.rename(id.Dir(), gone); err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
		return s.remove(gone)
	})
}

// free says that there is no profile of this name yet.
func (s *Store) free(id profiles.ID) error {
	_, err := os.Lstat(s.path(id.Dir()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	return refuse("there is a profile %s already", id)
}

// pristine is the upper that was shipped for a profile, "" for none.
func (s *Store) pristine(id profiles.ID) (string, error) {
	_, err := os.Lstat(s.path(id.Pristine()))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return id.Pristine(), err
}

// untouched refuses what would take the upper of a running profile, when that
// is no longer the one that it runs with.
func (s *Store) untouched(p Profile, what string) error {
	if p.Replaced {
		return refuse("%s was reset or rolled back while it was running, and %s would not have what it does now; restart first", p.ID, what)
	}
	return nil
}

// build makes the directory of a profile under a temporary name: with the
// content of an upper, "" for an empty one.
func (s *Store) build(id profiles.ID, of string, m profiles.Metadata, pin profiles.Named) (made string, err error) {
	made = s.temp(id.Dir())
	upper := path.Join(made, profiles.UpperName)
	if err := s.mkdir(made); err != nil {
		return "", err
	}
	if of == "" {
		err = s.subvolume(upper)
	} else {
		err = s.snapshot(of, upper, false)
	}
	if err != nil {
		return "", err
	}
	for _, name := range []string{profiles.RootName, profiles.WorkName} {
		if err := s.mkdir(path.Join(upper, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
	if err := s.mkdir(path.Join(made, profiles.SnapshotsName)); err != nil {
		return "", err
	}
	if pin.Given {
		if err := s.writeFile(path.Join(made, profiles.PinName), []byte(pin.Value+"\n")); err != nil {
			return "", err
		}
	}
	return made, s.writeFile(path.Join(made, profiles.MetadataName), m.Bytes())
}

// publish gives what was made its name.
func (s *Store) publish(made string, id profiles.ID) error {
	if err := s.sync(); err != nil {
		return err
	}
	if err := s.rename(made, id.Dir()); err != nil {
		return err
	}
	return s.sync()
}

// replace puts what was made in the place of what is there, in one step, and
// throws that away. What is in use keeps another name until the next boot.
func (s *Store) replace(made, name string, inUse bool) error {
	if err := s.sync(); err != nil {
		return err
	}
	old := made
	if inUse {
		// Before the exchange: once the running upper is there, this must be no
		// name that the next change removes.
		old = s.kept(name)
		if err := s.rename(made, old); err != nil {
			return err
		}
	}
	if err := s.exchange(old, name); err != nil {
		return err
	}
	if err := s.sync(); err != nil || inUse {
		return err
	}
	return s.remove(old)
}
