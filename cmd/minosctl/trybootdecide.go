package main

import (
	"fmt"
	"strconv"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
)

// trybootFacts are what the verbs of tryboot decide by.
type trybootFacts struct {
	File     tryboot.File
	Firmware tryboot.Firmware
	Mapping  tryboot.Mapping
	Request  config.TrybootRequest // how this board is asked for a trial
	Running  slots.Slot            // as init chose it, "" when nothing tells
	// Named tells that init took the slot from kn86.slot=. That word is in the
	// cmdline.txt of the partition that was started, and so tells which it was.
	Named     bool
	Committed bool   // in this boot, by an earlier commit
	Degraded  string // what this boot lacks, "" for a whole one
}

// booted is the partition that the firmware started, 0 when nothing tells.
func (f trybootFacts) booted() int {
	if f.Firmware.Partition == 0 && f.Named {
		return f.Mapping.Of(f.Running).Boot
	}
	return f.Firmware.Partition
}

// trial is tryboot.Trial, with what is known of a firmware that tells nothing.
func (f trybootFacts) trial() (is bool, reason string) {
	if f.Committed {
		return false, "it was committed"
	}
	fw := f.Firmware
	fw.Partition = f.booted()
	return tryboot.Trial(fw, f.File)
}

// slotOfPartition is "slot B" or, for what is no slot's, "partition 7".
func (f trybootFacts) slotOfPartition(partition int) string {
	if slot, ok := f.Mapping.Started(partition); ok {
		return "slot " + string(slot)
	}
	return "partition " + strconv.Itoa(partition)
}

// commitment is what commit has to do.
type commitment struct {
	Write  tryboot.File // in place of the file, when Needed
	Needed bool
	Says   string
}

// decideCommit tells what commit does, or why it refuses.
//
// Only the partition that a trial is for is ever made the default: what the
// firmware started in its place, because it could not start that, proves
// nothing about it.
func decideCommit(f trybootFacts, force bool) (commitment, error) {
	standing, ok := f.File.All()
	if !ok {
		return commitment{}, tryboot.ErrNoDefault
	}
	trial, hasTrial := f.File.Trial()
	booted, set := f.booted(), f.Firmware.Tryboot == tryboot.Set
	switch {
	case booted == 0:
		return commitment{}, refusal("nothing tells which partition was started: the firmware does not, and there is no kn86.slot= on the kernel command line")
	case booted == standing && set && !f.Committed:
		return commitment{}, refusal("a trial was asked for, and the firmware started partition %d, the default one, in its place", booted)
	case booted == standing:
		return commitment{Says: fmt.Sprintf("%s is the default already; nothing is written.", title(f.slotOfPartition(booted)))}, nil
	case !hasTrial:
		return commitment{}, tryboot.ErrNoTrial
	case booted != trial:
		return commitment{}, refusal("the firmware started partition %d, and a trial is of partition %d; it fell over to another one", booted, trial)
	case !set && f.Request != config.TrybootSelector:
		return commitment{}, refusal("partition %d was started without the flag of a trial, by its number; where that is how trials are made, minos.tryboot=selector on the kernel command line says so", booted)
	case f.Degraded != "" && !force:
		return commitment{}, refusal("this boot is degraded: %s; mend that, or say --force", f.Degraded)
	}
	swapped, err := f.File.Swapped()
	if err != nil {
		return commitment{}, err
	}
	return commitment{Write: swapped, Needed: true,
		Says: fmt.Sprintf("%s is the default from now on; the next trial is of %s.", title(f.slotOfPartition(trial)), f.slotOfPartition(standing))}, nil
}

// decideTry is the argument of the restart that starts a trial, and the slot
// that it is of.
func decideTry(f trybootFacts) (argument string, slot slots.Slot, err error) {
	trial, ok := f.File.Trial()
	if !ok {
		return "", "", tryboot.ErrNoTrial
	}
	if is, why := f.trial(); is {
		return "", "", refusal("this boot is a trial (%s); commit it, or restart, and then try", why)
	}
	if f.booted() == trial {
		return "", "", refusal("partition %d, which a trial is of, is running", trial)
	}
	if slot, ok = f.Mapping.Started(trial); !ok {
		return "", "", refusal("[tryboot] of autoboot.txt has partition %d, which is no slot's", trial)
	}
	if f.Request == config.TrybootSelector {
		return strconv.Itoa(trial), slot, nil
	}
	if !f.File.AB() {
		return "", "", refusal("autoboot.txt has no tryboot_a_b=1, without which the firmware looks for tryboot.txt in a trial")
	}
	return "0 tryboot", slot, nil
}

// refusal is an error that leaves everything as it is, with its own status.
func refusal(format string, args ...any) error {
	return problem{statusRefused, fmt.Errorf(format, args...)}
}
