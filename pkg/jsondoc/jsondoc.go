// Package jsondoc reads and changes a JSON document that others write too: what
// it is not told of stays as it is. Init does not link encoding/json.
package jsondoc

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Value is a value of a JSON document (RFC 8259). Of objects the members are
// known, in their order; all else is kept as it was written. A nil Value is one
// that is not there.
type Value struct {
	raw     string // unless it is an object
	members []member
	object  bool
}

type member struct {
	key string
	val *Value
}

var errJSON = errors.New("it is no JSON")

// maxJSON and maxNesting bound what is read of a document, in bytes and levels.
const (
	maxJSON    = 1 << 20
	maxNesting = 32
)

// Parse reads a document that is one object, of at most 1 MiB.
func Parse(text string) (*Value, error) {
	if len(text) > maxJSON {
		return nil, errors.New("it is too long")
	}
	v, rest, err := parseValue(trim(text), maxNesting)
	if err != nil {
		return nil, err
	}
	if trim(rest) != "" || !v.object {
		return nil, errJSON
	}
	return v, nil
}

func trim(text string) string { return strings.TrimLeft(text, " \t\r\n") }

// parseValue reads the value at the start of text.
func parseValue(text string, levels int) (v *Value, rest string, err error) {
	if text == "" || levels == 0 {
		return nil, "", errJSON
	}
	switch text[0] {
	case '{':
		return parseObject(text, levels)
	case '[':
		return parseList(text, levels)
	case '"':
		_, rest, err = parseText(text)
		return &Value{raw: text[:len(text)-len(rest)]}, rest, err
	}
	end := strings.IndexAny(text+" ", ",]} \t\r\n")
	word := text[:end]
	if word != "null" && word != "true" && word != "false" && !isJSONNumber(word) {
		return nil, "", errJSON
	}
	return &Value{raw: word}, text[end:], nil
}

// isJSONNumber tells a number from other text: a sign, digits without a zero
// before them, and behind these a fraction and an exponent.
func isJSONNumber(word string) bool {
	digits := func() (n int) {
		n = len(word) - len(strings.TrimLeft(word, "0123456789"))
		word = word[n:]
		return n
	}
	word = strings.TrimPrefix(word, "-")
	zero := strings.HasPrefix(word, "0")
	if n := digits(); n == 0 || zero && n > 1 {
		return false
	}
	if rest, fraction := strings.CutPrefix(word, "."); fraction {
		if word = rest; digits() == 0 {
			return false
		}
	}
	if word != "" && (word[0] == 'e' || word[0] == 'E') {
		if word = word[1:]; word != "" && (word[0] == '+' || word[0] == '-') {
			word = word[1:]
		}
		if digits() == 0 {
			return false
		}
	}
	return word == ""
}

func parseObject(text string, levels int) (v *Value, rest string, err error) {
	v = &Value{object: true}
	rest = trim(text[1:])
	for !strings.HasPrefix(rest, "}") {
		if len(v.members) > 0 {
			if !strings.HasPrefix(rest, ",") {
				return nil, "", errJSON
			}
			rest = trim(rest[1:])
		}
		var m member
		if m.key, rest, err = parseText(rest); err != nil {
			return nil, "", err
		}
		m.key = string([]rune(m.key)) // as it is written, or two keys could become one
		if rest = trim(rest); !strings.HasPrefix(rest, ":") || v.Get(m.key) != nil {
			return nil, "", errJSON
		}
		if m.val, rest, err = parseValue(trim(rest[1:]), levels-1); err != nil {
			return nil, "", err
		}
		v.members, rest = append(v.members, m), trim(rest)
	}
	return v, rest[1:], nil
}

func parseList(text string, levels int) (v *Value, rest string, err error) {
	rest = trim(text[1:])
	for first := true; !strings.HasPrefix(rest, "]"); first = false {
		if !first {
			if !strings.HasPrefix(rest, ",") {
				return nil, "", errJSON
			}
			rest = trim(rest[1:])
		}
		if _, rest, err = parseValue(rest, levels-1); err != nil {
			return nil, "", err
		}
		rest = trim(rest)
	}
	rest = rest[1:]
	return &Value{raw: text[:len(text)-len(rest)]}, rest, nil
}

// parseText reads the string at the start of text.
func parseText(text string) (s, rest string, err error) {
	if !strings.HasPrefix(text, `"`) {
		return "", "", errJSON
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return b.String(), text[i+1:], nil
		case c < ' ':
			return "", "", errJSON
		case c != '\\':
			b.WriteByte(c)
		default:
			char, n := unescape(text[i+1:])
			if n == 0 {
				return "", "", errJSON
			}
			b.WriteRune(char)
			i += n
		}
	}
	return "", "", errJSON
}

// unescape reads what is behind a backslash, and says how long it is; 0: it is
// nothing that JSON has, or half of a character.
func unescape(text string) (char rune, n int) {
	if text == "" {
		return 0, 0
	}
	if at := strings.IndexByte(`"\/bfnrt`, text[0]); at >= 0 {
		return rune("\"\\/\b\f\n\r\t"[at]), 1
	}
	const length = len("uXXXX")
	if text[0] != 'u' || len(text) < length {
		return 0, 0
	}
	code, err := strconv.ParseUint(text[1:length], 16, 16)
	if err != nil || !utf8.ValidRune(rune(code)) {
		return 0, 0
	}
	return rune(code), length
}

// Object is an object without members.
func Object() *Value { return &Value{object: true} }

// String is a string, which is UTF-8 but for what is replaced.
func String(s string) *Value { return &Value{raw: quote(s)} }

// Each shows the members of an object in their order; of anything else there are
// none.
func (v *Value) Each(show func(key string, val *Value)) {
	if v == nil {
		return
	}
	for _, m := range v.members {
		show(m.key, m.val)
	}
}

// Get is the member with this key; nil when there is none.
func (v *Value) Get(key string) *Value {
	if v == nil {
		return nil
	}
	for _, m := range v.members {
		if m.key == key {
			return m.val
		}
	}
	return nil
}

// Text is a string, or a number as it was written; "" of anything else.
func (v *Value) Text() string {
	switch {
	case v == nil || v.object || v.raw == "null" || v.raw == "true" || v.raw == "false":
		return ""
	case strings.HasPrefix(v.raw, `"`):
		s, _, _ := parseText(v.raw)
		return s
	}
	return v.raw
}

// Set gives a member a value, in its place or at the end.
func (v *Value) Set(key string, val *Value) *Value {
	if old := v.Get(key); old != nil {
		*old = *val
		return old
	}
	v.members = append(v.members, member{key, val})
	return val
}

// Remove takes a member away.
func (v *Value) Remove(key string) {
	v.members = slices.DeleteFunc(v.members, func(m member) bool { return m.key == key })
}

// Child is the member with this key as an object; it is made when there is none.
func (v *Value) Child(key string) *Value {
	if c := v.Get(key); c != nil && c.object {
		return c
	}
	return v.Set(key, &Value{object: true})
}

// Bytes is the document, its members each on a line.
func (v *Value) Bytes() []byte {
	var b strings.Builder
	v.write(&b, "")
	return []byte(b.String() + "\n")
}

// quote writes a string as JSON has it.
func quote(s string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	b.WriteByte('"')
	for _, char := range s {
		switch {
		case char == '"' || char == '\\':
			b.WriteByte('\\')
			b.WriteRune(char)
		case char < ' ':
			b.WriteString(`\u00`)
			b.WriteByte(digits[char>>4])
			b.WriteByte(digits[char&15])
		default:
			b.WriteRune(char)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// write adds the value to a document, its members each on a line.
func (v *Value) write(b *strings.Builder, indent string) {
	if !v.object {
		b.WriteString(v.raw)
		return
	}
	b.WriteString("{")
	for i, m := range v.members {
		if i > 0 {
			b.WriteString(",")
		}
		b.WriteString("\n" + indent + "  " + quote(m.key) + ": ")
		m.val.write(b, indent+"  ")
	}
	if len(v.members) > 0 {
		b.WriteString("\n" + indent)
	}
	b.WriteString("}")
}
