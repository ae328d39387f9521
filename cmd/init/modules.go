package main

import (
	"sync"
	"time"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/kmod"
	"github.com/minos-os/minos-init/pkg/sys"
)

// modules loads kernel modules in the background while the disk is waited for.
// A driver that cannot be loaded is a warning: whether it was needed shows when
// the disk does not come.
type modules struct {
	*kmod.Loader
	log     *Log
	drivers *sync.WaitGroup // that are being loaded
}

// openModules looks at what modules the image has, and what was said to them.
func openModules(k sys.Kernel, log *Log, conf config.Config) modules {
	words := make([]string, len(conf.Words))
	for i, w := range conf.Words {
		words[i] = w.Text
	}
	loader, err := kmod.New(k, modulesDir, words)
	if err != nil {
		log.Warn("going on without kernel modules, ignoring: %v", err)
	}
	return modules{loader, log, new(sync.WaitGroup)}
}

// Begin loads the drivers of the devices that are there and the filesystems
// that will be needed.
func (m modules) Begin(filesystems []string) {
	if m.Empty() {
		return // looking for nothing in the background would cost a thread
	}
	m.driver(func() error { return m.Coldplug(sysfs) })
	for _, fstype := range filesystems {
		// Who mounts it asks again, and tells of the failure.
		m.background(func() error { _ = m.Filesystem(fstype); return nil })
	}
}

// Device loads the driver of a device that has appeared.
func (m modules) Device(modalias string) {
	m.driver(func() error { return m.Loader.Device(modalias) })
}

// Settle waits until the drivers that are being loaded are done, at most limit.
func (m modules) Settle(limit time.Duration) {
	if m.Empty() {
		return
	}
	done := sys.Go(func() error { m.drivers.Wait(); return nil })
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func (m modules) driver(load func() error) {
	m.drivers.Add(1)
	m.background(func() error {
		defer m.drivers.Done()
		return load()
	})
}

func (m modules) background(load func() error) {
	sys.Go(func() error {
		if err := sys.Guard(load); err != nil {
			m.log.Warn("a device may be missing, ignoring: %v", err)
		}
		return nil
	})
}
