// Package store changes what is on a btrfs of the layout profiles: profiles,
// their snapshots, bases. It is for minosctl; init does not link it.
//
// Each call leaves, wherever it is cut off, what was there before or what was
// asked for. What is made gets a name that begins with profiles.TempPrefix first;
// it is synced, then renamed or exchanged in one step, and that is synced too;
// only then goes what was there before. What a cut has left behind is removed by
// the next call, which no boot is.
package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/profiles"
)

// Store is the top level of a filesystem, mounted.
type Store struct {
	Top string
	Use Use
	// Now is the time that new names and metadata have.
	Now func() time.Time
	// BootID is /proc/sys/kernel/random/boot_id: what the running system still
	// uses keeps a name with it until the next boot.
	BootID string
	// LockWait is how long another change is waited for.
	LockWait time.Duration
	// Step is called before each change, with the change in words. An error of it
	// ends the call, and it is what a test cuts the power with.
	Step func(what string) error
}

// Use is what of a filesystem is in use.
type Use struct {
	Profiles []profiles.ID
	Bases    []profiles.Version
}

// ErrRefused is in the error of a call that would break what is in use.
var ErrRefused = errors.New("refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

func (s *Store) path(name string) string { return filepath.Join(s.Top, name) }

// inUse tells whether a profile's upper may be a part of a running system.
func (s *Store) inUse(id profiles.ID) bool { return slices.Contains(s.Use.Profiles, id) }

// change does something while nobody else changes the filesystem, and removes
// first what an earlier change has left behind.
func (s *Store) change(do func() error) error {
	for _, dir := range []string{profiles.BaseDir, profiles.ProfilesDir, profiles.PristineDir} {
		if err := os.Mkdir(s.path(dir), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.clean(); err != nil {
		return fmt.Errorf("what an earlier change has left cannot be removed: %w", err)
	}
	return do()
}

// lock takes the lock on the directory of the profiles. The kernel tells nobody that
// a lock is free within a deadline, so it is asked again and again.
func (s *Store) lock() (unlock func(), err error) {
	dir, err := os.Open(s.path(profiles.ProfilesDir))
	if err != nil {
		return nil, err
	}
	for until := time.Now().Add(s.LockWait); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { dir.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) || time.Now().After(until) {
			dir.Close()
			return nil, fmt.Errorf("another change of %s is running; wait for it: %w", dir.Name(), err)
		}
	}
}

// clean removes what is half-made or thrown away, but for what the running
// system still uses.
func (s *Store) clean() error {
	dirs := []string{profiles.BaseDir, profiles.ProfilesDir}
	names, err := names(s.path(profiles.ProfilesDir))
	if err != nil {
		return err
	}
	for _, id := range profiles.IDs(names) {
		dirs = append(dirs, id.Dir(), id.Snapshots())
	}
	for _, dir := range dirs {
		names, err := namesIfThere(s.path(dir))
		if err != nil {
			return err
		}
		for _, name := range names {
			if !strings.HasPrefix(name, profiles.TempPrefix) || strings.HasPrefix(name, s.keptPrefix()) {
				continue
			}
			if err := s.remove(filepath.Join(dir, name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// temp is the name for what becomes, or was, something with this name: in the
// same directory, since what is read-only cannot be moved to another one.
func (s *Store) temp(name string) string {
	return filepath.Join(filepath.Dir(name), profiles.TempPrefix+filepath.Base(name))
}

// kept is the name for what a running system goes on to use until the next boot.
// It is another one each time, since there may be some of them already.
func (s *Store) kept(name string) string {
	return filepath.Join(filepath.Dir(name), fmt.Sprintf("%s%d-%s", s.keptPrefix(), s.Now().UnixNano(), filepath.Base(name)))
}

func (s *Store) keptPrefix() string { return profiles.TempPrefix + "kept-" + s.BootID + "-" }

// replaced tells whether the upper that the running system uses is another one
// than the profile has now.
func (s *Store) replaced(id profiles.ID) (bool, error) {
	if !s.inUse(id) {
		return false, nil
	}
	for dir, was := range map[string]string{profiles.ProfilesDir: string(id), id.Dir(): profiles.UpperName} {
		all, err := namesIfThere(s.path(dir))
		if err != nil {
			return false, err
		}
		for _, name := range all {
			rest, ok := strings.CutPrefix(name, s.keptPrefix())
			if _, what, _ := strings.Cut(rest, "-"); ok && what == was {
				return true, nil
			}
		}
	}
	return false, nil
}

func names(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all, err
}

func namesIfThere(dir string) ([]string, error) {
	all, err := names(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return all, err
}
