package block

import (
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Span is what a partition covers of its disk, in bytes.
type Span struct{ Start, Size int64 }

// End is the first byte behind it.
func (s Span) End() int64 { return s.Start + s.Size }

// Span is where a partition lies, as the kernel has it. Nothing is read from
// the disk.
func (w *Watcher) Span(partition Device) (s Span, err error) {
	if s.Start, err = w.sectors(partition.Devpath + "/start"); err == nil {
		s.Size, err = w.PartitionSize(partition)
	}
	return s, err
}

// PartitionSize is the size of a partition, in bytes. Where its superblock was
// read, the size is known from then: a file of sysfs costs 50 µs.
func (w *Watcher) PartitionSize(partition Device) (int64, error) {
	if p, known := w.supers[partition.Name]; known && p.err == nil {
		return p.size, nil
	}
	return w.sectors(partition.Devpath + "/size")
}

// DiskSize is the size of the disk that a partition is on, in bytes.
func (w *Watcher) DiskSize(partition Device) (int64, error) {
	return w.sectors(path.Dir(partition.Devpath) + "/size")
}

// sectors reads a number of sectors, which have 512 bytes in sysfs on every
// disk (include/linux/blk_types.h, SECTOR_SIZE).
func (w *Watcher) sectors(file string) (int64, error) {
	text, err := w.kernel.ReadFile(w.sysfs + file)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 54)
	if err != nil {
		return 0, fmt.Errorf("%s of sysfs: %w", file, err)
	}
	return n * 512, nil
}
