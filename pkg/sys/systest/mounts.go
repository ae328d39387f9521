package systest

import (
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// magics are the kernel's numbers of the filesystem types that have one here.
var magics = map[string]int64{
	"ramfs": unix.RAMFS_MAGIC, "tmpfs": unix.TMPFS_MAGIC, "overlay": unix.OVERLAYFS_SUPER_MAGIC,
	"ext4": unix.EXT4_SUPER_MAGIC, "squashfs": unix.SQUASHFS_MAGIC, "vfat": unix.MSDOS_SUPER_MAGIC,
	"btrfs": unix.BTRFS_SUPER_MAGIC,
}

// readOnlyTypes cannot be written by their format.
var readOnlyTypes = map[string]bool{"squashfs": true, "erofs": true, "iso9660": true}

// plenty is the space on a filesystem of which a test says nothing, in bytes.
const plenty = 1 << 30

func (k *Kernel) newFilesystem(kind string, root *node) *filesystem {
	k.nextDev++
	return &filesystem{kind: kind, layers: []*node{root}, writable: !readOnlyTypes[kind],
		magic: magics[kind], dev: k.nextDev, free: plenty, log: &journal{}}
}

// Mount implements sys.Mounts.
func (k *Kernel) Mount(m sys.MountRequest) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	words := strings.Join(append(m.Flags.Words(), m.Options...), ",")
	if err := k.effect("mount %s %s %s %s", m.FSType, m.Source, m.Target, words); err != nil {
		return failed("mount", m.Source, err)
	}
	target, err := k.find("mount", m.Target, true)
	if err != nil {
		return err
	}
	if !target.node().mode.IsDir() {
		return failed("mount", m.Target, unix.ENOTDIR)
	}
	if !k.known[m.FSType] {
		return failed("mount", m.Source, unix.ENODEV)
	}
	f, err := k.open(m)
	if err != nil {
		return failed("mount", m.Source, err)
	}
	k.mounts = append(k.mounts, &mountpoint{at: target.full, source: m.Source, fs: f, readOnly: m.Flags&sys.ReadOnly != 0})
	return nil
}

// open returns the filesystem that a request is for.
func (k *Kernel) open(m sys.MountRequest) (*filesystem, error) {
	switch m.FSType {
	case "proc":
		return k.newFilesystem("proc", k.proc), nil
	case "sysfs":
		return k.newFilesystem("sysfs", k.sysfs), nil
	case "devtmpfs":
		return k.newFilesystem("devtmpfs", k.dev), nil
	case "tmpfs":
		return k.newFilesystem("tmpfs", newDir(0o755)), nil
	case "overlay":
		return k.openOverlay(m.Options)
	}
	if file := k.loops[m.Source]; file != nil && m.FSType == "squashfs" {
		root, err := openSquashFS(file.node.data)
		return k.newFilesystem(m.FSType, root), err
	}
	if file := k.loops[m.Source]; file != nil && m.FSType == "iso9660" {
		files, ok := strings.CutPrefix(string(file.node.data), isoHeader)
		if !ok {
			return nil, unix.EINVAL
		}
		return k.newFilesystem(m.FSType, makeTree(strings.Split(files, isoBetween))), nil
	}
	if file := k.loops[m.Source]; file != nil && m.FSType == "ext4" {
		return k.openExt4(file)
	}
	part := k.part(m.Source)
	if part == nil {
		return nil, unix.ENOENT
	}
	if part.noWrite && m.Flags&sys.ReadOnly == 0 {
		return nil, unix.EACCES
	}
	written := part.ext4UUID()
	switch {
	case part.FS == "" && m.FSType == "ext4" && written != "":
		if written != part.uuid { // a new filesystem
			part.uuid, part.root, part.fs = written, newDir(0o755), nil
			part.made++
		}
		if m.Flags&sys.ReadOnly == 0 {
			part.countMount()
		}
	case part.FS != m.FSType:
		return nil, unix.EINVAL // bad superblock
	}
	if part.root == nil {
		part.root = makeTree(part.Files)
		part.root.addSubvolumes(part.Subvolumes)
	}
	if part.fs == nil {
		part.fs = k.newFilesystem(m.FSType, part.root)
		part.fs.log = &part.log
		if part.Full {
			part.fs.free = 0
		}
		part.fs.room = part.Room
	}
	return part.fs, nil
}

// openOverlay puts layers together by the rules of the kernel's
// Documentation/filesystems/overlayfs.rst.
func (k *Kernel) openOverlay(options []string) (*filesystem, error) {
	f := k.newFilesystem("overlay", nil)
	f.layers = nil
	var upper, work place
	for _, option := range options {
		key, value, _ := strings.Cut(option, "=")
		if key != "lowerdir+" && key != "upperdir" && key != "workdir" {
			continue
		}
		p, err := k.find("mount", value, true)
		if err != nil {
			return nil, unix.ENOENT
		}
		switch key {
		case "lowerdir+":
			f.layers = append(f.layers, p.layers...)
		case "upperdir":
			upper = p
		case "workdir":
			work = p
		}
	}
	if len(f.layers) == 0 {
		return nil, unix.EINVAL
	}
	if f.writable = upper.node() != nil; f.writable {
		if work.node() == nil || work.mount != upper.mount {
			return nil, unix.EINVAL
		}
		f.layers = append([]*node{upper.node()}, f.layers...)
		in := upper.mount.fs.subvolume(upper.rel)
		f.parted = in.ID != work.mount.fs.subvolume(work.rel).ID
		f.writable = !upper.mount.readOnly && !in.ReadOnly
		f.log, f.free, f.room = upper.mount.fs.log, upper.mount.fs.free, upper.mount.fs.room
		if work.node().entries["work"] == nil && f.writable {
			f.log.change(entry{work.node(), "work", newDir(0)})
		}
	}
	return f, nil
}

// MoveMount implements sys.Mounts.
func (k *Kernel) MoveMount(from, to string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("move %s %s", from, to); err != nil {
		return failed("move", from, err)
	}
	source, err := k.find("move", from, true)
	if err != nil {
		return err
	}
	if source.rel != "" {
		return failed("move", from, unix.EINVAL) // not a mount point
	}
	target, err := k.find("move", to, true)
	if err != nil {
		return err
	}
	for _, m := range k.mounts {
		if m.at == source.full || strings.HasPrefix(m.at, source.full+"/") {
			m.at = path.Join(target.full, strings.TrimPrefix(m.at, source.full))
		}
	}
	return nil
}

// Bind implements sys.Mounts.
func (k *Kernel) Bind(from, to string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("bind %s %s", from, to); err != nil {
		return failed("bind", from, err)
	}
	source, err := k.find("bind", from, true)
	if err != nil {
		return err
	}
	target, err := k.find("bind", to, true)
	if err != nil {
		return err
	}
	part := *source.mount.fs // the same filesystem, seen from another root
	part.layers = source.layers
	k.mounts = append(k.mounts, &mountpoint{at: target.full, source: source.mount.source, fs: &part, readOnly: source.mount.readOnly})
	return nil
}

// DetachLoop implements sys.Mounts. The file of a loop device is in sysfs.
func (k *Kernel) DetachLoop(device string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("detach %s", device); err != nil {
		return failed("detach", device, err)
	}
	p, err := k.walk("/", "/sys/block/"+path.Base(device), true)
	if err != nil || p.node() == nil || p.node().entries["loop"] == nil {
		return failed("detach", device, unix.ENXIO)
	}
	delete(p.node().entries, "loop")
	return nil
}

// Remount implements sys.Mounts. It changes the one mount, and no other of the
// same filesystem.
func (k *Kernel) Remount(path string, flags sys.MountFlags) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("remount %s %s", path, strings.Join(flags.Words(), ",")); err != nil {
		return failed("remount", path, err)
	}
	m := k.mountAt(path)
	if m == nil {
		return failed("remount", path, unix.EINVAL)
	}
	m.readOnly = flags&sys.ReadOnly != 0
	return nil
}

// MakePrivate implements sys.Mounts.
func (k *Kernel) MakePrivate(path string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.effect("private %s", path)
}

// Unmount implements sys.Mounts.
func (k *Kernel) Unmount(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("unmount %s", name); err != nil {
		return failed("unmount", name, err)
	}
	on := func(m *mountpoint) bool { return strings.HasPrefix(m.at, name+"/") }
	if slices.ContainsFunc(k.mounts, on) {
		return failed("unmount", name, unix.EBUSY)
	}
	for i := len(k.mounts) - 1; i > 0; i-- {
		if k.mounts[i].at == name {
			source := k.mounts[i].source
			k.mounts = append(k.mounts[:i], k.mounts[i+1:]...)
			k.freeLoop(source)
			return nil
		}
	}
	return failed("unmount", name, unix.EINVAL)
}

// tree is a directory kept open.
type tree struct {
	k    *Kernel
	p    place
	keep string
}

// OpenTree implements sys.Mounts. What is to be kept is only recorded: this
// machine's init is no file.
func (k *Kernel) OpenTree(name, keep string) (sys.Tree, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("open", name, true)
	if err != nil {
		return nil, err
	}
	return tree{k, p, keep}, nil
}

func (t tree) Empty() error {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	if err := t.k.effect("empty the old root but for %s", t.keep); err != nil {
		return err
	}
	clear(t.p.node().entries)
	return nil
}

func (t tree) Close() error { return nil }

// EnterRoot implements sys.Mounts.
func (k *Kernel) EnterRoot(newRoot string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("enter %s", newRoot); err != nil {
		return failed("move", newRoot, err)
	}
	if k.mountAt(newRoot) == nil {
		return failed("move", newRoot, unix.EINVAL)
	}
	var kept []*mountpoint
	for _, m := range k.mounts {
		if m.at == newRoot || strings.HasPrefix(m.at, newRoot+"/") {
			m.at = path.Join("/", strings.TrimPrefix(m.at, newRoot))
			kept = append(kept, m)
		}
	}
	k.mounts = kept
	return nil
}
