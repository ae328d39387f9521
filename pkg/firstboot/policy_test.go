package firstboot

import (
	"io/fs"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/sys/systest"
)

func TestPolicies(t *testing.T) {
	const file, dir, link = fs.FileMode(0o644), fs.ModeDir | 0o755, fs.ModeSymlink | 0o777
	for _, c := range []struct {
		policy Policy
		exists bool
		target fs.FileMode
		want   fate
		reason string
	}{
		{IfAbsent, false, 0, store, ""},
		{IfAbsent, true, file, skip, ""},
		{IfAbsent, true, dir, skip, ""},
		{IfAbsent, true, link, skip, ""},
		{AppendUnique, false, 0, merge, ""},
		{AppendUnique, true, file, merge, ""},
		{AppendUnique, true, dir, skip, "its target is a directory"},
		{AppendUnique, true, link, skip, "its target is no file (Lrwxrwxrwx)"},
		{Consume, false, 0, store, ""},
		{Consume, true, file, store, ""},
		{Consume, true, dir, skip, "its target is a directory"},
		{Consume, true, link, store, ""},
	} {
		got, err := c.policy.decide(c.exists, c.target)
		reason := ""
		if err != nil {
			reason = err.Error()
		}
		if got != c.want || reason != c.reason {
			t.Errorf("%s, target %t %v: %v %q, want %v %q", c.policy, c.exists, c.target, got, reason, c.want, c.reason)
		}
	}
}

func TestMergeLines(t *testing.T) {
	for _, c := range []struct{ had, more, want string }{
		{"", "", ""},
		{"", "\r\n\n", ""},
		{"", "a", "a\n"},
		{"a", "a\r\n", "a"},
		{"a\r\n", "a", "a\r\n"},
		{"a", "b\r\na\r\nb\r\nc", "a\nb\nc\n"},
		{"a\n", "\uFEFFb", "a\nb\n"},
		{"", " a\n a\na", " a\na\n"},
	} {
		if got := string(mergeLines([]byte(c.had), []byte(c.more))); got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.had, c.more, got, c.want)
		}
		again := mergeLines([]byte(c.want), []byte(c.more))
		if string(again) != c.want {
			t.Errorf("%q and %q: the second time makes %q", c.had, c.more, again)
		}
	}
}

func TestNames(t *testing.T) {
	for name, want := range map[string]struct{ litter, sound bool }{
		"wpa_supplicant.conf":       {false, true},
		".profile":                  {false, true},
		"grüße.conf":                {false, true},
		"a b":                       {false, true},
		"._wpa_supplicant.conf":     {true, true},
		".DS_Store":                 {true, true},
		"System Volume Information": {true, true},
		"SYSTEM VOLUME INFORMATION": {true, true},
		"desktop.INI":               {true, true},
		"gr\xfc\xdfe":               {false, false},
		"a/b":                       {false, false},
		"..":                        {false, false},
		"":                          {false, false},
		"a\x1b[2J":                  {false, false},
	} {
		if isLitter(name) != want.litter {
			t.Errorf("%q is litter: %t, want %t", name, !want.litter, want.litter)
		}
		if err := checkName(name); (err == nil) != want.sound {
			t.Errorf("%q: %v, want it to be taken: %t", name, err, want.sound)
		}
	}
}

func TestMatchWish(t *testing.T) {
	for file, want := range map[string]struct {
		said string
		ok   bool
	}{
		"reset-data":          {"", true},
		"Reset-Data.TXT":      {"", true},
		"reset-data=v1":       {"v1", true},
		"RESET-DATA= v1 .txt": {"v1", true},
		"reset-data=a=b":      {"a=b", true},
		"reset-data=":         {"", true},
		"reset-data.doc":      {"", false},
		"reset-data2":         {"", false},
		"my-reset-data":       {"", false},
		"reset-overlay":       {"", false},
		".txt":                {"", false},
	} {
		if said, ok := matchWish("reset-data", file); ok != want.ok || ok && said != want.said {
			t.Errorf("%s: %q, %t, want %q, %t", file, said, ok, want.said, want.ok)
		}
	}
}

func TestJudgeWish(t *testing.T) {
	for _, c := range []struct{ said, label, reason string }{
		{"v1", "v1", ""},
		{"v2", "v1", `it is for the image "v2", and this is v1`},
		{"V1", "v1", `it is for the image "V1", and this is v1`},
		{"", "v1", "it has to say which image it is for, in its text or behind a = in its name: v1"},
		{"", "", "this image has no label, which minos.build= would give it"},
		{"v1", "", "this image has no label, which minos.build= would give it"},
	} {
		reason := ""
		if err := judgeWish(c.said, c.label); err != nil {
			reason = err.Error()
		}
		if reason != c.reason {
			t.Errorf("%q for %q: %q, want %q", c.said, c.label, reason, c.reason)
		}
	}
}

// What takes too long, or has no end, is stopped.
func TestCountStops(t *testing.T) {
	for _, c := range []struct {
		run  intake
		want string
	}{
		{intake{deadline: time.Second}, ""},
		{intake{deadline: -time.Second}, "it has taken 5m0s so far; the next boot goes on"},
		{intake{deadline: time.Second, entries: maxEntries}, "there are more than 100000 files"},
	} {
		c.run.k = systest.New("")
		reason := ""
		if err := c.run.count("name"); err != nil {
			reason = err.Error()
		}
		if reason != c.want || (c.run.halted != nil) != (c.want != "") {
			t.Errorf("%q, halted %v; want %q", reason, c.run.halted, c.want)
		}
	}
}
