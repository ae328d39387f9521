package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

const (
	// oldRoot is where systemd leaves the root that it came from.
	oldRoot = "/oldroot"
	// patience is how long one thing may take while the machine goes down: a
	// slow card has that long to take what was written to it, and a dead one
	// keeps nobody for ever.
	patience = 20 * time.Second
	// lastRound bounds the attempts. Each has to have let something go, and a
	// stack of mounts and loop devices is not this deep.
	lastRound = 8
)

// neededMounts are those that the way out works with.
var neededMounts = []string{"/", "/proc", "/sys", "/dev", "/run"}

// runExitrd is the way out: what was mounted goes, and the machine ends as was
// asked for, whatever happens on the way.
func runExitrd(m machine) {
	k, log := m.kernel, newLog(m.kernel)
	wish := exitWish{how: sys.Restart}
	err := sys.Guard(func() error {
		log.Open()
		wish = readWish(k, m.args)
		if wish.problem != nil {
			log.Warn("%v", wish.problem)
		}
		if err := enterExitrd(k); err != nil {
			log.Warn("the root cannot be left, and stays mounted, ignoring: %v", err)
		}
		return takeDown(k, log, wish)
	})
	if err != nil {
		log.Warn("not everything could be unmounted, ignoring: %v", err)
	}
	// Best effort: the machine goes down in any case.
	_ = within(patience, func() error { k.Sync(); return nil })
	if err := sys.Guard(func() error { return fulfil(k, log, wish) }); err != nil {
		log.Error("%v", err)
	}
}

// takeDown unmounts what can be, makes read-only what cannot, and says how that
// went.
func takeDown(k sys.Kernel, log *Log, wish exitWish) error {
	began := k.Now()
	before, err := mount.ReadMountinfo(k)
	if err != nil && len(before) == 0 {
		return err
	}
	if u, ok := readSession(k); ok {
		if err := closeSession(k, log, u, before); err != nil {
			log.Warn("session %s is not marked as closed, ignoring: %v", u.Number, err)
		}
	}
	left, why := letGo(k, log)
	for _, m := range left {
		log.Warn("%s does not let go, ignoring: %v", describe(m), why[m.ID])
		if err := within(patience, func() error { return k.Remount(m.At, sys.ReadOnly) }); err != nil {
			log.Warn("%s stays writable, ignoring: %v", describe(m), err)
		}
	}
	after, _ := mount.ReadMountinfo(k) // it could be read before
	all := filesystems(before)
	log.Info("shut down: %d of %d filesystems unmounted, took=%.3fs; next: %s",
		all-filesystems(after), all, (k.Now() - began).Seconds(), wish)
	return err
}

// letGo is unmountAll, and once more without who is in its way.
func letGo(k sys.Kernel, log *Log, keep ...string) (left []mount.Mounted, why map[int]error) {
	left, why = unmountAll(k, keep)
	if len(left) > 0 {
		endHolders(k, log, left)
		left, why = unmountAll(k, keep)
	}
	return left, why
}

// readSession reads which session the system has written to. Its store is where
// the way out sees it.
func readSession(k sys.Kernel) (u modset.InUse, ok bool) {
	u, ok = modset.ReadInUse(k, strings.TrimPrefix(layout.SessionNote, exitrdPlace))
	u.Store = strings.TrimPrefix(u.Store, exitrdPlace)
	return u, ok
}

// closeSession marks a session as closed once nothing is mounted any more but the
// filesystem that tells of it.
func closeSession(k sys.Kernel, log *Log, u modset.InUse, mounts []mount.Mounted) error {
	at := "/"
	for _, m := range mounts {
		if len(m.At) > len(at) && strings.HasPrefix(u.Store, m.At+"/") {
			at = m.At
		}
	}
	left, why := letGo(k, log, at)
	for _, m := range left {
		return fmt.Errorf("%s does not let go: %w", describe(m), why[m.ID])
	}
	// systemd makes read-only what it cannot unmount.
	return within(patience, func() error {
		if err := k.Remount(at, sys.NoAtime); err != nil {
			return err
		}
		return u.Close(k)
	})
}

// unmountAll unmounts in rounds, since one mount may hold another in ways that
// no list tells of: a file on it is a disk to the next, or it is a layer of an
// overlay. What is at the places to keep stays. It returns what keeps data, can be
// written to and is still there, and why by the number of the mount.
//
// While an overlay is there nothing else is unmounted: the filesystem of its
// upper would lose its mount and stay in use, out of everybody's reach.
func unmountAll(k sys.Kernel, keep []string) (left []mount.Mounted, why map[int]error) {
	for range lastRound {
		// A line that cannot be read has been told of.
		mounts, _ := mount.ReadMountinfo(k)
		progress := false
		left, why = nil, map[int]error{}
		overlay := false
		for _, m := range mount.UnmountOrder(mounts, slices.Concat(neededMounts, keep)...) {
			err := errBelowOverlay
			if !overlay || m.FSType == "overlay" {
				err = within(patience, func() error { return k.Unmount(m.At) })
			}
			if err == nil {
				progress = true
			} else if m.KeepsData() && !m.ReadOnly {
				left, why[m.ID] = append(left, m), err
				overlay = overlay || m.FSType == "overlay"
			}
		}
		if !detachLoops(k) && !progress {
			break
		}
	}
	return left, why
}

var errBelowOverlay = errors.New("an overlay, whose layers may be on it, is still mounted")

// detachLoops takes the files from the loop devices that nobody uses any more,
// and tells whether there was one.
func detachLoops(k sys.Kernel) (some bool) {
	disks, _ := k.ReadDir(sysfs + "/block") // a kernel without disks has no loops
	for _, disk := range disks {
		if !strings.HasPrefix(disk, "loop") {
			continue
		}
		if _, err := k.Lstat(path.Join(sysfs, "block", disk, "loop/backing_file")); err != nil {
			continue // has no file
		}
		// One that is still mounted stays, and its mount is told of.
		if within(patience, func() error { return k.DetachLoop("/dev/" + disk) }) == nil {
			some = true
		}
	}
	return some
}

// filesystems counts those that keep data.
func filesystems(mounts []mount.Mounted) int {
	devices := map[string]bool{}
	for _, m := range mounts {
		if m.KeepsData() {
			devices[m.Device] = true
		}
	}
	return len(devices)
}

// describe names a mount as the system knew it.
func describe(m mount.Mounted) string {
	at, ok := strings.CutPrefix(m.At, oldRoot)
	switch {
	case ok && at == "":
		at = "/"
	case !ok: // mounted by init
		at = path.Join(exitrdPlace, m.At)
	}
	return fmt.Sprintf("%s %s on %s", m.FSType, m.Source, at)
}

// exitWish is how the machine's run is to end.
type exitWish struct {
	how      sys.Ending
	argument string // for the firmware, with Restart; usually none
	problem  error  // with what was asked for
}

func (w exitWish) String() string {
	if w.argument != "" {
		return fmt.Sprintf("%s %q", w.how, w.argument)
	}
	return string(w.how)
}

// readWish finds out what systemd asks for.
func readWish(k sys.Kernel, args []string) exitWish {
	// reboot(2)'s argument (src/shared/reboot-util.c, REBOOT_PARAM_FILE).
	argument, err := k.ReadFile("/run/systemd/reboot-param")
	wish := decideWish(args, string(argument))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		wish.problem = fmt.Errorf("the machine restarts without an argument, ignoring: %w", err)
	}
	return wish
}

// decideWish weighs what the way out was called with. Who does not say what is to
// happen gets a restart: a device that is switched off stays so.
func decideWish(args []string, argument string) exitWish {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch how := sys.Ending(verb); how {
	case sys.PowerOff, sys.Halt, sys.Kexec:
		return exitWish{how: how}
	case sys.Restart:
		return exitWish{how: how, argument: strings.TrimSpace(argument)}
	}
	return exitWish{how: sys.Restart, problem: fmt.Errorf(
		"the machine restarts, since %q is none of reboot, poweroff, halt and kexec, ignoring: the word", verb)}
}

// fulfil ends the machine's run, with a restart when it does not end as wished.
// On a real machine it returns only when that failed, too.
func fulfil(k sys.Kernel, log *Log, wish exitWish) error {
	var err error
	if wish.argument != "" {
		err = k.RestartWith(wish.argument)
	} else {
		err = k.Reboot(wish.how)
	}
	if err == nil {
		return nil
	}
	log.Warn("the machine restarts, ignoring: %v", err)
	if err := k.Reboot(sys.Restart); err != nil {
		return fmt.Errorf("cannot %s: %w", sys.Restart, err)
	}
	return nil
}
