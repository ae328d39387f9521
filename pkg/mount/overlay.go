package mount

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// Overlay is a writable layer over read-only ones.
type Overlay struct {
	Target string
	Lowers []string // top first
	Upper  Upper
	// Distrust asks for the full write probe on every boot, for an upper whose
	// filesystem can mount and then fail each write.
	Distrust bool
	// RedirectDir lets a directory of a lower be renamed: the upper notes where it
	// came from. It is for an upper whose lower never changes.
	RedirectDir bool
	// ReadOnly hands the root over read-only, once it is proved. Whoever wants to
	// write remounts it.
	ReadOnly bool
}

// Options are the mount options. The four features are named and off, whatever
// the kernel was built with, but for one that can be asked for: an upper that outlives a change of its lower is
// defined only without them (Documentation/filesystems/overlayfs.rst), and
// with index on a new image ends in ESTALE.
func (o Overlay) Options() (options []string) {
	for _, lower := range o.Lowers {
		options = append(options, "lowerdir+="+lower)
	}
	if o.Upper.Dir == "" {
		return options
	}
	redirect := "redirect_dir=off"
	if o.RedirectDir {
		redirect = "redirect_dir=on"
	}
	return append(options, "upperdir="+o.Upper.UpperDir(), "workdir="+o.Upper.WorkDir(),
		"index=off", "metacopy=off", redirect, "xino=off")
}

// maxLowers is the kernel's limit (fs/overlayfs/params.h, OVL_MAX_STACK).
const maxLowers = 500

// Validate refuses what the kernel would refuse with a bare errno, or worse
// would mount.
func (o Overlay) Validate() error {
	if len(o.Lowers) == 0 {
		return errors.New("an overlay without a lower directory")
	}
	if len(o.Lowers) > maxLowers {
		return fmt.Errorf("%d layers are more than the kernel takes, which is %d", len(o.Lowers), maxLowers)
	}
	for i, lower := range o.Lowers {
		if slices.Contains(o.Lowers[:i], lower) {
			return fmt.Errorf("the lower directory %s is given twice", lower)
		}
		for _, own := range o.Upper.own() {
			if within(own, lower) || within(lower, own) {
				return fmt.Errorf("the upper %s and the lower %s lie one in the other", o.Upper.Dir, lower)
			}
		}
	}
	return nil
}

// within tells whether dir is root or lies below it.
func within(dir, root string) bool {
	return dir == root || strings.HasPrefix(dir, strings.TrimSuffix(root, "/")+"/")
}

// Apply implements Action: it mounts the overlay and proves that it can be
// written to.
func (o Overlay) Apply(env Env) error {
	if err := o.Validate(); err != nil {
		return err
	}
	settled := o.settled(env.Kernel)
	if err := o.mount(env); err != nil {
		return err
	}
	err := o.probeReadOnly(env)
	if err == nil && (!settled || o.Distrust) {
		err = o.probeWrite(env)
	}
	if err == nil && o.ReadOnly {
		err = env.Kernel.Remount(o.Target, sys.ReadOnly)
	}
	if err != nil {
		return errors.Join(err, o.Undo(env))
	}
	return nil
}

// mount mounts the overlay, with short names where it has to.
func (o Overlay) mount(env Env) error {
	m := Mount{Source: "overlay", Target: o.Target, FSType: "overlay", Options: o.Options()}
	err := m.Apply(env)
	if errors.Is(err, unix.E2BIG) {
		if m.Options, err = o.shortOptions(env.Kernel); err == nil {
			err = m.Apply(env)
		}
	}
	return err
}

// shortNames is where the lowers have names of few letters.
const shortNames = "/l"

// shortOptions are the options with links in the place of the lowers. Before
// Linux 6.8 all of them have to fit into one page of memory; the kernel follows
// the links when it mounts, and needs them no more.
func (o Overlay) shortOptions(k sys.Kernel) ([]string, error) {
	if err := MkdirAll(k, shortNames); err != nil {
		return nil, err
	}
	lowers := o.Lowers
	o.Lowers = nil
	for i, lower := range lowers {
		short := path.Join(shortNames, strconv.Itoa(i))
		if err := k.Symlink(lower, short); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		o.Lowers = append(o.Lowers, short)
	}
	return o.Options(), nil
}

// settled tells whether the upper needs no full proof: it has been mounted
// before, and the kernel made work/work then. One that is new at each boot would
// be proved at each; on an ext4, which has all that overlayfs wants, the kernel's
// own tries of work have to do, after which it mounts read-only what it cannot
// write to.
func (o Overlay) settled(k sys.Kernel) bool {
	if o.Upper.Top && o.Upper.Reset {
		st, err := k.Statfs(o.Upper.Dir)
		return err == nil && st.Magic == unix.EXT4_SUPER_MAGIC
	}
	_, err := k.Lstat(path.Join(o.Upper.WorkDir(), "work"))
	return err == nil
}

// probeReadOnly sees at no cost what the kernel only logs: an overlay whose
// upper or work cannot be written to is mounted all the same, read-only.
func (o Overlay) probeReadOnly(env Env) error {
	st, err := env.Kernel.Statfs(o.Target)
	if err != nil {
		return err
	}
	if st.ReadOnly {
		return fmt.Errorf("the overlay with the upper %s came up read-only: %w", o.Upper.Dir, unix.EROFS)
	}
	return nil
}

// ProbeDir is where the full probe writes: /run is in every root, and what is
// copied up of it is hidden for ever by the tmpfs that is mounted on it.
const ProbeDir = "run"

// probeWrite copies a directory of the lower up and makes, reads and deletes a
// file in it, which needs the upper, the work directory and their attributes
// to work together.
func (o Overlay) probeWrite(env Env) error {
	dir := path.Join(o.Target, ProbeDir)
	err := MkdirAll(env.Kernel, dir)
	if err == nil {
		err = writeAndRead(env, path.Join(dir, ".minos-probe"))
	}
	if err != nil {
		return fmt.Errorf("the overlay with the upper %s does not take a write: %w", o.Upper.Dir, err)
	}
	return nil
}

// writeAndRead makes a file, reads it back and removes it.
func writeAndRead(env Env, file string) error {
	const content = "written by init to see whether this overlay can be\n"
	err := env.Kernel.WriteFile(file, []byte(content), 0o600)
	if err == nil {
		var back []byte
		if back, err = env.Kernel.ReadFile(file); err == nil && string(back) != content {
			err = fmt.Errorf("%s: other bytes came back than were written", file)
		}
	}
	if removeErr := env.Kernel.Remove(file); err == nil && !errors.Is(removeErr, fs.ErrNotExist) {
		err = removeErr
	}
	return err
}

// Undo implements Action.
func (o Overlay) Undo(env Env) error { return env.Kernel.Unmount(o.Target) }

func (o Overlay) String() string {
	return fmt.Sprintf("overlay %s over %s on %s", o.Upper.Dir, strings.Join(o.Lowers, ", "), o.Target)
}
