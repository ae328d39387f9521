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
	keys      map[string]string
}

// ParseEvent reads a message as it comes from the kernel's netlink group
// (lib/kobject_uevent.c): "ACTION@DEVPATH", then KEY=VALUE strings, each ended
// by a NUL. Messages of udev, which begin with "libudev", are refused.
func ParseEvent(msg []byte) (Event, error) {
	head, rest, ok := bytes.Cut(msg, []byte{0})
	if !ok || !bytes.ContainsRune(head, '@') {
		return Event{}, fmt.Errorf("not a device event of the kernel: %.40q", msg)
	}
	e := Event{keys: parseKeys(string(rest), "\x00")}
	e.Action, e.Devpath, e.Subsystem = e.keys["ACTION"], e.keys["DEVPATH"], e.keys["SUBSYSTEM"]
	if e.Action == "" || !strings.HasPrefix(e.Devpath, "/") {
		return Event{}, fmt.Errorf("a device event without action or path: %.40q", msg)
	}
	return e, nil
}

// Modalias names what driver the device wants, "" when it says nothing.
func (e Event) Modalias() string { return e.keys["MODALIAS"] }

// parseKeys reads KEY=VALUE pairs. Of a repeated key the last counts.
func parseKeys(text, separator string) map[string]string {
	keys := map[string]string{}
	for pair := range strings.SplitSeq(text, separator) {
		if key, value, ok := strings.Cut(pair, "="); ok {
			keys[key] = value
		}
	}
	return keys
}
