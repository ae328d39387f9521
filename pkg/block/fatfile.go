package block

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// FATFile is where a small file of a FAT lies.
type FATFile struct {
	Offset int64 // of its first byte on the device; a sector's start
	Size   int64 // bytes, of which those up to 512 follow Offset
}

// maxRootBytes is the length of the longest root directory that is read: 65536
// entries, which is what the format allows any directory.
const maxRootBytes = 65536 * fatEntrySize

// FindInFAT finds a file in the root directory of the FAT on a device of size
// bytes, by its short name as the directory spells it: "AUTOBOOTTXT". It spares
// a mount, and with that the drivers, and it never writes. The error is
// fs.ErrNotExist where the directory has no such file.
//
// Entries are those of the Microsoft specification "FAT: General Overview of
// On-Disk Format" 1.03.
func FindInFAT(r io.ReaderAt, size int64, name string) (FATFile, error) {
	d := reader{r, size}
	head, err := d.read(0, headSize)
	if err != nil {
		return FATFile{}, err
	}
	b, ok := parseBootSector(head)
	if !ok {
		return FATFile{}, errors.New("there is no FAT")
	}
	for at, left, cluster := b.rootStart(); ; {
		entries, err := d.read(at, int(left))
		if err != nil {
			return FATFile{}, err
		}
		entry, end := findEntry(entries, name)
		if entry != nil {
			return b.file(entry, size)
		}
		if end || b.rootCluster == 0 {
			return FATFile{}, fs.ErrNotExist
		}
		if cluster, err = d.nextCluster(b, cluster); err != nil {
			return FATFile{}, err
		}
		if cluster == 0 {
			return FATFile{}, fs.ErrNotExist
		}
		at = b.place(cluster)
		if b.rootBytes += left; b.rootBytes > maxRootBytes {
			return FATFile{}, errors.New("the root directory of the FAT has no end")
		}
	}
}

// rootStart is where the root directory begins, the bytes of its first part,
// and the cluster that this is.
func (b bootSector) rootStart() (at, length int64, cluster uint32) {
	if b.rootCluster == 0 {
		return b.rootDir, b.rootBytes, 0
	}
	return b.place(b.rootCluster), b.clusterSize, b.rootCluster
}

// place is where a cluster begins.
func (b bootSector) place(cluster uint32) int64 { return b.data + int64(cluster-2)*b.clusterSize }

// nextCluster follows the chain in the table of a FAT32, 0 at its end.
func (d reader) nextCluster(b bootSector, cluster uint32) (uint32, error) {
	entry, err := d.read(b.table+4*int64(cluster), 4)
	if err != nil {
		return 0, err
	}
	next := le.Uint32(entry) & 0x0fffffff // the upper four bits are reserved
	switch {
	case next >= 0x0ffffff8:
		return 0, nil
	case next < 2 || uint64(next) >= b.clusters+2:
		return 0, fmt.Errorf("the root directory of the FAT goes on in cluster %d, which is none", next)
	}
	return next, nil
}

// findEntry finds a file's entry in a part of a directory. The name 0 ends a
// directory.
func findEntry(entries []byte, name string) (entry []byte, end bool) {
	for ; len(entries) >= fatEntrySize; entries = entries[fatEntrySize:] {
		if entries[0] == 0 {
			return nil, true
		}
		// Also an entry of a long name has the bit of a volume's label.
		if attr := entries[fatNameSize]; attr&(fatAttrVolume|fatAttrDir) == 0 && string(entries[:fatNameSize]) == name {
			return entries[:fatEntrySize], false
		}
	}
	return nil, false
}

// file is where the file of a directory's entry lies, on a device of size bytes.
func (b bootSector) file(entry []byte, size int64) (FATFile, error) {
	f := FATFile{Size: int64(le.Uint32(entry[28:]))}
	cluster := uint32(le.Uint16(entry[26:]))
	if b.rootCluster != 0 {
		cluster |= uint32(le.Uint16(entry[20:])) << 16 // other FATs keep something else there
	}
	if f.Size == 0 {
		return f, nil
	}
	if cluster < 2 || uint64(cluster) >= b.clusters+2 {
		return FATFile{}, fmt.Errorf("a file of the FAT begins in cluster %d, which is none", cluster)
	}
	if f.Offset = b.place(cluster); f.Offset >= size {
		return FATFile{}, errors.New("a file of the FAT lies behind the end of the device")
	}
	return f, nil
}
