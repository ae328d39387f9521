package block

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Watcher follows the devices of the machine.
type Watcher struct {
	kernel sys.Kernel
	sysfs  string
	events sys.Uevents
	known  Inventory
	driver func(modalias string)
	// What was read off the devices, by name, until an event of theirs comes.
	supers map[string]probed
	tables map[string]string
}

// probed is what a look at a device brought.
type probed struct {
	super Superblock
	size  int64 // of the device, in bytes
	err   error
}

// Watch begins to listen. It does so before anything is scanned, so that no
// device can come unseen between the scan and the first event. driver is told
// of each device that appears and says what driver it wants.
func Watch(k sys.Kernel, sysfs string, driver func(modalias string)) (*Watcher, error) {
	events, err := k.Uevents()
	if err != nil {
		return nil, err
	}
	return &Watcher{kernel: k, sysfs: sysfs, events: events, driver: driver,
		supers: map[string]probed{}, tables: map[string]string{}}, nil
}

// OptionalWait is how much longer than the required roles the optional ones
// may take: they are on the same disk, and its partitions come together.
const OptionalWait = 2 * time.Second

// StubbornWait is how long, from the start, init goes on looking when no
// restart into another slot would find more: to count an attempt for a card
// that is not there would only use up both slots.
const StubbornWait = 60 * time.Second

// Request is what is waited for.
type Request struct {
	Wants []Want
	// Twin are the roles of a system beside the wanted one, on the same disk:
	// where they are and the wanted ones are not, a restart can help.
	Twin    []Want
	By      Selector
	Timeout time.Duration
	// Final says that the timeout is the last word: no attempts are counted, so a
	// restart costs nothing.
	Final bool
	// Settle returns when the drivers that are being loaded are done, and so
	// have shown their disks, or after limit. Nil: there are none.
	Settle func(limit time.Duration)
	// Say gets a line at each of the first five seconds, and at each fifth
	// one after them.
	Say func(line string)
}

// WaitFor waits until a disk has all the roles wanted, or until the required
// ones have been there for OptionalWait, or until the timeout; when no restart
// could help, it goes on until StubbornWait. It returns a *MissingError or a
// *TwinsError when there is no boot disk.
func (w *Watcher) WaitFor(q Request) (Resolution, error) {
	var err error
	if w.known, err = Scan(w.kernel, w.sysfs); err != nil {
		return Resolution{}, err
	}
	began := w.kernel.Now()
	deadline, tick := began+q.Timeout, began+time.Second
	for found, stubborn := false, false; ; {
		r := Resolve(w.facts(), q.Wants, q.By)
		if r.Disk != "" && !slices.ContainsFunc(r.Missing, func(w Want) bool { return !w.NoWait }) {
			// The first disk that would do may have a twin that its driver is
			// just about to show; who named the disk need not wait for it.
			if later, err := w.settle(q); err != nil || !later {
				return r, err
			}
			continue
		}
		now := w.kernel.Now()
		if r.Disk != "" && !found {
			found, deadline = true, now+OptionalWait
		}
		if now >= deadline {
			if r.Disk != "" {
				return r, nil
			}
			err := w.whyNot(r, q, now-began)
			last := began + max(q.Timeout, StubbornWait)
			if stubborn || q.Final || now >= last || Resolve(w.facts(), q.Twin, q.By).Disk != "" {
				return r, err
			}
			q.Say(fmt.Sprintf("%v; no other slot would find more, so init goes on looking, until %v", err, last-began))
			stubborn, deadline = true, last
		}
		if now >= tick {
			q.Say(waiting(r, now-began, deadline-began, w.known))
			tick += time.Second
			if tick-began > 5*time.Second {
				tick += 4 * time.Second // a long wait is told of less often
			}
		}
		if _, err := w.next(min(deadline, tick) - now); err != nil {
			return r, err
		}
	}
}

// settle waits for the drivers and takes what they showed into account. It says
// whether that was anything.
func (w *Watcher) settle(q Request) (later bool, err error) {
	if q.Settle == nil || !q.By.Empty() {
		return false, nil
	}
	q.Settle(q.Timeout)
	before := maps.Clone(w.known)
	for pending := true; pending; {
		if pending, err = w.next(0); err != nil {
			return false, err
		}
	}
	return !maps.Equal(before, w.known), nil
}

// whyNot says why there is no boot disk.
func (w *Watcher) whyNot(r Resolution, q Request, waited time.Duration) error {
	if len(r.Twins) == 0 {
		return &MissingError{q.Wants, q.By, waited.Round(time.Second).String(), w.known}
	}
	e := &TwinsError{Seen: w.known}
	for _, disk := range r.Twins {
		text := disk.Name
		for _, word := range w.words(disk) {
			// A word that fits a twin as well would not choose.
			fits := slices.ContainsFunc(r.Twins, func(d Device) bool {
				return d != disk && SelectorOf(word).Matches(d, w.TableID)
			})
			if !fits {
				text += " or " + word
			}
		}
		e.Twins = append(e.Twins, text)
	}
	return e
}

// words are those that minos.disk= takes for a disk, besides its name.
func (w *Watcher) words(disk Device) (words []string) {
	if bus := disk.Bus(); bus != "" {
		words = append(words, bus)
	}
	if id := w.TableID(disk); id != "" {
		words = append(words, "PTUUID="+id)
	}
	return words
}

// waiting is the line for somebody who watches the console.
func waiting(r Resolution, waited, timeout time.Duration, seen Inventory) string {
	var what []string
	for _, w := range r.Missing {
		what = append(what, w.Role)
	}
	if len(r.Twins) > 0 {
		what = []string{"all but one of the disks that could each be the boot disk to go"}
	}
	return fmt.Sprintf("waiting for %s: %.0f/%.0f s, seen: %s",
		strings.Join(what, ", "), waited.Seconds(), timeout.Seconds(), seen)
}

// next takes one event into account, and says whether one came in time.
func (w *Watcher) next(timeout time.Duration) (came bool, err error) {
	msg, err := w.events.Next(timeout)
	switch {
	case errors.Is(err, sys.ErrTimeout):
		return false, nil
	case errors.Is(err, sys.ErrOverflow):
		clear(w.supers)
		clear(w.tables)
		w.known, err = Scan(w.kernel, w.sysfs)
		return true, err
	case err != nil:
		return false, err
	}
	e, err := ParseEvent(msg)
	if err != nil {
		return true, nil // not for us
	}
	if alias := e.Modalias(); alias != "" && e.Action == "add" {
		w.driver(alias)
	}
	if name := e.keys.value("DEVNAME"); e.Subsystem == "block" {
		delete(w.supers, name)
		delete(w.tables, name)
	}
	w.known.Apply(e)
	return true, nil
}

// Partitions are the partitions of a disk, by number.
func (w *Watcher) Partitions(disk string) []Device { return w.known.Partitions(disk) }

// facts are what is known of the devices, read when it is asked for.
func (w *Watcher) facts() Facts {
	return Facts{
		Known:     w.known,
		Label:     func(d Device) string { super, _ := w.Superblock(d); return super.Label },
		TableID:   w.TableID,
		Removable: w.removable,
	}
}

// Superblock tells what filesystem is on a device. It reads each device once.
func (w *Watcher) Superblock(d Device) (Superblock, error) {
	p, known := w.supers[d.Name]
	if !known {
		p.err = w.read(d, func(dev sys.Device) error {
			var err error
			if p.size, err = dev.Size(); err == nil {
				p.super, err = Probe(dev, p.size)
			}
			return err
		})
		w.supers[d.Name] = p
	}
	return p.super, p.err
}

// TableID is the identity of a disk's partition table, as blkid prints PTUUID;
// "" when it has none or cannot be read.
func (w *Watcher) TableID(disk Device) string {
	id, known := w.tables[disk.Name]
	if !known {
		// A disk that cannot be read is not one that somebody has named.
		_ = w.read(disk, func(dev sys.Device) (err error) { id, err = readTableID(dev); return err })
		w.tables[disk.Name] = id
	}
	return id
}

// read opens a device for one look.
func (w *Watcher) read(d Device, look func(sys.Device) error) error {
	dev, err := w.kernel.OpenDevice(d.Path())
	if err != nil {
		return err
	}
	defer dev.Close()
	return look(dev)
}

// Removable tells whether a device is on a disk that anybody may have put in.
func (w *Watcher) Removable(d Device) bool { return w.removable(w.known[d.Disk]) }

// removable tells whether sysfs calls a disk removable, or it is on USB, where
// nearly everything can be pulled out and little says so.
func (w *Watcher) removable(disk Device) bool {
	text, err := w.kernel.ReadFile(w.sysfs + disk.Devpath + "/removable")
	return disk.Bus() == "usb" || err == nil && strings.TrimSpace(string(text)) == "1"
}
