package jsondoc

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is not set stays as it was written, to the byte.
func TestSetKeepsTheRest(t *testing.T) {
	doc, err := Parse(`{"name": "old", "dt": [1.50, {"a":  "]"}], "more": {"x": null}}`)
	if err != nil {
		t.Fatal(err)
	}
	doc.Set("name", String("a \"b\"\t"))
	doc.Child("more").Set("y", String("z"))
	doc.Child("new").Set("one", String("1"))
	want := `{
  "name": "a \"b\"\u0009",
  "dt": [1.50, {"a":  "]"}],
  "more": {
    "x": null,
    "y": "z"
  },
  "new": {
    "one": "1"
  }
}
`
	if diff := cmp.Diff(want, string(doc.Bytes())); diff != "" {
		t.Error(diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"", "[]", "{", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1 "b":2}`, `{"a":01}`, `{"a":"\x"}`, `{"a":"\ud800"}`, `{} {}`, `{"a":1,"a":2}`, "{\"\xff\":1,\"\xfe\":2}",
		`{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + "}", `{"a":"` + strings.Repeat("x", 1<<20) + `"}`,
	} {
		if doc, err := Parse(text); err == nil {
			t.Errorf("%.40q was read as %.40s", text, doc.Bytes())
		}
	}
}

// Whatever is read here encoding/json reads too, as the same; and what is
// written is what was read.
//
//fuzz:covers Parse trim parseValue isJSONNumber parseObject parseList parseText unescape
func FuzzParse(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":null}],"c":"\"\\\/\b\f\n\r\t\u00e9"}`, `{"a":-1.5e3,"b":true}`, `{"a":}`, `{"a":{"b":{"c":"d"}}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		doc, err := Parse(text)
		if err != nil {
			return
		}
		var before, after any
		if json.Unmarshal([]byte(text), &before) != nil {
			t.Skip("more lenient than encoding/json; nothing is lost by that")
		}
		if err := json.Unmarshal(doc.Bytes(), &after); err != nil || !reflect.DeepEqual(before, after) {
			t.Errorf("%q became %q: %v", text, doc.Bytes(), err)
		}
	})
}
