package systest

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// node is a file, a directory or a symbolic link in memory.
type node struct {
	mode    fs.FileMode
	data    []byte
	sparse  *sparse // instead of data, in a file with holes
	inner   *inner  // the ext4 that is in it
	key     []byte  // of the LUKS volume that the ext4 is in; nil: there is none
	target  string  // of a symbolic link
	entries map[string]*node

	subvolume *sys.Subvolume // whose own directory it is

	inode    uint64 // 0: it has none yet
	modified int64  // 0: not since it was made
}

// The files that are looked at and the writes to files are numbered, over all
// machines: a disk goes from one to the next.
var inodes, writes atomic.Int64

// nextDate is a time that no other file has. Together with a file's number it is
// not that of another one, either.
func nextDate() int64 { return writes.Add(1) * 1_000_000_007 }

func newDir(perm fs.FileMode) *node {
	return &node{mode: fs.ModeDir | perm, entries: map[string]*node{}}
}

// makeTree builds a tree from paths: "dir/", "file=content", with another mode
// "file:0444=content", or "link->target". A file whose content starts with "#!"
// or ELF's magic is executable.
func makeTree(lines []string) *node {
	root := newDir(0o755)
	for _, line := range lines {
		name, content, isFile := strings.Cut(line, "=")
		link, target, isLink := strings.Cut(line, "->")
		switch {
		case isLink && (!isFile || len(link) < len(name)):
			root.put(link, &node{mode: fs.ModeSymlink | 0o777, target: target})
		case isFile:
			perm := fs.FileMode(0o644)
			if strings.HasPrefix(content, "#!") || strings.HasPrefix(content, "\x7fELF") {
				perm = 0o755
			}
			if file, mode, given := strings.Cut(name, ":0"); given {
				bits, err := strconv.ParseUint(mode, 8, 9)
				if err != nil {
					panic(err)
				}
				name, perm = file, fs.FileMode(bits)
			}
			file := &node{mode: perm, data: []byte(content)}
			file.readExt4()
			root.put(name, file)
		default:
			root.put(strings.TrimSuffix(line, "/"), newDir(0o755))
		}
	}
	return root
}

// put places child at a relative path, making the directories on the way.
func (n *node) put(rel string, child *node) {
	dir, name := path.Split(rel)
	for part := range strings.SplitSeq(strings.Trim(dir, "/"), "/") {
		if part == "" {
			continue
		}
		if n.entries[part] == nil {
			n.entries[part] = newDir(0o755)
		}
		n = n.entries[part]
	}
	n.entries[name] = child
}

// list writes the tree as makeTree reads it, sorted.
func (n *node) list(prefix string) (lines []string) {
	for name, child := range n.entries {
		switch at := prefix + name; {
		case child.mode.IsDir():
			lines = append(append(lines, at+"/"), child.list(at+"/")...)
		case child.mode&fs.ModeSymlink != 0:
			lines = append(lines, at+"->"+child.target)
		default:
			if perm := child.mode.Perm(); perm != 0o644 && perm != 0o755 {
				at += fmt.Sprintf(":%#o", perm)
			}
			lines = append(lines, at+"="+string(child.data))
		}
	}
	slices.Sort(lines)
	return lines
}

// size is the number of bytes in a tree's files.
func (n *node) size() (total int64) {
	total = int64(len(n.data))
	for _, child := range n.entries {
		total += child.size()
	}
	return total
}

// filesystem is a tree, or for an overlay several.
type filesystem struct {
	kind     string
	layers   []*node // top first; only layers[0] is written, when it is the upper
	writable bool    // false for a read-only type, and an overlay without an upper
	parted   bool    // an overlay whose upper and work are in two subvolumes
	magic    int64
	dev      uint64
	free     int64    // bytes, as statfs tells
	room     int64    // bytes for files, where a test says so
	log      *journal // of a disk: what a power cut may take back
}

// mountpoint is a filesystem at a place.
type mountpoint struct {
	at       string
	source   string
	fs       *filesystem
	readOnly bool
}

// place is where a path leads: a mount, the path inside it, and what is there.
type place struct {
	mount  *mountpoint
	full   string  // absolute, without symbolic links
	rel    string  // inside the mount, "" for its root
	layers []*node // what the name stands for in each layer, top first; nil: nothing
}

func (p place) node() *node {
	if len(p.layers) == 0 {
		return nil
	}
	return p.layers[0]
}

// names lists a directory over all its layers.
func (p place) names() (names []string) {
	for _, layer := range p.layers {
		for name := range layer.entries {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// child is what a name in a directory stands for: the topmost layer that has
// it decides, and directories merge with those below them.
func child(layers []*node, name string) (found []*node) {
	for _, layer := range layers {
		n := layer.entries[name]
		if n == nil {
			continue
		}
		if !n.mode.IsDir() {
			if len(found) == 0 {
				found = []*node{n}
			}
			break
		}
		found = append(found, n)
	}
	return found
}

// mountAt returns the topmost mount at exactly this place.
func (k *Kernel) mountAt(full string) *mountpoint {
	for _, m := range slices.Backward(k.mounts) {
		if m.at == full {
			return m
		}
	}
	return nil
}

// walk follows a path as a process whose root is root would. A last component
// that does not exist yields a place without layers; follow says whether a
// symbolic link at the end is followed.
func (k *Kernel) walk(root, name string, follow bool) (place, error) {
	start, err := k.rootOf(root)
	if err != nil {
		return place{}, err
	}
	at, parts := start, split(name)
	for hops := 0; len(parts) > 0; {
		part := parts[0]
		parts = parts[1:]
		if at.node() == nil {
			return place{}, unix.ENOENT
		}
		if !at.node().mode.IsDir() {
			return place{}, unix.ENOTDIR
		}
		if part == ".." && at.full == start.full {
			continue // nothing is above a root
		}
		if part == ".." {
			up := strings.TrimPrefix(path.Dir(at.full), strings.TrimSuffix(root, "/"))
			if at, err = k.walk(root, up, true); err != nil {
				return place{}, err
			}
			continue
		}
		next := k.step(at, part)
		if n := next.node(); n != nil && n.mode&fs.ModeSymlink != 0 && (follow || len(parts) > 0) {
			if hops++; hops > 40 {
				return place{}, unix.ELOOP
			}
			parts = append(split(n.target), parts...)
			if path.IsAbs(n.target) {
				at = start
			}
			continue
		}
		at = next
	}
	return at, nil
}

// rootOf is where a walk with this root begins.
func (k *Kernel) rootOf(root string) (place, error) {
	if m := k.mountAt(root); m != nil {
		return place{mount: m, full: root, layers: m.fs.layers}, nil
	}
	if root == "/" {
		return place{}, unix.ENOENT
	}
	return k.walk("/", root, true)
}

// step goes from a directory to a name in it.
func (k *Kernel) step(at place, part string) place {
	full := path.Join(at.full, part)
	if m := k.mountAt(full); m != nil {
		return place{mount: m, full: full, layers: m.fs.layers}
	}
	return place{mount: at.mount, full: full, rel: path.Join(at.rel, part), layers: child(at.layers, part)}
}

func split(name string) (parts []string) {
	for part := range strings.SplitSeq(name, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}

// parent returns the directory that holds p, ready to be written to: in an
// overlay its counterpart in the upper, made when it is not there yet.
//
// All changes of directories go through the filesystem's journal.
func (k *Kernel) parent(p place) (dir *node, name string, err error) {
	if p.mount.readOnly || !p.mount.fs.writable {
		return nil, "", unix.EROFS
	}
	if p.mount.fs.subvolume(path.Dir(p.rel)).ReadOnly {
		return nil, "", unix.EROFS
	}
	dir, name = p.mount.fs.layers[0], path.Base(p.rel)
	for _, part := range split(path.Dir(p.rel)) {
		if dir.entries[part] == nil && p.mount.fs.parted {
			return nil, "", unix.EXDEV // a copy cannot be moved from work to upper
		}
		if dir.entries[part] == nil {
			p.mount.fs.log.change(entry{dir, part, newDir(0o755)}) // copied up
		}
		dir = dir.entries[part]
	}
	return dir, name, nil
}
