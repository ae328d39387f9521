package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// sessionStore is where the sessions are.
type sessionStore struct {
	kernel sys.Kernel
	dir    string // "": there is none
	why    error  // why there is none, though one is wanted
	// Of a medium of its own:
	roles []report.Role
	steps []mount.Step
}

// storeWait is how long the device of the sessions may take to appear, when it is
// another one than the medium.
const storeWait = 10 * time.Second

const storeRole = "sessions"

// openStore finds the sessions: in the set, or where perchdir= says.
func (d *medium) openStore(words setWords) (s sessionStore) {
	s.kernel = d.machine.Kernel
	wish := words.wish
	switch {
	case !wish.Wanted():
	case !isOn(wish.Store, d.device, d.super):
		s.why = s.mount(d, wish.Store)
	case modset.NativeOn(d.super.Type) != "":
		s.why = errors.New(modset.NativeOn(d.super.Type))
	case wish.Store.Path == "" && words.from.ISO():
		s.why = errors.New("the medium is an .iso, which cannot be written to")
	case !d.writable:
		s.why = errors.New("the medium cannot be written to")
	case wish.Store.Path != "":
		s.dir, s.why = storeDir(s.kernel, d.mounts[0].Target, wish.Store.Path)
	default:
		s.dir, s.why = storeDir(s.kernel, d.set, modset.StoreDir)
	}
	return s
}

// mount finds the device of the sessions and mounts it.
func (s *sessionStore) mount(d *medium, place modset.Place) error {
	m := d.machine
	var device block.Device
	found, err := m.Disks.Search(block.Search{
		Find: func(devices []block.Device) bool {
			for _, device = range devices {
				if super, err := m.Disks.Superblock(device); err == nil && isOn(place, device, super) {
					return true
				}
			}
			return false
		},
		What: "the sessions in " + place.String(), Timeout: storeWait, Settle: m.Settle, Say: m.Say,
	})
	if err != nil {
		return err
	}
	if !found {
		return fmt.Errorf("no %s within %v", place, storeWait)
	}
	super, err := m.Disks.Superblock(device)
	if err != nil {
		return err
	}
	t, ok := mediumTypeOf(super)
	switch {
	case !ok:
		return fmt.Errorf("%s holds no filesystem that is known", device.Path())
	case modset.NativeOn(super.Type) != "":
		return errors.New(modset.NativeOn(super.Type))
	}
	at := t.mount(device, storeAt, 0, false)
	if err := at.Apply(m.env()); err != nil {
		return err
	}
	s.steps = []mount.Step{{Name: storeRole, Title: "mount the medium of the sessions", Do: []mount.Action{mount.Held{Target: storeAt}}}}
	s.roles = []report.Role{{Name: storeRole, Device: device.Path(), FSType: super.Type, FoundBy: "name", MountedAt: storeAt, State: "ok"}}
	s.dir, err = storeDir(s.kernel, storeAt, place.Path)
	return err
}

// storeDir is a directory for sessions, which need not be there. Links on a
// medium do not lead out of it.
func storeDir(k sys.Kernel, at, dir string) (string, error) {
	where, info, err := k.ResolveIn(at, "/"+dir)
	if errors.Is(err, fs.ErrNotExist) {
		where = path.Join(at, dir)
		if _, err := k.Lstat(where); err == nil {
			return "", fmt.Errorf("%s leads nowhere", dir)
		}
		return where, nil
	}
	if err == nil && !info.Mode.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	return path.Join(at, where), err
}

// choose decides which session it is.
func (s sessionStore) choose(wish modset.Wish, now modset.Release) modset.Choice {
	var store modset.Store
	if s.dir != "" && s.why == nil {
		store = modset.ReadStore(s.kernel, s.dir)
	}
	if s.why != nil {
		store.Unreadable = s.why
	}
	return modset.Choose(wish, store, now)
}
