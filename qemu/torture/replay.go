package main

import (
	"fmt"
	"math"
	"os"
	"slices"

	"github.com/minos-os/minos-init/qemu"
)

// partition is where a partition of the scenario's disk lies.
func (s scenario) partition(name string) qemu.Range {
	ranges := s.recipe(parts{}).Ranges()
	if i := slices.IndexFunc(ranges, func(r qemu.Range) bool { return r.Name == name }); i >= 0 {
		return ranges[i]
	}
	return qemu.Range{Name: name}
}

// readRecord reads the record of the scenario's boot.
func (s scenario) readRecord(log string) (record, error) {
	f, err := os.Open(log)
	if err != nil {
		return record{}, fmt.Errorf("cannot open the record: %w", err)
	}
	defer f.Close()
	entries, err := readLog(f)
	if err != nil {
		return record{}, err
	}
	blank, device := s.marks()
	marks := s.partition(blank)
	r := newRecord(entries, marks.Start/sectorSize, marks.Size/sectorSize)
	for _, name := range s.within {
		p := s.partition(name)
		r.within = append(r.within, span{p.Start / sectorSize, (p.Start + p.Size) / sectorSize, name == bootState.partition})
	}
	wanted := 0
	for _, verb := range s.do {
		if verb == "mark:"+device {
			wanted++
		}
	}
	if r.marks != wanted || r.boundaries() < 2 || r.flushes == 0 {
		return r, fmt.Errorf("cannot use the record: it has %d writes and %d boundaries, %d flushes and %d marks of %d", len(r.writes), r.boundaries(), r.flushes, r.marks, wanted)
	}
	return r, nil
}

// compare replays all writes and fails unless that makes the disk which the
// recorded machine left, but for the marks.
func (r record) compare(before, after string, marks qemu.Range) (err error) {
	replayed := after + ".replayed"
	defer os.Remove(replayed)
	if err := (image{pieces: r.prefix(len(r.writes), none)}).build(replayed, before); err != nil {
		return err
	}
	for _, r := range []qemu.Range{
		{Name: "what lies before the marks", Size: marks.Start},
		{Name: "what lies behind the marks", Start: marks.Start + marks.Size, Size: math.MaxInt64 - marks.Start - marks.Size},
	} {
		same, err := sameRange(replayed, after, r)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("cannot use the record: replayed, it makes another disk than the machine left, in %s", r.Name)
		}
	}
	return nil
}
