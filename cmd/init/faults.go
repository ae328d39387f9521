//go:build faults

package main

import (
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
	"github.com/minos-os/minos-init/pkg/sys"
)

// plantFault breaks the boot as the tests ask for. The builder of images never
// sets this build tag.
func plantFault(conf config.Config) error {
	switch fault, _ := conf.Last("fault"); fault {
	case "goroutine": // one that was started as all are
		return <-sys.Go(func() error { panic("planted in a goroutine") })
	case "runtime": // one that nothing can catch
		go func() { panic("planted beyond every recover") }()
		select {}
	case "standstill": // init hangs, and with it the machine
		select {}
	case "primary-before-shadow": // a cut then finds a shadow of another time
		ubootenv.PlantedFault = fault
	case mount.MissingFsync, mount.RenameBeforeData: // a writer's, which a power cut shows
		mount.PlantedFault = fault
	case firstboot.RemovedBeforeStored:
		firstboot.PlantedFault = fault
	}
	return nil
}
