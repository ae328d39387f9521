package block

import "fmt"

// Cluster counts above which a FAT needs wider entries, from the kernel's
// fs/fat: the count alone decides, not the text in the boot sector.
const (
	maxFAT16Clusters = 0xfff4
	maxFAT32Clusters = 0xffffff6
)

// bootSector is the first sector of a FAT filesystem.
type bootSector struct {
	Superblock
	rootDir int64 // bytes from the start to the root directory, or its first cluster
	rootLen int   // bytes to look through there

	// The clusters, in which files lie and the root directory of a FAT32. They
	// are counted from 2.
	clusters    uint64
	clusterSize int64  // bytes
	data        int64  // bytes from the start to the first of them
	table       int64  // bytes from the start to the first table
	rootCluster uint32 // of a FAT32; else 0, and the directory has its place in front of them
	rootBytes   int64  // of that place
}

// Attributes in a directory's entry. A part of a long name has them all.
const (
	fatAttrMask    = 0x3f
	fatAttrLong    = 0x0f
	fatAttrVolume  = 0x08
	fatAttrDir     = 0x10
	fatEntrySize   = 32
	fatNameSize    = 11
	fatNoName      = "NO NAME"
	fatDeleted     = 0xe5
	fatFirstIsE5   = 0x05
	fatRootReadMax = headSize
)

// parseBootSector reads a FAT's parameters. The format has no checksum: what
// keeps random bytes, boot code and NTFS out are the jump at the start, the
// signature at the end, and parameters that fit each other.
func parseBootSector(head []byte) (bootSector, bool) {
	if (head[0] != 0xeb && head[0] != 0xe9) || head[510] != 0x55 || head[511] != 0xaa {
		return bootSector{}, false
	}
	sectorSize, perCluster := uint32(le.Uint16(head[11:])), uint32(head[13])
	reserved, fats, media := uint64(le.Uint16(head[14:])), uint64(head[16]), head[21]
	if !isPowerOfTwo(sectorSize, 512, 4096) || !isPowerOfTwo(perCluster, 1, 128) ||
		reserved == 0 || fats == 0 || fats > 4 || (media < 0xf8 && media != 0xf0) {
		return bootSector{}, false
	}
	sectors := uint64(le.Uint16(head[19:]))
	if sectors == 0 {
		sectors = uint64(le.Uint32(head[32:]))
	}
	// A FAT32 is known by having no 16-bit length of its tables.
	fatLength, extended, isFAT32 := uint64(le.Uint16(head[22:])), head[38:], false
	if fatLength == 0 {
		fatLength, extended, isFAT32 = uint64(le.Uint32(head[36:])), head[66:], true
	}
	rootBytes := uint64(le.Uint16(head[17:])) * fatEntrySize
	rootStart := reserved + fats*fatLength
	dataStart := rootStart + (rootBytes+uint64(sectorSize)-1)/uint64(sectorSize)
	if fatLength == 0 || isFAT32 != (rootBytes == 0) || dataStart >= sectors {
		return bootSector{}, false
	}
	clusters := (sectors - dataStart) / uint64(perCluster)
	if clusters == 0 || clusters > maxFAT32Clusters || (!isFAT32 && clusters > maxFAT16Clusters) {
		return bootSector{}, false
	}
	b := bootSector{Superblock: Superblock{Type: "vfat", Size: int64(sectors * uint64(sectorSize))}}
	b.clusters, b.clusterSize = clusters, int64(perCluster*sectorSize)
	b.data, b.table = int64(dataStart)*int64(sectorSize), int64(reserved)*int64(sectorSize)
	b.rootBytes = int64(rootBytes)
	b.readExtended(extended)
	b.rootDir, b.rootLen = int64(rootStart)*int64(sectorSize), int(min(rootBytes, fatRootReadMax))
	if isFAT32 {
		// Clusters are counted from 2. A directory is read no further than its
		// first cluster, since the next one may be anywhere.
		cluster := uint64(le.Uint32(head[44:]))
		if cluster < 2 || cluster >= clusters+2 {
			return bootSector{}, false
		}
		b.rootDir = int64(dataStart+(cluster-2)*uint64(perCluster)) * int64(sectorSize)
		b.rootLen = int(min(perCluster*sectorSize, fatRootReadMax))
		b.rootCluster = uint32(cluster)
	}
	return b, true
}

// readExtended takes serial number and label from the extended boot record,
// which a byte announces: 0x29 for both, 0x28 for the number alone.
func (b *bootSector) readExtended(record []byte) {
	if record[0] != 0x28 && record[0] != 0x29 {
		return
	}
	serial := le.Uint32(record[1:])
	b.UUID = fmt.Sprintf("%04X-%04X", serial>>16, serial&0xffff)
	if record[0] == 0x29 {
		b.Label = fatLabel(record[5 : 5+fatNameSize])
	}
}

// vfat returns the superblock with the label from the root directory when the
// boot sector has none, as after a change of the label by Windows. This second
// read is not made for a label that differs: the boot partition is on the way
// of every boot.
func (d reader) vfat(b bootSector) (Superblock, error) {
	if b.Label != "" {
		return b.Superblock, nil
	}
	entries, err := d.read(b.rootDir, b.rootLen)
	if err != nil {
		return Superblock{}, err
	}
	b.Label = volumeEntry(entries)
	return b.Superblock, nil
}

// volumeEntry is the label in a root directory. The name 0 ends a directory.
func volumeEntry(entries []byte) string {
	for ; len(entries) >= fatEntrySize && entries[0] != 0; entries = entries[fatEntrySize:] {
		attr := entries[fatNameSize] & fatAttrMask
		if entries[0] == fatDeleted || attr == fatAttrLong || attr&(fatAttrVolume|fatAttrDir) != fatAttrVolume {
			continue
		}
		name := [fatNameSize]byte(entries)
		if name[0] == fatFirstIsE5 {
			name[0] = fatDeleted
		}
		return fatLabel(name[:])
	}
	return ""
}

func fatLabel(field []byte) string {
	label := labelText(field)
	if label == fatNoName {
		return ""
	}
	return label
}
