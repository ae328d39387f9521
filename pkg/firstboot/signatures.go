package firstboot

import (
	"bytes"
	"io"
)

// signature is a mark that a format leaves at a fixed place.
type signature struct {
	offset int64 // in bytes; below 0 it is counted from the end
	magic  string
	name   string
}

// signatures are to say in words what is on a partition. That it is nobody's
// never depends on them: each byte in the places counts.
//
// The offsets and marks are those of libblkid (util-linux, libblkid/src) and of
// the kernel's own headers.
var signatures = []signature{
	{0, "LUKS\xba\xbe", "LUKS, encrypted"},
	{0, "XFSB", "xfs"},
	{0, "hsqs", "squashfs"},
	{0, "\x45\x3d\xcd\x28", "cramfs"},
	{0, "-rom1fs-", "romfs"},
	{0, "verity\x00\x00", "dm-verity"},
	{0, "integrt\x00", "dm-integrity"},
	{0, "ANDROID!", "an Android boot image"},
	{0, "AVB0", "Android verified boot"},
	{3, "-FVE-FS-", "BitLocker, encrypted"},
	{3, "NTFS    ", "ntfs"},
	{3, "EXFAT   ", "exfat"},
	{3, "ReFS\x00\x00\x00\x00", "ReFS"},
	{32, "NXSB", "apfs"},
	{54, "FAT1", "vfat"},
	{82, "FAT32   ", "vfat"},
	{0, "LABELONE", "LVM"},
	{512, "LABELONE", "LVM"},
	{1024, "LABELONE", "LVM"},
	{1536, "LABELONE", "LVM"},
	{512, "EFI PART", "a GPT partition table"},
	{4096, "EFI PART", "a GPT partition table"},
	{516, "!Stra0tis", "Stratis"},
	{0, "\xfc\x4e\x2b\xa9", "md RAID 1.1"},
	{4096, "\xfc\x4e\x2b\xa9", "md RAID 1.2"},
	{4096 + 24, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca", "bcache"},
	{4096 + 24, "\xc6\x85\x73\xf6\x66\xce\x90\xa9", "bcachefs"},
	{1024, "\x10\x20\xf5\xf2", "f2fs"},
	{5120, "\x10\x20\xf5\xf2", "f2fs"},
	{1024, "\xe2\xe1\xf5\xe0", "erofs"},
	{1024, "H+", "hfs+"},
	{1024, "HX", "hfs+"},
	{1024, "BD", "hfs"},
	{1024 + 6, "\x34\x34", "nilfs2"},
	{1024 + 16, "\x7f\x13", "minix"},
	{1024 + 16, "\x8f\x13", "minix"},
	{1024 + 16, "\x68\x24", "minix"},
	{1024 + 16, "\x78\x24", "minix"},
	{1024 + 24, "\x5a\x4d", "minix"},
	{1024 + 56, "\x53\xef", "ext4, ext3 or ext2"},
	{4096 - 10, "SWAPSPACE2", "swap"},
	{8192 - 10, "SWAPSPACE2", "swap"},
	{16384 - 10, "SWAPSPACE2", "swap"},
	{32768 - 10, "SWAPSPACE2", "swap"},
	{65536 - 10, "SWAPSPACE2", "swap"},
	{32768, "JFS1", "jfs"},
	{32769, "CD001", "iso9660"},
	{32769, "BEA01", "udf"},
	{8192 + 52, "ReIsEr", "reiserfs"},
	{65536 + 52, "ReIsEr", "reiserfs"},
	{65536 + 64, "_BHRfS_M", "btrfs"},
	{64*mib + 64, "_BHRfS_M", "btrfs"},
	{65536, "\x01\x16\x19\x70", "gfs2"},
	{128 << 10, "\x0c\xb1\xba\x00", "zfs"},
	{16 << 10, "SKUL\xba\xbe", "LUKS, encrypted"},
	{32 << 10, "SKUL\xba\xbe", "LUKS, encrypted"},
	{64 << 10, "SKUL\xba\xbe", "LUKS, encrypted"},
	{128 << 10, "SKUL\xba\xbe", "LUKS, encrypted"},
	{256 << 10, "SKUL\xba\xbe", "LUKS, encrypted"},
	{512 << 10, "SKUL\xba\xbe", "LUKS, encrypted"},
	{1 * mib, "SKUL\xba\xbe", "LUKS, encrypted"},
	{2 * mib, "SKUL\xba\xbe", "LUKS, encrypted"},
	{4 * mib, "SKUL\xba\xbe", "LUKS, encrypted"},
	{128*mib + 56, "\x53\xef", "ext4, ext3 or ext2, a copy"},
	{8*mib + 1024 + 56, "\x53\xef", "ext4, ext3 or ext2, a copy"},
	{-512, "EFI PART", "a GPT partition table, a copy"},
	{-512 + 3, "NTFS    ", "ntfs, a copy"},
	{-1024, "H+", "hfs+, a copy"},
	{-64, "AVBf", "Android verified boot"},
	{510, "\x55\xaa", "a boot sector or an MBR partition table"}, // last: others have it too
}

// at is where the mark lies on a partition of size bytes.
func (s signature) at(size int64) int64 {
	if s.offset < 0 {
		return size + s.offset
	}
	return s.offset
}

// found tells whether the mark is there. What cannot be read is not.
func (s signature) found(r io.ReaderAt, size int64) bool {
	at := s.at(size)
	if at < 0 || at+int64(len(s.magic)) > size {
		return false
	}
	b := make([]byte, len(s.magic))
	n, _ := r.ReadAt(b, at)
	return n == len(b) && bytes.Equal(b, []byte(s.magic))
}
