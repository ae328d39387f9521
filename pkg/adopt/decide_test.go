package adopt

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Each case is what lies where and what follows.
func TestDecide(t *testing.T) {
	const size = 100 << 20
	is := func(name string) Image { return Image{Name: name, Size: size} }
	bad := Image{Name: "cur", Size: 1, Bad: errors.New("it is no squashfs")}
	base := Facts{Home: "cur", Aside: "cur-old", Temp: "cur-new", Free: 2 * size}
	for _, c := range []struct {
		name    string
		change  func(f *Facts)
		plan    string
		refused string
	}{
		{"nothing", func(f *Facts) { f.Current = is("cur") }, "", ""},
		{"a new one", func(f *Facts) { f.Current, f.Source = is("cur"), is("src") },
			"copy src cur-new, rename cur cur-old, rename cur-new cur, drop src", ""},
		{"the first one", func(f *Facts) { f.Source = is("src") }, "copy src cur-new, rename cur-new cur, drop src", ""},
		{"a bad current one does not replace a good old one", func(f *Facts) { f.Current, f.Old, f.Source = bad, []Image{is("cur-old")}, is("src") },
			"copy src cur-new, rename cur-new cur, drop src", ""},
		{"cut between the renames", func(f *Facts) { f.Partial, f.Old = is("cur-new"), []Image{is("cur-old")} }, "rename cur-new cur", ""},
		{"cut between the renames, source there", func(f *Facts) {
			f.Partial, f.Old, f.Source, f.Same = is("cur-new"), []Image{is("cur-old")}, is("src"), "cur-new"
		}, "rename cur-new cur, drop src", ""},
		{"cut between the renames, another source", func(f *Facts) { f.Partial, f.Old, f.Source = is("cur-new"), []Image{is("cur-old")}, is("src") },
			"rename cur-new cur, copy src cur-new, rename cur-new cur, drop src", ""},
		{"cut between the renames, bad source", func(f *Facts) {
			f.Partial, f.Source = is("cur-new"), bad
		}, "rename cur-new cur", "cur is not taken: it is no squashfs"},
		{"cut before the source went", func(f *Facts) { f.Current, f.Source, f.Same = is("cur"), is("src"), "cur" }, "drop src", ""},
		{"cut after the copy", func(f *Facts) {
			f.Current, f.Partial, f.Source, f.Same = is("cur"), is("cur-new"), is("src"), "cur-new"
		},
			"rename cur cur-old, rename cur-new cur, drop src", ""},
		{"what is left of a copy", func(f *Facts) { f.Current, f.Partial, f.Source, f.Free = is("cur"), is("cur-new"), is("src"), 2<<20 },
			"remove cur-new, copy src cur-new, rename cur cur-old, rename cur-new cur, drop src", ""},
		{"room by the old one", func(f *Facts) {
			f.Current, f.Old, f.Source, f.Free = is("cur"), []Image{is("cur-old")}, is("src"), 2<<20
		},
			"check src, remove cur-old, copy src cur-new, rename cur cur-old, rename cur-new cur, drop src", ""},
		{"the old one stays where the current one is bad", func(f *Facts) { f.Current, f.Old, f.Source, f.Free = bad, []Image{is("cur-old")}, is("src"), 2<<20 },
			"", "it needs 105906176 bytes, and there are only 2097152"},
		{"no room", func(f *Facts) {
			f.Current, f.Old, f.Source, f.Free = is("cur"), []Image{is("cur-old")}, is("src"), 1<<20-1
		},
			"", "it needs 105906176 bytes, and there are only 1048575"},
		{"the other spelling goes", func(f *Facts) { f.Current, f.Old, f.Source = is("cur"), []Image{is("cur.old")}, is("src") },
			"copy src cur-new, rename cur cur-old, rename cur-new cur, remove cur.old, drop src", ""},
		{"a stranger", func(f *Facts) { f.Current, f.Source, f.Stranger = is("cur"), is("src"), true }, "", "it is on a removable disk"},
		{"a stranger with a sum", func(f *Facts) { f.Current, f.Source, f.Stranger, f.Sum = is("cur"), is("src"), true, "x" },
			"copy src cur-new, rename cur cur-old, rename cur-new cur, drop src", ""},
		{"a bad sum", func(f *Facts) { f.Current, f.Source, f.SumErr = is("cur"), is("src"), errors.New("no sum") }, "", "src is not taken: no sum"},
	} {
		f := base
		c.change(&f)
		p := Decide(f)
		var ops []string
		for _, op := range p.Ops {
			ops = append(ops, strings.TrimSpace(fmt.Sprintf("%s %s %s", op.Do, op.From, op.To)))
		}
		refused := ""
		if p.Refused != nil {
			refused = p.Refused.Error()
		}
		if got := strings.Join(ops, ", "); got != c.plan || !strings.Contains(refused, c.refused) || (refused == "") != (c.refused == "") {
			t.Errorf("%s: %s; %q; want %s; %q", c.name, got, refused, c.plan, c.refused)
		}
	}
}
