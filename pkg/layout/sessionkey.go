package layout

import (
	"fmt"
	"path"

	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/sys"
)

// mostKey is how long a key may be, in bytes.
const mostKey = 64 << 10

// readKey reads the key of an encrypted session off its device, to which nothing
// is written.
func (d *medium) readKey(place modset.Place) (key []byte, err error) {
	device, super, err := d.machine.deviceOf(place, "the key")
	if err != nil {
		return nil, err
	}
	at := staging + "/key"
	if device.Name == d.device.Name {
		at = d.mounts[0].Target
	} else {
		t, ok := mediumTypeOf(super)
		if !ok {
			return nil, fmt.Errorf("%s holds no filesystem that is known", device.Path())
		}
		m := t.mount(device, at, sys.NoSuid|sys.NoDev|sys.NoExec, true)
		if err := m.Apply(d.machine.env()); err != nil {
			return nil, err
		}
		defer func() { _ = m.Undo(d.machine.env()) }() // what stays mounted is read-only
	}
	where, info, err := d.machine.Kernel.ResolveIn(at, "/"+place.Path)
	if err != nil {
		return nil, err
	}
	if !info.Mode.IsRegular() || info.Size == 0 || info.Size > mostKey {
		return nil, fmt.Errorf("%s is no file of 1 to %d bytes", place, mostKey)
	}
	return d.machine.Kernel.ReadFile(path.Join(at, where))
}
