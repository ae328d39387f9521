package block

import (
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"strings"
)

// Selector names the boot disk, as a bootloader does with minos.disk=: by the
// kernel's name of it ("mmcblk0"), by the identity of its partition table
// ("PTUUID=…", which a copy shares), or by its bus. The empty one names none.
type Selector struct{ word string }

// SelectorOf reads the value of minos.disk=.
func SelectorOf(word string) Selector { return Selector{strings.TrimPrefix(word, "/dev/")} }

// Empty tells whether no disk was named.
func (s Selector) Empty() bool { return s.word == "" }

func (s Selector) String() string { return s.word }

// Matches tells whether a disk is the one that is named.
func (s Selector) Matches(disk Device, tableID func(Device) string) bool {
	if id, ok := strings.CutPrefix(s.word, "PTUUID="); ok {
		return strings.EqualFold(id, tableID(disk))
	}
	return s.Empty() || s.word == disk.Name || s.word == disk.Bus()
}

// Bus is how a disk is attached, in the words of minos.disk=: "mmc", "usb",
// "nvme", "virtio" or "scsi", read off its place in the tree of devices; ""
// when it is none of these.
func (d Device) Bus() string {
	var parents []string
	for dir := path.Dir(d.Devpath); len(dir) > 1; dir = path.Dir(dir) {
		parents = append(parents, path.Base(dir))
	}
	has := func(prefix string) bool {
		for _, p := range parents {
			if rest, ok := strings.CutPrefix(p, prefix); ok && strings.Trim(rest, "0123456789-.:") == "" {
				return true
			}
		}
		return false
	}
	switch {
	// A USB disk speaks SCSI too, and a SCSI host may be a virtio one.
	case has("usb"):
		return "usb"
	case has("mmc_host"):
		return "mmc"
	case has("nvme"):
		return "nvme"
	case has("target"):
		return "scsi"
	case has("virtio"):
		return "virtio"
	}
	return ""
}

// readTableID reads the identity of a partition table: the disk GUID of a GPT
// (UEFI specification 5.3.2), or the signature of an MBR at byte 440, both as
// blkid prints PTUUID; "" when there is no table.
func readTableID(r io.ReaderAt) (string, error) {
	mbr := make([]byte, 512)
	if _, err := r.ReadAt(mbr, 0); err != nil {
		return "", fmt.Errorf("read of the partition table: %w", err)
	}
	if mbr[510] != 0x55 || mbr[511] != 0xAA {
		return "", nil
	}
	// The header is in the second logical block, whose size is 512 or 4096.
	for _, at := range []int64{512, 4096} {
		header := make([]byte, 92)
		if _, err := r.ReadAt(header, at); err == nil && string(header[:8]) == "EFI PART" {
			return guid(header[56:72]), nil
		}
	}
	signature := binary.LittleEndian.Uint32(mbr[440:])
	if signature == 0 {
		return "", nil
	}
	return fmt.Sprintf("%08x", signature), nil
}

// guid writes a GUID, whose first three parts are little-endian.
func guid(b []byte) string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08x-%04x-%04x-%x-%x", le.Uint32(b), le.Uint16(b[4:]), le.Uint16(b[6:]), b[8:10], b[10:16])
}
