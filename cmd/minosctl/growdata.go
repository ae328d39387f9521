package main

import (
	"errors"
	"fmt"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/firstboot"
)

// growData gives the filesystem of the data partition all the space that the
// partition has, which init has made as large as the card. It says how far it
// is; cut off, it goes on where it was.
func (c *call) growData() error {
	const what = "cannot grow the filesystem of %s: %w"
	running, err := c.host.running()
	if err != nil {
		return fmt.Errorf(what, dataDir, err)
	}
	if running.Boot == nil {
		return fmt.Errorf(what, dataDir, errors.New("there is no "+bootFile))
	}
	for _, role := range running.Boot.Roles {
		if role.Name != "data" || role.MountedAt == "" || role.State != "ok" {
			continue
		}
		err := firstboot.GrowFilesystem(c.host.kernel, c.host.path(role.Device), c.host.path(role.MountedAt), func(now, end int64) {
			fmt.Fprintf(c.stdout, "the filesystem of %s has %s of %s\n", role.MountedAt, block.SizeText(now), block.SizeText(end))
		})
		if err != nil {
			return fmt.Errorf(what, role.MountedAt, err)
		}
		return nil
	}
	return fmt.Errorf(what, dataDir, errors.New("init has not mounted it, see minosctl report"))
}
