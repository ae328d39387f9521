package adopt

import (
	"fmt"
	"slices"
)

// Image is a file that is, or should be, an image.
type Image struct {
	Name string // without its directory; "": there is none
	Size int64  // bytes
	Bad  error  // why it is no whole squashfs
}

func (i Image) there() bool { return i.Name != "" }
func (i Image) whole() bool { return i.there() && i.Bad == nil }

// Facts are what lies where.
type Facts struct {
	// What the files are to be called: the current image, the one before it, and
	// a copy that is being made.
	Home, Aside, Temp string

	// On the partition of the images.
	Current Image
	Old     []Image // those before it, in either spelling
	Partial Image   // what an adoption left that was cut, in either spelling
	Free    int64   // bytes

	// On the medium with the new image.
	Source Image
	Sum    string // the SHA-256 that stands beside it, in hexadecimal digits; "": nothing does
	SumErr error  // what stands there cannot be used
	// Stranger says that anybody could have put the medium in: then the new
	// image has to come with its checksum.
	Stranger bool
	// Same is the name of the file on the partition of the images that has the
	// very bytes of the source; "": none.
	Same string
}

// Verb is what an Op does.
type Verb string

// The verbs of a plan.
const (
	Check  Verb = "check"  // read the source to its end, and compare it with its checksum
	Copy   Verb = "copy"   // the source to a file, and compare it with its checksum
	Rename Verb = "rename" // a file, in place of whatever has that name
	Remove Verb = "remove" // a file on the partition of the images
	Drop   Verb = "drop"   // the source
)

// Op is one thing to do. It is durable before the next one begins.
type Op struct {
	Do       Verb
	From, To string // names on the partition of the images
}

// Plan is what is to be done, in order, and why a source is not taken.
type Plan struct {
	Ops     []Op
	Refused error
}

func (p *Plan) add(do Verb, from, to string) { p.Ops = append(p.Ops, Op{do, from, to}) }

// margin is what a copy may take besides its bytes.
const margin = 1 << 20

// Decide says what leads from the facts to the new image being the current one.
// The rules behind it: a complete image has one of the names that a boot looks
// for, at each moment; the source goes last; and the image before the current
// one is given up early only where the new one would have no room otherwise.
func Decide(f Facts) (p Plan) {
	// Between the two renames of a promotion there is no current image. What
	// was copied is complete then: it was durable before the first of them.
	finished := !f.Current.there() && f.Partial.whole()
	if finished {
		p.add(Rename, f.Partial.Name, f.Home)
	}
	if !f.Source.there() {
		return p
	}
	if p.Refused = f.refusal(); p.Refused != nil {
		return p
	}
	switch {
	case f.Same != "" && (f.Same == f.Current.Name || finished):
		f.tidy(&p) // only that was left to do
		return p
	case f.Same != "":
		f.promote(&p, f.Partial.Name)
		return p
	}
	if p.Refused = f.makeRoom(&p, finished); p.Refused != nil {
		return p
	}
	p.add(Copy, f.Source.Name, f.Temp)
	f.promote(&p, f.Temp)
	return p
}

// refusal says why the source is not taken, nil when it is.
func (f Facts) refusal() error {
	switch {
	case f.Source.Bad != nil:
		return fmt.Errorf("%s is not taken: %w", f.Source.Name, f.Source.Bad)
	case f.SumErr != nil:
		return fmt.Errorf("%s is not taken: %w", f.Source.Name, f.SumErr)
	case f.Stranger && f.Sum == "":
		return fmt.Errorf("%s is not taken: it is on a removable disk, and there it needs its checksum beside it, in %s, or minos.newimg=any",
			f.Source.Name, f.Source.Name+sumEnding)
	}
	return nil
}

// makeRoom gives up the image before the current one, when the new one has no
// room beside both, and says so when even that is not enough.
func (f Facts) makeRoom(p *Plan, finished bool) error {
	need, free := f.Source.Size+margin, f.Free
	leftover := f.Partial.there() && !finished
	if leftover {
		free += f.Partial.Size
	}
	byOld := free
	for _, i := range f.Old {
		byOld += i.Size
	}
	if need > free && (need > byOld || !f.Current.whole()) {
		return fmt.Errorf("%s is not taken: it needs %d bytes, and there are only %d", f.Source.Name, need, free)
	}
	if leftover {
		p.add(Remove, f.Partial.Name, "")
	}
	if need <= free {
		return nil
	}
	p.add(Check, f.Source.Name, "")
	for _, i := range f.Old {
		p.add(Remove, i.Name, "")
	}
	return nil
}

// promote makes what was copied the current image. A current image that is not
// whole does not take the place of the one before it.
func (f Facts) promote(p *Plan, copied string) {
	if f.Current.whole() {
		p.add(Rename, f.Current.Name, f.Aside)
	}
	p.add(Rename, copied, f.Home)
	f.tidy(p)
}

// tidy removes what nobody needs any more once the source is current: the image
// before it in the spelling that is not ours, when there is one in ours, and
// the source.
func (f Facts) tidy(p *Plan) {
	aside := slices.Contains(p.Ops, Op{Rename, f.Current.Name, f.Aside}) ||
		slices.ContainsFunc(f.Old, func(i Image) bool { return i.Name == f.Aside })
	for _, i := range f.Old {
		gone := slices.Contains(p.Ops, Op{Do: Remove, From: i.Name})
		if aside && i.Name != f.Aside && !gone {
			p.add(Remove, i.Name, "") // there are never more than two images
		}
	}
	p.add(Drop, f.Source.Name, "")
}
