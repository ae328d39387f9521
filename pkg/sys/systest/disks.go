package systest

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// Disk is a disk of the machine.
type Disk struct {
	Name      string        // the kernel's: "vda"
	At        time.Duration // when it appears; 0: before init
	PartsAt   time.Duration // when its partitions appear, if later than the disk
	Driver    string        // the kernel module it waits for, if any
	Removable bool
	Parts     []*Part
	// Size is in bytes; 0: up to the end of the last partition, and a little.
	Size int64
	// Whole is what is on the disk outside of its partitions, such as the table
	// of them. It tells the machine nothing: that is what Parts do.
	Whole *Part

	index     int
	announced bool
}

// Part is a partition.
type Part struct {
	Number int
	// Start and Size are in bytes; a Size of 0: 8 MiB, behind the one before.
	Start, Size int64

	Name   string // GPT name; "" on an MBR
	FS     string // filesystem type; "": nothing on it
	Label  string // the filesystem's
	Errors bool   // an ext4 says that it has errors
	// Unclean is an ext4 without a journal that was not unmounted.
	Unclean bool
	Files   []string // "dir/", "file=content", "link->target"
	// Subvolumes are those of a btrfs, by the paths of their directories; "" is the
	// top level.
	Subvolumes map[string]sys.Subvolume
	Full       bool          // statfs says that it has no space left
	Room       int64         // bytes for the content of files, which statfs tells; 0: more than anybody needs
	At         time.Duration // when it appears, if later than the others
	Raw        []byte        // what is at its start where there is no filesystem

	root    *node            // what has become of Files, over several machines
	uuid    string           // of the ext4 written to Raw that root belongs to
	made    int              // how many such there have been
	sectors map[int64][]byte // what has become of Raw, where it was written
	log     journal
	noWrite bool        // SetReadOnly
	spans   int64       // what the filesystem fills, in bytes, when the partition may have grown since
	fs      *filesystem // on this machine
	there   bool        // it has appeared on this machine
}

// AddDisk attaches a disk.
func (k *Kernel) AddDisk(d *Disk) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d.index, d.announced = len(k.disks), false
	for _, p := range d.Parts {
		p.there, p.noWrite = false, false
	}
	d.place()
	k.disks = append(k.disks, d)
	k.advance(k.now)
}

// part finds the partition behind a device path, if it has appeared.
func (k *Kernel) part(device string) *Part {
	for _, d := range k.disks {
		for _, p := range d.Parts {
			if p.there && "/dev/"+d.partName(p) == device {
				return p
			}
		}
	}
	return nil
}

// partName is the kernel's name of a partition: a p between, after a digit.
func (d *Disk) partName(p *Part) string {
	if last := d.Name[len(d.Name)-1]; last >= '0' && last <= '9' {
		return fmt.Sprintf("%sp%d", d.Name, p.Number)
	}
	return fmt.Sprintf("%s%d", d.Name, p.Number)
}

// listener is an open stream of device events.
type listener struct {
	k        *Kernel
	messages [][]byte
	lost     bool
}

// Uevents implements sys.Kernel.
func (k *Kernel) Uevents() (sys.Uevents, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("listen to device events"); err != nil {
		return nil, err
	}
	l := &listener{k: k}
	k.listeners = append(k.listeners, l)
	return l, nil
}

// LoseEvents makes every listener lose what it has not read, as a full socket
// buffer does.
func (k *Kernel) LoseEvents() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, l := range k.listeners {
		l.messages, l.lost = nil, true
	}
}

func (l *listener) Next(timeout time.Duration) ([]byte, error) {
	l.k.mu.Lock()
	defer l.k.mu.Unlock()
	if l.lost {
		l.lost = false
		return nil, sys.ErrOverflow
	}
	deadline := l.k.now + timeout
	for len(l.messages) == 0 {
		next, ok := l.k.nextArrival()
		if !ok || next > deadline {
			l.k.advance(deadline)
			return nil, sys.ErrTimeout
		}
		l.k.advance(next)
	}
	first := l.messages[0]
	l.messages = l.messages[1:]
	return first, nil
}

func (l *listener) Close() error { return nil }

// nextArrival is when the next disk, or one of its partitions, will appear.
func (k *Kernel) nextArrival() (at time.Duration, ok bool) {
	due := func(when time.Duration) {
		if !ok || when < at {
			at, ok = when, true
		}
	}
	for _, d := range k.disks {
		switch {
		case d.Driver != "" && !k.loaded[d.Driver]:
		case !d.announced:
			due(d.At)
		default:
			for _, p := range d.Parts {
				if !p.there {
					due(max(d.PartsAt, p.At))
				}
			}
		}
	}
	return at, ok
}

// advance moves the clock and lets appear what is due.
func (k *Kernel) advance(to time.Duration) {
	k.now = max(k.now, to)
	for _, d := range k.disks {
		if d.Driver != "" && !k.loaded[d.Driver] {
			continue
		}
		if !d.announced && d.At <= k.now {
			d.announced = true
			k.announce(d, nil)
		}
		for _, p := range d.Parts {
			if d.announced && !p.there && max(d.PartsAt, p.At) <= k.now {
				p.there = true
				k.announce(d, p)
			}
		}
	}
}

// devpath is where a disk of this name hangs in the tree of devices.
func (d *Disk) devpath() string {
	switch {
	case strings.HasPrefix(d.Name, "mmcblk"):
		return "devices/platform/soc/3f202000.mmc/mmc_host/mmc0/mmc0:0001"
	case strings.HasPrefix(d.Name, "sd"):
		return "devices/platform/soc/3f980000.usb/usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0"
	}
	return "devices/pci0000:00/0000:00:02.0/virtio1"
}

// announce makes a disk or one of its partitions known: a node in /dev, the
// files in sysfs, and the event.
func (k *Kernel) announce(d *Disk, p *Part) {
	name, devtype, minor := d.Name, "disk", d.index*16
	dir := d.devpath() + "/block/" + d.Name
	keys := []string{}
	if p != nil {
		name, devtype, minor = d.partName(p), "partition", minor+p.Number
		dir += "/" + name
		keys = append(keys, fmt.Sprintf("PARTN=%d", p.Number))
		if p.Name != "" {
			keys = append(keys, "PARTNAME="+p.Name)
		}
	}
	keys = append([]string{"MAJOR=254", fmt.Sprintf("MINOR=%d", minor), "DEVNAME=" + name, "DEVTYPE=" + devtype}, keys...)
	size := d.Size
	if p != nil {
		size = p.Size
		k.sysfs.put(dir+"/start", sysfsNumber(p.Start/sectorSize))
	}
	k.sysfs.put(dir+"/size", sysfsNumber(size/sectorSize))
	k.dev.put(name, &node{mode: 0o600})
	k.sysfs.put(dir+"/uevent", &node{mode: 0o644, data: []byte(strings.Join(keys, "\n") + "\n")})
	if p == nil {
		removable := "0\n"
		if d.Removable {
			removable = "1\n"
		}
		k.sysfs.put(dir+"/removable", &node{mode: 0o444, data: []byte(removable)})
	}
	k.sysfs.put("class/block/"+name, &node{mode: fs.ModeSymlink | 0o777, target: "../../" + dir})
	event := []byte("add@/" + dir + "\x00ACTION=add\x00DEVPATH=/" + dir + "\x00SUBSYSTEM=block\x00" + strings.Join(keys, "\x00") + "\x00")
	for _, l := range k.listeners {
		l.messages = append(l.messages, event)
	}
}

// OpenDevice implements sys.Kernel.
func (k *Kernel) OpenDevice(path string) (sys.Device, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("probe %s", path); err != nil {
		return nil, failed("open", path, err)
	}
	if file := k.loops[path]; file != nil {
		return image{file.superblock(), file.node.length()}, nil
	}
	p := k.part(path)
	if p == nil {
		return nil, failed("open", path, unix.ENOENT)
	}
	if p.FS == "" {
		return device{k, p, path}, nil
	}
	return image{superblock(p), p.Size}, nil
}

// SetReadOnly implements sys.Kernel.
func (k *Kernel) SetReadOnly(path string, on bool) (was bool, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	word := "allow"
	if on {
		word = "refuse"
	}
	if err := k.effect("%s writes to %s", word, path); err != nil {
		return false, failed("ioctl", path, err)
	}
	p := k.part(path)
	if p == nil {
		return false, failed("open", path, unix.ENOENT)
	}
	was, p.noWrite = p.noWrite, on
	return was, nil
}

// image is the start of a filesystem, as a probe reads it.
type image struct {
	data []byte
	size int64 // of the partition
}

func (i image) ReadAt(b []byte, off int64) (int, error) {
	if off >= int64(len(i.data)) {
		return 0, io.EOF
	}
	n := copy(b, i.data[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (i image) Size() (int64, error) { return i.size, nil }
func (i image) Close() error         { return nil }

// Now is what has become of Files.
func (p *Part) Now() []string {
	if p.root == nil {
		return p.Files
	}
	return p.root.list("")
}
