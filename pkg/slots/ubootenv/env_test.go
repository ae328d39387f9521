package ubootenv

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnv(t *testing.T) {
	e := envOf(t, "B", "1", "a", "2=3", "C", "")
	before := e
	e.Unset("B")
	if err := e.Set("a", "four"); err != nil {
		t.Fatal(err)
	}
	e.Unset("nobody")
	if err := e.Set("new", "\xff\\"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "C", "new"}, e.Names()); diff != "" {
		t.Error(diff)
	}
	for name, want := range map[string]string{"a": "four", "C": "", "new": "\xff\\"} {
		if got, ok := e.Get(name); got != want || !ok {
			t.Errorf("Get(%q) = %q, %v; want %q", name, got, ok, want)
		}
	}
	if _, ok := e.Get("B"); ok {
		t.Error("B is still there")
	}
	// The copy from before has not noticed.
	if diff := cmp.Diff([]string{"B", "a", "C"}, before.Names()); diff != "" {
		t.Error(diff)
	}
	if value, _ := before.Get("a"); value != "2=3" {
		t.Errorf("a = %q in the copy from before", value)
	}
}

func TestSetRefuses(t *testing.T) {
	for _, c := range []struct{ name, value, says string }{
		{"", "x", "a variable of the environment needs a name, not =\"x\""},
		{"a=b", "x", `cannot have the name "a=b"`},
		{"a\x00b", "x", `cannot have the name "a\x00b"`},
		{"#a", "x", `cannot have the name "#a"`},
		{" a", "x", `cannot have the name " a"`},
		{"\ta", "x", `cannot have the name "\ta"`},
		{"a", "x\x00y", `a value of the environment ends at a NUL, so a cannot be "x\x00y"`},
	} {
		var e Env
		if err := e.Set(c.name, c.value); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Set(%q, %q) = %v; want %q in it", c.name, c.value, err, c.says)
		}
		if len(e.Names()) != 0 {
			t.Errorf("Set(%q, %q) left %q", c.name, c.value, e.Names())
		}
	}
}

// golden is an environment with the command that made it, by mkenvimage of
// u-boot-tools 2023.01.
//
//	printf 'BOOT_ORDER=A B\nb=1=2\na=\xff\\x\nempty=\n' | mkenvimage -s 64 [-r] [-p 0] -o - -
var golden = []goldenBlock{
	{"-s 64", Plain, 0, 0xff, "5da60bc8 " + goldenList + strings.Repeat("ff", 25)},
	{"-s 64 -r", WithFlags, 1, 0xff, "ebad9dd3 01 " + goldenList + strings.Repeat("ff", 24)},
	{"-s 64 -p 0", Plain, 0, 0x00, "58d672ab " + goldenList + strings.Repeat("00", 25)},
	{"-s 64 -r -p 0", WithFlags, 1, 0x00, "097181ac 01 " + goldenList + strings.Repeat("00", 24)},
}

const goldenList = "424f4f545f4f524445523d41204200 623d313d3200 613dff5c7800 656d7074793d00 00 "

type goldenBlock struct {
	name   string
	header Header
	flags  byte
	pad    byte
	hex    string
}

func (g goldenBlock) block(t testing.TB) []byte {
	t.Helper()
	block, err := hex.DecodeString(strings.ReplaceAll(g.hex, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return block
}

func TestGolden(t *testing.T) {
	want := envOf(t, "BOOT_ORDER", "A B", "b", "1=2", "a", "\xff\\x", "empty", "")
	for _, g := range golden {
		block := g.block(t)
		e, header, err := Decode(block)
		if err != nil || header != g.header || !e.Equal(want) {
			t.Errorf("%s: %v, a header of %d, %q; want %d", g.name, err, header, e.Names(), g.header)
		}
		again, err := want.Encode(len(block), g.header, g.flags, g.pad)
		if err != nil || !bytes.Equal(again, block) {
			t.Errorf("%s: Encode = %x, %v; want %x", g.name, again, err, block)
		}
	}
}

// What is odd in a list of strings.
func TestDecodeOddities(t *testing.T) {
	for _, c := range []struct {
		name, data string
		names      []string
		get, value string
		there      bool
		again      string // the list that Encode writes, when another
	}{
		{"the last of two counts, at the place of the first", "a=1\x00b=2\x00a=3\x00", []string{"a", "b"}, "a", "3", true, "a=3\x00b=2\x00"},
		{"the first = parts", "a=b=c\x00", []string{"a"}, "a", "b=c", true, ""},
		{"an empty value", "a=\x00", []string{"a"}, "a", "", true, ""},
		{"a name alone is kept, and is no variable", "x=1\x00a\x00y=2\x00", []string{"x", "y"}, "a", "", false, ""},
		{"a name alone takes a variable away", "a=1\x00a\x00", nil, "a", "", false, "a\x00"},
		{"and a variable after it counts", "a\x00a=1\x00", []string{"a"}, "a", "1", true, "a=1\x00"},
		{"no name", "a=1\x00=2\x00b=3\x00", []string{"a", "b"}, "", "", false, "a=1\x00b=3\x00"},
		{"what U-Boot passes over is kept", "#c=1\x00 d=2\x00", []string{"#c", " d"}, "#c", "1", true, ""},
		{"not UTF-8", "\xfe\xff=\x80\x00", []string{"\xfe\xff"}, "\xfe\xff", "\x80", true, ""},
		{"behind the end of the list is nothing", "a=1\x00\x00b=2\x00", []string{"a"}, "b", "", false, "a=1\x00"},
		{"an empty list", "", nil, "a", "", false, "\x00"},
	} {
		data := c.data + strings.Repeat("\x00", 64-len(c.data))
		e, _, err := Decode(seal([]byte("....." + data)))
		value, there := e.Get(c.get)
		if err != nil || !slices.Equal(e.Names(), c.names) || value != c.value || there != c.there {
			t.Errorf("%s: %v, %q, %s=%q, %v", c.name, err, e.Names(), c.get, value, there)
		}
		list := c.data
		if c.again != "" {
			list = c.again
		}
		block := encoded(t, e, 64, Plain, 0, 0xff)
		if want := list + "\x00\xff"; !bytes.HasPrefix(block[4:], []byte(want)) {
			t.Errorf("%s: Encode = %q; want %q", c.name, block[4:], want)
		}
	}
	// A list without an end stops with the block, as in U-Boot.
	e, _, err := Decode(seal([]byte(".....a=1\x00b=2345")))
	if b, _ := e.Get("b"); err != nil || b != "2345" {
		t.Errorf("a list without an end: %v, b=%q", err, b)
	}
}

// seal puts the checksum of a header of 5 bytes in front.
func seal(block []byte) []byte {
	binary.LittleEndian.PutUint32(block, crc32.ChecksumIEEE(block[WithFlags:]))
	return block
}

func TestDecodeErrors(t *testing.T) {
	good := encoded(t, envOf(t, "a", "1"), 512, Plain, 0, 0)
	for _, c := range []struct {
		name  string
		block []byte
		says  string
	}{
		{"size 0", nil, "the environment is blank"},
		{"zeros", make([]byte, 512), "the environment is blank"},
		{"erased", bytes.Repeat([]byte{0xff}, 512), "the environment is blank"},
		{"another value all over", bytes.Repeat([]byte{0x55}, 512), "the environment is damaged: its CRC over 0x200 bytes is 55555555, and not"},
		{"shorter than a header", []byte("abcd"), "the environment is damaged: 4 bytes are not enough for one"},
		{"too short", []byte("abcdef"), "the environment is damaged: 6 bytes are not enough for one"},
		{"cut off", good[:511], "the environment is damaged: its CRC over 0x1ff bytes"},
		{"a changed bit", append(slices.Clone(good[:511]), 1), "the environment is damaged: its CRC over 0x200 bytes"},
	} {
		e, header, err := Decode(c.block)
		if err == nil || !strings.HasPrefix(err.Error(), c.says) || header != 0 || len(e.Names()) != 0 {
			t.Errorf("%s: %v, header %d, %q; want %q", c.name, err, header, e.Names(), c.says)
		}
		var damaged *DamagedError
		if errors.Is(err, ErrBlank) == errors.As(err, &damaged) {
			t.Errorf("%s: %T is neither or both", c.name, err)
		}
	}
}

func TestEncodeOverflow(t *testing.T) {
	fits := envOf(t, "a", strings.Repeat("x", 512-4-2-2)) // "a=", two NULs
	if _, err := fits.Encode(512, Plain, 0, 0); err != nil {
		t.Error(err)
	}
	for _, c := range []struct {
		e      Env
		size   int
		header Header
		want   OverflowError
	}{
		{fits, 512, WithFlags, OverflowError{508, 507}},
		{envOf(t, "a", strings.Repeat("x", 10<<20)), 0x4000, Plain, OverflowError{10<<20 + 4, 0x3ffc}},
		{Env{}, 5, Plain, OverflowError{2, 1}},
		{Env{}, 0, Plain, OverflowError{2, 0}},
	} {
		block, err := c.e.Encode(c.size, c.header, 0, 0)
		var got *OverflowError
		if !errors.As(err, &got) || *got != c.want || block != nil {
			t.Errorf("%d bytes: %v; want %v", c.size, err, &c.want)
		}
	}
}
