package drift

import (
	"cmp"
	"strings"
)

// CompareVersions orders versions of Debian packages (Debian Policy 5.6.12):
// negative when a is the earlier one.
func CompareVersions(a, b string) int {
	epochA, upstreamA, revisionA := cutVersion(a)
	epochB, upstreamB, revisionB := cutVersion(b)
	return cmp.Or(comparePart(epochA, epochB), comparePart(upstreamA, upstreamB), comparePart(revisionA, revisionB))
}

func cutVersion(v string) (epoch, upstream, revision string) {
	epoch, upstream, ok := strings.Cut(v, ":")
	if !ok {
		epoch, upstream = "0", v
	}
	if i := strings.LastIndexByte(upstream, '-'); i >= 0 {
		upstream, revision = upstream[:i], upstream[i+1:]
	}
	return epoch, upstream, revision
}

// comparePart compares by turns what is before a number, and the number.
func comparePart(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = cutAt(a, isDigit)
		y, b = cutAt(b, isDigit)
		if c := compareText(x, y); c != 0 {
			return c
		}
		x, a = cutAt(a, func(c byte) bool { return !isDigit(c) })
		y, b = cutAt(b, func(c byte) bool { return !isDigit(c) })
		x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if c := cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y)); c != 0 {
			return c
		}
	}
	return 0
}

func cutAt(text string, stop func(byte) bool) (front, rest string) {
	i := 0
	for i < len(text) && !stop(text[i]) {
		i++
	}
	return text[:i], text[i:]
}

// compareText compares what is no number: ~ comes before the end, then letters,
// then all else.
func compareText(a, b string) int {
	for i := range max(len(a), len(b)) {
		if c := cmp.Compare(weight(a, i), weight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func weight(text string, i int) int {
	switch {
	case i >= len(text):
		return 0
	case text[i] == '~':
		return -1
	case 'a' <= text[i] && text[i] <= 'z' || 'A' <= text[i] && text[i] <= 'Z':
		return int(text[i])
	}
	return int(text[i]) + 256
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }
