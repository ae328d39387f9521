package block

import (
	"bytes"
	"fmt"
	"strings"
)

// Event is one of the kernel's messages about a device.
type Event struct {
	Action    string // "add", "remove", "change"
	Devpath   string // below /sys, "/devices/…/block/vda/vda1"
	Subsystem string // "block"
	keys      pairs
}

// ParseEvent reads a message as it comes from the kernel's netlink group
// (lib/kobject_uevent.c): "ACTION@DEVPATH", then KEY=VALUE strings, each ended
// by a NUL. Messages of udev, which begin with "libudev", are refused.
func ParseEvent(msg []byte) (Event, error) {
	head, rest, ok := bytes.Cut(msg, []byte{0})
	if !ok || !bytes.ContainsRune(head, '@') {
		return Event{}, fmt.Errorf("not a device event of the kernel: %.40q", msg)
	}
	e := Event{keys: pairs{string(rest), "\x00"}}
	e.Action, e.Devpath, e.Subsystem = e.keys.value("ACTION"), e.keys.value("DEVPATH"), e.keys.value("SUBSYSTEM")
	if e.Action == "" || !strings.HasPrefix(e.Devpath, "/") {
		return Event{}, fmt.Errorf("a device event without action or path: %.40q", msg)
	}
	return e, nil
}

// Modalias names what driver the device wants, "" when it says nothing.
func (e Event) Modalias() string { return e.keys.value("MODALIAS") }

// pairs are KEY=VALUE strings with something between them. Of a repeated key the
// last counts. They are read where they are wanted: a map of each device's would
// cost a boot 0.1 ms.
type pairs struct{ text, separator string }

// all yields keys and values in their order.
func (p pairs) all(yield func(key, value string) bool) {
	for pair := range strings.SplitSeq(p.text, p.separator) {
		if key, value, ok := strings.Cut(pair, "="); ok && !yield(key, value) {
			return
		}
	}
}

// value is that of a key, "" when there is none.
func (p pairs) value(wanted string) (found string) {
	for key, value := range p.all {
		if key == wanted {
			found = value
		}
	}
	return found
}
