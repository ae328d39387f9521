package mount

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Upper is a directory that holds the writable half of an overlay: upper/ and
// work/ in it, and in the file lower the identity of what they were written
// over. Apply brings it into being.
type Upper struct {
	Dir   string // "/run/initramfs/overlay/a"
	Reset bool   // begin anew at each boot
	// Top says that Dir is the top of a filesystem, which cannot be renamed:
	// upper and work are thrown away one by one. A cut between the two leaves a
	// pair that does not match, so it is for what begins anew at each boot.
	Top bool
	// Names are those of the upper and the work directory where they are not the
	// usual ones.
	Names [2]string
	// Identity is what the lower is. An upper that was written over another
	// lower is put aside: its files hide those of the new one, and nobody has
	// tried how they go together. Nil for an upper that does not outlive the
	// boot.
	Identity func() (string, error)
}

// UpperDir is what overlay calls upperdir.
func (u Upper) UpperDir() string { return path.Join(u.Dir, cmp.Or(u.Names[0], "upper")) }

// WorkDir is what overlay calls workdir.
func (u Upper) WorkDir() string { return path.Join(u.Dir, cmp.Or(u.Names[1], "work")) }

// own are the directories that are the upper's alone.
func (u Upper) own() []string {
	if u.Top {
		return []string{u.UpperDir(), u.WorkDir()}
	}
	return []string{u.Dir}
}

// The names beside Dir. All changes are renames among them, so that a cut
// leaves each of them whole or absent.
func (u Upper) stamp() string { return path.Join(u.Dir, "lower") }
func (u Upper) fresh() string { return u.Dir + ".new" } // being made
func (u Upper) aside() string { return u.Dir + ".old" } // of the lower before this one
func (u Upper) trash() string {
	if u.Top {
		return path.Join(u.Dir, ".trash")
	}
	return u.Dir + ".trash"
}

// Apply implements Action.
func (u Upper) Apply(env Env) error {
	if err := u.ensure(env); err != nil {
		return err
	}
	// Space is given back after the pair is there, and for a short time only:
	// a boot does not wait for the deletion of a full disk.
	RemoveUntil(env.Kernel, u.trash(), env.Kernel.Now()+deletionTime)
	return nil
}

// ensure makes Dir what the overlay needs.
func (u Upper) ensure(env Env) error {
	k := env.Kernel
	if u.Top {
		for _, dir := range []string{u.UpperDir(), u.WorkDir()} {
			if err := throwAway(k, dir, u.trash()); err != nil {
				return err
			}
		}
		return u.makeDirs(k, u.Dir)
	}
	identity, err := u.identity()
	if err != nil {
		return err
	}
	state, err := u.state(k, identity)
	if err != nil {
		return err
	}
	switch {
	case state == missing:
	case u.Reset:
		err = throwAway(k, u.Dir, u.trash())
	case state == current:
		return u.makeDirs(k, u.Dir) // a cut may have taken one of them
	case state == unstamped:
		// From a device of before, or an image that has the directories made:
		// nobody knows of another lower, and losing what was written is worse.
		if err := u.makeDirs(k, u.Dir); err != nil {
			return err
		}
		return writeStamp(k, u.stamp(), identity)
	case state == foreign:
		env.Say("the root filesystem has changed: what was written over the one before is put aside in " + path.Base(u.aside()))
		err = u.putAside(k)
	}
	if err != nil {
		return err
	}
	return u.makeFresh(k, identity)
}

// deletionTime is how long a boot works on deleting what was thrown away.
const deletionTime = 2 * time.Second

// Undo implements Action. Directories on a disk stay: they are what the next
// boot wants as well.
func (u Upper) Undo(Env) error { return nil }

func (u Upper) String() string {
	if u.Reset {
		return "make " + u.Dir + " anew"
	}
	return "use " + u.Dir
}

func (u Upper) identity() (string, error) {
	if u.Identity == nil {
		return "", nil
	}
	return u.Identity()
}

// upperState is what Dir is to the lower.
type upperState int

const (
	missing   upperState = iota
	unstamped            // it does not say what it was written over
	current              // it was written over this lower
	foreign              // over another one
)

// state looks at what is there.
func (u Upper) state(k sys.Kernel, identity string) (upperState, error) {
	if _, err := k.Lstat(u.Dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return missing, nil
		}
		return missing, err
	}
	if u.Identity == nil {
		return current, nil
	}
	was, err := k.ReadFile(u.stamp())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return unstamped, nil
	case err != nil:
		return missing, err
	case string(was) == identity+"\n":
		return current, nil
	}
	return foreign, nil
}

// makeDirs makes what overlay wants below dir, where it is missing.
func (u Upper) makeDirs(k sys.Kernel, dir string) error {
	for _, d := range []string{dir, path.Join(dir, path.Base(u.UpperDir())), path.Join(dir, path.Base(u.WorkDir()))} {
		if err := MkdirAll(k, d); err != nil {
			return err
		}
	}
	return nil
}

// makeFresh makes an empty pair that says what it belongs to. It appears under
// its name only when it is whole.
func (u Upper) makeFresh(k sys.Kernel, identity string) error {
	if u.Identity == nil {
		return u.makeDirs(k, u.Dir)
	}
	// What a cut left of an earlier try is empty but for the stamp.
	if err := u.makeDirs(k, u.fresh()); err != nil {
		return err
	}
	if err := writeStamp(k, path.Join(u.fresh(), path.Base(u.stamp())), identity); err != nil {
		return err
	}
	if err := k.Rename(u.fresh(), u.Dir); err != nil {
		return err
	}
	return k.Fsync(path.Dir(u.Dir))
}

// writeStamp writes the identity of the lower, durably, before anything is
// written over that lower.
func writeStamp(k sys.Kernel, file, identity string) error {
	return ReplaceFile(k, file, []byte(identity+"\n"), 0o644)
}

// putAside keeps Dir as the one generation before this one. Upper and work go
// together: work of another upper makes the kernel refuse the mount.
func (u Upper) putAside(k sys.Kernel) error {
	if err := throwAway(k, u.aside(), u.trash()); err != nil {
		return err
	}
	return k.Rename(u.Dir, u.aside())
}

// throwAway renames name, if it is there, to trash. When there is trash left
// over from an earlier boot, it goes into that.
func throwAway(k sys.Kernel, name, trash string) error {
	if _, err := k.Lstat(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	target := trash
	for n := 1; ; n++ {
		if _, err := k.Lstat(target); errors.Is(err, fs.ErrNotExist) {
			return k.Rename(name, target)
		} else if err != nil {
			return err
		}
		target = path.Join(trash, fmt.Sprintf("more-%d", n))
	}
}

// RemoveUntil deletes a tree, as far as it gets before the deadline. It says
// whether all of it is gone.
func RemoveUntil(k sys.Kernel, name string, deadline time.Duration) bool {
	info, err := k.Lstat(name)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	if info.Mode.IsDir() {
		names, err := k.ReadDir(name)
		if err != nil {
			return false
		}
		for _, n := range names {
			if k.Now() >= deadline || !RemoveUntil(k, path.Join(name, n), deadline) {
				return false
			}
		}
	}
	return k.Remove(name) == nil
}
