package firstboot

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// Reset throws away what is on a partition, when its owner asks for it: by a
// wish, which is a file on the card, or by a request, which is a file on the
// partition itself that minosctl leaves there. All is renamed into a directory
// at first, so that it takes no time and a cut leaves the request to be done
// again; deletion follows, for a short time at each boot.
type Reset struct {
	Wish string   // the name of the file on the card: "reset-data"
	What string   // for people: "the data partition"
	At   string   // where that is mounted
	Keep []string // paths that stay, from its root
	// Except are files in directories of these that go all the same.
	Except []string
	Card   Card

	Guarded bool   // a wish has to name the image
	Label   string // of the image; "" when it has none
}

// The files of a partition that are about its reset.
const (
	// RequestName is the file that asks for a reset at the next boot.
	RequestName = ".minos-reset"
	trashName   = ".minos-trash"
)

// KeptOnData is what a reset of the data partition leaves: the identity of the
// device.
func KeptOnData() []string { return []string{"config/system", "config/ssh"} }

// GoneFromKept is what goes of that all the same: that the first boot was
// complete. What systemd did in it is in /etc, and when a reset of the overlay
// partition takes that away, it has to be done again.
func GoneFromKept() []string { return []string{FirstBootFile} }

// deletionTime is how long a boot works on deleting what was thrown away.
const deletionTime = 2 * time.Second

// Apply implements mount.Action. Where nothing is asked for, it looks at the
// root of the partition and no further.
func (r Reset) Apply(env mount.Env) error {
	k := env.Kernel
	names, err := k.ReadDir(r.At)
	if err != nil {
		return err
	}
	asked := slices.Contains(names, RequestName)
	if wishes := r.wishes(env); len(wishes) > 0 {
		if err := r.claim(env, wishes); err != nil {
			env.Say(fmt.Sprintf("%s on the boot partition is not obeyed, ignoring: %v", strings.Join(wishes, ", "), err))
			if !asked {
				r.retract(env)
			}
		} else {
			asked = true
		}
	}
	if asked {
		if err := r.empty(env); err != nil {
			return err
		}
	}
	for _, leftover := range []string{trashName, stagingName} {
		if asked || slices.Contains(names, leftover) {
			mount.RemoveUntil(k, path.Join(r.At, leftover), k.Now()+deletionTime)
		}
	}
	return nil
}

// Undo implements mount.Action. What was thrown away was to be.
func (Reset) Undo(mount.Env) error { return nil }

func (r Reset) String() string { return "reset " + r.What + " when that is asked for" }

// empty throws everything away, and then the request.
func (r Reset) empty(env mount.Env) error {
	k := env.Kernel
	env.Say(fmt.Sprintf("%s is asked for: what is on %s is thrown away%s", r.Wish, r.What, r.but()))
	doomed, err := r.Doomed(k, "")
	if err != nil {
		return err
	}
	for _, victim := range doomed {
		err := r.throwAway(k, victim)
		if errors.Is(err, unix.ENOSPC) {
			// Not even a name has space. Some of what was thrown away makes room.
			mount.RemoveUntil(k, path.Join(r.At, trashName), k.Now()+deletionTime)
			err = r.throwAway(k, victim)
		}
		if err != nil {
			return err
		}
	}
	if err := k.SyncFS(r.At); err != nil {
		return err
	}
	if err := k.Remove(path.Join(r.At, RequestName)); err != nil {
		return err
	}
	env.Made(strings.TrimPrefix(r.What, "the ") + " reset")
	return k.Fsync(r.At)
}

func (r Reset) but() string {
	if len(r.Keep) == 0 {
		return ""
	}
	return ", but for " + strings.Join(r.Keep, ", ")
}

// Victim is something that is thrown away.
type Victim struct {
	Path  string // from the partition's root
	IsDir bool
}

// Doomed lists what is thrown away below a directory: each name that is not
// kept, and has nothing below it that is. Directories come first.
func (r Reset) Doomed(k sys.Kernel, dir string) (doomed []Victim, err error) {
	names, err := k.ReadDir(path.Join(r.At, dir))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		at := path.Join(dir, name)
		if at == RequestName || at == trashName || at == "lost+found" {
			continue
		}
		if slices.Contains(r.Keep, at) {
			doomed = append(doomed, r.except(k, at)...)
			continue
		}
		info, err := k.Lstat(path.Join(r.At, at))
		if err != nil {
			return nil, err
		}
		holdsKept := slices.ContainsFunc(r.Keep, func(kept string) bool { return strings.HasPrefix(kept, at+"/") })
		if !holdsKept || !info.Mode.IsDir() {
			doomed = append(doomed, Victim{at, info.Mode.IsDir()})
			continue
		}
		below, err := r.Doomed(k, at)
		if err != nil {
			return nil, err
		}
		doomed = append(doomed, below...)
	}
	slices.SortStableFunc(doomed, func(a, b Victim) int {
		switch {
		case a.IsDir == b.IsDir:
			return 0
		case a.IsDir:
			return -1
		}
		return 1
	})
	return doomed, nil
}

// except lists what goes of a directory that is kept.
func (r Reset) except(k sys.Kernel, kept string) (doomed []Victim) {
	for _, name := range r.Except {
		if _, err := k.Lstat(path.Join(r.At, name)); err == nil && path.Dir(name) == kept {
			doomed = append(doomed, Victim{Path: name})
		}
	}
	return doomed
}

// throwAway renames something into the trash. The first directory becomes the
// trash: to make one needs space, and a full partition is a reason for a reset.
func (r Reset) throwAway(k sys.Kernel, v Victim) error {
	name, trash := path.Join(r.At, v.Path), path.Join(r.At, trashName)
	names, err := k.ReadDir(trash)
	switch {
	case errors.Is(err, fs.ErrNotExist) && v.IsDir:
		return k.Rename(name, trash)
	case errors.Is(err, fs.ErrNotExist):
		err = k.Mkdir(trash, 0o700)
	}
	if errors.Is(err, unix.ENOSPC) {
		return k.Remove(name)
	}
	if err != nil {
		return err
	}
	n := len(names)
	for slices.Contains(names, strconv.Itoa(n)) {
		n++
	}
	return k.Rename(name, path.Join(trash, strconv.Itoa(n)))
}
