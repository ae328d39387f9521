package kmod

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
)

// Empty tells whether the image has no module for this kernel.
func (l *Loader) Empty() bool { return len(l.modules) == 0 }

// Filesystem loads what the image has for filesystems of a type. Every module
// of that alias is loaded, also when the kernel has the type built in: it may
// still need the image's character sets to mount it (vfat does). That neither
// image nor kernel has the type shows when it is mounted; Unknown explains it.
func (l *Loader) Filesystem(fstype string) error {
	var names []string
	for _, d := range l.byBus[""] {
		if d.pattern == "fs-"+fstype {
			names = append(names, d.module)
		}
	}
	if _, listed := l.modules[Normalize(fstype)]; listed {
		names = append(names, Normalize(fstype))
	}
	return l.loadAll(unique(names))
}

// Unknown says what to do about a filesystem that the kernel refused to mount as
// one of no type that it knows. It returns nil when that was not the reason.
func (l *Loader) Unknown(fstype string) error {
	known, err := l.filesystems()
	if err != nil {
		return err
	}
	if !known[fstype] {
		return fmt.Errorf("no filesystem %s: neither has the kernel %s it built in (/proc/filesystems) nor the image a module for it (%s): build the image with EXTRA=%s, or with a set in SETS= that has it",
			fstype, l.release, filepath.Join(l.dir, IndexFile), fstype)
	}
	return nil
}

// filesystems reads which types the kernel knows.
func (l *Loader) filesystems() (map[string]bool, error) {
	text, err := l.kernel.ReadFile("/proc/filesystems")
	if err != nil {
		return nil, fmt.Errorf("which filesystems the kernel knows is not readable: %w", err)
	}
	known := make(map[string]bool)
	for line := range strings.Lines(string(text)) {
		// "nodev<tab>proc" or "<tab>ext4"
		if fields := strings.Fields(line); len(fields) > 0 {
			known[fields[len(fields)-1]] = true
		}
	}
	return known, nil
}

// Device loads the modules for a device that calls itself modalias, the text of
// its sysfs file of that name or of MODALIAS in its uevent. No such module is
// no error: the kernel may have the driver built in.
func (l *Loader) Device(modalias string) error {
	return l.loadAll(l.drivers(modalias))
}

// drivers are the modules for a device, each once.
func (l *Loader) drivers(modalias string) []string {
	var names []string
	for _, d := range l.byBus[aliasBus(modalias)] {
		if Match(d.pattern, modalias) {
			names = append(names, d.module)
		}
	}
	return unique(names)
}

// Coldplug loads the modules for the devices that are there already, on the
// buses that the image has drivers for. sysfs is /sys. A driver makes new
// devices appear; the kernel announces them, and each announcement is for
// Device. So one round is enough, when the caller listens before it.
func (l *Loader) Coldplug(sysfs string) error {
	var names []string
	var errs []error
	for _, bus := range l.buses() {
		modaliases, err := l.readModaliases(filepath.Join(sysfs, "bus", bus, "devices"))
		errs = append(errs, err)
		for _, modalias := range modaliases {
			names = append(names, l.drivers(modalias)...)
		}
	}
	errs = append(errs, l.loadAll(unique(names)))
	return errors.Join(errs...)
}

// buses are the names in /sys/bus of the buses that the image has drivers for.
func (l *Loader) buses() []string {
	var names []string
	for bus := range l.byBus {
		switch bus {
		case "":
		case "of", "acpi":
			// What the device tree or ACPI describes is, for the most part, on
			// the platform bus and says so in its modalias only.
			names = append(names, "platform")
		default:
			names = append(names, bus)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// readModaliases reads what the devices in a directory call themselves, each
// name once. The kernel has no directory for a bus that it does not know, and
// no file for a device that has no name.
func (l *Loader) readModaliases(dir string) ([]string, error) {
	devices, err := l.kernel.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the devices of a bus are not readable: %w", err)
	}
	var modaliases []string
	for _, device := range devices {
		text, err := l.kernel.ReadFile(filepath.Join(dir, device, "modalias"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return modaliases, fmt.Errorf("what device %s is, is not readable: %w", device, err)
		}
		modaliases = append(modaliases, strings.TrimSpace(string(text)))
	}
	return unique(modaliases), nil
}

// unique keeps the first of equal strings.
func unique(list []string) []string {
	var kept []string
	seen := make(map[string]bool, len(list))
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			kept = append(kept, s)
		}
	}
	return kept
}
