package ubootenv

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
)

// What Read says of each state of a disk. The variables of layers are told
// apart by their number.
func TestRead(t *testing.T) {
	random := func(t testing.TB, m *memory) {
		for i := range m.bytes[:0x1000] {
			m.bytes[i] = byte(i*i>>3) ^ 0x5a
		}
	}
	for _, c := range []struct {
		name    string
		place   Place
		prepare func(t testing.TB, m *memory)
		from    Source
		left    string // of BOOT_A_LEFT
		header  Header
		flags   byte
		torn    string // the beginning of Torn
		says    string // the beginning of the error
	}{
		{"primary alone", singlePlace, lay(1, 0, Plain, 0), Primary, "1", Plain, 0, "", ""},
		{"primary before the shadow", singlePlace, both(lay(1, 0, Plain, 0), lay(2, 0x2000, Plain, 0)), Primary, "1", Plain, 0, "", ""},
		{"a single copy with flags", singlePlace, lay(1, 0, WithFlags, 9), Primary, "1", WithFlags, 9, "", ""},
		{"torn primary", singlePlace, both(layTorn(0, Plain), lay(2, 0x2000, WithFlags, 3)), Shadow, "2", WithFlags, 3, "the environment is damaged", ""},
		{"blank primary", singlePlace, lay(2, 0x2000, Plain, 0), Shadow, "2", Plain, 0, "the environment is blank", ""},
		{"unreadable primary", singlePlace, both(unreadable(0), lay(2, 0x2000, Plain, 0)), Shadow, "2", Plain, 0, "read of the environment at 0x0: input/output error", ""},
		{"blank", singlePlace, both(), None, "", Plain, 0, "the environment is blank", "the environment is blank"},
		{"random bytes", singlePlace, random, None, "", Plain, 0, "the environment is damaged", "the environment is damaged"},
		{"torn, no shadow", singlePlace, layTorn(0, Plain), None, "", Plain, 0, "the environment is damaged", "the environment is damaged"},
		{"unreadable, no shadow", singlePlace, unreadable(0), None, "", Plain, 0, "read of", "read of the environment at 0x0: input/output error"},
		{"all unreadable", singlePlace, both(unreadable(0), unreadable(0x2000)), None, "", Plain, 0, "read of", "read of the environment at 0x0"},

		{"pair, first larger", pairPlace, both(lay(1, 0, WithFlags, 9), lay(2, 0x2000, WithFlags, 8)), First, "1", WithFlags, 9, "", ""},
		{"pair, second larger", pairPlace, both(lay(1, 0, WithFlags, 127), lay(2, 0x2000, WithFlags, 128)), Second, "2", WithFlags, 128, "", ""},
		{"pair, first larger by 127", pairPlace, both(lay(1, 0, WithFlags, 128), lay(2, 0x2000, WithFlags, 1)), First, "1", WithFlags, 128, "", ""},
		{"pair, the same", pairPlace, both(lay(1, 0, WithFlags, 8), lay(2, 0x2000, WithFlags, 8)), First, "1", WithFlags, 8, "", ""},
		{"pair, 255 and 0", pairPlace, both(lay(1, 0, WithFlags, 255), lay(2, 0x2000, WithFlags, 0)), Second, "2", WithFlags, 0, "", ""},
		{"pair, 0 and 255", pairPlace, both(lay(1, 0, WithFlags, 0), lay(2, 0x2000, WithFlags, 255)), First, "1", WithFlags, 0, "", ""},
		{"pair, 255 and 1", pairPlace, both(lay(1, 0, WithFlags, 255), lay(2, 0x2000, WithFlags, 1)), First, "1", WithFlags, 255, "", ""},
		{"pair, first torn", pairPlace, both(layTorn(0, WithFlags), lay(2, 0x2000, WithFlags, 0)), Second, "2", WithFlags, 0, "", ""},
		{"pair, second unreadable", pairPlace, both(lay(1, 0, WithFlags, 0), unreadable(0x2000)), First, "1", WithFlags, 0, "", ""},
		{"pair, both blank", pairPlace, both(), None, "", WithFlags, 0, "the environment is blank", "the environment is blank"},
		{"pair, both torn", pairPlace, both(layTorn(0, WithFlags), layTorn(0x2000, WithFlags)), None, "", WithFlags, 0, "the environment is damaged", "the environment is damaged"},
		{"pair, unreadable and torn", pairPlace, both(unreadable(0), layTorn(0x2000, WithFlags)), None, "", WithFlags, 0, "read of", "read of the environment at 0x0"},
		{"pair, one copy is of another kind", pairPlace, both(lay(1, 0, WithFlags, 0), lay(2, 0x2000, Plain, 0)), First, "1", WithFlags, 0, "", ""},
	} {
		m := newMemory(0x6000)
		c.prepare(t, m)
		got, err := Read(m, c.place)
		left, _ := got.Env.Get("BOOT_A_LEFT")
		if got.From != c.from || left != c.left || got.Header != c.header || got.Flags != c.flags || !got.Protected {
			t.Errorf("%s: from %q, BOOT_A_LEFT=%s, header %d, flags %d, protected %v; want %q, %s, %d, %d, true",
				c.name, got.From, left, got.Header, got.Flags, got.Protected, c.from, c.left, c.header, c.flags)
		}
		if !begins(got.Torn, c.torn) || !begins(err, c.says) {
			t.Errorf("%s: torn %v, error %v; want %q, %q", c.name, got.Torn, err, c.torn, c.says)
		}
		if len(m.log) != 0 {
			t.Errorf("%s: Read has written", c.name)
		}
		if _, seen := ubootSees(m, c.place); seen != (err == nil) {
			t.Errorf("%s: U-Boot sees an environment: %v, and Read says %v", c.name, seen, err)
		}
	}
}

// begins tells whether an error has this text, or is none for "".
func begins(err error, text string) bool {
	return err == nil && text == "" || err != nil && text != "" && strings.HasPrefix(err.Error(), text)
}

func TestPadding(t *testing.T) {
	for _, pad := range []byte{0x00, 0xff} {
		m := newMemory(0x6000)
		m.put(0, encoded(t, numbered(t, 1), 0x1000, Plain, 0, pad))
		if got, err := Read(m, singlePlace); err != nil || got.Padding != pad {
			t.Errorf("padding %#x, %v; want %#x", got.Padding, err, pad)
		}
	}
}

// An environment of another form is found at each size that boards have, and
// neither read nor replaced.
func TestForeign(t *testing.T) {
	place := DefaultPlace()
	pair := place
	pair.Second = 0x40000
	type form struct {
		size   int
		header Header
	}
	var forms []form
	for _, size := range []int{0x200, 0x1000, 0x2000, 0x3000, 0x8000, 0x10000, 0x1f000, 0x20000} {
		forms = append(forms, form{size, Plain}, form{size, WithFlags})
	}
	for _, f := range append(forms, form{0x4000, Plain}, form{0x4000, WithFlags}) {
		for _, p := range []Place{place, pair} {
			if f.size == 0x4000 && (!p.isPair() || f.header == WithFlags) {
				continue // as it was looked for
			}
			m := newMemory(8 << 20)
			m.put(0, encoded(t, envOf(t, "somebody", "else"), f.size, f.header, 1, 0xff))
			m.put(place.Shadow, encoded(t, numbered(t, 1), 0x4000, Plain, 0, 0)) // does not count
			before := bytes.Clone(m.bytes)
			_, err := Read(m, p)
			var foreign *ForeignError
			if !errors.As(err, &foreign) || *foreign != (ForeignError{0, int64(f.size), f.header, 0x4000}) {
				t.Errorf("Read of %#x bytes with a header of %d: %v", f.size, f.header, err)
			}
			_, err = Update(m, p, setTo(numbered(t, 1)))
			if !errors.As(err, &foreign) || len(m.log) != 0 || !bytes.Equal(m.bytes, before) {
				t.Errorf("Update over %#x bytes with a header of %d: %v, with %d effects", f.size, f.header, err, len(m.log))
			}
		}
	}
}

// A partition that ends just behind the environment, or cannot be read there,
// is searched as far as it goes.
func TestForeignAtTheEnd(t *testing.T) {
	small := Place{Offset: 0, Size: 0x4000, Second: -1, Shadow: -1, Torn: -1}
	for name, m := range map[string]*memory{"end": newMemory(0x4000), "unreadable behind": newMemory(0x8000)} {
		m.put(0, encoded(t, numbered(t, 1), 0x1000, Plain, 0, 0))
		if len(m.bytes) > 0x4000 {
			m.spoil(extent{0x4000, make([]byte, 0x4000)})
		}
		_, err := Read(m, small)
		var foreign *ForeignError
		if !errors.As(err, &foreign) || foreign.Size != 0x1000 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDeviceWithoutSize(t *testing.T) {
	if _, err := Read(noSize{newMemory(0)}, singlePlace); !begins(err, "size of the environment's partition: input/output error") {
		t.Error(err)
	}
}

type noSize struct{ *memory }

func (noSize) Size() (int64, error) { return 0, errUnreadable }

// A disk may tell with or without an error that a read went up to its end.
func TestReadToTheEnd(t *testing.T) {
	m := newMemory(0x1000)
	m.put(0, encoded(t, numbered(t, 1), 0x1000, Plain, 0, 0))
	if got, err := Read(eager{m}, singlePlace); err != nil || got.From != Primary || got.Protected {
		t.Errorf("%+v, %v", got.From, err)
	}
	if _, err := Read(sized{m, 0x2000}, Place{Size: 0x2000, Second: -1, Shadow: -1, Torn: -1}); !begins(err, "read of the environment at 0x0: unexpected EOF") {
		t.Error(err)
	}
}

// eager says EOF together with the last bytes.
type eager struct{ *memory }

func (e eager) ReadAt(into []byte, offset int64) (int, error) {
	n, err := e.memory.ReadAt(into, offset)
	if err == nil && int(offset)+n == len(e.bytes) {
		err = io.EOF
	}
	return n, err
}
