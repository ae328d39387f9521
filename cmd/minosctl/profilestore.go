package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/profiles"
	"github.com/minos-os/minos-init/pkg/profiles/store"
)

// Files that tell what of a btrfs with profiles is in use.
const (
	bootIDFile    = "/proc/sys/kernel/random/boot_id"
	mountsFile    = "/proc/self/mounts"
	mountinfoFile = "/proc/self/mountinfo"
)

// subverb is a word behind the verb profile or base.
type subverb struct {
	arguments   string
	least, most int
	do          func() error
}

// doSubverb does the word that the arguments begin with, and takes it off them.
func (c *call) doSubverb(verb string, all map[string]subverb) error {
	name := c.args[0]
	v, ok := all[name]
	if !ok {
		whole, _ := findVerb(verb)
		return usage("cannot %s a %s: it is called as: minosctl %s", name, verb, whole.synopsis())
	}
	if c.args = c.args[1:]; len(c.args) < v.least || len(c.args) > v.most {
		return usage("cannot %s: it is called as: minosctl %s %s %s", name, verb, name, v.arguments)
	}
	err := v.do()
	var p problem
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p):
		if !strings.HasPrefix(err.Error(), "cannot ") {
			err = problem{p.status, fmt.Errorf("cannot %s: %w", name, p.err)}
		}
		return err
	case errors.Is(err, store.ErrRefused):
		return problem{statusRefused, fmt.Errorf("cannot %s: %w", name, err)}
	case errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES):
		err = fmt.Errorf("%w; run minosctl as root", err)
	}
	return fmt.Errorf("cannot %s: %w", name, err)
}

// openStore is the filesystem of a medium, as init has mounted it, or the one that a
// person names.
func (c *call) openStore(medium profiles.Medium) (*store.Store, error) {
	top := c.top
	if top == "" {
		top = c.host.path(profiles.TopLevel)
		if medium == profiles.Card {
			top = c.host.path(profiles.CardTopLevel)
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(top, &fs); err != nil || uint32(fs.Type) != unix.BTRFS_SUPER_MAGIC {
		return nil, problem{statusNoState, fmt.Errorf("no btrfs with profiles is mounted at %s; mount one with subvolid=5 and name it with --top", top)}
	}
	use, err := c.host.inUse(top)
	if err != nil {
		return nil, err
	}
	id, _ := os.ReadFile(c.host.path(bootIDFile)) // without it nothing is kept for a boot that nobody knows
	return &store.Store{Top: top, Use: use, Now: time.Now, BootID: profiles.FirstLine(id), LockWait: c.host.lockWait}, nil
}

// profileRef reads the name of a profile, or takes the running one, and opens the
// filesystem that it is on.
func (c *call) profileRef(args []string) (profiles.ID, *store.Store, error) {
	var text string
	if len(args) > 0 {
		text = args[0]
	} else {
		run, err := c.host.running()
		if err != nil {
			return "", nil, err
		}
		if text = run.profile(); text == "" || text == string(profiles.None) {
			return "", nil, problem{statusNoState, errors.New("no profile is running; name one")}
		}
	}
	ref, err := profiles.ParseRef(text)
	if err != nil {
		return "", nil, problem{statusUsage, err}
	}
	if ref.ID == profiles.None {
		return "", nil, usage("cannot use %s: it means that no profile is started", text)
	}
	s, err := c.openStore(ref.Medium)
	return ref.ID, s, err
}

// profile is the running profile as init names it, "" when that is no matter of
// this device's layout.
func (r running) profile() string {
	if r.Boot == nil || r.Boot.Choice.What != "profile" {
		return ""
	}
	return r.Boot.Choice.Value
}

// inUse is what of the filesystem at top is a part of a running system: what init
// says that it has booted, and what overlays are mounted.
func (h host) inUse(top string) (use store.Use, err error) {
	run, err := h.running()
	if err != nil {
		return use, err
	}
	info, _ := os.ReadFile(h.path(mountinfoFile)) // what it does not tell is taken for in use
	mounts, _ := mount.ParseMountinfo(info)
	same := func(path string) bool {
		a, b := deviceOf(mounts, path), deviceOf(mounts, top)
		return a == "" || b == "" || a == b
	}
	if ref, err := profiles.ParseRef(run.profile()); err == nil && ref.ID != profiles.None && same(run.Boot.Overlay.Upper) {
		use.Profiles = append(use.Profiles, ref.ID)
	}
	if run.profile() != "" && slices.ContainsFunc(run.Boot.Overlay.Lowers, same) {
		if v, err := profiles.ParseVersion(run.Boot.Base.Value); err == nil {
			use.Bases = append(use.Bases, v)
		}
	}
	list, _ := os.ReadFile(h.path(mountsFile))
	for _, dir := range overlayDirs(string(list)) {
		if !same(dir) {
			continue
		}
		if id, err := profiles.ParseID(element(dir, profiles.ProfilesDir)); err == nil {
			use.Profiles = append(use.Profiles, id)
		}
		if v, err := profiles.ParseVersion(element(dir, profiles.BaseDir)); err == nil {
			use.Bases = append(use.Bases, v)
		}
	}
	return use, nil
}

// overlayDirs are the directories of all overlays in a list of mounts
// (proc_pid_mounts(5)).
func overlayDirs(list string) (dirs []string) {
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 4 || f[2] != "overlay" {
			continue
		}
		for option := range strings.SplitSeq(f[3], ",") {
			key, value, _ := strings.Cut(option, "=")
			switch key {
			case "lowerdir", "lowerdir+", "upperdir":
				dirs = append(dirs, strings.Split(value, ":")...)
			}
		}
	}
	return dirs
}

// element is the part of a path behind the one called parent.
func element(path, parent string) string {
	parts := strings.Split(path, "/")
	if i := slices.Index(parts, parent); i >= 0 && i+1 < len(parts) {
		return parts[i+1]
	}
	return ""
}

// deviceOf is the filesystem that holds a path, by its number; "" when no mount is
// known that could be it.
func deviceOf(mounts []mount.Mounted, path string) (device string) {
	longest := 0
	for _, m := range mounts {
		at := strings.TrimSuffix(m.At, "/")
		if (path == m.At || strings.HasPrefix(path, at+"/")) && len(m.At) >= longest && filepath.IsAbs(path) {
			device, longest = m.Device, len(m.At)
		}
	}
	return device
}
