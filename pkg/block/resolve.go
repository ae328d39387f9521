package block

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Want is a role that a layout gives to a partition of the boot disk, or of any.
type Want struct {
	Role     string // "rootfs-a"
	Name     string // the partition's name in a GPT
	Label    string // the label of the filesystem on it
	Number   int    // the partition's number where there are no names
	Required bool   // without it there is no boot
	Else     string // a role that does as well, where this one is required
	// LabelLast is for what an updater writes whole, label included, into the
	// partitions of both slots: its label tells nothing while a number does.
	LabelLast bool
	// AnyDisk is for what people bring on a medium of its own. It may be on any
	// disk; the boot disk's own partition comes first. It is not for a Required
	// role: the boot disk is the one that has those.
	AnyDisk bool
	// NoWait is for what most boots do without: what has not appeared together
	// with the rest is not waited for.
	NoWait bool
}

// WithPart is the role under the name or number that a person configured
// (minos.part.ROLE=).
func (w Want) WithPart(part string) Want {
	if part == "" {
		return w
	}
	w.Label = ""
	if number, err := strconv.Atoi(part); err == nil && number > 0 {
		w.Name, w.Number = "", number
	} else {
		w.Name, w.Number = part, 0
	}
	return w
}

// String says what is looked for, in the order in which it is.
func (w Want) String() string {
	var ways []string
	add := func(given bool, way string) {
		if given {
			ways = append(ways, way)
		}
	}
	add(w.Name != "", "GPT name "+w.Name)
	add(w.Label != "" && !w.LabelLast, "label "+w.Label)
	add(w.Number > 0, "partition "+strconv.Itoa(w.Number))
	add(w.Label != "" && w.LabelLast, "label "+w.Label)
	where := ""
	if w.AnyDisk {
		where = ", on any disk"
	}
	return fmt.Sprintf("%s (%s%s)", w.Role, strings.Join(ways, ", else "), where)
}

// Match is the partition that has a role, and how it was found.
type Match struct {
	Device Device
	By     string // "GPT name", "label" or "number"
}

// Resolution is what the roles mean on the devices that are known.
type Resolution struct {
	Disk     string           // the boot disk; "" while there is none
	Matches  map[string]Match // by role
	Missing  []Want           // roles without a partition
	Twins    []Device         // several disks that could each be the boot disk
	Rejected []Device         // removable disks that could have been it and lost
	// Ambiguous has, by role, what a missing role could mean on other disks than
	// the boot disk, where it is more than one.
	Ambiguous map[string][]Device
}

// Facts is what a resolution looks at.
type Facts struct {
	Known Inventory
	// Label is the label of the filesystem on a partition, "" for none.
	Label func(Device) string
	// TableID is the identity of a disk's partition table (PTUUID), "" for none.
	TableID func(Device) string
	// Removable tells of a medium that a passer-by may have put in.
	Removable func(Device) bool
}

// Resolve finds the boot disk and the partitions with the roles on it. The boot
// disk is the one that the selector names, else the one disk that has all
// required roles; a removable one loses against a fixed one. No role is ever
// taken from a second disk, whose labels and numbers may be those of a copy, but
// for one that may be on any disk.
func Resolve(f Facts, wants []Want, by Selector) Resolution {
	none := Resolution{Missing: wants}
	var found []Resolution
	for _, disk := range f.Known.Disks() {
		if !by.Matches(disk, f.TableID) {
			continue
		}
		if r := f.resolveOn(disk, wants); r.complete() {
			found = append(found, r)
		}
	}
	found, rejected := f.preferFixed(found, by)
	switch len(found) {
	case 0:
		return none
	case 1:
		found[0].Rejected = rejected
		f.searchOtherDisks(&found[0])
		return found[0]
	}
	for _, r := range found {
		none.Twins = append(none.Twins, f.Known[r.Disk])
	}
	return none
}

// preferFixed drops the removable disks when there are fixed ones too, and
// nobody has named the disk.
func (f Facts) preferFixed(found []Resolution, by Selector) (kept []Resolution, rejected []Device) {
	if len(found) < 2 || !by.Empty() {
		return found, nil
	}
	for _, r := range found {
		if disk := f.Known[r.Disk]; f.Removable(disk) {
			rejected = append(rejected, disk)
		} else {
			kept = append(kept, r)
		}
	}
	if len(kept) == 0 {
		return found, nil
	}
	return kept, rejected
}

// resolveOn gives roles to the partitions of one disk.
func (f Facts) resolveOn(disk Device, wants []Want) Resolution {
	parts := f.Known.Partitions(disk.Name)
	r := Resolution{Disk: disk.Name, Matches: map[string]Match{}}
	for _, w := range wants {
		if m, ok := f.match(parts, w); ok {
			r.Matches[w.Role] = m
		} else {
			r.Missing = append(r.Missing, w)
		}
	}
	return r
}

// match finds the partition for a role: by GPT name; then by label and number,
// in this order or, for what carries the label of its twin, in the other.
func (f Facts) match(parts []Device, w Want) (Match, bool) {
	if i := slices.IndexFunc(parts, func(p Device) bool { return w.Name != "" && p.PartName == w.Name }); i >= 0 {
		return Match{parts[i], "GPT name"}, true
	}
	numbered, hasNumber := byNumber(parts, w)
	if hasNumber && w.LabelLast {
		return Match{numbered, "number"}, true
	}
	if w.Label != "" {
		// Where number and label agree, nothing else has to be read.
		if hasNumber && f.Label(numbered) == w.Label {
			return Match{numbered, "label"}, true
		}
		if labelled := f.labelled(parts, w.Label); len(labelled) == 1 {
			return Match{labelled[0], "label"}, true
		}
	}
	return Match{numbered, "number"}, hasNumber
}

// byNumber is the partition with the role's number. On a disk with names the
// partitions may have any order, so there only a number counts that a person
// configured; that is one without a name.
func byNumber(parts []Device, w Want) (Device, bool) {
	named := slices.ContainsFunc(parts, func(p Device) bool { return p.PartName != "" })
	for _, p := range parts {
		if w.Number > 0 && p.Number == w.Number && (!named || w.Name == "") {
			return p, true
		}
	}
	return Device{}, false
}

func (f Facts) labelled(parts []Device, label string) (found []Device) {
	for _, p := range parts {
		if f.Label(p) == label {
			found = append(found, p)
		}
	}
	return found
}

// complete tells whether all required roles are there.
func (r Resolution) complete() bool {
	return !slices.ContainsFunc(r.Missing, func(w Want) bool {
		_, does := r.Matches[w.Else]
		return w.Required && !does
	})
}

// MissingError says that no disk has the required roles.
type MissingError struct {
	Wants  []Want // what was looked for
	By     Selector
	Waited string // how long
	Seen   Inventory
}

func (e *MissingError) Error() string {
	var needed []string
	for _, w := range e.Wants {
		if !w.Required {
			continue
		}
		before := slices.IndexFunc(e.Wants, func(other Want) bool { return other.Role == w.Else })
		if last := len(needed) - 1; w.Else != "" && before >= 0 && last >= 0 && strings.HasPrefix(needed[last], w.Else+" ") {
			needed[last] += " or " + w.String()
			continue
		}
		needed = append(needed, w.String())
	}
	which := "disk"
	if !e.By.Empty() {
		which = "disk that is minos.disk=" + e.By.String()
	}
	return fmt.Sprintf("no %s with %s appeared within %s; seen: %s", which, strings.Join(needed, " and "), e.Waited, e.Seen)
}

// TwinsError says that more than one disk could be the boot disk.
type TwinsError struct {
	Twins []string // each with how minos.disk= can name it
	Seen  Inventory
}

func (e *TwinsError) Error() string {
	return fmt.Sprintf("%d disks could each be the boot disk: %s; name one with minos.disk=, or remove the others; seen: %s",
		len(e.Twins), strings.Join(e.Twins, ", "), e.Seen)
}
