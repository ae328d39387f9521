package firstboot

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
)

// Content is what a partition was found to hold.
type Content int

// What a partition can hold. Only Blank and HalfMade are nobody's; Stale is
// somebody's until that somebody says otherwise.
const (
	Unreadable Content = iota // a read failed: nothing is known
	Unknown                   // something that is not known, or not whole
	Filesystem                // something that is known, and fits into the partition
	Blank                     // nothing at all
	HalfMade                  // a filesystem of ours whose making was cut short
	Leftover                  // a filesystem, under a claim that should have been cleared
	Stale                     // the header of a filesystem that does not fit: another card's, or an earlier table's
)

// Finding is what a partition holds, and how that is known.
type Finding struct {
	Content Content
	Reason  string           // in words, to follow "it": "is blank: …"
	Super   block.Superblock // of Filesystem, Leftover and Stale
}

// Smallest is the size in bytes below which no filesystem is made: the least
// journal alone takes a quarter of it, and mke2fs refuses one that takes half.
const Smallest = 16 * mib

// Judge tells what is on a partition of size bytes that begins at start on its
// disk. It reads a page where there is a filesystem, and some MiB where there
// seems to be none: "no filesystem that is known" is far from "nothing", and
// what is taken for blank will be written over.
func Judge(r io.ReaderAt, size, start int64) Finding {
	super, err := block.Probe(r, size)
	switch {
	case err != nil:
		return Finding{Content: Unreadable, Reason: "cannot be read: " + err.Error()}
	case super.Type == block.ClaimType:
		return judgeClaimed(r, size, start)
	case super.Type == "":
		return judgeBlank(r, size)
	case super.Size > size:
		return Finding{Content: Stale, Super: super, Reason: fmt.Sprintf(
			"has the header of a filesystem (%s, label %q) of %d bytes, and is only %d bytes long: that filesystem is from before the card was written anew",
			super.Type, super.Label, super.Size, size)}
	}
	return Finding{Content: Filesystem, Super: super, Reason: "holds " + super.Type}
}

// judgeClaimed tells a filesystem whose making was cut short from one that was
// finished by somebody else under the same claim.
func judgeClaimed(r io.ReaderAt, size, start int64) Finding {
	sector := make([]byte, block.ClaimSize)
	if _, err := r.ReadAt(sector, 0); err != nil && err != io.EOF {
		return Finding{Content: Unreadable, Reason: "cannot be read: " + err.Error()}
	}
	claim, _ := block.ParseClaim(sector)
	if claim.Start != start {
		return Finding{Content: Unknown, Reason: fmt.Sprintf(
			"has the mark of a format that was cut short on a partition that began at byte %d, and begins at byte %d", claim.Start, start)}
	}
	under := unclaimed{r}
	super, err := block.Probe(under, size)
	isExt := strings.HasPrefix(super.Type, "ext")
	switch {
	case err != nil:
		return Finding{Content: Unreadable, Reason: "cannot be read: " + err.Error()}
	case isExt && super.Used && (claim.Replaces == "" || super.UUID != claim.Replaces):
		return Finding{Content: Leftover, Super: super, Reason: "has the mark of a format that was cut short, and a filesystem that has been in use since"}
	case claim.Stale:
		return Finding{Content: HalfMade, Reason: "was being formatted in place of a stale filesystem when the power went"}
	case super.Type != "" && !isExt:
		return Finding{Content: Unknown, Reason: "has the mark of a format that was cut short, and holds " + super.Type}
	}
	for _, s := range signatures {
		if s.offset >= block.ClaimSize && s.offset < end && !strings.HasPrefix(s.name, "ext4") && s.found(under, size) {
			return Finding{Content: Unknown, Reason: fmt.Sprintf(
				"has the mark of a format that was cut short, and at offset %d that of %s", s.offset, s.name)}
		}
	}
	return Finding{Content: HalfMade, Reason: "was being formatted when the power went"}
}

// unclaimed is a partition without what its first sector holds.
type unclaimed struct{ io.ReaderAt }

func (u unclaimed) ReadAt(b []byte, offset int64) (int, error) {
	n, err := u.ReaderAt.ReadAt(b, offset)
	if offset < block.ClaimSize {
		clear(b[:min(int64(n), block.ClaimSize-offset)])
	}
	return n, err
}

// judgeBlank proves that a partition is nobody's: in all places where something
// could tell of an owner there are only zeros, or only ones, as flash has them
// after it was erased.
func judgeBlank(r io.ReaderAt, size int64) Finding {
	if size < Smallest {
		return Finding{Content: Unknown, Reason: fmt.Sprintf("is only %d bytes long, too small for a filesystem", size)}
	}
	places := Places(size)
	buffer := make([]byte, end)
	for _, p := range places {
		b := buffer[:p.Length]
		if n, err := r.ReadAt(b, p.Offset); n < len(b) {
			if err == nil || err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return Finding{Content: Unreadable, Reason: fmt.Sprintf("cannot be read at offset %d: %v", p.Offset+int64(n), err)}
		}
		if !isBlank(b) {
			return Finding{Content: Unknown, Reason: "is not blank: " + whatIs(r, size, p.Offset, b)}
		}
	}
	return Finding{Content: Blank, Reason: fmt.Sprintf(
		"is blank: its first and last MiB are empty, and so are %d places inside where a filesystem would have left a trace", len(places)-2)}
}

// isBlank tells whether all bytes are 0x00, or all 0xFF.
func isBlank(b []byte) bool {
	return (b[0] == 0x00 || b[0] == 0xFF) && bytes.Equal(b[1:], b[:len(b)-1])
}

// whatIs says what makes a partition not blank: a mark that is known, or else
// the first byte of a piece, read at base, that should not be there.
func whatIs(r io.ReaderAt, size, base int64, piece []byte) string {
	for _, s := range signatures {
		if s.found(r, size) {
			return fmt.Sprintf("at offset %d there is the mark of %s, damaged or not known here", s.at(size), s.name)
		}
	}
	empty := piece[0]
	if empty != 0xFF {
		empty = 0
	}
	i := slices.IndexFunc(piece, func(c byte) bool { return c != empty })
	return fmt.Sprintf("at offset %d there is the byte %#02x, which belongs to nothing known", base+int64(i), piece[i])
}
