package block

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
)

// tableOfKernel is what the kernel sees: a GPT by its first copy only.
func tableOfKernel(d *sparseDisk, gpt bool) (Table, error) {
	if gpt {
		return reader{d, d.size}.gptAt(1, 512)
	}
	return ReadTable(d, d.size)
}

// The power may go at any moment of a growth, and take any sectors of what was
// not synced: the table stays whole, with the old size or the new, no other
// partition changes, and the next boot comes to the same end.
func TestPowerCutInAGrowth(t *testing.T) {
	for name, script := range map[string]string{
		"gpt": aGPT,
		"dos": "label: dos\n1: start=2048,size=2048,type=c\n2: start=4096,size=2048,type=f\n3: start=8192,size=4096,type=83\n",
	} {
		t.Run(name, func(t *testing.T) {
			fresh := scripted(t, script, 16<<20, 512)
			fresh.size = 256 << 20
			card := Geometry{fresh.size, 512, 512}
			plan, err := PlanGrowth(fresh, card, 3)
			if err != nil {
				t.Fatal(err)
			}
			before := tableOf(t, fresh, 512)
			whole := fresh.clone()
			whole.apply(plan.Stages)
			cases := 0
			for stage := range plan.Stages {
				for variant := range 24 {
					d := fresh.clone()
					d.apply(plan.Stages[:stage])
					d.tear(plan.Stages[stage], variant)
					where := fmt.Sprintf("cut in stage %d, %s, loss %d", stage, plan.Stages[stage].What, variant)
					judgeCut(t, where, d, whole, before, plan, name == "gpt")
					cases++
				}
			}
			t.Logf("%d cuts", cases)
		})
	}
}

// tear writes some of the sectors of a stage: none, all, all but one, one, or
// any.
func (d *sparseDisk) tear(s Stage, variant int) {
	type piece struct {
		at   int64
		data []byte
	}
	var pieces []piece
	for _, w := range s.Writes {
		for at := 0; at < len(w.Data); at += 512 {
			pieces = append(pieces, piece{w.Offset + int64(at), w.Data[at:min(at+512, len(w.Data))]})
		}
	}
	r := rand.New(rand.NewPCG(uint64(variant), 7))
	chosen := r.IntN(len(pieces))
	for i, p := range pieces {
		var keep bool
		switch {
		case variant < 2:
			keep = variant == 1
		case variant < 9:
			keep = i != chosen
		case variant < 16:
			keep = i == chosen
		default:
			keep = r.IntN(2) == 0
		}
		if keep {
			d.put(p.at, p.data)
		}
	}
}

func judgeCut(t *testing.T, where string, d, whole *sparseDisk, before Table, plan Growth, gpt bool) {
	t.Helper()
	seen, err := tableOfKernel(d, gpt)
	if err != nil {
		t.Fatalf("%s: the kernel finds no table: %v", where, err)
	}
	size := sizeOf(seen, 3)
	if size != plan.From && size != plan.To {
		t.Fatalf("%s: partition 3 has %d bytes, neither %d nor %d", where, size, plan.From, plan.To)
	}
	for i, e := range seen.Entries {
		if e.Number != 3 && e != before.Entries[i] {
			t.Fatalf("%s: partition %d is %+v, and was %+v", where, e.Number, e, before.Entries[i])
		}
	}
	next, err := PlanGrowth(d, Geometry{d.size, 512, 512}, 3)
	if err != nil {
		t.Fatalf("%s: the next boot: %v", where, err)
	}
	if done := size == plan.To; done != (len(next.Stages) == 0) {
		t.Fatalf("%s: partition 3 has %d bytes, and the next boot plans %v", where, size, next)
	}
	d.apply(next.Stages)
	if !maps.Equal(d.sectors, whole.sectors) {
		t.Fatalf("%s: the next boot leaves another disk than one without a cut", where)
	}
}

// A growth that was cut goes on when the card was copied to a larger one
// meanwhile: the spare entries are where the old size says.
func TestPowerCutAndALargerCard(t *testing.T) {
	d := scripted(t, aGPT, 16<<20, 512)
	d.size = 256 << 20
	plan, err := PlanGrowth(d, Geometry{d.size, 512, 512}, 3)
	if err != nil {
		t.Fatal(err)
	}
	for done := range plan.Stages {
		d := d.clone()
		d.apply(plan.Stages[:done])
		d.size = 9<<30 + 512*3
		next, err := PlanGrowth(d, Geometry{d.size, 512, 512}, 3)
		if err != nil {
			t.Fatalf("after %d stages: %v", done, err)
		}
		d.apply(next.Stages)
		d.judged(t, 512, true)
	}
}
