package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/sys"
)

// factoryReset asks init for an empty overlay and data partition at the next
// boot. The running system goes on as it is.
func (c *call) factoryReset() error {
	if c.yes && c.dryRun {
		return usage("cannot reset: --yes and --dry-run contradict each other; give one")
	}
	run, err := c.host.running()
	if err != nil {
		return err
	}
	resets, err := c.resets(run)
	if err != nil {
		return err
	}
	for _, r := range resets {
		if err := c.tellReset(r); err != nil {
			return err
		}
	}
	if c.dryRun {
		return nil
	}
	if !c.yes {
		return usage("cannot reset: what is thrown away does not come back; give --yes for it to happen at the next boot")
	}
	for _, r := range resets {
		if err := leaveRequest(r.At); err != nil {
			return errors.Join(fmt.Errorf("cannot reset %s: %w", r.What, err), takeBack(resets))
		}
	}
	c.say("It is asked for, and happens at the next boot.")
	return nil
}

// resets are those of the running device, in init's own terms.
func (c *call) resets(run running) ([]firstboot.Reset, error) {
	if run.Boot == nil {
		return nil, fmt.Errorf("cannot reset: there is no %s, so this is not a device that init has started", bootFile)
	}
	resets := []firstboot.Reset{
		{Wish: "overlay", What: "the overlay partition"},
		{Wish: "data", What: "the data partition", Keep: firstboot.KeptOnData(), Except: firstboot.GoneFromKept()},
	}
	for i := range resets {
		r := &resets[i]
		for _, role := range run.Boot.Roles {
			if role.Name == r.Wish && role.MountedAt != "" && role.State == "ok" {
				r.At = c.host.path(role.MountedAt)
			}
		}
		if r.At == "" {
			return nil, fmt.Errorf("cannot reset %s: it is not mounted in this boot; minosctl report says why", r.What)
		}
	}
	return resets, nil
}

// tellReset shows what would go, and what would stay.
func (c *call) tellReset(r firstboot.Reset) error {
	doomed, err := r.Doomed(sys.Linux{}, "")
	if err != nil {
		return fmt.Errorf("cannot reset %s: %w", r.What, err)
	}
	var names []string
	for _, v := range doomed {
		names = append(names, v.Path)
	}
	goes := strings.Join(names, ", ")
	if goes == "" {
		goes = "nothing"
	}
	c.say("On %s goes: %s.", r.What, goes)
	if len(r.Keep) > 0 {
		c.say("On %s stays: %s.", r.What, strings.Join(r.Keep, ", "))
	}
	return nil
}

// leaveRequest leaves the file that init looks for, durably.
func leaveRequest(dir string) error {
	f, err := os.OpenFile(filepath.Join(dir, firstboot.RequestName), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(dir)
}

// takeBack removes requests: all that was asked for happens, or nothing.
func takeBack(resets []firstboot.Reset) error {
	var failed []error
	for _, r := range resets {
		if err := os.Remove(filepath.Join(r.At, firstboot.RequestName)); err != nil && !os.IsNotExist(err) {
			failed = append(failed, err)
		}
	}
	return errors.Join(failed...)
}
