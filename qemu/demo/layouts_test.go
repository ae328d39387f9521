package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name    string
		set     string // a setting that has a value
		want    string // the layout, or
		refused string // a part of the error
	}{
		{want: "slots"},
		{name: "image", want: "image"},
		{name: "image", set: "FRESH", want: "image"},
		{name: "image", set: "NEWIMG", want: "image"},
		{name: "tryboot", set: "REBOOT", want: "tryboot"},
		{name: "modules", want: "modules"},
		{name: "modules", set: "NEWIMG", refused: "the layout modules knows only FRESH, DEBUG, APPEND"},
		{set: "SLOT", want: "slots"},
		{name: "nothing", refused: "LAYOUT is one of slots, image, tryboot, modules"},
		{name: "image", set: "SLOT", refused: "the layout image knows only FRESH, DEBUG, APPEND, NEWIMG"},
		{set: "NEWIMG", refused: "the layout slots knows only"},
	} {
		got, err := choose(c.name, func(variable string) string {
			if variable == c.set {
				return "1"
			}
			return ""
		})
		switch {
		case c.refused == "" && (err != nil || got.name != c.want):
			t.Errorf("LAYOUT=%q with %s: %s, %v; want %s", c.name, c.set, got.name, err, c.want)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("LAYOUT=%q with %s: %v; want %q", c.name, c.set, err, c.refused)
		}
	}
}

// A disk is kept until somebody wants a new one, and made again when making it
// was interrupted.
func TestKeptDisk(t *testing.T) {
	s := show{dir: t.TempDir()}
	made := 0
	write := func(file string) error {
		made++
		return os.WriteFile(file, []byte{byte(made)}, 0o644)
	}
	for i, want := range []struct {
		fresh, cut, kept bool
	}{
		{}, {kept: true}, {fresh: true}, {kept: true}, {cut: true},
	} {
		if want.cut {
			if err := os.Remove(filepath.Join(s.dir, "origin")); err != nil {
				t.Fatal(err)
			}
		}
		s.fresh = want.fresh
		before := made
		file, kept, err := s.disk("recipe", write)
		if err != nil || kept != want.kept || (made == before) != want.kept {
			t.Errorf("run %d: %s, kept %t, made %d times, %v", i, file, kept, made-before, err)
		}
	}
}
