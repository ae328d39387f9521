package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"

	"github.com/minos-os/minos-init/qemu"
)

// image is a disk as one or several cuts leave it.
type image struct {
	id     string // of what differs from the disk before the record
	cuts   []cut  // that leave this image, the plainest first
	synced int    // the most marks that one of the cuts has behind it
	pieces []piece
}

// plainest is the cut to tell a person of.
func (i image) plainest() cut { return i.cuts[0] }

// images are the distinct disks that cuts leave, in the order of the cuts. base
// is the disk before the record.
func images(base *os.File, cuts []cut) ([]image, error) {
	slices.SortStableFunc(cuts, byPlainness)
	place := map[string]int{}
	var all []image
	for _, c := range cuts {
		id, err := identify(base, c.pieces)
		if err != nil {
			return nil, err
		}
		i, known := place[id]
		if !known {
			i = len(all)
			place[id] = i
			all = append(all, image{id: id, pieces: c.pieces})
		}
		all[i].cuts = append(all[i].cuts, c)
		all[i].synced = max(all[i].synced, c.synced)
	}
	return all, nil
}

// byPlainness puts the kinds in their order, and of one kind the fewest writes
// first.
func byPlainness(a, b cut) int {
	return cmp.Or(cmp.Compare(slices.Index(kinds(), a.kind), slices.Index(kinds(), b.kind)), cmp.Compare(a.writes, b.writes))
}

// identify is a hash of the sectors that differ from the base.
func identify(base *os.File, pieces []piece) (string, error) {
	sectors := map[int64][]byte{}
	for _, p := range pieces {
		for i := 0; i < len(p.data); i += sectorSize {
			sectors[p.sector+int64(i/sectorSize)] = p.data[i : i+sectorSize]
		}
	}
	h := sha256.New()
	was := make([]byte, sectorSize)
	for _, n := range slices.Sorted(maps.Keys(sectors)) {
		if _, err := base.ReadAt(was, n*sectorSize); err != nil {
			return "", fmt.Errorf("cannot read sector %d of the disk before the record: %w", n, err)
		}
		if bytes.Equal(was, sectors[n]) {
			continue
		}
		h.Write(binary.LittleEndian.AppendUint64(nil, uint64(n)))
		h.Write(sectors[n])
	}
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// build makes the disk in a new file.
func (i image) build(file, base string) (err error) {
	if err := qemu.CopyImage(file, base); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot apply the writes: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	for _, p := range i.pieces {
		if _, err := f.WriteAt(p.data, p.sector*sectorSize); err != nil {
			return fmt.Errorf("cannot apply a write of %d bytes: %w", len(p.data), err)
		}
	}
	return nil
}

// sample picks at most n images, the same ones each time: half of them plain
// prefixes, and the kinds of cuts that remain in equal parts, each spread over
// the whole record.
func sample(all []image, n int) []image {
	if n <= 0 || n >= len(all) {
		return all
	}
	byKind := map[kind][]image{}
	for _, i := range all {
		byKind[i.plainest().kind] = append(byKind[i.plainest().kind], i)
	}
	var picked []image
	for k, name := range kinds() {
		want := (n - len(picked)) / (len(kinds()) - k)
		if name == prefixCut {
			want = (n + 1) / 2
		}
		picked = append(picked, spread(byKind[name], want)...)
	}
	return picked
}

// spread picks n of a list at even distances, the last one always.
func spread(list []image, n int) []image {
	if n >= len(list) {
		return list
	}
	var picked []image
	for i := range n {
		picked = append(picked, list[(i+1)*len(list)/n-1])
	}
	return picked
}
