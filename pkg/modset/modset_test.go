package modset

import (
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/sys/systest"
)

func TestSelectOrders(t *testing.T) {
	var all []Module
	for _, name := range []string{"10-z", "05-x", "abc", "1-x", "zz", "01-kernel-6.1", "00-core", "01-a"} {
		all = append(all, Module{Name: name, File: name})
	}
	var got []string
	for _, m := range Select(all, Filter{}, Filter{}) {
		got = append(got, m.Name)
	}
	// As it was measured of MiniOS (layouts 3.3, 7).
	want := []string{"00-core", "abc", "zz", "01-a", "01-kernel-6.1", "1-x", "05-x", "10-z"}
	if !slices.Equal(got, want) {
		t.Errorf("the order is %q, want %q", got, want)
	}
}

func TestNumbersOfAnyLength(t *testing.T) {
	ordered := []string{"", "000", "a", "1", "002-b", "0010", "99999999999999999999999", "100000000000000000000000"}
	for i := range ordered {
		for j := range ordered {
			if got := compareNames(ordered[i], ordered[j]); (got < 0) != (i < j) || (got == 0) != (i == j) {
				t.Errorf("%q and %q compare as %d", ordered[i], ordered[j], got)
			}
		}
	}
}

func TestFilter(t *testing.T) {
	for _, c := range []struct{ filter, takes, leaves string }{
		{"00-02", "00-core.sb 01-k.sb 05-app-1.02.sb", "03-x.sb 10-a.sb"},
		{"9-10", "09-x.sb 10-x.sb", "9-x.sb 08-x.sb"},
		{"core,kernel", "00-core.sb 01-kernel.sb", "02-firmware.sb"},
		{"core|kernel", "00-core.sb 01-kernel.sb", "02-firmware.sb"},
		{"^0", "00-core.sb", "10-x.sb a0"},
		{`\.sb$`, "x.sb", "x.sb2 xsb"},
		{"a.c", "abc xa.cx", "ac"},
		{"ab*c", "ac abc abbbc", "adc"},
		{"ab+c", "abc abbc", "ac"},
		{"ab?c", "ac abc", "abbc"},
		{".*", "x", ""},
		{"a.*z$", "a-z abzz xaz", "za az.sb"},
		{"^a*$", "a aaa", "aab b"},
		{"[a-c]x", "ax bx cx", "dx"},
		{"[^a-c]x", "dx", "ax x"},
		{"[]x]y", "]y xy", "ay"},
		{"[a-]", "a -", "b"},
		{"[-a]", "a -", "b"},
		{`\(x\)`, "(x)", "x"},
		{"^a$,^b$", "a b", "ab"},
		{"1-2-3", "x1-2-3", "01"},
		{"100-200", "100-200", "101 150"},
	} {
		f, err := ParseFilter(c.filter)
		if err != nil {
			t.Errorf("%s: %v", c.filter, err)
			continue
		}
		for name := range strings.FieldsSeq(c.takes) {
			if !f.Match(name) {
				t.Errorf("%s does not take %s", c.filter, name)
			}
		}
		for name := range strings.FieldsSeq(c.leaves) {
			if f.Match(name) {
				t.Errorf("%s takes %s", c.filter, name)
			}
		}
	}
	if (Filter{}).Match("x") || (Filter{}).Given() {
		t.Error("the zero value selects something")
	}
}

func TestFilterRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "expected a part of the names of modules",
		"(a)":                      `'(' is not understood here`,
		"a{2}":                     `'{' is not understood here`,
		"*a":                       `'*' is not understood at this place`,
		"a**":                      `'*' is not understood at this place`,
		"a^b":                      `'^' is not understood at this place`,
		"a$b":                      `'$' is not understood at this place`,
		"a,":                       "there is nothing on one side of a comma",
		"|a":                       "there is nothing on one side of a comma",
		"^":                        "there is nothing on one side of a comma",
		`a\`:                       `there is nothing behind the last \`,
		"[a":                       "a class has no ] at its end",
		"[]":                       "a class has no ] at its end",
		"[[:alpha:]]":              "is not understood",
		"[b-a]":                    "is not understood",
		strings.Repeat("a", 1<<11): "expected at most 1024 letters",
	} {
		if _, err := ParseFilter(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A pattern that takes other matchers for ever.
func TestFilterIsLinear(t *testing.T) {
	f, err := ParseFilter(strings.Repeat("a*", 500) + "b")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if f.Match(strings.Repeat("a", 255)) || time.Since(began) > 2*time.Second {
		t.Errorf("a match took %v", time.Since(began))
	}
}

//fuzz:covers filter.go
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"00-02", "core,kernel", "^a.*[b-d]+$", `\(`, "[^]]", "a|b"} {
		f.Add(seed, "00-core.sb")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		filter, err := ParseFilter(text)
		if (err == nil) != filter.Given() {
			t.Errorf("%q: %v, and given: %v", text, err, filter.Given())
		}
		filter.Match(name)
	})
}

func TestLookStaysInTheSet(t *testing.T) {
	k := systest.New("", "set/00-core.sb=x", "set/x.txt=x", "set/dir.sb/", "set/link.sb->/etc/passwd", "set/base->/other", "set/modules/b/05-x.sb=x",
		"set/modules/01-a.sb=x", "set/modules/c->/other", "set/base.sb=x", "set/.sb=x", "other/09-x.sb=x")
	got, err := Look(k, "/set", "sb")
	want := []Module{{Name: "00-core.sb", File: "00-core.sb"}, {Name: "base.sb", File: "base.sb"}, {Name: "01-a.sb", File: "modules/01-a.sb"}, {Name: "05-x.sb", File: "modules/b/05-x.sb"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("found %q, %v, want %q", got, err, want)
	}
	if _, err := Look(k, "/other", "mod"); err == nil || !strings.Contains(err.Error(), "there is no module, *.mod, in other") {
		t.Errorf("an empty set: %v", err)
	}
}

// FuzzModuleNames: whatever files a medium has, each name is once in the stack, by its
// number, and it is the last file of that name.
//
//fuzz:covers compareNames number isModule Select
func FuzzModuleNames(f *testing.F) {
	f.Add("00-core.sb\n10-z.sb\n05-x.sb\nmodules/a/05-x.sb")
	f.Add(".sb\nsb\n0.sb\n00.sb\n000000000000000000000000000001.sb\n1-x.sb\n\xff.sb\n a,b:c\\.sb")
	f.Fuzz(func(t *testing.T, text string) {
		var all []Module
		last := map[string]string{}
		for file := range strings.SplitSeq(text, "\n") {
			if name := path.Base(file); isModule(name, Ending) {
				all = append(all, Module{Name: name, File: file})
				last[name] = file
			}
		}
		stack := Select(all, Filter{}, Filter{})
		if len(stack) != len(last) {
			t.Errorf("of %d names there are %d in the stack", len(last), len(stack))
		}
		for i, m := range stack {
			if last[m.Name] != m.File {
				t.Errorf("%q is %q, and the last one is %q", m.Name, m.File, last[m.Name])
			}
			if i > 0 && compareNames(stack[i-1].Name, m.Name) >= 0 {
				t.Errorf("%q lies over %q", m.Name, stack[i-1].Name)
			}
		}
	})
}
