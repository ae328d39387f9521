package block

import (
	"fmt"
	"math"
)

// maxDOS is the block behind the last one that an MBR can describe: starts and
// sizes have 32 bits, and tools reject an end that has more.
const maxDOS = math.MaxUint32

// growDOS plans the growth of a primary partition. The change is one entry in
// one sector, which a disk writes whole or not at all.
func growDOS(disk Geometry, mbr []byte, number int) (Growth, error) {
	var extents []extent
	for i, e := range dosEntries(mbr) {
		if boot := mbr[mbrTable+i*mbrEntrySize]; boot&0x7f != 0 {
			return Growth{}, ErrNoTable // as in dos
		}
		if e.size == 0 {
			continue
		}
		if i+1 == number && e.extended() {
			return Growth{}, fmt.Errorf("partition %d holds the logical partitions", number)
		}
		extents = append(extents, extent{i + 1, uint64(e.start), uint64(e.start) + uint64(e.size)})
	}
	if number >= firstLogical {
		return Growth{}, fmt.Errorf("partition %d is a logical one, and only a primary one can grow", number)
	}
	blocks := uint64(disk.Size / disk.Logical)
	ours, err := lastOf(extents, number, blocks)
	if err != nil {
		return Growth{}, err
	}
	plan, gains := disk.growth(ours, disk.endOf(min(blocks, maxDOS)))
	if !gains {
		return plan, nil
	}
	sector := append([]byte(nil), mbr...)
	entry := sector[mbrTable+(number-1)*mbrEntrySize:]
	le.PutUint32(entry[12:], uint32(plan.To/disk.Logical))
	// The end in cylinders, heads and sectors: behind what can be told so.
	copy(entry[5:8], []byte{0xfe, 0xff, 0xff})
	plan.Stages = []Stage{plan.wipe(), {"the partition table", []Write{{0, sector}}}}
	return plan, nil
}
