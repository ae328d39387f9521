package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
)

// The files of the verbs of tryboot.
const (
	// rebootParam is the argument of the next restart: systemctl reboot ARGUMENT
	// writes it, systemd-shutdown and our way out read it (systemd,
	// src/shared/reboot-util.c).
	rebootParam = "/run/systemd/reboot-param"
	// committedFile tells that this boot's trial was committed. The firmware goes
	// on to say that the boot was a trial.
	committedFile = "/run/minos/tryboot-committed"
	confFile      = "/etc/minos.conf"
)

// trybootVerb is the verb tryboot with a word behind it.
func (c *call) trybootVerb() error {
	do, ok := map[string]func() error{
		"status": c.trybootStatus, "try": c.trybootTry, "commit": c.trybootCommit, "abort": c.trybootAbort,
	}[c.args[0]]
	if !ok {
		v, _ := findVerb("tryboot")
		return usage("cannot %s a trial: it is called as: minosctl %s", c.args[0], v.synopsis())
	}
	return do()
}

// trybootOf is what is known of the running boot, and the common partition, to
// be closed.
func (c *call) trybootOf(run running) (trybootFacts, *common, error) {
	if run.Boot == nil {
		return trybootFacts{}, nil, problem{statusNoState, fmt.Errorf("there is no %s, so this is not a device that init has started", bootFile)}
	}
	if !run.trybootLayout() {
		return trybootFacts{}, nil, problem{statusNoState, fmt.Errorf("the layout of this device is %s; a trial by the firmware is for the layout tryboot", run.Boot.Layout)}
	}
	conf := c.host.config()
	f := trybootFacts{
		Firmware: tryboot.ReadFirmware(func(name string) ([]byte, error) {
			return os.ReadFile(c.host.path(filepath.Join(tryboot.DeviceTree, name)))
		}),
		Mapping: tryboot.MappingOf(conf.TryParts), Request: conf.Tryboot,
		Running: run.Slot, Named: run.Boot.Choice.Source == "kn86.slot=", Degraded: degraded(run),
	}
	_, err := os.Lstat(c.host.path(committedFile))
	f.Committed = err == nil
	device, err := commonDevice(run.Boot, f.Mapping.Common)
	if err != nil {
		return trybootFacts{}, nil, err
	}
	p, err := c.host.openCommon(device)
	if err == nil {
		if f.File, err = p.read(); err == nil {
			return f, p, nil
		}
		err = errors.Join(err, p.close())
	}
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w; run minosctl as root", err)
	}
	return trybootFacts{}, nil, err
}

// trybootLayout tells whether the firmware chooses this device's slot.
func (r running) trybootLayout() bool { return r.Boot != nil && r.Boot.Layout == "tryboot" }

// config is the configuration that init and this tool share.
func (h host) config() config.Config {
	file, _ := os.ReadFile(h.path(confFile)) // need not be there
	cmdline, _ := os.ReadFile(h.path(cmdlineFile))
	return config.Parse(file, cmdline)
}

// withTryboot does something with the facts of the running boot, while nobody
// else does.
func (c *call) withTryboot(what string, do func(trybootFacts, *common, running) error) error {
	failed := func(err error) error { return fmt.Errorf("cannot %s: %w", what, err) }
	run, err := c.host.running()
	if err != nil {
		return failed(err)
	}
	unlock, err := lockDir(c.host.path(filepath.Dir(bootFile)))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(err)
	} else if err == nil {
		defer unlock()
	}
	f, p, err := c.trybootOf(run)
	if err != nil {
		return failed(err)
	}
	err = do(f, p, run)
	if closed := p.close(); closed != nil {
		c.warn("the common partition stays mounted, ignoring: %v", closed)
	}
	if err != nil {
		return failed(err)
	}
	return nil
}

// trybootCommit makes the slot on trial the default.
func (c *call) trybootCommit() error {
	return c.withTryboot("commit", func(f trybootFacts, p *common, _ running) error {
		return c.commitTrial(f, p)
	})
}

func (c *call) commitTrial(f trybootFacts, p *common) error {
	d, err := decideCommit(f, c.force)
	if err != nil {
		return err
	}
	if !d.Needed && p.rescued() {
		// The default slot is up: what it failed earlier does not count any more.
		if err := p.overwrite(tryboot.RescueFile, bytes.Repeat([]byte("\n"), tryboot.SizeLimit)); err != nil {
			return err
		}
	}
	if d.Needed {
		if err := p.overwrite(tryboot.FileName, d.Write.Bytes()); err != nil {
			return err
		}
		if err := os.WriteFile(c.host.path(committedFile), nil, 0o644); err != nil {
			c.warn("a second commit in this boot will be refused, ignoring: %v", err)
		}
	}
	c.say("%s", d.Says)
	return nil
}

// trybootTry asks for a trial at the next restart.
func (c *call) trybootTry() error {
	return c.withTryboot("try the other slot", func(f trybootFacts, _ *common, run running) error {
		argument, slot, err := decideTry(f)
		if err != nil {
			return err
		}
		if why := c.unfit(f, slot, run); why != "" && !c.force {
			return refusal("%s; install a system there, or say --force", why)
		}
		if err := c.requestTrial(argument); err != nil {
			return err
		}
		if c.reboot {
			c.say("Restarting for a trial of slot %s.", slot)
			return c.host.restart()
		}
		c.say("The next restart is a trial of slot %s (\"systemctl reboot\" makes it); minosctl tryboot abort takes it back.", slot)
		return nil
	})
}

// unfit is why a slot cannot start, as far as its partitions tell; "" when they
// look like a system's. Both are read only.
func (c *call) unfit(f trybootFacts, slot slots.Slot, run running) string {
	parts := f.Mapping.Of(slot)
	for _, p := range []struct {
		number int
		what   string
		fits   func(fstype string) bool
	}{
		{parts.Boot, "FAT", func(t string) bool { return t == "vfat" }},
		{parts.Root, "filesystem", func(t string) bool { return t != "" }},
	} {
		name := partitionName(run.Boot.Disk, p.number)
		fstype, err := probe(c.host.path(name))
		switch {
		case err != nil:
			return fmt.Sprintf("%s of slot %s cannot be read: %v", name, slot, err)
		case !p.fits(fstype):
			return fmt.Sprintf("%s of slot %s holds no %s", name, slot, p.what)
		}
	}
	return ""
}

// probe is the type of what is on a device, "" for nothing known.
func probe(name string) (fstype string, err error) {
	dev, err := openDevice(name, false)
	if err != nil {
		return "", err
	}
	defer dev.Close()
	super, err := block.Probe(dev, dev.size)
	return super.Type, err
}

// requestTrial leaves the argument of the next restart to systemd.
func (c *call) requestTrial(argument string) error {
	name := c.host.path(rebootParam)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(argument+"\n"), 0o644)
}

// pending is the argument of the next restart where that is a trial, "" where it
// is a plain one.
func (c *call) pending() string {
	data, _ := os.ReadFile(c.host.path(rebootParam)) // none is there as a rule
	argument := strings.TrimSpace(string(data))
	if _, err := strconv.Atoi(argument); err != nil && !strings.HasSuffix(argument, " tryboot") {
		return ""
	}
	return argument
}

// trybootAbort takes back what was asked for: nothing was written to the card.
func (c *call) trybootAbort() error {
	return c.withTryboot("abort the trial", func(f trybootFacts, _ *common, _ running) error {
		asked, err := c.takeTrialBack()
		if err != nil {
			return err
		}
		standing, ok := f.File.All()
		if !ok {
			return tryboot.ErrNoDefault
		}
		text := "No trial was asked for. "
		if is, _ := f.trial(); is {
			text = "This boot is a trial, which a restart ends. "
		} else if asked {
			text = "The trial is taken back. "
		}
		c.say("%sThe next restart starts %s.", text, f.slotOfPartition(standing))
		return nil
	})
}

func (c *call) takeTrialBack() (asked bool, err error) {
	if asked = c.pending() != ""; !asked {
		return false, nil
	}
	return true, os.Remove(c.host.path(rebootParam))
}

func title(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
