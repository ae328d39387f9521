package main

import (
	"cmp"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
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
	before := original{base, map[int64]sum{}}
	place := map[string]int{}
	var all []image
	for _, c := range cuts {
		id, err := before.identify(c.pieces)
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

// original is the disk before the record, as far as it was looked at.
type original struct {
	disk *os.File
	sums map[int64]sum
}

func (o original) sum(sector int64) (sum, error) {
	if s, ok := o.sums[sector]; ok {
		return s, nil
	}
	data := make([]byte, sectorSize)
	if _, err := o.disk.ReadAt(data, sector*sectorSize); err != nil {
		return sum{}, fmt.Errorf("cannot read sector %d of the disk before the record: %w", sector, err)
	}
	o.sums[sector] = sumOf(sector, data)
	return o.sums[sector], nil
}

// identify tells disks apart by the sectors in which they differ from the
// original.
func (o original) identify(pieces []piece) (string, error) {
	sums := map[int64]sum{}
	for _, p := range pieces {
		for i, s := range p.sums {
			sums[p.sector+int64(i)] = s
		}
	}
	var id sum
	for sector, s := range sums {
		was, err := o.sum(sector)
		if err != nil {
			return "", err
		}
		if s != was {
			subtle.XORBytes(id[:], id[:], s[:])
		}
	}
	return hex.EncodeToString(id[:8]), nil
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
// the writes of the record: a write with many cuts has no more than another.
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
		picked = append(picked, overWrites(byKind[name], want)...)
	}
	return picked
}

// overWrites picks n images of as many writes as there can be.
func overWrites(list []image, n int) (picked []image) {
	var groups [][]image
	for i, image := range list {
		if i == 0 || list[i-1].plainest().writes != image.plainest().writes {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], image)
	}
	groups = spread(groups, n)
	// What the small ones leave goes to the large ones.
	slices.SortStableFunc(groups, func(a, b []image) int { return cmp.Compare(len(a), len(b)) })
	for i, group := range groups {
		picked = append(picked, spread(group, (n-len(picked))/(len(groups)-i))...)
	}
	return picked
}

// spread picks n of a list at even distances, the last one always.
func spread[T any](list []T, n int) []T {
	if n >= len(list) {
		return list
	}
	var picked []T
	for i := range n {
		picked = append(picked, list[(i+1)*len(list)/n-1])
	}
	return picked
}
