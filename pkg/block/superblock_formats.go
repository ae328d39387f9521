package block

import (
	"bytes"
	"hash/crc32"
)

// parseSquashfs knows version 4, the only one that Linux mounts. The format
// has neither label nor UUID nor checksum.
func parseSquashfs(head []byte) (Superblock, bool) {
	blockSize, blockLog, major := le.Uint32(head[12:]), le.Uint16(head[22:]), le.Uint16(head[28:])
	if string(head[:4]) != "hsqs" || major != 4 ||
		!isPowerOfTwo(blockSize, 4<<10, 1<<20) || blockSize>>(blockLog&31) != 1 {
		return Superblock{}, false
	}
	size, ok := span(le.Uint64(head[40:]), 1)
	return Superblock{Type: "squashfs", Size: size}, ok
}

const (
	erofsOffset      = 1024
	erofsMagic       = 0xe0f5e1e2
	erofsHasChecksum = 0x1
)

// parseErofs checks what the kernel checks: directory blocks have no size of
// their own, and the checksum when there is one. Its first block, which the
// sum covers, has to lie in the first page for that.
func parseErofs(head []byte) (Superblock, bool) {
	s := head[erofsOffset:]
	blockBits := s[12]
	if le.Uint32(s) != erofsMagic || blockBits < 9 || blockBits > 16 || le.Uint32(s[36:]) == 0 || s[90] != 0 {
		return Superblock{}, false
	}
	if le.Uint32(s[8:])&erofsHasChecksum != 0 && 1<<blockBits <= headSize &&
		le.Uint32(s[4:]) != erofsChecksum(s, blockBits) {
		return Superblock{}, false
	}
	size, ok := span(uint64(le.Uint32(s[36:])), 1<<blockBits)
	return Superblock{
		Type:  "erofs",
		Label: labelText(s[64:80]),
		UUID:  uuidText(s[48:64]),
		Size:  size,
	}, ok
}

// erofsChecksum is the CRC-32C of the rest of the first block, or of one block
// when blocks are not longer than what comes before the superblock. Its own
// field counts as zero, and the sum is not inverted at its end.
func erofsChecksum(s []byte, blockBits byte) uint32 {
	length := 1 << blockBits
	if length > erofsOffset {
		length -= erofsOffset
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Update(0, table, s[:4])
	sum = crc32.Update(sum, table, make([]byte, 4))
	return ^crc32.Update(sum, table, s[8:length])
}

// parseLUKS knows both versions of the header of cryptsetup. How much of the
// device is encrypted is not in the part that is read here.
func parseLUKS(head []byte) (Superblock, bool) {
	version := be.Uint16(head[6:])
	if string(head[:6]) != "LUKS\xba\xbe" || (version != 1 && version != 2) {
		return Superblock{}, false
	}
	sb := Superblock{Type: "crypto_LUKS", UUID: labelText(head[168:208])}
	if version == 1 {
		return sb, true
	}
	// The place of the header in its own words tells a primary one from a copy.
	if be.Uint64(head[256:]) != 0 || be.Uint64(head[8:]) < headSize {
		return Superblock{}, false
	}
	sb.Label = labelText(head[24:72])
	return sb, true
}

// The header of a swap area, linux/swap.h: information at 1024, and a
// signature at the end of the first page, whose size is that of the machine
// that made it.
const (
	swapInfo      = 1024
	swapSignature = "SWAPSPACE2"
)

// isSwapHeader spares the reads for larger pages when it says no.
func isSwapHeader(head []byte) bool {
	version, lastPage := le.Uint32(head[swapInfo:]), le.Uint32(head[swapInfo+4:])
	return version == 1 && lastPage != 0
}

// swap looks for the signature behind a header.
func (d reader) swap(head []byte) (Superblock, bool, error) {
	for _, pageSize := range []int64{4 << 10, 16 << 10, 64 << 10} {
		signature := head[headSize-len(swapSignature):]
		if pageSize > headSize {
			var err error
			signature, err = d.read(pageSize-int64(len(swapSignature)), len(swapSignature))
			if err != nil {
				return Superblock{}, false, err
			}
		}
		if string(signature) != swapSignature {
			continue
		}
		info := head[swapInfo:]
		size, ok := span(uint64(le.Uint32(info[4:]))+1, uint64(pageSize))
		return Superblock{
			Type:  "swap",
			Label: labelText(info[28:44]),
			UUID:  uuidText(info[12:28]),
			Size:  size,
		}, ok, nil
	}
	return Superblock{}, false, nil
}

const (
	isoOffset         = 32768 // sixteen sectors of 2048 belong to the system
	isoDescriptorSize = 2048
)

// parseISO9660 reads the primary volume descriptor, ECMA-119 section 8.4. A
// Joliet descriptor, which may spell the label in other letters, is not read.
func parseISO9660(descriptor []byte) (Superblock, bool) {
	const primary, version = 1, 1
	sectorSize := le.Uint16(descriptor[128:])
	if descriptor[0] != primary || string(descriptor[1:6]) != "CD001" || descriptor[6] != version ||
		!isPowerOfTwo(uint32(sectorSize), 512, 4096) || sectorSize != be.Uint16(descriptor[130:]) ||
		le.Uint32(descriptor[80:]) != be.Uint32(descriptor[84:]) {
		return Superblock{}, false
	}
	size, ok := span(uint64(le.Uint32(descriptor[80:])), uint64(sectorSize))
	uuid := isoDate(descriptor[830:846])
	if uuid == "" {
		uuid = isoDate(descriptor[813:829])
	}
	return Superblock{Type: "iso9660", Label: labelText(descriptor[40:72]), UUID: uuid, Size: size}, ok
}

// isoDate is a date of a descriptor, its digits from year to hundredths, in
// the form that blkid uses as the UUID; none when it is not set.
func isoDate(digits []byte) string {
	if len(bytes.Trim(digits, "0123456789")) != 0 || len(bytes.Trim(digits, "0")) == 0 {
		return ""
	}
	text := string(digits[:4])
	for i := 4; i < len(digits); i += 2 {
		text += "-" + string(digits[i:i+2])
	}
	return text
}

const (
	btrfsOffset      = 65536
	btrfsSuperSize   = 4096
	btrfsSumIsCRC32C = 0
)

// parseBtrfs checks the checksum when it is the default CRC-32C, and in any
// case that the block says of itself where it is: that tells the superblock
// from its copies. The size is that of the filesystem's part on this device.
func parseBtrfs(s []byte) (Superblock, bool) {
	if string(s[64:72]) != "_BHRfS_M" || le.Uint64(s[48:]) != btrfsOffset ||
		!isPowerOfTwo(le.Uint32(s[144:]), 512, 64<<10) || !isPowerOfTwo(le.Uint32(s[148:]), 512, 64<<10) {
		return Superblock{}, false
	}
	if le.Uint16(s[196:]) == btrfsSumIsCRC32C && le.Uint32(s) != btrfsChecksum(s) {
		return Superblock{}, false
	}
	size, ok := span(le.Uint64(s[209:]), 1)
	return Superblock{
		Type:  "btrfs",
		Label: labelText(s[299:555]),
		UUID:  uuidText(s[32:48]),
		Size:  size,
	}, ok
}

func btrfsChecksum(s []byte) uint32 {
	return crc32.Checksum(s[32:], crc32.MakeTable(crc32.Castagnoli))
}
