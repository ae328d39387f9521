package modset

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Filter selects modules by their names, as load= and noload= say it. The zero
// value was not given and selects nothing.
type Filter struct{ patterns []pattern }

// Given tells whether there is a filter at all.
func (f Filter) Given() bool { return len(f.patterns) > 0 }

// Match tells whether one of the patterns is in the name.
func (f Filter) Match(name string) bool {
	for _, p := range f.patterns {
		if p.match(name) {
			return true
		}
	}
	return false
}

// maxFilter bounds the length of a filter in bytes.
const maxFilter = 1024

// ParseFilter reads a filter. It is what a person writes as an extended regular
// expression, as far as names of modules need it: letters, which stand for
// themselves, with \ before one that would not; . for any; [abc], [a-z] and
// [^abc]; behind one of these *, + or ?; ^ and $ for the start and the end of the
// name; and | or a comma between alternatives. A pattern may be found anywhere in
// the name. The whole text N-M stands for the numbers from N to M, of two digits
// each. Anything else is an error that names it.
func ParseFilter(text string) (Filter, error) {
	var f Filter
	if text == "" {
		return f, errors.New("expected a part of the names of modules")
	}
	if len(text) > maxFilter {
		return f, fmt.Errorf("expected at most %d letters", maxFilter)
	}
	if low, high, ok := span(text); ok {
		for n := low; n <= high; n++ {
			f.patterns = append(f.patterns, literal(fmt.Sprintf("%02d", n)))
		}
		return f, nil
	}
	for text != "" {
		p, rest, err := parsePattern(text)
		if err != nil {
			return Filter{}, err
		}
		f.patterns = append(f.patterns, p)
		text = rest
	}
	return f, nil
}

// span reads N-M. The numbers have at most two digits, or the text is no span.
func span(text string) (low, high uint64, ok bool) {
	first, last, _ := strings.Cut(text, "-")
	low, errLow := strconv.ParseUint(first, 10, 7)
	high, errHigh := strconv.ParseUint(last, 10, 7)
	ok = errLow == nil && errHigh == nil && len(first) <= 2 && len(last) <= 2 && low <= high
	return low, high, ok
}

// atom is one place of a pattern.
type atom struct {
	fits    [4]uint64 // a bit for each byte
	several bool      // any number more of them
	none    bool      // or none at all
}

func (a *atom) add(c byte)      { a.fits[c>>6] |= 1 << (c & 63) }
func (a *atom) has(c byte) bool { return a.fits[c>>6]&(1<<(c&63)) != 0 }

func (a *atom) negate() {
	for i := range a.fits {
		a.fits[i] = ^a.fits[i]
	}
}

// pattern is one alternative.
type pattern struct {
	atoms      []atom
	start, end bool // it begins where the name begins, and ends where it ends
}

func literal(text string) (p pattern) {
	for _, c := range []byte(text) {
		var a atom
		a.add(c)
		p.atoms = append(p.atoms, a)
	}
	return p
}

// match follows all ways through the pattern at once, so that no pattern takes
// longer than the product of the two lengths.
func (p pattern) match(name string) bool {
	at := make([]bool, len(p.atoms)+1)
	for i := 0; ; i++ {
		if i == 0 || !p.start {
			at[0] = true
		}
		for j, a := range p.atoms {
			at[j+1] = at[j+1] || at[j] && a.none
		}
		if at[len(p.atoms)] && (!p.end || i == len(name)) {
			return true
		}
		if i == len(name) {
			return false
		}
		next := make([]bool, len(at))
		for j, a := range p.atoms {
			if at[j] && a.has(name[i]) {
				next[j+1] = true
				next[j] = next[j] || a.several
			}
		}
		// Who has taken an atom that may come again may take it once more.
		at = next
	}
}

// parsePattern reads one alternative and returns what follows it.
func parsePattern(text string) (p pattern, rest string, err error) {
	for text != "" {
		c := text[0]
		switch {
		case c == '|' || c == ',':
			if text = text[1:]; text == "" || len(p.atoms) == 0 {
				return p, "", errors.New("there is nothing on one side of a comma or a |")
			}
			return p, text, nil
		case strings.IndexByte("(){}", c) >= 0:
			return p, "", fmt.Errorf("%q is not understood here; put \\ before it if it is part of a name", c)
		case c == '^' && len(p.atoms) == 0 && !p.start:
			p.start, text = true, text[1:]
		case c == '$' && (len(text) == 1 || text[1] == '|' || text[1] == ','):
			p.end, text = true, text[1:]
		case strings.IndexByte("^$*+?", c) >= 0:
			return p, "", fmt.Errorf("%q is not understood at this place; put \\ before it if it is part of a name", c)
		default:
			var a atom
			if a, text, err = parseAtom(text); err != nil {
				return p, "", err
			}
			p.atoms, text = appendTimes(p.atoms, a, text)
		}
	}
	if len(p.atoms) == 0 {
		return p, "", errors.New("there is nothing on one side of a comma or a |")
	}
	return p, "", nil
}

// appendTimes adds an atom as often as what follows it says.
func appendTimes(atoms []atom, a atom, text string) ([]atom, string) {
	if text == "" {
		return append(atoms, a), text
	}
	switch text[0] {
	case '*':
		a.several, a.none = true, true
	case '?':
		a.none = true
	case '+':
		more := a
		more.several, more.none = true, true
		return append(atoms, a, more), text[1:]
	default:
		return append(atoms, a), text
	}
	return append(atoms, a), text[1:]
}

// parseAtom reads what stands for one letter of a name.
func parseAtom(text string) (a atom, rest string, err error) {
	switch c := text[0]; c {
	case '.':
		a.negate()
	case '\\':
		if text = text[1:]; text == "" {
			return a, "", errors.New(`there is nothing behind the last \`)
		}
		a.add(text[0])
	case '[':
		return parseClass(text[1:])
	default:
		a.add(c)
	}
	return a, text[1:], nil
}

// parseClass reads a class behind its opening bracket. A bracket that comes
// first in it stands for itself.
func parseClass(text string) (a atom, rest string, err error) {
	text, negated := strings.CutPrefix(text, "^")
	closing := strings.IndexByte(text[min(1, len(text)):], ']') + 1
	if closing == 0 {
		return a, "", errors.New("a class has no ] at its end")
	}
	class := text[:closing]
	for i := 0; i < len(class); i++ {
		low, high := class[i], class[i]
		if i+2 < len(class) && class[i+1] == '-' {
			high, i = class[i+2], i+2
		}
		if low == '[' || low > high {
			return a, "", fmt.Errorf("the class [%s] is not understood", class)
		}
		for c := int(low); c <= int(high); c++ {
			a.add(byte(c))
		}
	}
	if negated {
		a.negate()
	}
	return a, text[closing+1:], nil
}
