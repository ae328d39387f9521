package profiles

import (
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Layouts 4.6, statement 13: what could lead out of its directory never becomes a
// name, so no path is built of it.
func TestStatement4_6_13_Names(t *testing.T) {
	for _, text := range []string{
		"", "../x", "a/b", ".hidden", strings.Repeat("a", 200), "..", "a..b", "-x", "_x", "a b", "a\nb", "a:b", "ä", "\xff", "a\x00", ".tmp-x", "@data",
	} {
		if id, err := ParseID(text); err == nil {
			t.Errorf("the ID %q became %s", text, id.Dir())
		}
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("the version %q became %s", text, v.Dir())
		}
		if tag, err := ParseTag(text); err == nil {
			t.Errorf("the tag %q became %s", text, tag)
		}
		if ref, err := ParseRef("sd:" + text); err == nil {
			t.Errorf("the name %q became %s", text, ref.ID.Dir())
		}
	}
	for _, text := range []string{"none", "next"} {
		if _, err := ParseID(text); err == nil {
			t.Errorf("%s is a profile", text)
		}
	}
	if _, err := ParseVersion("current"); err == nil {
		t.Error("current is a version")
	}
	for _, text := range []string{"a", "9", "desk", "Desk-2_x.y", strings.Repeat("a", 64)} {
		if _, err := ParseID(text); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestParseRef(t *testing.T) {
	for text, want := range map[string]Ref{
		"desk":          {Anywhere, "desk"},
		"sd:desk":       {Card, "desk"},
		"internal:desk": {Internal, "desk"},
		"none":          {Anywhere, None},
	} {
		got, err := ParseRef(text)
		if err != nil || got != want || got.String() != text {
			t.Errorf("%s: %+v (%s), %v, want %+v", text, got, got, err, want)
		}
	}
	for _, text := range []string{"usb:desk", ":desk", "sd:", "sd:sd:desk", "sd:none", "internal:next"} {
		if got, err := ParseRef(text); err == nil {
			t.Errorf("%s is %+v", text, got)
		}
	}
}

func TestPaths(t *testing.T) {
	id := ID("desk")
	want := []string{"@profiles/desk", "@profiles/desk/upper", "@profiles/desk/upper/root", "@profiles/desk/upper/work", "@profiles/desk/base",
		"@profiles/desk/profile.json", "@profiles/desk/snapshots", "@profiles/desk/snapshots/t1", "@pristine/desk", "@base/1.0"}
	got := []string{id.Dir(), id.Upper(), id.Root(), id.Work(), id.Pin(), id.Metadata(), id.Snapshots(), id.Snapshot("t1"), id.Pristine(), Version("1.0").Dir()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Layouts 4.6, statement 4: versions are compared by their numbers.
func TestStatement4_6_4_Compare(t *testing.T) {
	ordered := []Version{"0.9", "1", "1.0", "1.00", "1.0-rc1", "1.0.1", "1.9", "1.10", "1.10a", "1.18446744073709551617", "2.0", "10", "a", "b1", "b2", "b10"}
	shuffled := slices.Clone(ordered)
	slices.Reverse(shuffled)
	slices.SortFunc(shuffled, Compare)
	if diff := cmp.Diff(ordered, shuffled); diff != "" {
		t.Error(diff)
	}
	got := Versions([]string{"1.9", "current", ".tmp-2.0", "1.10", "../3", "lost+found"})
	if diff := cmp.Diff([]Version{"1.10", "1.9"}, got); diff != "" {
		t.Error(diff)
	}
}

//fuzz:covers ParseRef ParseID checkName Ref.String
func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"desk", "sd:desk", "internal:a.b", "../x", "a..b", "none", "sd:none", ":"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ref, err := ParseRef(text)
		if err != nil || ref.ID == None {
			return
		}
		if again, err := ParseRef(ref.String()); err != nil || again != ref {
			t.Errorf("%q: %+v is read back as %+v: %v", text, ref, again, err)
		}
		if dir := ref.ID.Dir(); path.Dir(dir) != ProfilesDir || path.Clean(dir) != dir || strings.HasPrefix(path.Base(dir), ".") {
			t.Errorf("%q leads to %s", text, dir)
		}
	})
}

//fuzz:covers ParseVersion ParseTag Compare cutRun compareRuns
func FuzzCompare(f *testing.F) {
	f.Add("1.9", "1.10", "2")
	f.Add("1.0", "1.00", "1.0-rc1")
	f.Fuzz(func(t *testing.T, x, y, z string) {
		var v [3]Version
		for i, text := range []string{x, y, z} {
			var err error
			if v[i], err = ParseVersion(text); err != nil {
				return
			}
		}
		a, b, c := v[0], v[1], v[2]
		if _, err := ParseTag(x); err != nil {
			t.Errorf("%q is a version, and no tag: %v", x, err)
		}
		sign := func(n int) int { return max(-1, min(1, n)) }
		if sign(Compare(a, b)) != -sign(Compare(b, a)) || (Compare(a, b) == 0) != (a == b) {
			t.Errorf("%s and %s: %d, and the other way %d", a, b, Compare(a, b), Compare(b, a))
		}
		if Compare(a, b) <= 0 && Compare(b, c) <= 0 && Compare(a, c) > 0 {
			t.Errorf("%s <= %s <= %s, but not the first and the last", a, b, c)
		}
	})
}

//fuzz:covers metadata.go
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"Desk","base":"1.0","origin":"new","created":"2026-01-02T03:04:05Z","dt":["x.dtbo"]}`, `{"name":1,"created":"never"}`, `[]`, "{\"\x89\":\"\",\"\xe8\":\"\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err != nil {
			return
		}
		again, err := ParseMetadata(m.Bytes())
		if err != nil || string(again.Bytes()) != string(m.Bytes()) {
			t.Errorf("%q became %q, which is read as %q: %v", data, m.Bytes(), again.Bytes(), err)
		}
	})
}
