package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/minos-os/minos-init/pkg/slots"
)

// bootUpdate writes new boot files (U-Boot's script, initramfs, device tree)
// beside those that the device starts with, and has them tried once. The rename
// of a file on a FAT does not survive every power cut, and a write to the boot
// state does: so the switch is a variable there.
func (c *call) bootUpdate() error {
	if c.commit == (len(c.args) > 0) {
		v, _ := findVerb("boot-update")
		return usage("cannot update the boot files: it is called as: minosctl %s", v.synopsis())
	}
	run, err := c.host.running()
	if err != nil {
		return err
	}
	if c.dir != "" || c.named() {
		run.Files = -1 // these are another device's
	}
	if c.commit {
		return c.commitFiles(run)
	}
	target, err := c.writeFiles(run)
	if err != nil {
		return err
	}
	err = c.change("have the new boot files tried", run, func(s slots.State) (slots.State, error) { return s.TryFiles(target), nil })
	if err != nil {
		return err
	}
	c.say("%s holds the new boot files. They are started at the next boot, once; minosctl mark-good in that boot keeps them, and without it the boot after that starts those of now.", setName(target))
	return nil
}

// named tells whether flags say where the boot state is.
func (c *call) named() bool { return c.where.device != "" || c.where.image != "" }

// commitFiles makes the running set the current one.
func (c *call) commitFiles(run running) error {
	if run.Files < 0 {
		return errors.New("cannot keep the running boot files: nothing tells which these are; minos.files= on the kernel command line does, which U-Boot's script writes")
	}
	err := c.change("keep the running boot files", run, func(s slots.State) (slots.State, error) {
		if why := degraded(run); why != "" && filesOnTrial(s, run) && !c.force {
			return s, problem{statusRefused, fmt.Errorf("cannot keep the running boot files: they are on trial and this boot is degraded: %s; mend that, or say --force", why)}
		}
		return s.CommitFiles(run.Files), nil
	})
	if err == nil {
		c.say("The boot files of %s are the current ones.", setName(run.Files))
	}
	return err
}

// filesOnTrial tells whether this boot was made with other boot files than the
// current ones. Those at the top are no trial: nothing but a failure of the
// current ones leads there.
func filesOnTrial(s slots.State, run running) bool {
	return run.Files > 0 && run.Files != s.Files.Current
}

// writeFiles puts the files into the directory of a set that is neither started
// nor running, and returns its number.
func (c *call) writeFiles(run running) (target int, err error) {
	dir, err := c.bootDir(run)
	if err != nil {
		return 0, err
	}
	unlock, err := lockDir(dir)
	if err != nil {
		return 0, cannotUpdate(err)
	}
	defer unlock()
	f, _, err := c.readState(run)
	if err != nil {
		return 0, err
	}
	files := f.known.Files
	target = files.Choose(run.Files)
	if target == 0 {
		return 0, fmt.Errorf("cannot update the boot files: %s is on trial and %s is current, and there is no third directory; mark the trial good, or restart, and then update", setName(run.Files), setName(files.Current))
	}
	base := run.Files
	if base < 0 {
		base = files.Current
	}
	set, err := readSet(c.args, filepath.Join(dir, setDir(base)))
	if err != nil {
		return 0, cannotUpdate(err)
	}
	there, err := c.host.space(dir)
	if err == nil {
		err = set.fits(filepath.Join(dir, setDir(target)), there)
	}
	if err == nil {
		err = hasSets(dir)
	}
	if err != nil {
		return 0, cannotUpdate(err)
	}
	// A trial that has not come is of what is replaced now.
	if files.Try != 0 {
		if err := c.change("put off the trial of earlier boot files", run, func(s slots.State) (slots.State, error) { return s.TryFiles(0), nil }); err != nil {
			return 0, err
		}
	}
	return target, c.store(set, dir, target)
}

// store writes the set. The boot partition is writable for that time only.
func (c *call) store(set bootSet, dir string, target int) (err error) {
	restore := func() error { return nil }
	if c.dir == "" {
		if restore, err = c.host.makeWritable(dir); err != nil {
			return fmt.Errorf("cannot make the boot partition writable: %w", err)
		}
	}
	err = set.replace(filepath.Join(dir, setDir(target)))
	if again := restore(); again != nil {
		c.warn("the boot partition stays writable, ignoring: %v", again)
	}
	if err != nil {
		return fmt.Errorf("cannot write the boot files, those of before are kept: %w", err)
	}
	return nil
}

func cannotUpdate(err error) error { return fmt.Errorf("cannot update the boot files: %w", err) }

// bootDir is where the boot partition is mounted.
func (c *call) bootDir(run running) (string, error) {
	if c.dir != "" {
		return c.dir, nil
	}
	if c.named() {
		return "", usage("cannot update the boot files: the boot state of another device is given; give its boot partition with --dir too")
	}
	if run.Files < 0 {
		return "", errors.New("cannot update the boot files: minos.files= is not on the kernel command line, so U-Boot's script did not start this device and would not start new ones; for the boot partition of another device give --dir and --device")
	}
	if run.Boot != nil {
		for _, role := range run.Boot.Roles {
			if role.Name == "boot" && role.State == "ok" && role.MountedAt != "" {
				return c.host.path(role.MountedAt), nil
			}
		}
	}
	return "", fmt.Errorf("cannot find the boot partition: %s names none; mount it, and give --dir", bootFile)
}
