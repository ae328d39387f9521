package tryboot

import (
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/slots"
)

func TestRescues(t *testing.T) {
	r := ParseRescues(make([]byte, SizeLimit))
	for n := range RescueLimit {
		next, ok := r.Next(slots.A)
		if !ok || next.Times != n+1 || next.Slot != slots.A {
			t.Fatalf("after %d: %+v, %v", n, next, ok)
		}
		data := next.Bytes()
		if len(data) != SizeLimit || data[SizeLimit-1] != '\n' {
			t.Fatalf("the file has %d bytes and ends with %q", len(data), data[SizeLimit-1])
		}
		if r = ParseRescues(data); r != next {
			t.Fatalf("%+v comes back as %+v", next, r)
		}
	}
	if next, ok := r.Next(slots.A); ok {
		t.Errorf("there is no end: %+v", next)
	}
	if next, ok := r.Next(slots.B); !ok || next != (Rescues{slots.B, 1}) {
		t.Errorf("the other slot begins with %+v, %v", next, ok)
	}
}

func TestParseRescues(t *testing.T) {
	for text, want := range map[string]Rescues{
		"":                                   {},
		"slot=B times=2\r\n":                 {slots.B, 2},
		"# a comment\n  slot=A times=1  \n":  {slots.A, 1},
		"slot=A times=-1\n":                  {},
		"slot=A times=1x\n":                  {},
		"slot=AB times=1\n":                  {},
		"slot=A times=99999999999999999999 ": {},
		strings.Repeat("\x00", SizeLimit):    {},
	} {
		if got := ParseRescues([]byte(text)); got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}
