package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"io"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Identity tells one content of a partition from another, by what can be read
// in a few milliseconds: the superblock and the tables that describe the rest.
// Images of one reproducible recipe have the same UUID, times and size, and for
// ext4 the same superblock to the byte; what differs is in the tables. extra is
// taken in as well: what a person would call the version.
//
// It is no proof against somebody who wants to deceive it, and a file that
// changed its content but neither its size nor extra is not noticed.
func Identity(k sys.Kernel, d Device, super Superblock, extra []byte) (string, error) {
	dev, err := k.OpenDevice(d.Path())
	if err != nil {
		return "", err
	}
	defer dev.Close()
	h := fnv.New128a()
	if err := hashTables(h, dev, super.Type); err != nil {
		return "", fmt.Errorf("the tables of %s (%s): %w", d.Path(), super.Type, err)
	}
	h.Write(extra)
	return fmt.Sprintf("%s:%x", super.Type, h.Sum(nil)), nil
}

// mostOfATable bounds what is read of one table, in bytes.
const mostOfATable = 64 << 10

// hashTables takes in what a filesystem says of itself.
func hashTables(h hash.Hash, r io.ReaderAt, fstype string) error {
	switch fstype {
	case "squashfs":
		return hashSquashfs(h, r)
	case "erofs":
		// The superblock at 1024, and the inodes that follow it.
		return hashPart(h, r, 0, mostOfATable)
	default:
		return hashExt4(h, r)
	}
}

// hashExt4 takes in the superblock and the group descriptors, which hold a
// checksum of each bitmap (fs/ext4/ext4.h).
func hashExt4(h hash.Hash, r io.ReaderAt) error {
	sb := make([]byte, 1024)
	if _, err := r.ReadAt(sb, 1024); err != nil {
		return err
	}
	h.Write(sb)
	le := binary.LittleEndian
	logBlock := le.Uint32(sb[24:])
	blocks, perGroup, first := le.Uint32(sb[4:]), le.Uint32(sb[32:]), le.Uint32(sb[20:])
	if logBlock > 6 || perGroup == 0 {
		return errors.New("not the superblock of an ext4")
	}
	size := int64(32)
	if le.Uint32(sb[96:])&0x80 != 0 { // INCOMPAT_64BIT
		size = int64(le.Uint16(sb[254:]))
	}
	groups := (int64(blocks) + int64(perGroup) - 1) / int64(perGroup)
	at := (int64(first) + 1) << (10 + logBlock)
	return hashPart(h, r, at, min(groups*size, mostOfATable))
}

// hashSquashfs takes in the superblock, which has the exact length of the
// image, and the start of its tables, which lie behind all data
// (Documentation/filesystems/squashfs.rst).
func hashSquashfs(h hash.Hash, r io.ReaderAt) error {
	sb := make([]byte, 96)
	if _, err := r.ReadAt(sb, 0); err != nil {
		return err
	}
	h.Write(sb)
	le := binary.LittleEndian
	end, inodes := int64(le.Uint64(sb[40:])), int64(le.Uint64(sb[64:]))
	if inodes < 96 || inodes >= end {
		return errors.New("not the superblock of a squashfs")
	}
	return hashPart(h, r, inodes, min(end-inodes, mostOfATable))
}

// hashPart takes in bytes of the device, as many as there are.
func hashPart(h hash.Hash, r io.ReaderAt, at, length int64) error {
	buf := make([]byte, length)
	n, err := r.ReadAt(buf, at)
	if err != nil && err != io.EOF {
		return err
	}
	h.Write(buf[:n])
	return nil
}
