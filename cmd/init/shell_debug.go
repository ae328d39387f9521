//go:build minosdebug

package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/sys"
)

const imageName = "minos-init (debug image)"

// shellPath is u-root's shell in the debug image.
const shellPath = "/bbin/gosh"

// breakAt offers a shell before the hand-over, always, and at the stages that
// the command line names.
func breakAt(m machine, log *Log, conf config.Config, stage config.Stage) {
	if stage == config.Handover || slices.Contains(conf.Breaks, stage) {
		shell(m, log, fmt.Sprintf("a shell before the boot goes on (%s); leave it with exit", stage))
	}
}

// shellOnError offers a shell after every failure.
func shellOnError(m machine, log *Log, _ config.Config) {
	shell(m, log, "a shell to look around in; after exit the above happens")
}

// shell runs a shell on the console, to its end.
func shell(m machine, log *Log, greeting string) {
	log.Error("debug: %s", greeting)
	err := m.kernel.Run(sys.Command{
		Argv:     []string{shellPath},
		Env:      append(environment(m.environ)[1:], "PATH=/bbin:/bin", "HOME=/"),
		Terminal: terminal(m.kernel),
	})
	log.Info("debug: the shell has ended")
	if err != nil {
		log.Warn("the shell ended with an error, ignoring: %v", err)
	}
}

// terminal is the device behind /dev/console, which cannot be a controlling
// terminal itself.
func terminal(k sys.Kernel) string {
	active, err := k.ReadFile("/sys/class/tty/console/active")
	names := strings.Fields(string(active))
	if err != nil || len(names) == 0 {
		return ""
	}
	return "/dev/" + names[len(names)-1]
}
