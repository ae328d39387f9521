package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
)

// dataDir is where init mounts the data partition.
const dataDir = "/data"

// firstBootComplete notes on the data partition that systemd need not be told of
// a first boot any more. The id that it is noted for is the one that init gives
// the machine: that of the kernel command line, else that of /data.
func (c *call) firstBootComplete() error {
	const what = "cannot note that the first boot is complete: %w"
	stored, err := c.host.machineID(dataDir + "/" + firstboot.MachineIDFile)
	if err != nil {
		return fmt.Errorf(what, err)
	}
	chosen := stored
	if cmdline, err := os.ReadFile(c.host.path(cmdlineFile)); err == nil {
		if given, ok := firstboot.ParseMachineID(config.Parse(nil, cmdline).MachineID); ok {
			chosen = given
		}
	}
	running, err := c.host.machineID("/etc/machine-id")
	if err != nil {
		return fmt.Errorf(what, err)
	}
	if running != chosen {
		c.warn("this system runs under another machine-id than %s has, ignoring: that one; init gives it that of %s from the next boot on (systemd takes it in a first boot since 254)", dataDir, dataDir)
	}
	// What the first boot has set up must not be lost when it is never done again.
	c.host.kernel.Sync()
	if err := firstboot.NoteFirstBoot(c.host.kernel, c.host.path(dataDir), chosen); err != nil {
		return fmt.Errorf(what, err)
	}
	c.say("The first boot of this machine is complete.")
	return nil
}

// machineID reads a file with an id.
func (h host) machineID(file string) (firstboot.MachineID, error) {
	text, err := os.ReadFile(h.path(file))
	if err != nil {
		return "", err
	}
	id, ok := firstboot.ParseMachineID(strings.TrimSuffix(string(text), "\n"))
	if !ok {
		return "", fmt.Errorf("%s holds no machine-id, 32 hexadecimal digits", file)
	}
	return id, nil
}
