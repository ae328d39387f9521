package block

import (
	"fmt"

	"github.com/minos-os/minos-init/pkg/sys"
)

// PartUUID is the identity of a partition in the table of its disk, as blkid
// prints PARTUUID; "" when there is none or it cannot be read. The table is read
// each time.
func (w *Watcher) PartUUID(d Device) (id string) {
	_ = w.read(w.known[d.Disk], func(dev sys.Device) error {
		size, err := dev.Size()
		if err == nil {
			id = partUUID(reader{dev, size}, d.Number)
		}
		return err
	})
	return id
}

// partUUID is the GUID of a GPT's entry, or the identity of an MBR with the
// partition's number behind it (block/partitions/msdos.c, set_info).
func partUUID(d reader, number int) string {
	if table, err := readTableID(d.r); err == nil && len(table) == 8 {
		return fmt.Sprintf("%s-%02x", table, number)
	}
	for _, block := range []int64{512, 4096} {
		for _, at := range []int64{1, d.size/block - 1} {
			g, err := d.rawGPTAt(at, block)
			if err == nil && number*g.entrySize <= len(g.array) {
				return guid(g.array[(number-1)*g.entrySize+16:][:16])
			}
		}
	}
	return ""
}
