package main

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Where things are.
const (
	sysfs       = "/sys"
	cmdlineFile = "/proc/cmdline"
	panicFile   = "/proc/sys/kernel/panic"
	modulesDir  = "/lib/modules"
)

// mountAPI mounts what the kernel is spoken to through.
func mountAPI(k sys.Kernel) error {
	for _, m := range mount.API() {
		if err := m.Apply(mount.Env{Kernel: k, Modules: builtIn{}}); err != nil {
			return fmt.Errorf("cannot set up the kernel's own filesystems: %w", err)
		}
	}
	return nil
}

// builtIn says that a filesystem needs no module: no kernel lacks those of its
// own.
type builtIn struct{}

func (builtIn) Filesystem(string) error { return nil }
func (builtIn) Unknown(string) error    { return nil }

// readConfig reads the image's configuration and the kernel command line. An
// image without a configuration has the defaults.
func readConfig(k sys.Kernel) (config.Config, error) {
	file, err := k.ReadFile(config.FileName)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return config.Config{}, fmt.Errorf("cannot read the configuration: %w", err)
	}
	cmdline, err := k.ReadFile(cmdlineFile)
	if err != nil {
		return config.Config{}, fmt.Errorf("cannot read the kernel command line: %w", err)
	}
	return config.Parse(file, cmdline), nil
}

// waitTime is how long the boot disk may take to appear.
func waitTime(conf config.Config, lay layout.Layout) time.Duration {
	if conf.Timeout > 0 {
		return conf.Timeout
	}
	return lay.Timeout
}

// restartOnPanic makes the kernel restart the machine when it panics, unless
// the command line says what it is to do then. Without it a fatal error of the
// Go runtime, which nothing can catch, would leave the machine hanging for
// ever, where the bootloader cannot fall back.
func restartOnPanic(k sys.Kernel, log *Log, conf config.Config) {
	if conf.Panic.Set {
		return
	}
	if err := k.WriteFile(panicFile, []byte("10\n"), 0o644); err != nil {
		log.Warn("cannot make the kernel restart after a panic, ignoring: %v", err)
	}
}
