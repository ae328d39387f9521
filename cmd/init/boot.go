package main

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// machine is what init was started on and with.
type machine struct {
	kernel   sys.Kernel
	args     []string       // that the kernel gave to PID 1, without the name
	environ  []string       // likewise
	schedule mount.Schedule // nil: what can be done side by side is
	dog      *watchdog      // looks after the boot, where the machine has one
}

// boot is the story of a boot, in the order in which somebody at the console
// sees it. It returns only when it failed, with the root it had come to. It stays
// one function, also where that is a little more than a page.
func boot(m machine, log *Log) (root layout.Root, err error) {
	k, line := m.kernel, newTimeline(m.kernel)
	if err := mountAPI(k); err != nil {
		return root, failure{"api", err}
	}
	m.relax()
	log.Open()
	conf, err := readConfig(k)
	if err != nil {
		return root, failure{"config", err}
	}
	restartOnPanic(k, log, conf)
	log.Start(conf)
	m.kernel = m.dog.open(k, log, conf)
	k = m.kernel
	lay, err := layout.ByName(conf.Layout)
	if err != nil {
		return root, failure{"config", fmt.Errorf("cannot choose a layout: %w", err)}
	}
	breakAt(m, log, conf, config.Early)
	line.Mark("config")

	prepareExitrd(k, log)
	modules := openModules(k, log, conf)
	if !modules.Empty() {
		m.attend()
	}
	disks, err := block.Watch(k, sysfs, modules.Device)
	if err != nil {
		return root, failure{"disk", fmt.Errorf("cannot watch the devices: %w", err)}
	}
	modules.Begin(lay.Filesystems)
	root, err = lay.Prepare(layout.Machine{
		Kernel: k, Config: conf, Disks: disks, Modules: modules, Timeout: waitTime(conf, lay), Settle: modules.Settle, Say: log.Say,
	})
	if err != nil {
		return root, failure{"disk", fmt.Errorf("cannot find the boot disk: %w", err)}
	}
	log.Found(root)
	m.kernel = m.dog.open(k, log, conf) // its driver may be a module
	k = m.kernel
	if err := plantFault(conf); err != nil {
		return root, failure{"fault", err}
	}
	breakAt(m, log, conf, config.Disk)
	line.Mark("disk")

	env := mount.Env{Kernel: k, Modules: modules, Say: log.Note, Tell: log.Say, SetUp: log.SetUp}
	built, err := mount.Build(env, root.Steps, m.schedule)
	log.Built(built)
	if err != nil {
		return root, err
	}
	breakAt(m, log, conf, config.LayoutChosen)
	line.Mark("root")

	init, err := mount.FindInit(k, root.Path, conf.Init)
	if err != nil {
		built.Undo(env)
		return root, failure{"init", fmt.Errorf("cannot start %s %s: %w", root.Choice.What, root.Choice.Value, err)}
	}
	breakAt(m, log, conf, config.Handover)
	line.Mark("handover")
	handover := prepareHandover(m, log, conf, root, init, line)
	leaveReport(m, log, bootReport(log, lay, root, built, modules, line))
	m.dog.handOver(root.Path, init, conf)
	if err := mount.SwitchRoot(k, handover); err != nil {
		return root, failure{"handover", fmt.Errorf("cannot enter the new root: %w", err)}
	}
	return root, nil
}
