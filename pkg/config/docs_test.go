package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Each key has a section of docs/cmdline.md that begins with it, gives its
// default and shows an example, and each example is one that works.
func TestDocument(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "docs", "cmdline.md"))
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(data), "\n### ") {
		heading, body, _ := strings.Cut(section, "\n")
		sections[strings.Trim(heading, "`")] = body
	}
	for _, k := range Keys() {
		body, ok := sections[k.Name]
		if !ok {
			t.Errorf("docs/cmdline.md has no section \"### `%s`\"", k.Name)
			continue
		}
		if !strings.Contains(body, "Default: "+k.Default+".") {
			t.Errorf("%s: docs/cmdline.md does not say \"Default: %s.\"", k.Name, k.Default)
		}
		if !strings.Contains(body, "Values: "+k.Values+".") {
			t.Errorf("%s: docs/cmdline.md does not say \"Values: %s.\"", k.Name, k.Values)
		}
		_, rest, ok := strings.Cut(body, "Example: `")
		example, _, closed := strings.Cut(rest, "`")
		if !ok || !closed {
			t.Errorf("%s: docs/cmdline.md gives no \"Example: `...`\"", k.Name)
			continue
		}
		c := Parse(nil, []byte(example))
		if _, ok := k.match(c.Words[0].Key); !ok || c.Warnings != nil {
			t.Errorf("%s: the example %q is not one: %q", k.Name, example, c.Warnings)
		}
	}
}
