package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// failure is what ended a boot, with the word for the step that it ended in.
type failure struct {
	step string
	err  error
}

func (f failure) Error() string { return f.err.Error() }
func (f failure) Unwrap() error { return f.err }

// stepOf is the word for the step in which an error arose.
func stepOf(err error) string {
	var f failure
	var m *mount.Error
	switch {
	case errors.As(err, &f):
		return f.step
	case errors.As(err, &m):
		return m.Step
	}
	return "init"
}

// end tells what failed and ends the machine's run, so that the bootloader can
// fall back. It is the only way in which a failed boot ends. root is as far as
// the boot had come.
func end(m machine, log *Log, root layout.Root, err error) error {
	k := m.kernel
	log.Open() // the boot may have failed before it did
	conf, confErr := readConfig(k)
	if confErr != nil {
		conf = config.Parse(nil, nil)
	}
	next := goOn(log, conf, root)
	tellFailure(k, log, err, next)
	leave := func() error { return root.Evidence.Leave(k, stepOf(err), err.Error(), bootID(k)) }
	if err := within(5*time.Second, leave); err != nil {
		log.Warn("the boot state does not say why this boot failed, ignoring: %v", err)
	}
	if next.how == sys.Restart {
		m.dog.progress(min(next.pause, time.Hour) + standstill) // a restart that hangs is its matter, too
	} else {
		m.dog.close(false)
	}
	shellOnError(m, log, conf)
	// Best effort: the machine restarts in any case.
	_ = within(5*time.Second, func() error { k.Sync(); return nil })
	if next.pause > 0 {
		k.Sleep(next.pause)
	}
	if next.how == stay {
		return nil
	}
	if next.argument != "" {
		err := k.RestartWith(next.argument)
		if err == nil {
			return nil // only the kernel of a test comes back from a restart
		}
		log.Warn("the other slot is not asked for, ignoring: %v", err)
	}
	if err := k.Reboot(next.how); err != nil {
		return fmt.Errorf("cannot %s: %w", next.how, err)
	}
	return nil
}

// tellFailure is the last block on every console: what failed, then what was
// known, what was seen, and what happens next.
func tellFailure(k sys.Kernel, log *Log, err error, next ending) {
	failed := report.FailedLine(stepOf(err), err)
	log.Error("%s", failed)
	rememberFailure(k, failed)
	var p *sys.PanicError
	if errors.As(err, &p) {
		log.Error("%s", p.Stack)
	}
	if cmdline, err := k.ReadFile(cmdlineFile); err == nil {
		log.Error("what was known: %s", strings.TrimSpace(string(cmdline)))
	}
	if seen, err := block.Scan(k, sysfs); err == nil {
		log.Error("what was seen: %s", seen)
	}
	log.Error("what happens next: %s", next.why)
}

// rememberFailure leaves the failure in the memory that survives a restart,
// where the board has such (pstore's /dev/pmsg0). Best effort: it is on the
// console already.
func rememberFailure(k sys.Kernel, line string) {
	const file = "/dev/pmsg0"
	if _, err := k.Lstat(file); err != nil {
		return
	}
	if w, err := k.OpenWriter(file); err == nil {
		_, _ = io.WriteString(w, "minos: "+line+"\n")
		w.Close()
	}
}

// bootID is the kernel's name for this run of the machine, "" when it has none.
func bootID(k sys.Kernel) string {
	id, _ := k.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}

// ending is how the machine's run ends after a failure.
type ending struct {
	how   sys.Ending
	pause time.Duration // before it
	why   string        // for the console
	// argument is what a restart asks of the firmware, "" for nothing.
	argument string
}

// stay leaves the failure on the screen, for somebody who wrote panic=0.
const stay sys.Ending = "stay"

// defaultPause is long enough to read the block, and short enough for a
// device that nobody is near to.
const defaultPause = 10 * time.Second

// trialPause is for a system on trial: the one that is known to be better is
// waiting.
const trialPause = 3 * time.Second

// goOn decides how the machine goes on. Where the layout has another system to
// which nothing leads by itself, its disk is looked at for that, but no longer
// than a person would wait.
func goOn(log *Log, conf config.Config, root layout.Root) ending {
	rescue := root.Rescue
	if root.OnTrial || rescue == nil {
		return decideEnd(conf, root.OnTrial)
	}
	trial, why := false, ""
	err := within(2*time.Second, func() error { trial, why = rescue.OnTrial(); return nil })
	if err != nil {
		log.Warn("whether this boot is a trial is not known, ignoring: %v", err)
		return decideEnd(conf, false)
	}
	next := decideEnd(conf, trial)
	if trial {
		log.Say("this boot is a trial: " + why)
	}
	if trial || next.how != sys.Restart {
		return next
	}
	argument := ""
	if err := within(5*time.Second, func() (err error) { argument, err = rescue.Other(); return err }); err != nil {
		log.Warn("the other slot is not asked for, ignoring: %v", err)
		return next
	}
	return ending{next.how, next.pause, next.why + ", and the firmware is asked for the other slot", argument}
}

// decideEnd weighs minos.onfail= and panic=. A release image has no shell to
// offer, and none waits for a person who has not asked for it. A system on
// trial restarts whatever they say, and soon.
func decideEnd(conf config.Config, onTrial bool) ending {
	pause := defaultPause
	if conf.Panic.Set && conf.Panic.Seconds != 0 {
		pause = time.Duration(max(conf.Panic.Seconds, 0)) * time.Second
	}
	in := fmt.Sprintf("in %.0f s", pause.Seconds())
	if pause == 0 {
		in = "at once"
	}
	switch {
	case onTrial:
		pause = min(pause, trialPause)
		return ending{sys.Restart, pause, fmt.Sprintf("the machine restarts in %.0f s, since this system is on trial and another was good", pause.Seconds()), ""}
	case conf.OnFail == config.Halt:
		return ending{sys.Halt, 0, "the machine halts (minos.onfail=halt)", ""}
	case conf.OnFail == config.PowerOff:
		return ending{sys.PowerOff, pause, "the machine powers off " + in + " (minos.onfail=poweroff)", ""}
	case conf.OnFail == "" && conf.Panic.Set && conf.Panic.Seconds == 0:
		return ending{stay, math.MaxInt64, "nothing, until somebody restarts the machine (panic=0)", ""}
	}
	return ending{sys.Restart, pause, "the machine restarts " + in, ""}
}

// within does something that a disk which has stopped answering could make take
// for ever, and goes on without it then.
func within(limit time.Duration, do func() error) error {
	select {
	case err := <-sys.Go(do):
		return err
	case <-time.After(limit):
		return fmt.Errorf("it took more than %v", limit)
	}
}
