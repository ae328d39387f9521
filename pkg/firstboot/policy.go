package firstboot

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rule says what of the card goes where on the data partition.
type Rule struct {
	Source string // a file or a directory of the card, from its root
	Target string // what it becomes on the data partition
	Policy Policy
	Mode   fs.FileMode // of the files that are written
}

// Policy is what becomes of a file on the card and of one at its target.
type Policy string

// The policies, in the words of minos.inbox=.
const (
	IfAbsent     Policy = "if-absent"
	AppendUnique Policy = "append-unique"
	Consume      Policy = "consume"
)

// fate is what becomes of a file on the card.
type fate int

const (
	skip  fate = iota // nothing
	store             // it is copied to its target
	merge             // its lines are added to those of the target
)

// decide says what the policy makes of a file whose target is there or not. An
// error says why it cannot be taken over at all.
func (p Policy) decide(exists bool, target fs.FileMode) (fate, error) {
	switch {
	case p == IfAbsent && exists:
		return skip, nil
	case !exists && p == AppendUnique:
		return merge, nil // with nothing: the lines become those of a file made here
	case !exists:
		return store, nil
	case target.IsDir():
		return skip, errors.New("its target is a directory")
	case p == AppendUnique && target.IsRegular():
		return merge, nil
	case p == AppendUnique:
		return skip, fmt.Errorf("its target is no file (%s)", target)
	}
	return store, nil // a link is replaced, not followed
}

// maxMerged is the most that append-unique reads of either file, in bytes.
const maxMerged = 1 << 20

// mergeLines appends the lines that a text does not have. Lines end with LF
// then; the byte order mark that some editors write is none of the text.
func mergeLines(had, more []byte) []byte {
	seen := map[string]bool{"": true}
	for line := range bytes.Lines(had) {
		seen[string(bytes.TrimRight(line, "\r\n"))] = true
	}
	merged := bytes.Clone(had)
	for line := range bytes.Lines(bytes.TrimPrefix(more, []byte("\uFEFF"))) {
		text := string(bytes.TrimRight(line, "\r\n"))
		if seen[text] {
			continue
		}
		seen[text] = true
		if len(merged) > 0 && merged[len(merged)-1] != '\n' {
			merged = append(merged, '\n')
		}
		merged = append(append(merged, text...), '\n')
	}
	return merged
}

// isLitter tells whether a name is what desktop systems leave on a card that
// they have looked at.
func isLitter(name string) bool {
	if strings.HasPrefix(name, "._") { // what macOS keeps of a file beside it
		return true
	}
	switch strings.ToLower(name) {
	case ".ds_store", ".fseventsd", ".spotlight-v100", ".trashes", ".temporaryitems", ".metadata_never_index",
		"system volume information", "$recycle.bin", "thumbs.db", "desktop.ini":
		return true
	}
	return false
}

// checkName refuses what a damaged FAT, or one that was written in another
// character set than the kernel reads, can have for a name.
func checkName(name string) error {
	switch {
	case !utf8.ValidString(name):
		return errors.New("its name is not UTF-8")
	case name == "" || name == "." || name == ".." || strings.ContainsRune(name, '/') || strings.ContainsFunc(name, unicode.IsControl):
		return errors.New("its name is none that a file can have")
	}
	return nil
}
