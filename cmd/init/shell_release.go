//go:build !minosdebug

package main

import "github.com/minos-os/minos-init/pkg/config"

// A release image has no shell, and its init has no code to start one.

const imageName = "minos-init"

// breakAt is where a debug image offers a shell.
func breakAt(_ machine, log *Log, conf config.Config, stage config.Stage) {
	if stage == config.Early && len(conf.Breaks) > 0 {
		log.Warn("minos.break= and rd.break need the debug image, ignoring: a break")
	}
}

// shellOnError is where a debug image offers a shell.
func shellOnError(_ machine, log *Log, conf config.Config) {
	if conf.OnFail == config.Shell {
		log.Error("minos.onfail=shell needs the debug image; the machine restarts instead")
	}
}
