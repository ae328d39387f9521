package firstboot

import "slices"

// Range is a part of a partition, in bytes.
type Range struct{ Offset, Length int64 }

const (
	mib = 1 << 20
	gib = 1 << 30

	// end is how much is looked at whole at either end of a partition. Nearly
	// everything that marks a partition as somebody's lies there.
	end = mib
	// page is how much is looked at where a single superblock may be.
	page = 4 << 10
)

// Places are all parts of a partition of size bytes where something is that
// tells a filesystem, a volume or a table: the first and the last MiB whole, and
// a page wherever a format keeps its superblock or a copy farther inside. They
// are sorted and none overlaps another.
//
// At the start lie the first superblocks of all formats (the farthest is the
// one of btrfs at 64 KiB, the second label of ZFS ends at 512 KiB); at the end
// md 0.90 and 1.0, DDF and the RAIDs of mainboards, the second copies of GPT,
// NTFS, HFS+, nilfs2, UDF and ZFS, and the footers of Android's verified boot.
func Places(size int64) []Range {
	if size <= 2*end {
		return []Range{{0, size}}
	}
	offsets := slices.Concat(fixedOffsets, extCopies(size), xfsCopies(size), endOffsets(size))
	for i, at := range offsets {
		offsets[i] = at / page * page
	}
	slices.Sort(offsets)
	places := []Range{{0, end}}
	for _, at := range slices.Compact(offsets) {
		if at >= end && at+page <= size-end {
			places = append(places, Range{at, page})
		}
	}
	return append(places, Range{size - end, end})
}

// fixedOffsets are those behind the first MiB that do not depend on the size.
var fixedOffsets = []int64{
	1 * mib, 2 * mib, 4 * mib, // LUKS2: the second header (its specification, 2.1); VMFS
	256 * page,          // UDF: the anchor at block 256 (ECMA-167 3/8.4.2.1)
	1*mib + page,        // bcachefs: the second superblock (bcachefs_format.h)
	64 * mib, 256 * gib, // btrfs: mirrors (fs/btrfs/disk-io.h, btrfs_sb_offset)
}

// extCopies are the copies of an ext's superblock: at the start of the groups 1
// and those of powers of 3, 5 and 7 (sparse_super), and of the last one
// (sparse_super2). A group has as many blocks as a block has bits
// (Documentation/filesystems/ext4/super.rst).
func extCopies(size int64) (offsets []int64) {
	for block := int64(1 << 10); block <= 64<<10; block *= 2 {
		length := 8 * block * block
		first := int64(0)
		if block == 1<<10 {
			first = block // block 0 is the boot block
		}
		groups := []int64{1, (size - first - 1) / length}
		for _, base := range []int64{3, 5, 7} {
			for group := base; group <= size/length; group *= base {
				groups = append(groups, group)
			}
		}
		for _, group := range groups {
			if at := first + group*length; group > 0 && at < size {
				offsets = append(offsets, at)
			}
		}
	}
	return offsets
}

// xfsCopies are the superblocks of the groups of an xfs as mkfs.xfs makes it
// without further words: four groups of 4 KiB blocks, rounded up.
func xfsCopies(size int64) []int64 {
	group := (size/page + 3) / 4 * page
	return []int64{group, 2 * group, 3 * group}
}

// endOffsets are those that lie just before the last MiB.
func endOffsets(size int64) []int64 {
	blocks := size / page
	return []int64{
		(blocks - 257) * page, // UDF: the anchor 256 blocks before the last one
		(blocks - 256) * page,
	}
}
