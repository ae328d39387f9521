package block

import (
	"fmt"
	"unicode/utf16"
)

// Filesystems that removable media come with. Nothing here is made by init, and
// nothing of them is read but what tells one from another.

// parseXFS reads what the kernel calls struct xfs_dsb (fs/xfs/libxfs/xfs_format.h),
// whose numbers are big-endian. Its checksum is not looked at: the kernel does that.
func parseXFS(head []byte) (Superblock, bool) {
	blockSize, sectorSize := be.Uint32(head[4:]), uint32(be.Uint16(head[102:]))
	blockLog, sectorLog, inProgress := head[120], head[121], head[126]
	if string(head[:4]) != "XFSB" || inProgress != 0 ||
		!isPowerOfTwo(blockSize, 512, 64<<10) || blockSize>>(blockLog&31) != 1 ||
		!isPowerOfTwo(sectorSize, 512, 32<<10) || sectorSize>>(sectorLog&31) != 1 {
		return Superblock{}, false
	}
	size, ok := span(be.Uint64(head[8:]), uint64(blockSize))
	return Superblock{Type: "xfs", Label: labelText(head[108:120]), UUID: uuidText(head[32:48]), Size: size}, ok
}

// hasBootSignature tells a boot sector, which FAT, exFAT and NTFS begin with.
func hasBootSignature(head []byte) bool { return head[510] == 0x55 && head[511] == 0xaa }

// isExFAT tells the boot sector of an exFAT (Microsoft's "exFAT file system
// specification", 3.1): its name, and zeros where a FAT has its parameters.
func isExFAT(head []byte) bool {
	sectorLog, clusterLog := head[108], head[109]
	return hasBootSignature(head) && string(head[3:11]) == "EXFAT   " && isZero(head[11:64]) &&
		sectorLog >= 9 && sectorLog <= 12 && clusterLog <= 25-sectorLog
}

// exFAT reads an exFAT. Its label is an entry of the root directory, of which only
// the first page is read; mkfs and Windows put it at the start.
func (d reader) exFAT(head []byte) (Superblock, bool, error) {
	sectorLog, clusterLog := head[108], head[109]
	size, ok := span(le.Uint64(head[72:]), 1<<sectorLog)
	root := le.Uint32(head[96:])
	if !ok || root < 2 {
		return Superblock{}, false, nil
	}
	serial := le.Uint32(head[100:])
	sb := Superblock{Type: "exfat", UUID: fmt.Sprintf("%04X-%04X", serial>>16, serial&0xffff), Size: size}
	offset := int64(le.Uint32(head[88:]))<<sectorLog + int64(root-2)<<(sectorLog+clusterLog)
	entries, err := d.read(offset, headSize)
	if err != nil {
		return Superblock{}, false, err
	}
	const entrySize, label, maxLetters = 32, 0x83, 11
	for ; len(entries) >= entrySize && entries[0] != 0; entries = entries[entrySize:] {
		if letters := int(entries[1]); entries[0] == label && letters <= maxLetters {
			sb.Label = utf16Text(entries[2 : 2+2*letters])
			break
		}
	}
	return sb, true, nil
}

// isNTFS tells the boot sector of an NTFS, which has zeros where a FAT has what it
// cannot do without (the kernel's fs/ntfs3/ntfs.h, struct NTFS_BOOT).
func isNTFS(head []byte) bool {
	return hasBootSignature(head) && string(head[3:11]) == "NTFS    " && isZero(head[14:21]) && isZero(head[22:24]) &&
		isPowerOfTwo(uint32(le.Uint16(head[11:])), 512, 4096) && ntfsUnits(head[13]) != 0
}

// ntfsUnits is a size in the boot sector: a number of units, or above 128 the
// power of two that 256 less it is. It is 0 for what is no size.
func ntfsUnits(b byte) uint64 {
	switch {
	case b > 225: // 31 bits are more than anything has
		return 1 << (256 - int(b))
	case b <= 128:
		return uint64(b)
	}
	return 0
}

// ntfs reads an NTFS. Its label is in the fourth record of the master file table.
func (d reader) ntfs(head []byte) (Superblock, bool, error) {
	sector := uint64(le.Uint16(head[11:]))
	size, ok := span(le.Uint64(head[40:]), sector)
	cluster := sector * ntfsUnits(head[13])
	table, fits := span(le.Uint64(head[48:]), cluster)
	if !ok || !fits || table >= size {
		return Superblock{}, false, nil
	}
	sb := Superblock{Type: "ntfs", UUID: fmt.Sprintf("%016X", le.Uint64(head[72:])), Size: size}
	// A record's size is in clusters, or above 128 the bytes themselves.
	recordSize := ntfsUnits(head[64])
	if head[64] <= 128 {
		recordSize *= cluster
	}
	if recordSize > headSize {
		return sb, true, nil
	}
	const volume = 3
	record, err := d.read(table+volume*int64(recordSize), headSize)
	if err != nil {
		return Superblock{}, false, err
	}
	sb.Label = ntfsLabel(record)
	return sb, true, nil
}

// ntfsLabel is the attribute $VOLUME_NAME of a record, which lies in the record. The
// last two bytes of each sector stand elsewhere; the attributes before it are
// too short for the name to get there.
func ntfsLabel(record []byte) string {
	const volumeName, end = 0x60, 0xffffffff
	if string(record[:4]) != "FILE" {
		return ""
	}
	for at := int(le.Uint16(record[20:])); at+24 <= len(record); {
		kind, length := le.Uint32(record[at:]), int64(le.Uint32(record[at+4:]))
		if kind == end || length < 24 || length > int64(len(record)-at) {
			return ""
		}
		if kind == volumeName && record[at+8] == 0 {
			from, n := at+int(le.Uint16(record[at+20:])), int64(le.Uint32(record[at+16:]))
			if n > 256 || from+int(n) > len(record) {
				return ""
			}
			return utf16Text(record[from : from+int(n)])
		}
		at += int(length)
	}
	return ""
}

// utf16Text makes a label of UTF-16 printable.
func utf16Text(field []byte) string {
	units := make([]uint16, len(field)/2)
	for i := range units {
		units[i] = le.Uint16(field[2*i:])
	}
	return labelText([]byte(string(utf16.Decode(units))))
}
