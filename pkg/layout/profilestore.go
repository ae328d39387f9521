package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/profiles"
	"github.com/minos-os/minos-init/pkg/sys"
)

// profileStore is the btrfs of the device and, when somebody asks for what is
// on it, that of the card.
type profileStore struct {
	Machine
	partitions
	mounts []mount.Mount // in the order in which they were made
}

// top mounts the top level of a medium where that was not done, and says where.
// The default subvolume of the filesystem, which is mounted otherwise, may be
// any.
func (s *profileStore) top(medium profiles.Medium) (string, error) {
	p := s.role(profilesRole[medium])
	if p.err != nil {
		return "", p.err
	}
	if slices.ContainsFunc(s.mounts, func(m mount.Mount) bool { return m.Target == p.at }) {
		return p.at, nil
	}
	m := mount.Mount{Source: p.match.Device.Path(), Target: p.at, FSType: "btrfs", Flags: sys.NoAtime, Options: []string{"subvolid=5", "commit=120"}}
	if err := m.Apply(s.env()); err != nil {
		m.Flags |= sys.ReadOnly // a system that keeps nothing is better than none
		if m.Apply(s.env()) != nil {
			return "", err
		}
		s.warnings = append(s.warnings, fmt.Sprintf("the filesystem of the profiles is read-only, ignoring: %v", err))
	}
	s.mounts = append(s.mounts, m)
	return p.at, nil
}

// find looks for a profile: on the device first, then on the card.
func (s *profileStore) find(ref profiles.Ref) (medium profiles.Medium, err error) {
	for _, medium = range []profiles.Medium{profiles.Internal, profiles.Card} {
		if ref.Medium != profiles.Anywhere && ref.Medium != medium {
			continue
		}
		top, why := s.top(medium)
		if why == nil {
			why = s.isDir(path.Join(top, ref.ID.Upper()), "there is no such profile")
		}
		if why == nil {
			return medium, nil
		}
		if err == nil { // that of the card tells nothing when any medium would do
			err = why
		}
	}
	return "", err
}

// isDir says why there is no directory of this name.
func (s *profileStore) isDir(dir, otherwise string) error {
	info, err := s.Kernel.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New(otherwise)
	case err != nil:
		return err
	case !info.Mode.IsDir():
		return fmt.Errorf("%s is not a directory", dir)
	}
	return nil
}

// line is what a file of one line names; nothing is given when there is no such
// file.
func (s *profileStore) line(file string) profiles.Named {
	data, err := s.Kernel.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return profiles.Named{}
	}
	return profiles.Named{Value: profiles.FirstLine(data), Given: true} // what cannot be read names nothing
}

// chooseBase decides over which base a profile starts. The bases are those of the
// device, unless the profile is on a card that brings its own.
func (s *profileStore) chooseBase(c profiles.ProfileChoice) (on profiles.Medium, base profiles.BaseChoice, err error) {
	on = profiles.Internal
	f := profiles.BaseFacts{CommandLine: word(s.Config, "flipper.base")}
	if c.ID != profiles.None {
		at := s.role(profilesRole[c.Medium]).at
		f.Pin = s.line(path.Join(at, c.ID.Pin()))
		if names, err := s.Kernel.ReadDir(path.Join(at, profiles.BaseDir)); err == nil && len(profiles.Versions(names)) > 0 {
			on = c.Medium
		}
	}
	top := s.role(profilesRole[on]).at
	// The link is followed here, so that it is known which base is booted.
	target, err := s.Kernel.Readlink(path.Join(top, profiles.CurrentLink))
	if !errors.Is(err, fs.ErrNotExist) {
		f.Current = profiles.Named{Value: path.Clean(target), Given: true}
	}
	f.Usable = func(v profiles.Version) error {
		dir := path.Join(top, v.Dir())
		if err := s.isDir(dir, "there is no such base"); err != nil {
			return err
		}
		in, err := s.Kernel.Subvolume(dir)
		if err != nil {
			return err
		}
		return profiles.WhyNoBase(in.Top, in.ReadOnly)
	}
	f.All = func() ([]string, error) { return s.Kernel.ReadDir(path.Join(top, profiles.BaseDir)) }
	base, err = profiles.ChooseBase(f)
	return on, base, err
}

// held are the steps that keep the mounts as they are.
func (s *profileStore) held() (steps []mount.Step) {
	for _, m := range s.mounts {
		i := slices.IndexFunc(s.all, func(p partition) bool { return p.at == m.Target })
		steps = append(steps, mount.Step{Name: s.all[i].name, Title: "hold the filesystem of the profiles", Do: []mount.Action{mount.Held{Target: m.Target}}})
	}
	return steps
}

// release lets the filesystems go, where the boot goes no further.
func (s *profileStore) release() {
	for _, m := range slices.Backward(s.mounts) {
		_ = m.Undo(s.env()) // the failure that leads here is the one to tell
	}
}
