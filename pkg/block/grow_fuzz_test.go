package block

import (
	"bytes"
	"testing"
)

// FuzzPlanGrowth: whatever is on a disk, the plan does not panic, moves no
// start, changes no other partition and leaves none overlapping.
//
//fuzz:covers PlanGrowth lastOf Geometry.endOf Geometry.growth Growth.wipe grow_dos.go grow_gpt.go
func FuzzPlanGrowth(f *testing.F) {
	for _, script := range []string{aGPT, seedMBR, "label: dos\nstart=2048,size=2048,type=83\n"} {
		d := scripted(f, script, 20<<20, 512)
		head, _ := reader{d, d.size}.read(0, 34*512)
		f.Add(head, int64(64<<20), uint16(512), uint16(512), 3)
		f.Add(head, int64(8<<20), uint16(512), uint16(4096), 1)
		f.Add(head, int64(1<<40), uint16(4096), uint16(0), 4)
	}
	f.Fuzz(func(t *testing.T, head []byte, size int64, logical, physical uint16, number int) {
		if len(head) > 64<<10 || size < 0 || size > 1<<50 {
			return
		}
		d := &sparseDisk{size, map[int64][512]byte{}}
		d.put(0, head)
		// A fuzzer does not find checksums; where there is a header, they are made right.
		d.reseal(int64(logical))
		card := Geometry{size, int64(logical), int64(physical)}
		plan, err := PlanGrowth(d, card, number)
		if err != nil && len(plan.Stages) > 0 {
			t.Fatalf("a plan in spite of %v", err)
		}
		if err != nil || len(plan.Stages) == 0 {
			return
		}
		if plan.To < plan.From+MinGain || plan.Start+plan.To > size {
			t.Fatalf("the plan %+v on a disk of %d bytes", plan, size)
		}
		before := rawEntries(d, int64(logical))
		d.apply(plan.Stages)
		after := rawEntries(d, int64(logical))
		if len(before) != len(after) {
			t.Fatalf("%d entries became %d", len(before), len(after))
		}
		for i := range before {
			if i+1 != number && !bytes.Equal(before[i], after[i]) {
				t.Fatalf("entry %d changed from %x to %x", i+1, before[i], after[i])
			}
			if i+1 == number && bytes.Equal(before[i], after[i]) {
				t.Fatalf("entry %d did not change", i+1)
			}
		}
		if again, err := PlanGrowth(d, card, number); err != nil || len(again.Stages) > 0 || again.Start != plan.Start || again.From != plan.To {
			t.Fatalf("a second look plans %+v (%v) after %+v", again, err, plan)
		}
	})
}

// reseal makes the checksums of a GPT's first copy right.
func (d *sparseDisk) reseal(logical int64) {
	if logical < 512 || logical > 4096 {
		return
	}
	header, _ := reader{d, d.size}.read(logical, int(logical))
	length, entries := le.Uint32(header[12:]), uint64(le.Uint32(header[80:]))*uint64(le.Uint32(header[84:]))
	if string(header[:8]) != gptMagic || length < gptHeaderMin || int64(length) > logical || entries > 64<<10 {
		return
	}
	array, err := reader{d, d.size}.read(int64(le.Uint64(header[72:]))*logical, int(entries))
	if err != nil {
		return
	}
	g := growingGPT{rawGPT: rawGPT{header: header}, backup: int64(le.Uint64(header[48:])) + 1}
	d.put(logical, g.sealed(int64(le.Uint64(header[24:])), int64(le.Uint64(header[32:])), int64(le.Uint64(header[72:])), array))
}

// rawEntries are the entries of the first table, byte for byte.
func rawEntries(d *sparseDisk, logical int64) (entries [][]byte) {
	if g, err := (reader{d, d.size}).rawGPTAt(1, logical); err == nil {
		for i := range len(g.array) / g.entrySize {
			entries = append(entries, g.array[i*g.entrySize:][:g.entrySize])
		}
		return entries
	}
	mbr, _ := reader{d, d.size}.read(0, mbrSize)
	for i := range mbrEntries {
		entries = append(entries, mbr[mbrTable+i*mbrEntrySize:][:mbrEntrySize])
	}
	return entries
}
