// Package modset knows what a set of modules is: the words that choose its
// medium, its modules and its session, which files are modules and in what order
// they lie on each other, and the store of sessions. A module is a squashfs in a
// file; the system is a stack of them.
//
// The words and names are those of MiniOS
// (https://github.com/minios-linux/docs, https://github.com/minios-linux/minios-live).
package modset

import (
	"cmp"
	"errors"
	"slices"
	"strings"
)

// Dir is the directory of a set on its medium where from= names no other.
const Dir = "minios"

// Ending is the ending of a module's name where bext= gives no other.
const Ending = "sb"

// Module is one module of a set.
type Module struct {
	Name string // of its file: "00-core.sb"
	File string // its path, seen from the directory of the set
	// Set is that directory, where it is another one than the medium's: "" else.
	Set string
}

// Select are the modules of a set that a boot takes, the lowest first. Where two
// have the same name, the later in all counts. What load selects is taken, then
// what noload selects is left out; a Filter without a pattern selects nothing.
func Select(all []Module, load, noload Filter) []Module {
	var stack []Module
	for i, m := range all {
		replaced := slices.ContainsFunc(all[i+1:], func(later Module) bool { return later.Name == m.Name })
		if replaced || load.Given() && !load.Match(m.Name) || noload.Match(m.Name) {
			continue
		}
		at := len(stack) // where most belong, since a directory is listed by name
		for at > 0 && compareNames(stack[at-1].Name, m.Name) > 0 {
			at--
		}
		stack = slices.Insert(stack, at, m)
	}
	return stack
}

// compareNames orders names by the number that they begin with. No number is 0,
// and of equal numbers the text decides.
func compareNames(a, b string) int {
	x, y := number(a), number(b)
	// Longer is larger: a number may have more digits than an integer takes.
	return cmp.Or(cmp.Compare(len(x), len(y)), cmp.Compare(x, y), cmp.Compare(a, b))
}

// number is the number that a name begins with, without zeros before it.
func number(name string) string {
	return strings.TrimLeft(name[:len(name)-len(strings.TrimLeft(name, "0123456789"))], "0")
}

// isModule tells whether a file's name is that of a module.
func isModule(name, ending string) bool {
	return len(name) > len(ending)+1 && strings.HasSuffix(name, "."+ending)
}

// ParseEnding reads bext=: the ending of the names of modules, with or without
// the dot before it.
func ParseEnding(text string) (string, error) {
	text = strings.TrimPrefix(text, ".")
	if text == "" || strings.Contains(text, "/") {
		return "", errors.New("expected the ending of a file's name, for example sb")
	}
	return text, nil
}
