package block

import (
	"fmt"
	"time"
)

// Search is a look at the devices one by one, for what no table tells of.
type Search struct {
	// Find looks at the devices that there are, and says whether it has found
	// what it looks for. It is asked again when others have come.
	Find    func(devices []Device) bool
	What    string // it is that is looked for, for somebody who watches
	By      Selector
	Timeout time.Duration
	Settle  func(limit time.Duration) // as in Request
	Say     func(line string)
}

// Search waits until Find has found something, or until the timeout.
func (w *Watcher) Search(s Search) (found bool, err error) {
	if w.known, err = Scan(w.kernel, w.sysfs); err != nil {
		return false, err
	}
	began := w.kernel.Now()
	deadline, tick := began+s.Timeout, began+time.Second
	for {
		if s.Find(w.holders(s.By)) {
			// What was found may come behind something that a driver is just
			// about to show.
			later, err := w.settle(Request{Settle: s.Settle, By: s.By, Timeout: s.Timeout})
			if err != nil || !later {
				return err == nil, err
			}
			continue
		}
		now := w.kernel.Now()
		if now >= deadline {
			return false, nil
		}
		if now >= tick {
			s.Say(fmt.Sprintf("waiting for %s: %.0f/%.0f s, seen: %s", s.What, (now - began).Seconds(), s.Timeout.Seconds(), w.known))
			tick += time.Second
			if tick-began > 5*time.Second {
				tick += 4 * time.Second // a long wait is told of less often
			}
		}
		if _, err := w.next(min(deadline, tick) - now); err != nil {
			return false, err
		}
	}
}

// holders are the devices that may hold a filesystem, by the names of their disks
// and the numbers of the partitions. A disk that has partitions comes behind
// them: an image of a CD that was written to a stick is to be found on both, and
// who mounts the whole disk keeps the others from it.
func (w *Watcher) holders(by Selector) (devices []Device) {
	for _, disk := range w.known.Disks() {
		if by.Matches(disk, w.TableID) {
			devices = append(append(devices, w.known.Partitions(disk.Name)...), disk)
		}
	}
	return devices
}
