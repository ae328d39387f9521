// Package adopt takes a new system image from a medium that somebody brought
// and makes it the current one: what is to be done, as a pure decision from
// what lies where, and the action that does it. Whenever the power goes, the
// next boot finds a complete image under a name that it looks for.
package adopt

import (
	"path"
	"strings"
)

// Names are what the files of the images are called.
type Names struct {
	Current []string // that the image to boot may have, the first that is there counts
	// Suffix puts the mark of another generation behind the whole name,
	// "root-squash.img-old", and not before its ending, "root-squash-old.img".
	Suffix bool
}

// old and partial mark the image before the current one, and one that is being
// copied.
const (
	old     = "-old"
	partial = "-new"
)

// marked is a name with a mark in the configured place.
func (n Names) marked(name, mark string) string { return place(name, mark, n.Suffix) }

// markedElse is a name with a mark in the other place: from before somebody
// changed the configuration, or from another program.
func (n Names) markedElse(name, mark string) string { return place(name, mark, !n.Suffix) }

func place(name, mark string, suffix bool) string {
	if suffix {
		return name + mark
	}
	ending := path.Ext(name)
	return strings.TrimSuffix(name, ending) + mark + ending
}

// Previous are the names that the image before the current one may have, in
// the order in which they are tried.
func (n Names) Previous() (names []string) {
	for _, name := range n.Current {
		names = append(names, n.marked(name, old))
	}
	for _, name := range n.Current {
		names = append(names, n.markedElse(name, old))
	}
	return names
}
