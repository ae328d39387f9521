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
	medium *medium
	dir    string // "": there is none
	fsType string // of its filesystem
	why    error  // why there is none, though one is wanted
	// Of a medium of its own:
	roles []report.Role
	steps []mount.Step
}

// storeWait is how long the device of the sessions may take to appear, when it is
// another one than the medium.
const storeWait = 10 * time.Second

const storeRole = "sessions"

// persistenceLabel is that of a partition beside the medium that is for sessions.
const persistenceLabel = "persistence"

// storePlace is where the sessions are: where a word says, or else on the medium's
// disk the partition that is for them, or in the set.
func (d *medium) storePlace(wish modset.Wish) modset.Place {
	if !wish.Wanted() || wish.AskDisk || wish.Store != (modset.Place{}) {
		return wish.Store
	}
	for _, p := range d.machine.Disks.Partitions(d.device.Disk) {
		if super, err := d.machine.Disks.Superblock(p); err == nil && super.Label == persistenceLabel && p.Name != d.device.Name {
			return modset.Place{Device: p.Path(), Path: modset.Dir + "/" + modset.StoreDir}
		}
	}
	return wish.Store
}

// openStore finds the sessions: in the set, or where perchdir= says.
func (d *medium) openStore(words setWords) (s sessionStore) {
	s.kernel, s.medium, s.fsType = d.machine.Kernel, d, d.super.Type
	switch {
	case !words.wish.Wanted():
	case !isOn(d.store, d.device, d.super):
		s.why = s.mount(d, d.store, words.wish)
	case modset.NoStoreOn(d.super.Type) != "":
		s.why = errors.New(modset.NoStoreOn(d.super.Type))
	case d.store.Path == "" && words.from.ISO():
		s.why = errors.New("the medium is an .iso, which cannot be written to")
	case !d.writable:
		s.why = errors.New("the medium cannot be written to")
	case d.store.Path != "":
		s.dir, s.why = storeDir(s.kernel, d.mounts[0].Target, d.store.Path)
	default:
		s.dir, s.why = storeDir(s.kernel, d.set, modset.StoreDir)
	}
	return s
}

// deviceOf waits for the device that a place is on.
func (m Machine) deviceOf(place modset.Place, what string) (device block.Device, super block.Superblock, err error) {
	found, err := m.Disks.Search(block.Search{
		Find: func(devices []block.Device) bool {
			for _, device = range devices {
				if super, err = m.Disks.Superblock(device); err == nil && isOn(place, device, super) {
					return true
				}
			}
			return false
		},
		What: what + " in " + place.String(), Timeout: storeWait, Settle: m.Settle, Say: m.Say,
	})
	if err == nil && !found {
		err = fmt.Errorf("no %s within %v", place, storeWait)
	}
	return device, super, err
}

// mount finds the device of the sessions and mounts it.
func (s *sessionStore) mount(d *medium, place modset.Place, wish modset.Wish) error {
	device, super, err := d.machine.deviceOf(place, "the sessions")
	if err != nil {
		return err
	}
	t, ok := mediumTypeOf(super)
	switch {
	case !ok:
		return fmt.Errorf("%s holds no filesystem that is known", device.Path())
	case modset.NoStoreOn(super.Type) != "":
		return errors.New(modset.NoStoreOn(super.Type))
	}
	at := t.mount(device, storeAt, 0, false)
	if err := at.Apply(d.machine.env()); err != nil {
		return err
	}
	foundBy := "name"
	if place != wish.Store {
		foundBy = "label"
	}
	s.steps = []mount.Step{{Name: storeRole, Title: "mount the medium of the sessions", Do: []mount.Action{mount.Held{Target: storeAt}}}}
	s.roles = []report.Role{{Name: storeRole, Device: device.Path(), FSType: super.Type, FoundBy: foundBy, MountedAt: storeAt, State: "ok"}}
	s.fsType = super.Type
	if foundBy == "label" && modset.IsStore(s.kernel, storeAt) {
		place.Path = "" // an older MiniOS has it there
	}
	s.dir, err = storeDir(s.kernel, storeAt, place.Path)
	return err
}

// modules are those on the medium of the sessions, where that is another one than
// the set's.
func (s sessionStore) modules(ending string) ([]modset.Module, error) {
	if s.steps == nil {
		return nil, nil
	}
	dir, err := storeDir(s.kernel, storeAt, modset.Dir)
	if err != nil {
		return nil, err
	}
	return modset.LookBeside(s.kernel, dir, ending)
}

// release lets the medium of the sessions go, where the boot goes no further.
func (s sessionStore) release(env mount.Env) {
	for _, step := range s.steps {
		_ = step.Do[0].Undo(env) // the failure that leads here is the one to tell
	}
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

// opened is what opens a session: a directory is shown where the upper is to be,
// an image is mounted there, with tools of the system that the modules are.
func (s sessionStore) opened(choice modset.Choice, wish modset.Wish, lowers []string) []mount.Action {
	if choice.Mode == modset.Native {
		open := modset.Open{Store: s.dir, Number: choice.Number, Create: choice.Create}
		return []mount.Action{open, mount.Bind{From: path.Join(s.dir, choice.Number), To: changesAt}}
	}
	stack := mount.Stack{Dirs: lowers, Target: staging + "/stack"}
	image := s.image(choice, wish)
	image.Tools = mount.Toolbox{Root: stack.Target, Name: "the set"}
	if choice.Mode == modset.Luks && wish.Key != (modset.Place{}) {
		image.Key = func() ([]byte, error) { return s.medium.readKey(wish.Key) }
	}
	return []mount.Action{stack, image, mount.Drop{Target: stack.Target}}
}

// image is what opens a session in an image.
func (s sessionStore) image(choice modset.Choice, wish modset.Wish) modset.OpenImage {
	return modset.OpenImage{
		Store: s.dir, FSType: s.fsType, Number: choice.Number, Mode: choice.Mode, Create: choice.Create, Clean: choice.Clean,
		Size: wish.Size, Reserve: wish.Reserve, Target: changesAt,
	}
}

// record is what makes the store know of a session.
func (s sessionStore) record(choice modset.Choice, now modset.Release) modset.Record {
	r := modset.Record{Store: s.dir, Number: choice.Number, Session: modset.NewSession(choice, now), Note: SessionNote}
	if choice.Mode != modset.Native {
		r.Image = s.image(choice, modset.Wish{}).File()
	}
	return r
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
	store.NoNative = modset.NoNativeOn(s.fsType)
	if wish.Selector != modset.Ask || wish.Refused != "" || store.Unreadable != nil {
		return modset.Choose(wish, store, now)
	}
	entries, usual := modset.Menu(wish, store, now)
	picked, why := pick(s.kernel, "Which session?", entries, usual)
	return modset.Picked(entries[picked].Session, wish, store, now, why)
}
