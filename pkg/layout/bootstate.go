package layout

import (
	"errors"
	"fmt"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
	"github.com/minos-os/minos-init/pkg/sys"
)

// bootState is the boot state of a device as it was found. It is only read
// here: what has to be written is a step.
type bootState struct {
	device block.Device
	place  ubootenv.Place
	known  slots.Known
}

// readBootState reads the U-Boot environment on the partition with that role,
// or says why there is none.
func readBootState(m Machine, p *partition) bootState {
	b := bootState{place: ubootenv.DefaultPlace(), known: slots.Known{State: slots.Fresh(), Absent: true}}
	b.place.Offset, b.place.Size, b.place.Second = m.Config.BootState.Offset, m.Config.BootState.Size, m.Config.BootState.Second
	if p.match.By == "" && !m.without(p.role) {
		p.searchEnvironment(m, b.place)
	}
	if p.match.By == "" {
		b.known.Why = "there is no boot state"
		return b
	}
	b.device = p.match.Device
	where := b.device.Path()
	found, err := readEnvironment(m.Kernel, b.device, b.place)
	if err == nil {
		b.known = slots.Known{State: slots.Read(&found.Env)}
		if found.From == ubootenv.Shadow {
			b.known.Warnings = append(b.known.Warnings,
				fmt.Sprintf("the boot state in %s is read from its shadow copy, ignoring: the first copy: %v", where, found.Torn))
		}
		return b
	}
	var damaged *ubootenv.DamagedError
	blank := errors.Is(err, ubootenv.ErrBlank)
	if super, _ := m.Disks.Superblock(b.device); super.Type != "" {
		err = fmt.Errorf("%s (%s) holds %s; it has to hold a U-Boot environment, or nothing", where, p.name, super.Type)
	} else if blank || errors.As(err, &damaged) {
		b.known = slots.Known{State: slots.Fresh(), Why: "the boot state in " + where + " is blank"}
		if !blank {
			b.known.Why = fmt.Sprintf("the boot state in %s is damaged, and has no good shadow copy: %v", where, err)
		}
		return b
	}
	// It cannot be read, or it is somebody else's: nothing is written to it.
	p.err = err
	b.known.Why = "the boot state cannot be used"
	b.known.Warnings = append(b.known.Warnings, fmt.Sprintf("the boot state in %s cannot be used, ignoring: %v", where, err))
	return b
}

func readEnvironment(k sys.Kernel, d block.Device, place ubootenv.Place) (found ubootenv.Copy, err error) {
	dev, err := k.OpenDevice(d.Path())
	if err != nil {
		return found, err
	}
	defer dev.Close()
	return ubootenv.Read(dev, place)
}

// searchEnvironment looks for the role on partitions that hold no filesystem:
// it is the one that begins with an environment that has our variables.
func (p *partition) searchEnvironment(m Machine, place ubootenv.Place) {
	for _, d := range m.Disks.Partitions(p.disk) {
		if super, err := m.Disks.Superblock(d); err != nil || super.Type != "" {
			continue
		}
		found, err := readEnvironment(m.Kernel, d, place)
		if err == nil && slots.IsState(&found.Env) {
			p.match, p.err = block.Match{Device: d, By: "content"}, nil
			return
		}
	}
}

// report is where the boot state is. An empty device says that there is none.
func (b bootState) report() report.BootState {
	r := report.BootState{Offset: b.place.Offset, Size: b.place.Size, Second: b.place.Second}
	if b.device.Name != "" {
		r.Device = b.device.Path()
	}
	return r
}

// evidence is where a failed boot of the slot leaves a word. A partition that
// was not recognized is left alone.
func (b bootState) evidence(slot slots.Slot) Evidence {
	if b.known.Absent {
		return Evidence{}
	}
	return Evidence{b.device.Path(), slot}
}

// steps are what has to be done before the slot is tried: store the attempt,
// so that it counts whatever happens next, and wait.
func (b bootState) steps(c slots.Choice) (steps []mount.Step) {
	if c.Picked {
		steps = append(steps, mount.Step{
			Name: "attempt", Title: "count the attempt in the boot state",
			Do:        []mount.Action{storeState{b.device.Path(), b.place, c.After}},
			Tolerated: true, Loss: "a failure will not lead to the other slot",
		})
	}
	if c.Pause > 0 {
		steps = append(steps, mount.Step{Name: "pause", Title: "wait until the slots are tried again", After: names(steps), Do: []mount.Action{pause{c.Pause}}})
	}
	return steps
}

// names are those of steps, for the After of the next.
func names(steps []mount.Step) (names []string) {
	for _, s := range steps {
		names = append(names, s.Name)
	}
	return names
}

// storeState writes the boot state. A cut leaves what was there or all of it.
type storeState struct {
	device string
	place  ubootenv.Place
	state  slots.State
}

// Apply implements mount.Action.
func (s storeState) Apply(env mount.Env) error {
	dev, err := env.Kernel.WriteDevice(s.device)
	if err != nil {
		return err
	}
	defer dev.Close()
	_, err = ubootenv.Update(dev, s.place, func(e *ubootenv.Env, _ ubootenv.Copy) error { return s.state.Write(e) })
	return err
}

// Undo implements mount.Action. An attempt stays counted, whatever becomes of
// it: that is what counts.
func (storeState) Undo(mount.Env) error { return nil }

func (s storeState) String() string { return "store the boot state in " + s.device }

// pause waits.
type pause struct{ time time.Duration }

// Apply implements mount.Action.
func (p pause) Apply(env mount.Env) error {
	env.Kernel.Sleep(p.time)
	return nil
}

// Undo implements mount.Action.
func (pause) Undo(mount.Env) error { return nil }

func (p pause) String() string { return "wait " + p.time.String() }
