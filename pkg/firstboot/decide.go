package firstboot

import "fmt"

// Wish is what the configuration says about a partition that is not blank.
type Wish struct {
	Format string // minos.format-data=: the label of the image that asks for it
	Build  string // minos.build=: the label of this image
}

// Decision is what is to be done about a partition that should hold a
// filesystem of ours. The zero value is: nothing.
type Decision struct {
	Claim  bool  // it is marked as one that a filesystem is about to be made on
	Format bool  // a filesystem is made
	Clear  bool  // a mark that was left is cleared
	Err    error // why it stays as it is, and cannot be used
}

// Decide is the interlock: what is formatted is blank, or was when its
// formatting began, or is the stale rest of another system and somebody has said
// so for this very image.
func Decide(f Finding, w Wish) Decision {
	switch f.Content {
	case Filesystem:
		return Decision{}
	case Leftover:
		return Decision{Clear: true}
	case Blank:
		return Decision{Claim: true, Format: true}
	case HalfMade:
		return Decision{Format: true}
	case Stale:
		if w.Build != "" && w.Format == w.Build {
			return Decision{Claim: true, Format: true}
		}
		return Decision{Err: fmt.Errorf("it %s; it is not formatted, since somebody may want what is there; %s", f.Reason, w.advice())}
	case Unknown:
		return Decision{Err: fmt.Errorf("it %s; what is not known is never formatted; if nobody wants it, write zeros over its first and last MiB and over that place", f.Reason)}
	}
	return Decision{Err: fmt.Errorf("it %s; what cannot be read is never formatted", f.Reason)}
}

// advice says how a stale partition can be given up.
func (w Wish) advice() string {
	switch {
	case w.Build == "":
		return "this image has no minos.build=, so minos.format-data= cannot ask for it"
	case w.Format != "":
		return fmt.Sprintf("minos.format-data=%s is for another image, this one is %s", w.Format, w.Build)
	}
	return fmt.Sprintf("minos.format-data=%s asks for it", w.Build)
}
