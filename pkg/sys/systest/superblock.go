package systest

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// superblock is the start of a partition with the least that a probe takes for
// the filesystem on it.
func superblock(p *Part) []byte {
	b := make([]byte, 128<<10)
	switch p.FS {
	case "ext4":
		putExt4(b[1024:], p.Label, cmp.Or(p.spans, p.Size))
		if p.Errors {
			b[1024+58] |= 2 // s_state: errors detected
		}
		if p.Unclean {
			b[1024+58] = 0 // s_state: not valid
			b[1024+92] = 0 // s_feature_compat: no journal
		}
	case "squashfs":
		putSquashfs(b)
	case "vfat":
		putFAT32(b, p.Label)
	case "btrfs":
		putBtrfs(b[64<<10:], p.Label, p.Size)
	case "iso9660":
		putISO9660(b[32768:], p.Label)
	}
	return b
}

var le = binary.LittleEndian

// putExt4 writes a struct ext4_super_block (fs/ext4/ext4.h).
func putExt4(sb []byte, label string, size int64) {
	le.PutUint32(sb[0:], 4096)              // s_inodes_count
	le.PutUint32(sb[4:], uint32(size/4096)) // s_blocks_count_lo
	le.PutUint32(sb[24:], 2)                // s_log_block_size: 4 KiB
	le.PutUint32(sb[32:], 32768)            // s_blocks_per_group
	le.PutUint32(sb[40:], 4096)             // s_inodes_per_group
	le.PutUint16(sb[56:], 0xEF53)           // s_magic
	le.PutUint16(sb[58:], 1)                // s_state: valid
	le.PutUint32(sb[76:], 1)                // s_rev_level: dynamic
	le.PutUint16(sb[88:], 256)              // s_inode_size
	le.PutUint32(sb[92:], 0x4)              // s_feature_compat: has_journal
	le.PutUint32(sb[96:], 0x40)             // s_feature_incompat: extents
	copy(sb[104:120], "minos-test-uuid.")
	copy(sb[120:136], label)
}

// putSquashfs writes a struct squashfs_super_block (fs/squashfs/squashfs_fs.h).
func putSquashfs(sb []byte) {
	le.PutUint32(sb[0:], 0x73717368)
	le.PutUint32(sb[4:], 10)      // inodes
	le.PutUint32(sb[12:], 131072) // block_size
	le.PutUint16(sb[20:], 1)      // compression
	le.PutUint16(sb[22:], 17)     // block_log
	le.PutUint16(sb[28:], 4)      // s_major
	le.PutUint64(sb[40:], 65536)  // bytes_used
}

// putFAT32 writes a boot sector.
func putFAT32(b []byte, label string) {
	copy(b, "\xEB\x58\x90mkfs.fat")
	le.PutUint16(b[11:], 512) // bytes a sector
	b[13] = 1                 // sectors a cluster
	le.PutUint16(b[14:], 32)  // reserved sectors
	b[16] = 2                 // tables
	b[21] = 0xF8              // media
	le.PutUint32(b[32:], 131072)
	le.PutUint32(b[36:], 1009) // sectors a table
	le.PutUint32(b[44:], 2)    // root cluster
	b[66] = 0x29
	le.PutUint32(b[67:], 0x12345678)
	copy(b[71:82], fmt.Sprintf("%-11s", label))
	copy(b[82:], "FAT32   ")
	b[510], b[511] = 0x55, 0xAA
}

// putBtrfs writes a struct btrfs_super_block (linux/btrfs_tree.h).
func putBtrfs(sb []byte, label string, size int64) {
	const length = 4096
	copy(sb[32:], "minos-test-uuid.")
	le.PutUint64(sb[48:], 64<<10) // bytenr
	copy(sb[64:], "_BHRfS_M")
	le.PutUint32(sb[144:], 4096)         // sectorsize
	le.PutUint32(sb[148:], 16384)        // nodesize
	le.PutUint64(sb[209:], uint64(size)) // dev_item.total_bytes
	copy(sb[299:554], label)
	le.PutUint32(sb, crc32.Checksum(sb[32:length], crc32.MakeTable(crc32.Castagnoli)))
}

// putISO9660 writes a primary volume descriptor (ECMA-119, 8.4).
func putISO9660(d []byte, label string) {
	d[0], d[6] = 1, 1
	copy(d[1:], "CD001")
	copy(d[40:72], fmt.Sprintf("%-32s", label))
	le.PutUint32(d[80:], 1024)
	binary.BigEndian.PutUint32(d[84:], 1024)
	le.PutUint16(d[128:], 2048)
	binary.BigEndian.PutUint16(d[130:], 2048)
}
