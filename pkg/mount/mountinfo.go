package mount

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Mounted is a mount as the kernel lists it.
type Mounted struct {
	ID, Parent int
	Device     string // of the filesystem, "MAJOR:MINOR"
	At         string // the mount point, seen from this process's root
	FSType     string
	Source     string
	ReadOnly   bool // the filesystem, and not only this mount of it
}

// mountinfoFile is where the kernel lists the mounts that a process can see.
const mountinfoFile = "/proc/self/mountinfo"

// ReadMountinfo returns the mounts that this process can see.
func ReadMountinfo(k sys.Kernel) ([]Mounted, error) {
	text, err := k.ReadFile(mountinfoFile)
	if err != nil {
		return nil, err
	}
	return ParseMountinfo(text)
}

// ParseMountinfo reads the lines of /proc/PID/mountinfo (proc_pid_mountinfo(5)):
// six fields, any number of tags, a dash, three fields. What cannot be read is
// left out; the error has the first such line.
func ParseMountinfo(text []byte) (mounts []Mounted, err error) {
	for line := range strings.Lines(string(text)) {
		m, ok := parseMountinfoLine(line)
		if ok {
			mounts = append(mounts, m)
		} else if err == nil {
			err = fmt.Errorf("%.80q is not a line of %s", line, mountinfoFile)
		}
	}
	return mounts, err
}

func parseMountinfoLine(line string) (m Mounted, ok bool) {
	front, back, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
	f, b := strings.Split(front, " "), strings.Split(back, " ")
	if !ok || len(f) < 6 || len(b) < 3 || !strings.HasPrefix(f[4], "/") {
		return m, false
	}
	id, err := strconv.Atoi(f[0])
	parent, err2 := strconv.Atoi(f[1])
	if err != nil || err2 != nil {
		return m, false
	}
	return Mounted{
		ID: id, Parent: parent, Device: f[2], At: unescapeMountinfo(f[4]),
		FSType: unescapeMountinfo(b[0]), Source: unescapeMountinfo(b[1]),
		ReadOnly: slices.Contains(strings.Split(b[2], ","), "ro"),
	}, true
}

// unescapeMountinfo resolves the octal escapes that the kernel writes for
// space, tab, newline, # and backslash (fs/proc_namespace.c, mangle).
func unescapeMountinfo(s string) string {
	var plain strings.Builder
	for {
		before, after, found := strings.Cut(s, `\`)
		plain.WriteString(before)
		if !found {
			return plain.String()
		}
		if len(after) >= 3 {
			if c, err := strconv.ParseUint(after[:3], 8, 8); err == nil {
				plain.WriteByte(byte(c))
				s = after[3:]
				continue
			}
		}
		plain.WriteByte('\\')
		s = after
	}
}

// KeepsData tells whether the filesystem lives on a disk, or lays itself over
// one that may. All others are in memory, or are the kernel's own.
func (m Mounted) KeepsData() bool {
	return m.FSType == "overlay" || strings.HasPrefix(m.Source, "/dev/") || !strings.HasPrefix(m.Device, "0:")
}

// UnmountOrder returns the mounts in an order in which they can be unmounted: what
// is mounted on another one comes before it, what covers another one before
// that, and overlays with all that is on them before the rest, on which their
// layers may be. The kernel's own order tells nothing of the tree, since mounts
// have been moved. What is at the places to keep is left out, and what keeps no
// data below one of them: each unmount takes milliseconds.
func UnmountOrder(mounts []Mounted, keep ...string) (order []Mounted) {
	byID := map[int]Mounted{}
	for _, m := range mounts {
		byID[m.ID] = m
	}
	for _, m := range slices.Backward(mounts) { // of equals, the last one came last
		kept := func(at string) bool {
			return m.At == at || at != "/" && within(m.At, at) && !m.KeepsData()
		}
		if !slices.ContainsFunc(keep, kept) {
			order = append(order, m)
		}
	}
	slices.SortStableFunc(order, func(a, b Mounted) int {
		depthA, overlayA := placeInTree(byID, a)
		depthB, overlayB := placeInTree(byID, b)
		switch {
		case overlayA != overlayB && overlayA:
			return -1
		case overlayA != overlayB:
			return 1
		case depthA != depthB:
			return cmp.Compare(depthB, depthA)
		}
		// Side by side, a shorter path can cover a longer one.
		return cmp.Compare(strings.Count(path.Clean(a.At), "/"), strings.Count(path.Clean(b.At), "/"))
	})
	return order
}

// placeInTree says how many mounts there are below a mount, and whether an
// overlay is among them or is the mount itself.
func placeInTree(byID map[int]Mounted, m Mounted) (depth int, onOverlay bool) {
	// No way down is longer than the list, unless it goes in circles.
	for depth < len(byID) {
		onOverlay = onOverlay || m.FSType == "overlay"
		parent, ok := byID[m.Parent]
		if !ok || parent.ID == m.ID {
			break
		}
		m, depth = parent, depth+1
	}
	return depth, onOverlay
}
