package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each parser of the project has a target, whose seeds reach what it covers.
func TestSeedsReachTheParsers(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: compiling the tests of every package anew takes half a minute")
	}
	t.Chdir("../..")
	var table strings.Builder
	if err := run(&table, []string{"-time", "0"}); err != nil {
		t.Errorf("%v\n%s", err, &table)
	}
}

const parserFile = `package p

import "strings"

type T struct{}

func Parse(s string) int {
	if strings.HasPrefix(s, "a") {
		return len(s)
	}
	s += "x"
	return len(s) + 1
}

func (t *T) parseOther(s string) bool { return s == "" }

func decode(s string) bool { return s == "" }
`

// A module with a parser that has a target, one that has none, and targets that
// do not say what they are for.
func TestWhatIsMissingIsNamed(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":       "module example.org/p\n\ngo 1.26\n",
		"p/p.go":       parserFile,
		"p/p_test.go":  "package p\n\nimport \"testing\"\n\n//fuzz:covers Parse T.parseOther\nfunc FuzzParse(f *testing.F) {\n\tf.Add(\"b\")\n\tf.Fuzz(func(t *testing.T, s string) { Parse(s) })\n}\n",
		"p/b_test.go":  "package p\n\nimport \"testing\"\n\nfunc FuzzSilent(f *testing.F) {}\n\n//fuzz:covers nothing.go\nfunc FuzzWrong(f *testing.F) {}\n",
		"p/testdata/x": "package x\n\nfunc Parse() {}\n",
	} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	targets, uncovered, err := findTargets(dir, "p")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"p.decode"}, uncovered); diff != "" {
		t.Errorf("without a target (-want +got):\n%s", diff)
	}
	wrong := map[string]string{}
	for _, found := range targets {
		if found.wrong != nil {
			wrong[found.name] = found.wrong.Error()
		}
	}
	if !strings.Contains(wrong["FuzzSilent"], "does not say what it covers") || !strings.Contains(wrong["FuzzWrong"], "covers nothing.go, which is no other function") || len(wrong) != 2 {
		t.Errorf("%q", wrong)
	}
	program, err := compileTests(dir, "p", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range targets {
		if found.name != "FuzzParse" {
			continue
		}
		// Of Parse the branch is missed, and all of parseOther: 3 of 5.
		got, err := program.seeds(found)
		if err != nil || got.statements != 5 || got.reached != 3 || cmp.Diff([]string{"p.go:8", "p.go:15"}, got.missed) != "" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := found.judge(got); err == nil || !strings.Contains(err.Error(), "reach 3 of 5 statements") {
			t.Errorf("judged %v", err)
		}
	}
}
