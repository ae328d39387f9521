package block

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// aGPT is a disk of 16 MiB; partition 3 is the last one on it.
const aGPT = `label: gpt
1: start=2048,size=2048,name="boot"
3: start=8192,size=4096,name="data"
2: start=4096,size=4096,name="rootfs-a"
`

// generated is the script of a table with partitions in any order, in blocks
// of logical bytes, the number of the last one, and the size of the disk that
// they fill.
func generated(r *rand.Rand, scheme string, logical int64) (script string, last int, size int64) {
	script = "label: " + scheme + "\n"
	count := 1 + r.IntN(6)
	if scheme == "dos" {
		count = 1 + r.IntN(4)
	}
	at := int64(1<<20)/logical + r.Int64N(3)*8
	for _, number := range r.Perm(count) {
		length := (1 + r.Int64N(1<<20/logical)) * (1 + r.Int64N(4))
		kind := ""
		if scheme == "dos" && number > 0 && !strings.Contains(script, "type=f") && r.IntN(3) == 0 {
			kind, length = ",type=f", max(length, 64)
		}
		script += fmt.Sprintf("%d: start=%d,size=%d%s\n", number+1, at, length, kind)
		last = number + 1
		if at += length; kind != "" {
			last = 0
		}
		at += r.Int64N(100)
	}
	return script, last, (at+40)*logical + r.Int64N(64)*512
}

// unchanged compares a table before and after the growth of one partition.
func unchanged(t *testing.T, before, after Table, plan Growth) {
	t.Helper()
	for i, e := range before.Entries {
		if e.Number == plan.Number {
			if e.Start != plan.Start || e.Size != plan.From {
				t.Errorf("the plan is for a partition at %d of %d bytes, and the table has %+v", plan.Start, plan.From, e)
			}
			before.Entries[i].Size = plan.To
		}
	}
	if d := cmp.Diff(before, after); d != "" {
		t.Errorf("-wanted +grown:\n%s", d)
	}
}

// tableOf is ReadTable, also for an MBR of larger blocks, without logical
// partitions.
func tableOf(t *testing.T, d *sparseDisk, logical int64) Table {
	t.Helper()
	table, err := ReadTable(d, d.size)
	if table.Scheme == "dos" && logical != 512 {
		head, _ := reader{d, d.size}.read(0, mbrSize)
		table.Entries = nil
		for i, e := range dosEntries(head) {
			if e.size > 0 {
				table.Entries = append(table.Entries, TableEntry{Number: i + 1, Start: int64(e.start) * logical, Size: int64(e.size) * logical})
			}
		}
		return table
	}
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Whatever the geometry: the last partition gets the rest of the card, nothing
// else changes, and the tools find nothing to complain about.
func TestGrowthOfAnyGeometry(t *testing.T) {
	cards := []int64{16<<20 + 512, 100<<20 + 4096*3 + 512, 7948206080, 31914983424, 128<<30 - 512, 1 << 40, 3<<40 + 512*7}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 1))
		scheme, logical := []string{"gpt", "dos"}[r.IntN(2)], int64(512)
		if seed%4 == 0 {
			logical = 4096
		}
		script, last, size := generated(r, scheme, logical)
		if last == 0 {
			continue // an extended partition is the last one
		}
		card := Geometry{Size: size + cards[r.IntN(len(cards))], Logical: logical, Physical: []int64{0, 512, 4096, 16 << 10, 3000}[r.IntN(5)]}
		card.Size = card.Size / logical * logical // the kernel shows whole blocks only
		t.Run(fmt.Sprintf("%d-%s-%d-%d", seed, scheme, logical, card.Size), func(t *testing.T) {
			d := scripted(t, script, size/logical*logical, logical)
			before := tableOf(t, d, logical)
			d.size = card.Size
			plan, err := PlanGrowth(d, card, last)
			if err != nil {
				t.Fatalf("%v\n%s", err, script)
			}
			d.apply(plan.Stages)
			after := tableOf(t, d, logical)
			unchanged(t, before, after, plan)
			if after.Backup {
				t.Error("the first copy cannot be read")
			}
			left := card.Size - plan.Start - plan.To
			if most := int64(logical)*2 + 16<<10 + max(card.Physical, 4096); left < 0 || left >= most && card.Size < 1<<32*logical {
				t.Errorf("%d bytes are left at the end of the disk, and not 0 to %d", left, most)
			}
			if unit := max(4096, card.Physical&-4096); (plan.Start+plan.To)%unit != 0 {
				t.Errorf("the partition ends at %d, which is not a multiple of %d", plan.Start+plan.To, unit)
			}
			d.judged(t, logical, scheme == "gpt")
			again, err := PlanGrowth(d, card, last)
			if err != nil || len(again.Stages) > 0 || again.From != plan.To {
				t.Errorf("a second look plans %v, %v", again, err)
			}
		})
	}
}

// An MBR counts in 32 bits: on a larger disk the partition ends where they do.
func TestGrowthEndsWhereAnMBRDoes(t *testing.T) {
	d := scripted(t, "label: dos\nstart=2048,size=2048,type=83\n", 4<<20, 512)
	d.size = 5 << 40
	plan, err := PlanGrowth(d, Geometry{d.size, 512, 4096}, 1)
	if err != nil {
		t.Fatal(err)
	}
	if end := (plan.Start + plan.To) / 512; end > 1<<32-1 || end < 1<<32-8 {
		t.Errorf("the partition ends at block %d", end)
	}
	d.apply(plan.Stages)
	d.judged(t, 512, false)
}

// What is left in the gained space is gone before the table says that it
// belongs to the partition; what was in the partition is not touched.
func TestGrowthWipesWhatIsLeft(t *testing.T) {
	for _, script := range []string{aGPT, "label: dos\n3: start=8192,size=4096,type=83\n"} {
		d := scripted(t, script, 16<<20, 512)
		d.size = 300 << 30
		start, from, end := int64(4<<20), int64(2<<20), int64(300<<30)
		mark := []byte("_BHRfS_M or another signature")
		inside := []int64{start, start + from - 512}
		gone := []int64{start + from, start + from + 1<<20 - 512, start + 64<<20, start + 256<<30, end - 64<<10, end - 1<<20 + 64<<10}
		for _, at := range append(inside, gone...) {
			d.put(at, mark)
		}
		plan, err := PlanGrowth(d, Geometry{d.size, 512, 512}, 3)
		if err != nil {
			t.Fatal(err)
		}
		for i, stage := range plan.Stages {
			for _, w := range stage.Writes {
				inTable := w.Offset < 1<<20 || w.Offset >= plan.Start+plan.To
				if !inTable && w.Offset < plan.Start+plan.From {
					t.Errorf("stage %d, %s, writes at %d into a partition", i, stage.What, w.Offset)
				}
			}
			changed := i+1 == len(plan.Stages)
			if got := tableOf(t, d, 512); !changed && sizeOf(got, 3) != from {
				t.Errorf("the partition has %d bytes before stage %d", sizeOf(got, 3), i)
			}
			if changed {
				for _, at := range gone {
					if s := d.sectors[at/512]; s != [512]byte{} {
						t.Errorf("the signature at %d is there when the table is written", at)
					}
				}
			}
			d.apply(plan.Stages[i : i+1])
		}
		for _, at := range inside {
			if s := d.sectors[at/512]; !strings.HasPrefix(string(s[:]), string(mark)) {
				t.Errorf("the bytes of the partition at %d are gone", at)
			}
		}
		if total := written(plan); total > 3<<20 {
			t.Errorf("%d bytes are written", total)
		}
	}
}

func sizeOf(t Table, number int) int64 {
	for _, e := range t.Entries {
		if e.Number == number {
			return e.Size
		}
	}
	return -1
}

func written(plan Growth) (total int) {
	for _, s := range plan.Stages {
		for _, w := range s.Writes {
			total += len(w.Data)
		}
	}
	return total
}

// A second copy that is damaged or not there is made anew from a good first one.
func TestGrowthMendsTheSecondCopy(t *testing.T) {
	for name, damage := range map[string]func(*sparseDisk){
		"header": func(d *sparseDisk) { d.put(16<<20-512, make([]byte, 512)) },
		"all":    func(d *sparseDisk) { d.put(16<<20-33*512, make([]byte, 33*512)) },
	} {
		t.Run(name, func(t *testing.T) {
			d := scripted(t, aGPT, 16<<20, 512)
			damage(d)
			d.size = 64 << 20
			plan, err := PlanGrowth(d, Geometry{d.size, 512, 512}, 3)
			if err != nil {
				t.Fatal(err)
			}
			d.apply(plan.Stages)
			d.judged(t, 512, true)
		})
	}
}

// Each reason to leave a table alone.
func TestGrowthRefused(t *testing.T) {
	const mbr = "label: dos\n1: start=2048,size=2048,type=c\n2: start=4096,size=8192,type=f\n4: start=14336,size=2048,type=83\n5: start=6144,size=2048,type=83\n"
	for _, c := range []struct {
		name, script string
		number       int
		break_       func(d *sparseDisk)
		want         string
	}{
		{"GPT, not the last", aGPT, 2, nil, "partition 3 lies behind it, and only the last one can grow"},
		{"MBR, not the last", mbr, 1, nil, "partition 2 lies behind it, and only the last one can grow"},
		{"logical", mbr, 5, nil, "partition 5 is a logical one, and only a primary one can grow"},
		{"extended", mbr, 2, nil, "partition 2 holds the logical partitions"},
		{"not there", mbr, 3, nil, errNoEntry.Error()},
		{"GPT, not there", aGPT, 7, nil, errNoEntry.Error()},
		{"no table", aGPT, 3, func(d *sparseDisk) { d.put(0, make([]byte, 512)) }, ErrNoTable.Error()},
		{"hybrid", aGPT, 3, func(d *sparseDisk) { d.poke(mbrTable+16+4, 0x0c); d.poke(mbrTable+16+12, 9) }, errHybrid.Error()},
		{"overlap", mbr, 4, func(d *sparseDisk) { d.poke(mbrTable+13, 0x90) }, "partitions 1 and 2 overlap"},
		{"GPT, overlap", aGPT, 3, func(d *sparseDisk) { d.move(2, 4096, 9000) }, "partitions 2 and 3 overlap"},
		{"smaller disk", mbr, 4, func(d *sparseDisk) { d.size = 7 << 20 },
			"partition 4 goes to block 16384, and the disk has room for partitions up to 14336: the disk is smaller than its table says"},
		{"GPT, smaller disk", aGPT, 3, func(d *sparseDisk) { d.size = 15 << 20 },
			"the GPT goes to block 32767, and the disk has 30720: the disk is smaller than its table says"},
		{"into the second copy", aGPT, 3, func(d *sparseDisk) { d.move(3, 8192, 32740); d.size = 16 << 20 },
			"partition 3 goes to block 32741, and the disk has room for partitions up to 32735: the disk is smaller than its table says"},
		{"first header damaged", aGPT, 3, func(d *sparseDisk) { d.poke(512+60, 1) },
			"the first copy of the GPT is damaged, and nothing is built on the second: the CRC of the header in block 1 is"},
		{"first entries damaged", aGPT, 3, func(d *sparseDisk) { d.poke(1024+300, 1) },
			"the first copy of the GPT is damaged, and nothing is built on the second: the CRC of the entries of block 1 is"},
		{"backwards", aGPT, 3, func(d *sparseDisk) { d.move(2, 4096, 4000) }, "partition 2 goes from block 4096 to 4000"},
		{"in the table", aGPT, 3, func(d *sparseDisk) { d.move(1, 20, 4000) },
			"the entries of the GPT are not where they belong, before the first partition"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := scripted(t, c.script, 16<<20, 512)
			d.size = 64 << 20
			if c.break_ != nil {
				c.break_(d)
			}
			plan, err := PlanGrowth(d, Geometry{d.size, 512, 512}, c.number)
			if err == nil || !strings.HasPrefix(err.Error(), c.want) || len(plan.Stages) > 0 {
				t.Errorf("got %v, %v; want the error %q", plan, err, c.want)
			}
		})
	}
}

// poke changes a byte.
func (d *sparseDisk) poke(at int64, to byte) {
	s := d.sectors[at/512]
	s[at%512] = to
	d.sectors[at/512] = s
}

// move gives a partition of a GPT other blocks, with the checksums right.
func (d *sparseDisk) move(number int, first, last uint64) {
	g, err := reader{d, d.size}.rawGPTAt(1, 512)
	if err != nil {
		panic(err)
	}
	entry := g.array[(number-1)*g.entrySize:]
	le.PutUint64(entry[32:], first)
	le.PutUint64(entry[40:], last)
	home := growingGPT{rawGPT: g, backup: int64(le.Uint64(g.header[48:])) + 1}
	d.put(1024, g.array)
	d.put(512, home.sealed(1, int64(le.Uint64(g.header[32:])), 2, g.array))
}

// Less than MinGain is not worth a write, and exactly that is.
func TestGrowthIsWorthAWrite(t *testing.T) {
	for gain, want := range map[int64]bool{0: false, MinGain - 4096: false, MinGain: true} {
		d := scripted(t, "label: dos\nstart=2048,size=6144,type=83\n", 4<<20, 512)
		d.size = 4<<20 + gain
		plan, err := PlanGrowth(d, Geometry{d.size, 512, 512}, 1)
		if got := len(plan.Stages) > 0; err != nil || got != want {
			t.Errorf("a gain of %d: a plan %v (%v), want %v", gain, got, err, want)
		}
		if !want && plan.From != plan.To {
			t.Errorf("a gain of %d: from %d to %d", gain, plan.From, plan.To)
		}
	}
}

// A read that fails leads to no plan.
func TestGrowthOfWhatCannotBeRead(t *testing.T) {
	broken := errors.New("input/output error")
	for _, at := range []int64{0, 512, 1024 + 4096} {
		d := scripted(t, aGPT, 16<<20, 512)
		_, err := PlanGrowth(failingAt{d, at, broken}, Geometry{64 << 20, 512, 512}, 3)
		if !errors.Is(err, broken) {
			t.Errorf("a read error at %d: %v", at, err)
		}
	}
}

// failingAt is a disk of which one byte cannot be read.
type failingAt struct {
	*sparseDisk
	at  int64
	err error
}

func (f failingAt) ReadAt(b []byte, off int64) (int, error) {
	if off <= f.at && f.at < off+int64(len(b)) {
		return 0, f.err
	}
	return f.sparseDisk.ReadAt(b, off)
}

// What people read.
func TestGrowthInWords(t *testing.T) {
	grown := Growth{Number: 4, From: 64 << 20, To: 29*1<<30 + 1<<29, Stages: []Stage{{}}}
	if got, want := grown.String(), "partition 4 has 29.5 GiB instead of 64 MiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	settled := Growth{Number: 4, From: 3 << 40, To: 3 << 40}
	if got, want := settled.String(), "partition 4 has all the space that there is, 3 TiB"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
