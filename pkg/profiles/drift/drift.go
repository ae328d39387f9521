// Package drift tells what of a new base a profile would not see, before the
// profile is started over it: files that the profile has its own of, what it has
// deleted, directories that it has put in the place of the base's, and packages.
// It reads, and changes nothing.
//
// overlayfs leaves marks in an upper (Documentation/filesystems/overlayfs.rst): a
// device of the number 0/0 for what was deleted, trusted.overlay.opaque at a
// directory that hides the lower one, trusted.overlay.redirect at one that shows a
// lower one of another name. Those can be read by root only.
package drift

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// Kind is what a finding is about.
type Kind string

// The kinds, the worst first.
const (
	// Dangling is a directory that shows a lower one, which the new base does not
	// have: what is in it from the base is gone.
	Dangling Kind = "redirect"
	// Type is a directory in the place of something else, or the reverse.
	Type Kind = "type"
	// Package is a package that the profile and the new base have in different
	// versions, or one of them only.
	Package Kind = "package"
	// Shadowed is a file that the new base changes, and that the profile has its
	// own of.
	Shadowed Kind = "shadowed"
	// Conffile is such a file that dpkg would ask about.
	Conffile Kind = "conffile"
	// Dropped is a file that the new base has no more, and that the profile has
	// its own of.
	Dropped Kind = "dropped"
	// Hidden is something new or changed in the base that the profile has deleted.
	Hidden Kind = "hidden"
	// Opaque is a directory of the profile's that hides what is new in the base's.
	Opaque Kind = "opaque"
	// Stale is a mark of a deletion that hides nothing any more. It is harmless,
	// until a later base brings such a file.
	Stale Kind = "stale"
)

// Kinds are all kinds, with what they mean.
func Kinds() []struct {
	Kind    Kind
	Meaning string
} {
	return []struct {
		Kind    Kind
		Meaning string
	}{
		{Dangling, "directories that were renamed, and that the new base does not have"},
		{Type, "a directory in the place of a file, or the reverse"},
		{Package, "packages that differ from those of the new base"},
		{Shadowed, "files that the new base changes, and the profile has its own of"},
		{Conffile, "configuration files of packages, changed by both"},
		{Dropped, "files that the new base drops, and the profile has its own of"},
		{Hidden, "files that the new base changes or adds, and the profile has deleted"},
		{Opaque, "directories of the profile that hide what the new base adds to them"},
		{Stale, "deletions of what the new base does not have; harmless"},
	}
}

// Finding is one difference.
type Finding struct {
	Kind   Kind
	Path   string // seen from the root, "/etc/fstab", or the name of a package
	Detail string
}

// Harmless tells whether nothing has to be done about it.
func (f Finding) Harmless() bool { return f.Kind == Stale }

// Result is what a comparison has found.
type Result struct {
	Findings []Finding
	Files    int // of the upper, directories and marks too
}

// Compare compares an upper with two bases: what old has as new has it is not a
// finding, whatever the profile has made of it, since it is so today.
func Compare(upper, old, new string) (Result, error) {
	w := &walk{conffiles: map[string]bool{}}
	packages, err := w.readPackages(upper, old, new)
	if err != nil {
		return Result{}, err
	}
	if err := w.dir("/", upper, old, new); err != nil {
		return Result{}, err
	}
	w.comparePackages(packages)
	return w.result, nil
}

type walk struct {
	result    Result
	conffiles map[string]bool // by their path
}

func (w *walk) find(kind Kind, path, format string, args ...any) {
	w.result.Findings = append(w.result.Findings, Finding{kind, path, fmt.Sprintf(format, args...)})
}

// dir compares the content of a directory of the upper with that of the
// directories which it covers; "" stands for none. Links are never followed: a
// parent that is none in a base covers nothing there.
func (w *walk) dir(name, upper, old, new string) error {
	entries, err := os.ReadDir(upper)
	if err != nil {
		return err
	}
	for _, e := range entries {
		w.result.Files++
		at := path.Join(name, e.Name())
		u := entry{path: path.Join(upper, e.Name())}
		if err := u.read(); err != nil {
			return err
		}
		o, n := below(old, e.Name()), below(new, e.Name())
		if u.isDir() {
			err = w.directory(at, u, o, n, old, new)
		} else if old != "" || new != "" {
			err = w.file(at, u, o, n)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// directory compares a directory of the upper with what a base has there.
func (w *walk) directory(at string, u entry, o, n string, oldDir, newDir string) error {
	redirect, err := u.attribute("trusted.overlay.redirect")
	if err != nil {
		return err
	}
	opaque, err := u.attribute("trusted.overlay.opaque")
	if err != nil {
		return err
	}
	if redirect != "" {
		o, n = redirected(redirect, at, o, oldDir), redirected(redirect, at, n, newDir)
	}
	oldEntry, newEntry, err := both(o, n)
	if err != nil {
		return err
	}
	switch {
	case redirect != "" && oldEntry.isDir() && !newEntry.isDir():
		w.find(Dangling, at, "it shows %s of the base", redirect)
	case redirect != "":
	case newEntry.there() && !newEntry.isDir():
		changed, err := differ(oldEntry, newEntry)
		if err != nil {
			return err
		}
		if changed {
			w.find(Type, at, "a directory here, %s in the new base", newEntry.kind())
		}
	case opaque != "" && newEntry.isDir():
		hidden, err := added(oldEntry, newEntry)
		if err != nil {
			return err
		}
		if len(hidden) > 0 {
			w.find(Opaque, at, "hides %s", list(hidden))
		}
	}
	o, n = oldEntry.dirPath(), newEntry.dirPath()
	if opaque != "" {
		o, n = "", ""
	}
	return w.dir(at, u.path, o, n)
}

// file compares anything but a directory with what a base has there.
func (w *walk) file(at string, u entry, o, n string) error {
	oldEntry, newEntry, err := both(o, n)
	if err != nil {
		return err
	}
	if u.isWhiteout() {
		return w.deleted(at, oldEntry, newEntry)
	}
	changed, err := differ(oldEntry, newEntry)
	if err != nil || !changed {
		return err
	}
	switch {
	case !newEntry.there():
		w.find(Dropped, at, "the new base has it no more")
	case newEntry.isDir():
		w.find(Type, at, "%s here, a directory in the new base", u.kind())
	default:
		same, err := differ(u, newEntry)
		if err != nil || !same {
			return err // the profile has what the new base has
		}
		kind := Shadowed
		if w.conffiles[at] {
			kind = Conffile
		}
		detail := "the base has changed it"
		if !oldEntry.there() {
			detail = "the base has one now, too"
		}
		w.find(kind, at, "%s", detail)
	}
	return nil
}

// deleted compares what the profile has deleted.
func (w *walk) deleted(at string, o, n entry) error {
	switch {
	case !n.there():
		w.find(Stale, at, "the new base has none")
		return nil
	case !o.there():
		w.find(Hidden, at, "the base has one now, too")
		return nil
	case o.isDir() && n.isDir():
		hidden, err := added(o, n)
		if err == nil && len(hidden) > 0 {
			w.find(Hidden, at, "the base adds %s", list(hidden))
		}
		return err
	}
	changed, err := differ(o, n)
	if err == nil && changed {
		w.find(Hidden, at, "the base has changed it")
	}
	return err
}

// added are the names that a directory has in the new base and not in the old.
func added(o, n entry) (names []string, err error) {
	had := map[string]bool{}
	if o.isDir() {
		entries, err := os.ReadDir(o.path)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			had[e.Name()] = true
		}
	}
	entries, err := os.ReadDir(n.path)
	for _, e := range entries {
		if !had[e.Name()] {
			names = append(names, e.Name())
		}
	}
	return names, err
}

// list is some names in words.
func list(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// below is a name in a directory, "" in none.
func below(dir, name string) string {
	if dir == "" {
		return ""
	}
	return path.Join(dir, name)
}

// redirected is the lower directory that a redirect leads to: from the top when
// it begins with a slash, else another name in the same directory.
func redirected(redirect, at, lower, parent string) string {
	if lower == "" {
		return ""
	}
	if !strings.HasPrefix(redirect, "/") {
		return path.Join(parent, path.Base(redirect))
	}
	base, ok := strings.CutSuffix(lower, at)
	if !ok {
		return "" // below another redirect: where the top is cannot be told
	}
	return path.Join(base, path.Clean(redirect))
}

func both(o, n string) (old, new entry, err error) {
	old, new = entry{path: o}, entry{path: n}
	return old, new, errors.Join(old.readIfThere(), new.readIfThere())
}

func isNotExist(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR)
}
