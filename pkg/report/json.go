package report

import (
	"strconv"
	"unicode/utf8"
)

// encoder writes JSON. init does not link encoding/json, which would be a
// sixth of its size and costs time at every start.
type encoder struct {
	out   []byte
	depth int
	first bool // the next value is the first one of its object or list
}

// object writes an object whose fields the function writes.
func (e *encoder) object(fields func()) {
	e.nest('{', '}', fields)
}

// list writes a field that holds one object for each item.
func list[T any](e *encoder, key string, items []T, fields func(T)) {
	e.key(key)
	e.nest('[', ']', func() {
		for _, item := range items {
			e.next()
			e.object(func() { fields(item) })
		}
	})
}

// texts writes a field that holds a list of strings.
func (e *encoder) texts(key string, items []string) {
	e.key(key)
	e.nest('[', ']', func() {
		for _, item := range items {
			e.next()
			e.out = appendString(e.out, item)
		}
	})
}

func (e *encoder) text(key, value string) {
	e.key(key)
	e.out = appendString(e.out, value)
}

func (e *encoder) number(key string, value int64) {
	e.key(key)
	e.out = strconv.AppendInt(e.out, value, 10)
}

func (e *encoder) truth(key string, value bool) {
	e.key(key)
	e.out = strconv.AppendBool(e.out, value)
}

func (e *encoder) raw(value string) {
	e.out = append(e.out, value...)
}

// key starts a field.
func (e *encoder) key(key string) {
	e.next()
	e.out = appendString(e.out, key)
	e.out = append(e.out, ": "...)
}

// next starts a line for the next field or item.
func (e *encoder) next() {
	if !e.first {
		e.out = append(e.out, ',')
	}
	e.first = false
	e.newline()
}

func (e *encoder) newline() {
	e.out = append(e.out, '\n')
	for range e.depth {
		e.out = append(e.out, "  "...)
	}
}

// nest writes what is between two brackets; empty ones stay on one line.
func (e *encoder) nest(opening, closing byte, content func()) {
	e.out = append(e.out, opening)
	e.depth++
	e.first = true
	content()
	e.depth--
	if !e.first {
		e.newline()
	}
	e.first = false
	e.out = append(e.out, closing)
}

// appendString writes a string as RFC 8259 wants it. What is not UTF-8 becomes
// the replacement character: names of files and labels may hold any byte, and
// one of them must not make the whole report unreadable. DEL and the controls
// behind it need no escape in JSON and get one, since people print the file.
func appendString(out []byte, text string) []byte {
	const hexDigits = "0123456789abcdef"
	out = append(out, '"')
	plain := 0 // so much of it needs no escape, which is nearly always all
	for plain < len(text) && isPlain(rune(text[plain])) {
		plain++
	}
	out = append(out, text[:plain]...)
	for _, char := range text[plain:] {
		switch {
		case isPlain(char):
			out = append(out, byte(char))
		case char == '"' || char == '\\':
			out = append(out, '\\', byte(char))
		case char == '\n':
			out = append(out, `\n`...)
		case char == '\t':
			out = append(out, `\t`...)
		case char < 0x20 || (char >= 0x7f && char < 0xa0):
			out = append(out, `\u00`...)
			out = append(out, hexDigits[char>>4], hexDigits[char&0xf])
		case char == utf8.RuneError:
			out = append(out, `\ufffd`...)
		default:
			out = utf8.AppendRune(out, char)
		}
	}
	return append(out, '"')
}

// isPlain tells of a character that stands for itself in JSON.
func isPlain(char rune) bool { return char >= 0x20 && char < 0x7f && char != '"' && char != '\\' }
