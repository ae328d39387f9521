// Package layout holds the systems that init can boot, one file each. A layout
// finds its partitions, decides which of its variants starts and says as a
// value how the new root is put together; it mounts nothing itself.
package layout

import (
	"fmt"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Layout is one line of the table of layouts.
type Layout struct {
	Name        string        // the word for minos.layout=
	Timeout     time.Duration // how long its required partitions may take to appear
	Filesystems []string      // that each of its boots needs, made known while the disk is waited for
	Prepare     func(Machine) (Root, error)
}

// Table is the layouts there are. It is the only place that looks at a
// layout's name.
func Table() []Layout {
	return []Layout{
		{Name: "slots", Timeout: 15 * time.Second, Filesystems: []string{"overlay"}, Prepare: prepareSlots},
		{Name: "image", Timeout: 10 * time.Second, Filesystems: []string{"loop", "squashfs", "overlay"}, Prepare: prepareImage},
		{Name: "tryboot", Timeout: 5 * time.Second, Filesystems: []string{"overlay", "vfat"}, Prepare: prepareTryboot},
		{Name: "modules", Timeout: 45 * time.Second, Filesystems: []string{"loop", "squashfs", "overlay"}, Prepare: prepareModules},
		{Name: "profiles", Timeout: 15 * time.Second, Filesystems: []string{"btrfs", "overlay"}, Prepare: prepareProfiles},
	}
}

// ByName finds a layout.
func ByName(name string) (Layout, error) {
	var names []string
	for _, l := range Table() {
		if l.Name == name {
			return l, nil
		}
		names = append(names, l.Name)
	}
	return Layout{}, fmt.Errorf("minos.layout=%s: there is no such layout; there are: %s", name, strings.Join(names, ", "))
}

// Machine is what a layout works with.
type Machine struct {
	Kernel  sys.Kernel
	Config  config.Config
	Disks   *block.Watcher
	Modules mount.Modules
	Timeout time.Duration
	Settle  func(limit time.Duration) // waits for the drivers that are being loaded
	Say     func(line string)         // one line for somebody who watches the console
}

// Root is a new root as a layout wants it.
type Root struct {
	Choice   report.Choice
	Base     report.Choice // what that lies over, where it is a choice of its own
	Disk     string        // the boot disk, "vda"
	Roles    []report.Role
	Warnings []string
	// BootState is where the boot state is, for who changes it later.
	BootState report.BootState
	Lowest    block.Device // the partition behind the lowest layer
	// OnTrial tells that another system is known to be better than this one.
	OnTrial  bool
	Evidence Evidence
	Rescue   Rescue // nil: a failed boot can do nothing but restart

	Steps []mount.Step
	// Source says what the lowest layer is where the partition that holds it does
	// not say enough. It is asked once the steps are done; full tells whether a
	// step was done in full.
	Source  func(k sys.Kernel, full func(step string) bool) string
	Path    string        // where it is mounted once the steps are done
	Overlay mount.Overlay // of the step "root", when that is done in full
	// Subvolume is the number of the btrfs subvolume that has the upper of Overlay.
	Subvolume uint64
	Upper     string        // what becomes of the upper then: "keep", "reset" or "volatile"
	StandIn   mount.Overlay // of the step "root", when it had to be replaced
	// Choices are what was chosen when the step of that name had to be replaced,
	// where that makes a difference.
	Choices map[string]report.Choice
}

// Rescue is how a layout whose bootloader counts no attempts gets a failed boot
// to its other system. Both look at the disk, which may have stopped answering.
type Rescue interface {
	// OnTrial tells, with the reason, whether a plain restart leads to another
	// system, which is known to be better.
	OnTrial() (bool, string)
	// Other makes sure that there is another system, notes durably that it is
	// asked for, and returns the argument of the restart that starts it once. The
	// error says why it is not to be.
	Other() (argument string, err error)
}

// Evidence is where a failed boot can leave a word for whoever comes next. The
// zero value is nowhere.
type Evidence struct {
	device string
	slot   slots.Slot
}

// Leave writes why the boot failed, durably. It replaces what an earlier boot
// of the same slot left.
func (e Evidence) Leave(k sys.Kernel, step, reason, bootID string) error {
	if e.device == "" {
		return nil
	}
	dev, err := k.WriteDevice(e.device)
	if err != nil {
		return err
	}
	defer dev.Close()
	if err := (slots.Evidence{Slot: e.slot, Step: step, Error: reason, Boot: bootID}).Write(dev); err != nil {
		return err
	}
	return dev.Sync()
}

// Places in the initramfs.
const (
	newRoot = "/sysroot"
	backing = "/run/initramfs" // systemd leaves what is mounted below it alone
	staging = "/mnt"           // mounts on their way to the new root
)
