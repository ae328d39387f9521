package block

import (
	"errors"
	"fmt"
	"io"
	"math/bits"
)

// Geometry is what the kernel says of a disk, in bytes.
type Geometry struct {
	Size     int64
	Logical  int64 // what the table counts in: 512 or 4096
	Physical int64 // what the disk writes at once, when it says
}

// Growth is a plan to give a partition the space between it and the end of the
// disk. Its start never moves, and no other partition changes.
type Growth struct {
	Number int   // of the partition
	Start  int64 // of the partition, in bytes
	From   int64 // its size as the table has it, in bytes
	To     int64 // its size after it
	// Stages are what has to be written, in this order. Each has to be on the
	// medium before the next begins: then the table is whole whenever the power
	// goes, and is the old one or the new one. There are none when there is
	// nothing to gain.
	Stages []Stage
}

// Stage are writes that may reach the medium in any order.
type Stage struct {
	What   string // "the partition table"
	Writes []Write
}

// Write replaces bytes of a disk.
type Write struct {
	Offset int64
	Data   []byte
}

// MinGain is the space, in bytes, for which no table is written: what is left
// behind the last partition of an image that fills its card.
const MinGain = 8 << 20

// String says what changes, for people.
func (g Growth) String() string {
	if len(g.Stages) == 0 {
		return fmt.Sprintf("partition %d has all the space that there is, %s", g.Number, SizeText(g.To))
	}
	return fmt.Sprintf("partition %d has %s instead of %s", g.Number, SizeText(g.To), SizeText(g.From))
}

// SizeText is a number of bytes for people: "7.4 GiB".
func SizeText(size int64) string {
	unit, value := "MiB", float64(size)/(1<<20)
	switch {
	case size >= 1<<40:
		unit, value = "TiB", value/(1<<20)
	case size >= 1<<30:
		unit, value = "GiB", value/(1<<10)
	}
	if value == float64(int64(value)) {
		return fmt.Sprintf("%.0f %s", value, unit)
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}

// Refusals of PlanGrowth that depend on nothing.
var (
	errHybrid  = errors.New("the disk has a hybrid MBR, a GPT and an MBR at once, and nobody can say which of them counts")
	errNoEntry = errors.New("the partition is not in the table on the disk")
)

// PlanGrowth reads the partition table of a disk and says how the partition
// with that number gets the space behind it, up to the end of the disk. It
// changes nothing.
//
// An error says why the table is not touched: the partition is not the last
// one on the disk, is a logical one, or the table is not one to build on
// (damaged, hybrid, overlapping partitions, larger than the disk).
func PlanGrowth(r io.ReaderAt, disk Geometry, number int) (Growth, error) {
	if disk.Logical < mbrSize || disk.Logical > 4096 || bits.OnesCount64(uint64(disk.Logical)) != 1 {
		return Growth{}, fmt.Errorf("the disk counts in blocks of %d bytes, which no partition table does", disk.Logical)
	}
	d := reader{r, disk.Size}
	mbr, err := d.read(0, mbrSize)
	if err != nil {
		return Growth{}, err
	}
	if mbr[510] != 0x55 || mbr[511] != 0xaa {
		return Growth{}, ErrNoTable
	}
	if _, fat := parseBootSector(append(append([]byte(nil), mbr...), make([]byte, headSize-mbrSize)...)); fat {
		return Growth{}, ErrNoTable
	}
	used, protective := 0, 0
	for _, e := range dosEntries(mbr) {
		if e.kind == typeProtective {
			protective++
		} else if e.size > 0 {
			used++
		}
	}
	switch {
	case protective > 1 || protective == 1 && used > 0:
		return Growth{}, errHybrid
	case protective == 1:
		return d.growGPT(disk, mbr, number)
	}
	return growDOS(disk, mbr, number)
}

// extent is what a partition covers, in blocks; end is the first one behind it.
type extent struct {
	number     int
	start, end uint64
}

// lastOf finds the partition that is to grow, and says why it cannot: the
// table is not sound, or something lies behind it. Last is who lies last, not
// who has the highest number.
func lastOf(extents []extent, number int, limit uint64) (ours extent, err error) {
	for i, e := range extents {
		if e.end > limit {
			return ours, fmt.Errorf("partition %d goes to block %d, and the disk has room for partitions up to %d: the disk is smaller than its table says",
				e.number, e.end, limit)
		}
		for _, other := range extents[:i] {
			if e.start < other.end && other.start < e.end {
				return ours, fmt.Errorf("partitions %d and %d overlap", other.number, e.number)
			}
		}
		if e.number == number {
			ours = e
		}
	}
	if ours.number == 0 {
		return ours, errNoEntry
	}
	for _, e := range extents {
		if e.start > ours.start {
			return ours, fmt.Errorf("partition %d lies behind it, and only the last one can grow", e.number)
		}
	}
	return ours, nil
}

// endOf rounds the end of a partition, in blocks, down to what the disk writes
// at once; and to 4 KiB, so that the page cache and filesystems have no odd
// block at the end. A disk that says something unlikely is not believed.
func (g Geometry) endOf(limit uint64) uint64 {
	unit := int64(headSize)
	if g.Physical > unit && g.Physical <= 1<<20 && bits.OnesCount64(uint64(g.Physical)) == 1 {
		unit = g.Physical
	}
	perUnit := uint64(unit / g.Logical)
	return limit / perUnit * perUnit
}

// growth is the plan without its stages, and whether it is worth a write.
func (g Geometry) growth(ours extent, end uint64) (plan Growth, gains bool) {
	size := func(blocks uint64) int64 { return int64(blocks) * g.Logical }
	plan = Growth{Number: ours.number, Start: size(ours.start), From: size(ours.end - ours.start)}
	plan.To = plan.From
	if end < ours.end || size(end-ours.end) < MinGain {
		return plan, false
	}
	plan.To = size(end - ours.start)
	return plan, true
}

// wiped is how much is cleared at both ends of what a partition gains, in bytes.
const wiped = 1 << 20

// btrfsMirrors are the places of a btrfs's further superblocks, in bytes from
// the start of its partition (btrfs-progs, kernel-shared/disk-io.h,
// btrfs_sb_offset).
var btrfsMirrors = [...]int64{64 << 20, 256 << 30}

// wipe is the stage that keeps what is left in the gained space from being
// taken for a filesystem of the larger partition: what begins at its old end,
// such as an old GPT; what counts from the new end (md 0.90 and 1.0, other
// RAID formats, ZFS); and the further superblocks of a btrfs.
func (g Growth) wipe() Stage {
	s := Stage{What: "zeros over what is left in the gained space"}
	zeros := make([]byte, wiped)
	add := func(from, to int64) {
		from, to = max(from, g.From), min(to, g.To)
		if from < to {
			s.Writes = append(s.Writes, Write{g.Start + from, zeros[:to-from]})
		}
	}
	add(g.From, g.From+wiped)
	for _, mirror := range btrfsMirrors {
		add(max(mirror, g.From+wiped), min(mirror+btrfsSuperSize, g.To-wiped))
	}
	add(g.To-wiped, g.To)
	return s
}
