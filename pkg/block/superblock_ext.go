package block

import "hash/crc32"

// The superblock of the ext family, Documentation/filesystems/ext4 of the
// kernel: 1024 bytes behind a boot block of 1024.
const (
	extOffset = 1024
	extSize   = 1024
	extMagic  = 0xef53
	extValid  = 0x1 // bits of s_state
	extErrors = 0x2
)

// Features that tell ext2, ext3 and ext4 apart, and what is checked.
const (
	extHasJournal  = 0x4   // compatible
	extRecover     = 0x4   // incompatible
	extJournalDev  = 0x8   // incompatible
	ext64Bit       = 0x80  // incompatible
	extMetadataSum = 0x400 // read-only compatible

	// What the kernel's ext2 and ext3 understood: file types in directories
	// and the layout META_BG; sparse superblocks, large files, btree
	// directories. Anything more needs ext4.
	extOldIncompat = 0x2 | 0x10
	extOldROCompat = 0x1 | 0x2 | 0x4
)

func parseExt(head []byte) (Superblock, bool) {
	s := head[extOffset : extOffset+extSize]
	if le.Uint16(s[0x38:]) != extMagic || !saneExt(s) {
		return Superblock{}, false
	}
	blocks := uint64(le.Uint32(s[0x4:]))
	if le.Uint32(s[0x60:])&ext64Bit != 0 {
		blocks |= uint64(le.Uint32(s[0x150:])) << 32
	}
	size, ok := span(blocks, 1024<<le.Uint32(s[0x18:]))
	if !ok {
		return Superblock{}, false
	}
	state := le.Uint16(s[0x3a:])
	return Superblock{
		Type:  extType(s),
		Label: labelText(s[0x78:0x88]),
		UUID:  uuidText(s[0x68:0x78]),
		Size:  size,

		Errors:  state&extErrors != 0,
		Unclean: state&extValid == 0 && le.Uint32(s[0x60:])&extRecover == 0,
		// s_mtime, s_mnt_count
		Used: le.Uint32(s[0x2c:]) != 0 || le.Uint16(s[0x34:]) != 0,
	}, true
}

// saneExt checks what the kernel checks before it mounts. Two bytes of magic
// are not enough: one in 65536 blocks of anything has them.
func saneExt(s []byte) bool {
	inodes, logBlockSize := le.Uint32(s), le.Uint32(s[0x18:])
	firstDataBlock, revision := le.Uint32(s[0x14:]), le.Uint32(s[0x4c:])
	blocksPerGroup, inodesPerGroup := le.Uint32(s[0x20:]), le.Uint32(s[0x28:])
	if logBlockSize > 6 || firstDataBlock > 2 || revision > 1 {
		return false
	}
	// A journal of its own has no inodes, and is never mounted.
	isJournal := le.Uint32(s[0x60:])&extJournalDev != 0
	if !isJournal && (inodes == 0 || blocksPerGroup == 0 || inodesPerGroup == 0) {
		return false
	}
	if revision == 0 {
		return true
	}
	if !isPowerOfTwo(uint32(le.Uint16(s[0x58:])), 128, 1024<<logBlockSize) {
		return false
	}
	if le.Uint32(s[0x64:])&extMetadataSum == 0 {
		return true
	}
	// The kernel refuses a superblock whose sum is wrong.
	return le.Uint32(s[0x3fc:]) == extChecksum(s)
}

// extChecksum is ext4's CRC-32C, which unlike the usual one is not inverted at
// its end.
func extChecksum(s []byte) uint32 {
	return ^crc32.Checksum(s[:0x3fc], crc32.MakeTable(crc32.Castagnoli))
}

func extType(s []byte) string {
	compat, incompat, roCompat := le.Uint32(s[0x5c:]), le.Uint32(s[0x60:]), le.Uint32(s[0x64:])
	if incompat&extJournalDev != 0 {
		return "jbd"
	}
	if roCompat&^extOldROCompat != 0 || incompat&^(extOldIncompat|extRecover) != 0 {
		return "ext4"
	}
	if compat&extHasJournal != 0 {
		return "ext3"
	}
	if incompat&extRecover != 0 {
		return "ext4"
	}
	return "ext2"
}
