package layout

import (
	"fmt"
	"path"
	"strconv"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
	"github.com/minos-os/minos-init/pkg/sys"
)

// OnTrial implements Rescue.
func (t *trybootCard) OnTrial() (bool, string) {
	file, err := t.autoboot()
	if err != nil && t.firmware.Tryboot != tryboot.Set {
		return false, "autoboot.txt: " + err.Error()
	}
	return tryboot.Trial(t.firmware, file)
}

// Other implements Rescue. The count comes last, since only a restart that is
// made counts; a cut leaves the one before or the new one, which are one sector.
func (t *trybootCard) Other() (argument string, err error) {
	if argument, err = t.request(); err != nil {
		return "", err
	}
	data, at, err := t.readCommon(rescueEntry)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s: %w", tryboot.RescueFile, err)
	case at.Size < tryboot.SizeLimit:
		return "", fmt.Errorf("%s has %d bytes, and not %d", tryboot.RescueFile, at.Size, tryboot.SizeLimit)
	}
	rescues, ok := tryboot.ParseRescues(data).Next(t.slot)
	if !ok {
		return "", fmt.Errorf("it was asked for %d times", rescues.Times)
	}
	if err := t.valid(); err != nil {
		return "", err
	}
	return argument, t.count(rescues, at.Offset)
}

// request is the argument of the restart that starts the other slot once.
func (t *trybootCard) request() (string, error) {
	partition := t.mapping.Of(t.slot.Other()).Boot
	if t.Config.Tryboot == config.TrybootSelector {
		return strconv.Itoa(partition), nil
	}
	file, err := t.autoboot()
	if err != nil {
		return "", fmt.Errorf("autoboot.txt: %w", err)
	}
	if trial, ok := file.Trial(); !ok || trial != partition || !file.AB() {
		return "", fmt.Errorf("autoboot.txt does not start partition %d for a trial", partition)
	}
	return "0 tryboot", nil
}

// valid looks whether the other slot has what the firmware and init need.
func (t *trybootCard) valid() error {
	boot, root := t.other.boot, t.other.root
	boot.identify(t.Disks)
	root.identify(t.Disks)
	const at = staging + "/other"
	if err := t.lookInto(boot, at, nil, func() error {
		_, err := t.Kernel.Lstat(path.Join(at, "config.txt"))
		return err
	}); err != nil {
		return err
	}
	var options []string
	if root.super.Type == "ext4" {
		options = []string{"noload"} // a journal would be written back
	}
	return t.lookInto(root, at, options, func() error {
		_, err := mount.FindInit(t.Kernel, at, t.Config.Init)
		return err
	})
}

// lookInto mounts a partition for one look, read-only.
func (t *trybootCard) lookInto(p *partition, at string, options []string, look func() error) error {
	if p.err != nil {
		return p.err
	}
	env := mount.Env{Kernel: t.Kernel, Modules: t.Modules}
	m := mount.Mount{Source: p.match.Device.Path(), Target: at, FSType: p.super.Type, Flags: sys.ReadOnly | sys.NoAtime, Options: options}
	if err := m.Apply(env); err != nil {
		return fmt.Errorf("%s: %w", m.Source, err)
	}
	err := look()
	_ = m.Undo(env) // the machine restarts
	if err != nil {
		return fmt.Errorf("%s: %w", m.Source, err)
	}
	return nil
}

// count writes the count to its sector.
func (t *trybootCard) count(r tryboot.Rescues, offset int64) error {
	dev, err := t.Kernel.WriteDevice(t.common.Path())
	if err != nil {
		return err
	}
	defer dev.Close()
	if _, err := dev.WriteAt(r.Bytes(), offset); err != nil {
		return err
	}
	return dev.Sync()
}
