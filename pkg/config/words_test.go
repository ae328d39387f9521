package config

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseWords(t *testing.T) {
	flag := func(text, key string) Word { return Word{Key: key, Text: text} }
	pair := func(text, key, value string) Word { return Word{Key: key, Value: value, HasValue: true, Text: text} }
	for _, c := range []struct {
		line string
		want []Word
	}{
		{"", nil},
		{" \t\n", nil},
		{"quiet\n", []Word{flag("quiet", "quiet")}},
		{"  a=1 \t b\v\f\rc\n", []Word{pair("a=1", "a", "1"), flag("b", "b"), flag("c", "c")}},
		{"a=1 a=2 a", []Word{pair("a=1", "a", "1"), pair("a=2", "a", "2"), flag("a", "a")}},
		{"a=", []Word{pair("a=", "a", "")}},
		{"a=b=c", []Word{pair("a=b=c", "a", "b=c")}},
		{`a="b c" d`, []Word{pair(`a="b c"`, "a", "b c"), flag("d", "d")}},
		{`"a=b c" d`, []Word{pair(`"a=b c"`, "a", "b c"), flag("d", "d")}},
		{`"a b" c`, []Word{flag(`"a b"`, "a b"), flag("c", "c")}},
		{`a=b" "c`, []Word{pair(`a=b" "c`, "a", `b" "c`)}},
		{`a" "b=c`, []Word{pair(`a" "b=c`, `a" "b`, "c")}},
		{`a="b"c`, []Word{pair(`a="b"c`, "a", `b"c`)}},
		{`a="b c`, []Word{pair(`a="b c`, "a", "b c")}},
		{`"a b`, []Word{flag(`"a b`, "a b")}},
		{`a=b"`, []Word{pair(`a=b"`, "a", `b"`)}},
		{`a="`, []Word{pair(`a="`, "a", "")}},
		{`a="" b`, []Word{pair(`a=""`, "a", ""), flag("b", "b")}},
		{`"`, []Word{flag(`"`, "")}},
		{`"" a`, []Word{flag(`""`, ""), flag("a", "a")}},
		{`"a="b c" d`, []Word{pair(`"a="b`, "a", "b"), flag(`c" d`, `c" d`)}},
		{`a="b\" c"`, []Word{pair(`a="b\"`, "a", `b\`), flag(`c"`, `c"`)}},
		{"=a", []Word{flag("=a", "=a")}},
		{"=a=b", []Word{pair("=a=b", "=a", "b")}},
		{`"=a=b"`, []Word{pair(`"=a=b"`, "=a", "b")}},
		{`"=a"`, []Word{flag(`"=a"`, "=a")}},
		{"a\x00b", []Word{flag("a", "a")}},
		{"a\xa0b", []Word{flag("a", "a"), flag("b", "b")}},
		{"a=\xc3\xbc", []Word{pair("a=\xc3\xbc", "a", "ü")}},
		{"x--", []Word{flag("x--", "x--")}},
		{"--=1 --- a", []Word{pair("--=1", "--", "1"), flag("---", "---"), flag("a", "a")}},
	} {
		got, initArgs := ParseWords([]byte(c.line))
		if diff := cmp.Diff(c.want, got); diff != "" || initArgs != nil {
			t.Errorf("%q: arguments %q, -want +got:\n%s", c.line, initArgs, diff)
		}
	}
}

func TestParseWordsForInit(t *testing.T) {
	for _, c := range []struct {
		line string
		args []string
	}{
		{"a -- b c=d", []string{"b", "c=d"}},
		{`a -- "b c" d="e f" "g=h i"`, []string{"b c", "d=e f", "g=h i"}},
		{"a -- b -- c", []string{"b", "--", "c"}},
		{`a "--" b`, []string{"b"}},
		{"a --", nil},
	} {
		words, args := ParseWords([]byte(c.line))
		if diff := cmp.Diff(c.args, args); diff != "" || len(words) != 1 || words[0].Key != "a" {
			t.Errorf("%q: words %v, arguments -want +got:\n%s", c.line, words, diff)
		}
	}
}

// checkJoined checks that words keep what the line said: written one behind
// another they are the same words again.
func checkJoined(t *testing.T, line []byte) {
	t.Helper()
	words := split(line)
	var texts []string
	for _, w := range words {
		texts = append(texts, w.Text)
	}
	if diff := cmp.Diff(words, split([]byte(strings.Join(texts, " ")))); diff != "" {
		t.Errorf("%q: words, joined and split again, -want +got:\n%s", line, diff)
	}
}

func TestRandomBytes(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		line := make([]byte, 4096)
		for i := range line {
			line[i] = byte(random.Uint32())
		}
		checkJoined(t, line)
		checkJoined(t, bytes.ReplaceAll(line, []byte{0}, []byte(`"`)))
		checkConfig(t, line, line)
	}
}
