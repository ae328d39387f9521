package layout

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
)

// filterFstab takes the lines out of an fstab that are for a place that init has
// mounted, or for a device that is not to be mounted by name. They stay as
// comments with the reason; every other byte is kept. taken are the fields of
// the lines that went.
func filterFstab(text string, places []string, notByName func(device string) bool) (filtered string, taken []string) {
	var b strings.Builder
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		why := ""
		if len(fields) > 1 && !strings.HasPrefix(fields[0], "#") {
			device, at := fstabField(fields[0]), path.Clean(fstabField(fields[1]))
			switch {
			case slices.Contains(places, at):
				why = "init has mounted " + at
			case notByName(device):
				why = "a partition of a slot is not mounted by its name"
			}
		}
		if why != "" {
			b.WriteString("# minos-init, " + why + ": ")
			taken = append(taken, fields[0]+" "+fields[1])
		}
		b.WriteString(line)
	}
	return b.String(), taken
}

// fstabField is a field as mount(8) reads it: blanks and a few other bytes are
// written in octal, \040, and the value of a tag may be in quotes.
func fstabField(field string) string {
	field = unescape(field, `\`, 3, 8)
	if tag, value, tagged := strings.Cut(field, "="); tagged {
		return tag + "=" + strings.Trim(value, `"`)
	}
	return field
}

// unescape takes back how a byte is written: a mark, and digits of a base.
func unescape(text, mark string, digits, base int) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, mark)
		b.WriteString(before)
		if !found {
			return b.String()
		}
		n, err := strconv.ParseUint(rest[:min(digits, len(rest))], base, 8)
		if err != nil || len(rest) < digits {
			b.WriteString(mark)
			text = rest
			continue
		}
		b.WriteByte(byte(n))
		text = rest[digits:]
	}
}

// namedPartition is a partition with what an fstab can call it.
type namedPartition struct {
	block.Device
	label, uuid string // of its filesystem
	partUUID    string
}

// called tells whether an fstab means this partition.
func (p namedPartition) called(device string) bool {
	tag, value, tagged := strings.Cut(device, "=")
	dir, name := path.Split(path.Clean(device))
	switch {
	case tagged:
	case dir == "/dev/":
		return name == p.Name
	case dir == "/dev/block/":
		return name == strconv.Itoa(p.Major)+":"+strconv.Itoa(p.Minor)
	default:
		// The links of udev: by-label, by-uuid, by-partlabel, by-partuuid, and those
		// that name the disk, of which only the number tells.
		by, is := strings.CutPrefix(dir, "/dev/disk/by-")
		if tag, value = strings.TrimSuffix(by, "/"), unescape(name, `\x`, 2, 16); !is {
			return false
		}
	}
	switch strings.ToLower(tag) {
	case "label":
		return value != "" && value == p.label
	case "uuid":
		return value != "" && strings.EqualFold(value, p.uuid)
	case "partlabel":
		return value != "" && value == p.PartName
	case "partuuid":
		return value != "" && strings.EqualFold(value, p.partUUID)
	case "id", "path":
		return strings.HasSuffix(value, "-part"+strconv.Itoa(p.Number))
	}
	return false
}

// ownFstab filters /etc/fstab of the new root, in the writable layer.
type ownFstab struct {
	places []string
	// parts are the partitions that are not mounted by name, looked at when a line
	// has to be compared with them.
	parts func() []namedPartition
}

// Apply implements mount.Action.
func (o ownFstab) Apply(env mount.Env) error {
	where, _, err := env.Kernel.ResolveIn(newRoot, "/etc/fstab")
	if err != nil {
		return nil // there is none
	}
	file := path.Join(newRoot, where)
	text, err := env.Kernel.ReadFile(file)
	if err != nil {
		return err
	}
	var parts []namedPartition
	filtered, taken := filterFstab(string(text), o.places, func(device string) bool {
		if !strings.HasPrefix(device, "/dev/") && !strings.Contains(device, "=") {
			return false // proc, tmpfs, a share of the network
		}
		if parts == nil {
			parts = o.parts()
		}
		return slices.ContainsFunc(parts, func(p namedPartition) bool { return p.called(device) })
	})
	if len(taken) == 0 {
		return nil
	}
	if err := env.Kernel.WriteFile(file, []byte(filtered), 0o644); err != nil {
		return err
	}
	env.Tell("/etc/fstab is without these lines in this boot: " + strings.Join(taken, ", "))
	return nil
}

// Undo implements mount.Action. The file is in the layer that goes.
func (ownFstab) Undo(mount.Env) error { return nil }

func (ownFstab) String() string { return "take the lines of the slots out of /etc/fstab" }
