package systest

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// place gives the partitions that do not say where they are a place, one behind
// the other.
func (d *Disk) place() {
	end := int64(1 << 20)
	for _, p := range d.Parts {
		if p.Size == 0 {
			p.Start, p.Size = end, rawSize
		}
		if p.FS != "" && p.spans == 0 {
			p.spans = p.Size
		}
		end = max(end, p.Start+p.Size)
	}
	if d.Size == 0 {
		d.Size = end + 1<<20
	}
	if d.Whole == nil {
		d.Whole = &Part{}
	}
	d.Whole.Size = d.Size
}

// all are the partitions and what is outside of them.
func (d *Disk) all() []*Part { return append(d.Parts[:len(d.Parts):len(d.Parts)], d.Whole) }

// sysfsNumber is a file with a number.
func sysfsNumber(n int64) *node {
	return &node{mode: 0o444, data: fmt.Appendf(nil, "%d\n", n)}
}

// disk is an open whole disk.
type disk struct {
	device
	of *Disk
}

// LockDisk implements sys.Kernel.
func (k *Kernel) LockDisk(path string) (sys.Disk, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("lock %s", path); err != nil {
		return nil, failed("lock", path, err)
	}
	for _, d := range k.disks {
		if d.announced && "/dev/"+d.Name == path {
			return disk{device{k, d.Whole, path}, d}, nil
		}
	}
	return nil, failed("open", path, unix.ENOENT)
}

// Blocks implements sys.Disk.
func (d disk) Blocks() (logical, physical int64, err error) { return sectorSize, sectorSize, nil }

// ResizePartition implements sys.Disk.
func (d disk) ResizePartition(number int, start, size int64) error {
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	if err := d.k.effect("resize partition %d of %s at %#x to %#x bytes", number, d.path, start, size); err != nil {
		return failed("resize a partition of", d.path, err)
	}
	for _, p := range d.of.Parts {
		if p.Number == number && p.Start == start {
			p.Size = size
			d.k.sysfs.put(d.of.devpath()+"/block/"+d.of.Name+"/"+d.of.partName(p)+"/size", sysfsNumber(size/sectorSize))
			return nil
		}
	}
	return failed("resize a partition of", d.path, unix.EINVAL)
}

// GrowFilesystem implements sys.Mounts.
func (k *Kernel) GrowFilesystem(dir, fstype string, size int64) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("grow %s %s to %#x bytes", fstype, dir, size); err != nil {
		return failed("grow the "+fstype+" at", dir, err)
	}
	m := k.mountAt(dir)
	if m == nil {
		return failed("grow the "+fstype+" at", dir, unix.ENOTTY)
	}
	if p := k.part(m.source); p != nil {
		p.spans = size
	}
	if file := k.loops[m.source]; file != nil {
		file.node.inner.grow(file, size)
	}
	return nil
}
