package systest

import (
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// AddProcess makes a process known by its number and name, which holds these
// files open.
func (k *Kernel) AddProcess(pid int, name string, files ...string) {
	dir := strconv.Itoa(pid)
	k.proc.put(dir+"/comm", &node{mode: 0o644, data: []byte(name + "\n")})
	for i, file := range files {
		k.proc.put(path.Join(dir, "fd", strconv.Itoa(3+i)), &node{mode: fs.ModeSymlink | 0o777, target: file})
	}
}

// AddLoop makes a loop device known that has a file.
func (k *Kernel) AddLoop(name, file string) {
	k.sysfs.put(path.Join("block", name, "loop/backing_file"), &node{mode: 0o444, data: []byte(file + "\n")})
}

// PivotRoot implements sys.Mounts.
func (k *Kernel) PivotRoot(newRoot, putOld string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("pivot %s %s", newRoot, putOld); err != nil {
		return failed("pivot_root", newRoot, err)
	}
	if _, err := k.find("pivot_root", putOld, true); err != nil || k.mountAt(newRoot) == nil {
		return failed("pivot_root", newRoot, unix.EINVAL)
	}
	var above, below []*mountpoint
	for _, m := range k.mounts {
		if m.at == newRoot || strings.HasPrefix(m.at, newRoot+"/") {
			m.at = path.Join("/", strings.TrimPrefix(m.at, newRoot))
			above = append(above, m)
		} else {
			m.at = path.Join("/", strings.TrimPrefix(putOld, newRoot), m.at)
			below = append(below, m)
		}
	}
	k.mounts = append(above[:1:1], append(below, above[1:]...)...)
	return nil
}

// mountinfo lists the mounts, as proc_pid_mountinfo(5) says.
func (k *Kernel) mountinfo() []byte {
	var text strings.Builder
	for i, m := range k.mounts {
		parent, longest := 0, ""
		for j, below := range k.mounts {
			on := strings.HasPrefix(m.at, strings.TrimSuffix(below.at, "/")+"/") || below.at == m.at && j < i
			if j != i && on && len(below.at) >= len(longest) {
				parent, longest = j+1, below.at
			}
		}
		major, access := 0, "rw"
		if strings.HasPrefix(m.source, "/dev/") {
			major = 254
		}
		if m.readOnly || !m.fs.writable {
			access = "ro"
		}
		at := strings.NewReplacer(" ", `\040`, `\`, `\134`).Replace(m.at)
		fmt.Fprintf(&text, "%d %d %d:%d / %s %s - %s %s %s\n", i+1, parent, major, m.fs.dev, at, access, m.fs.kind, m.source, access)
	}
	return []byte(text.String())
}
