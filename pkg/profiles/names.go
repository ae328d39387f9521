package profiles

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// ID names a profile. One that ParseID has returned is safe in a path.
type ID string

// Version names a base. One that ParseVersion has returned is safe in a path.
type Version string

// Tag names a snapshot. One that ParseTag has returned is safe in a path.
type Tag string

// maxName is how long a name may be, in bytes. The file names that are made of
// it have room for more.
const maxName = 64

// None in the place of an ID asks for no profile: the base, with an upper in
// memory.
const None ID = "none"

// reservedIDs are names that mean something else where a profile is named, or
// lies beside the profiles.
var reservedIDs = []string{string(None), "next"}

// ParseID reads the name of a profile.
func ParseID(text string) (ID, error) {
	if slices.Contains(reservedIDs, text) {
		return "", errors.New("it is no name for a profile, it means something else")
	}
	return ID(text), checkName(text)
}

// ParseVersion reads the version of a base.
func ParseVersion(text string) (Version, error) {
	if text == "current" {
		return "", errors.New("it is no version, it is the link to one")
	}
	return Version(text), checkName(text)
}

// ParseTag reads the name of a snapshot.
func ParseTag(text string) (Tag, error) { return Tag(text), checkName(text) }

// checkName holds the rule for names: [A-Za-z0-9][A-Za-z0-9._-]*, no "..", at
// most 64 bytes. Nothing else is ever put into a path.
func checkName(text string) error {
	const inside = alphanumeric + "._-"
	strange := strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune(inside, r) })
	if text == "" || len(text) > maxName || strange || !strings.Contains(alphanumeric, text[:1]) || strings.Contains(text, "..") {
		return fmt.Errorf("%.80q is no name: it takes letters, digits, dots, - and _, the first a letter or a digit, no two dots in a row, and at most 64 bytes", text)
	}
	return nil
}

const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// Medium is which of the filesystems a profile is on.
type Medium string

// The media, as they are written before the colon of "sd:desk".
const (
	Anywhere Medium = ""         // the device's own first, then the card
	Internal Medium = "internal" // the device's own
	Card     Medium = "sd"
)

// Ref is a profile as somebody names it: "desk", "sd:desk".
type Ref struct {
	Medium Medium
	ID     ID
}

// ParseRef reads a name with or without its medium. "none" is the Ref of None.
func ParseRef(text string) (Ref, error) {
	if text == string(None) {
		return Ref{ID: None}, nil
	}
	medium, name, qualified := strings.Cut(text, ":")
	if !qualified {
		medium, name = "", text
	}
	r := Ref{Medium: Medium(medium)}
	if qualified && r.Medium != Internal && r.Medium != Card {
		return Ref{}, errors.New("what is before the colon is no medium, internal and sd are")
	}
	var err error
	if r.ID, err = ParseID(name); err != nil {
		return Ref{}, err
	}
	return r, nil
}

func (r Ref) String() string {
	if r.Medium == Anywhere {
		return string(r.ID)
	}
	return string(r.Medium) + ":" + string(r.ID)
}

// FirstLine is what a file of one line says.
func FirstLine(data []byte) string {
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line)
}

// Compare orders versions as people do: numbers in them by their value, 1.10
// after 1.9, and all else by its bytes. Of two that begin alike the longer one is
// later.
func Compare(a, b Version) int {
	x, y := string(a), string(b)
	for x != "" && y != "" {
		var left, right string
		left, x = cutRun(x)
		right, y = cutRun(y)
		if c := compareRuns(left, right); c != 0 {
			return c
		}
	}
	if c := len(x) - len(y); c != 0 {
		return c
	}
	return strings.Compare(string(a), string(b)) // 1.0 and 1.00, which are two directories
}

// cutRun cuts a number, or what is before the next one, off text.
func cutRun(text string) (run, rest string) {
	digit := isDigit(text[0])
	end := 1
	for end < len(text) && isDigit(text[end]) == digit {
		end++
	}
	return text[:end], text[end:]
}

// compareRuns compares two numbers by their value, however long they are, and
// anything else by its bytes.
func compareRuns(a, b string) int {
	if isDigit(a[0]) && isDigit(b[0]) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if c := len(a) - len(b); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
