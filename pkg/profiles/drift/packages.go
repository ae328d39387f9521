package drift

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// statusFile is dpkg's list of packages, seen from the root (dpkg(1)).
const statusFile = "var/lib/dpkg/status"

// installed are the packages of one system and their versions.
type installed map[string]string

// packages are those of the profile, the old base and the new one. profile is nil
// when it has never changed a package.
type packages struct{ profile, old, new installed }

// readPackages reads the lists of packages, and notes which files dpkg would ask
// about.
func (w *walk) readPackages(upper, old, new string) (p packages, err error) {
	for _, from := range []struct {
		root string
		to   *installed
	}{{upper, &p.profile}, {old, &p.old}, {new, &p.new}} {
		// A link in an upper is a path in that system, and not in this one.
		root, err := os.OpenRoot(from.root)
		if err != nil {
			return p, err
		}
		defer root.Close()
		f, err := root.Open(filepath.FromSlash(statusFile))
		if isNotExist(err) {
			continue
		} else if err != nil {
			return p, err
		}
		defer f.Close()
		if *from.to, err = w.parseStatus(f); err != nil {
			return p, err
		}
	}
	return p, nil
}

// parseStatus reads a list of packages: paragraphs of fields, of which a line
// that begins with a blank goes on with the one before (deb822(5)). Conffiles are
// added to those of the walk.
func (w *walk) parseStatus(r io.Reader) (installed, error) {
	all := installed{}
	var name, version, field string
	isInstalled := false
	end := func() {
		if name != "" && isInstalled {
			all[name] = version
		}
		name, version, field, isInstalled = "", "", "", false
	}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.TrimSpace(line) == "" {
			end()
			continue
		}
		if strings.HasPrefix(line, " ") {
			if f := strings.Fields(line); field == "Conffiles" && len(f) >= 2 {
				w.conffiles[f[0]] = true
			}
			continue
		}
		var value string
		field, value, _ = strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); field {
		case "Package":
			name = strings.Clone(value)
		case "Architecture":
			// Two of one name differ in it, and a paragraph has it behind the name.
			if value != "all" {
				name += ":" + value
			}
		case "Version":
			version = strings.Clone(value)
		case "Status":
			isInstalled = strings.HasSuffix(value, " installed")
		}
	}
	end()
	return all, lines.Err()
}

// comparePackages compares what the profile believes to be installed with what the
// new base has.
func (w *walk) comparePackages(p packages) {
	if p.profile == nil {
		return // its list is that of the base
	}
	names := map[string]bool{}
	for _, all := range []installed{p.profile, p.old, p.new} {
		for name := range all {
			names[name] = true
		}
	}
	sorted := make([]string, 0, len(names))
	for name := range names {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	for _, name := range sorted {
		if detail := judgePackage(p.profile[name], p.old[name], p.new[name]); detail != "" {
			w.find(Package, name, "%s", detail)
		}
	}
}

// judgePackage says what of a package has to be known before the base changes, ""
// for nothing. The versions are "" where it is not installed.
func judgePackage(profile, old, new string) string {
	own := profile != old
	switch {
	case old == new, profile == new:
		return "" // the base does not change it, or the profile has what it brings
	case profile == "" && old == "":
		return "new in the base, " + new + "; dpkg of the profile does not know it"
	case profile == "":
		return "removed in the profile; the new base has " + new + " of it, of which new files show"
	case own && old == "":
		return order("the profile's own", profile, new)
	case own && new == "":
		return "the profile's own " + profile + "; the new base has it no more"
	case own:
		return order("upgraded in the profile to", profile, new)
	case new == "":
		return "gone from the base; dpkg of the profile believes in " + profile
	}
	return "the base has " + new + "; dpkg of the profile believes in " + profile
}

// order says which of two versions is the newer one: the profile's files cover
// those of the base.
func order(whose, profile, new string) string {
	switch c := CompareVersions(profile, new); {
	case c < 0:
		return whose + " " + profile + " covers the newer " + new + " of the base"
	case c > 0:
		return whose + " " + profile + " covers the older " + new + " of the base"
	}
	return ""
}
