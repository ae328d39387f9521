package modset

import (
	"errors"
	"path"
	"strings"
)

// Place is where something is looked for: a path on one device, or on any.
type Place struct {
	// Device is the node of the only device in question, "/dev/sda1", and Label
	// the label of its filesystem. Both empty: any device.
	Device, Label string
	Path          string // from the top of its filesystem, without a slash at its ends
}

// Any tells whether any device may have it.
func (p Place) Any() bool { return p.Device == "" && p.Label == "" }

// ISO tells whether the path is that of a disk image: a file with a filesystem
// of its own, which has the set then.
func (p Place) ISO() bool { return strings.EqualFold(path.Ext(p.Path), ".iso") }

func (p Place) String() string {
	switch {
	case p.Device != "":
		return p.Device + "/" + p.Path
	case p.Label != "":
		return "the filesystem " + p.Label + ", /" + p.Path
	}
	return "/" + p.Path
}

// ParseFrom reads from=: a path on any device, "/dev/sda1/PATH" on that device,
// or "/dev/disk/by-label/LABEL/PATH".
func ParseFrom(text string) (Place, error) {
	const expected = "expected the path of a directory or of an .iso, with /dev/NAME or /dev/disk/by-label/LABEL before it where only one device is meant"
	if scheme, _, ok := strings.Cut(text, "://"); ok && scheme != "" {
		return Place{}, errors.New("starting over the network is not taken over; " + expected)
	}
	if isAskDisk(text) {
		return Place{}, errors.New("asking for the device is not there yet; " + expected)
	}
	p, err := parsePlace(text)
	if err != nil {
		return Place{}, err
	}
	if p.Path == "" && p.Any() {
		return Place{}, errors.New(expected)
	}
	if p.Path == "" {
		p.Path = Dir
	}
	return p, nil
}

// isAskDisk tells the word askdisk, which a list of devices may follow.
func isAskDisk(text string) bool {
	return text == "askdisk" || strings.HasPrefix(text, "askdisk:")
}

// parsePlace reads a path, with a device before it or not.
func parsePlace(text string) (p Place, err error) {
	rest, device := strings.CutPrefix(text, "/dev/")
	if !device {
		p.Path, err = cleanPath(text)
		return p, err
	}
	if label, ok := strings.CutPrefix(rest, "disk/by-label/"); ok {
		p.Label, rest, _ = strings.Cut(label, "/")
		// As udev writes what a file name cannot have, or should not.
		p.Label = strings.ReplaceAll(strings.ReplaceAll(p.Label, `\x20`, " "), `\x2f`, "/")
	} else if strings.HasPrefix(rest, "disk/") {
		return p, errors.New("of the links below /dev/disk only those of by-label are understood")
	} else {
		mapper, mapped := strings.CutPrefix(rest, "mapper/")
		p.Device, rest, _ = strings.Cut(mapper, "/")
		if mapped && p.Device != "" {
			p.Device = "mapper/" + p.Device
		}
		if p.Device != "" {
			p.Device = "/dev/" + p.Device
		}
	}
	if p.Any() {
		return p, errors.New("the name of a device is missing behind /dev/")
	}
	p.Path, err = cleanPath(rest)
	return p, err
}

// cleanPath refuses what leads out of the filesystem that the path is on.
func cleanPath(text string) (string, error) {
	for part := range strings.SplitSeq(text, "/") {
		if part == ".." || part == "." {
			return "", errors.New("there is a . or .. in the path")
		}
	}
	return strings.Trim(path.Clean("/"+text), "/"), nil
}
