package kmod

import "strings"

// Match tells whether a device's modalias fits a module's alias. The alias is a
// pattern as the kernel's headers make them for the tools of user space
// (scripts/mod/file2alias.c): * stands for any text, ? for one character, [...]
// for one of a set. A / or a leading dot is nothing special.
func Match(pattern, text string) bool {
	// Where to go on after the last * when the rest does not fit: the star
	// then swallows one character more. An earlier star never has to be tried
	// again.
	afterStar, swallowed := -1, 0
	p, t := 0, 0
	for t < len(text) {
		if p < len(pattern) && pattern[p] == '*' {
			p++
			afterStar, swallowed = p, t
			continue
		}
		if width, fits := matchOne(pattern[p:], text[t]); fits {
			p += width
			t++
			continue
		}
		if afterStar < 0 {
			return false
		}
		swallowed++
		p, t = afterStar, swallowed
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// matchOne compares one character with the element at the start of a pattern
// and returns that element's width.
func matchOne(pattern string, c byte) (width int, fits bool) {
	if pattern == "" {
		return 0, false
	}
	switch pattern[0] {
	case '?':
		return 1, true
	case '[':
		if end := setEnd(pattern); end > 0 {
			return end + 1, inSet(pattern[1:end], c)
		}
	}
	return 1, pattern[0] == c
}

// setEnd is where the ] of a set is that begins the pattern, 0 when there is
// none. A ] that comes first in the set belongs to it.
func setEnd(pattern string) int {
	first := 1
	if first < len(pattern) && (pattern[first] == '!' || pattern[first] == '^') {
		first++
	}
	if first >= len(pattern) {
		return 0
	}
	end := strings.IndexByte(pattern[first+1:], ']')
	if end < 0 {
		return 0
	}
	return first + 1 + end
}

// inSet tells whether c is in a set, the text between the brackets.
func inSet(set string, c byte) bool {
	wanted := true
	if set[0] == '!' || set[0] == '^' {
		wanted, set = false, set[1:]
	}
	for i := 0; i < len(set); i++ {
		low, high := set[i], set[i]
		if i+2 < len(set) && set[i+1] == '-' {
			high = set[i+2]
			i += 2
		}
		if low <= c && c <= high {
			return wanted
		}
	}
	return !wanted
}
