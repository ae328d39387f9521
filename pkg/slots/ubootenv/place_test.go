package ubootenv

import (
	"errors"
	"strings"
	"testing"
)

func TestPlaces(t *testing.T) {
	const whole = 8 << 20
	slots := DefaultPlace()
	at := func(change func(*Place)) Place {
		p := DefaultPlace()
		change(&p)
		return p
	}
	pair := at(func(p *Place) { p.Second = 0x4000 })
	for _, c := range []struct {
		name    string
		place   Place
		size    int64
		says    string // the error, "" none
		shadow  int64
		torn    int64
		tooSmal bool
	}{
		{"the default", slots, whole, "", 0x400000, 0x700000, false},
		{"a pair has no shadow", pair, whole, "", -1, 0x700000, false},
		{"a partition that ends before the torn copy", slots, 0x500000, "", 0x400000, -1, false},
		{"a partition that ends in the shadow", slots, 0x402000, "", -1, -1, false},
		{"a partition of just the environment", slots, 0x4000, "", -1, -1, false},
		{"a partition cut off", slots, 0x3fff, "the environment ends at 0x4000 and the partition at 0x3fff", 0, 0, true},
		{"an empty partition", slots, 0, "the environment ends at 0x4000 and the partition at 0x0", 0, 0, true},
		{"a pair in a partition for one", pair, 0x4000, "the environment ends at 0x8000 and the partition at 0x4000", 0, 0, true},
		{"an offset beyond all", at(func(p *Place) { p.Offset = 1<<63 - 512 }), whole, "and the partition at 0x800000", 0, 0, true},
		{"size 0", at(func(p *Place) { p.Size = 0 }), whole, "there is no environment of 0 bytes at 0; correct", 0, 0, false},
		{"a negative size", at(func(p *Place) { p.Size = -512 }), whole, "there is no environment of -512 bytes at 0", 0, 0, false},
		{"a huge size", at(func(p *Place) { p.Size = 1 << 40 }), 1 << 50, "there is no environment of 1099511627776 bytes", 0, 0, false},
		{"a negative offset", at(func(p *Place) { p.Offset = -512 }), whole, "there is no environment of 16384 bytes at -512", 0, 0, false},
		{"half a sector", at(func(p *Place) { p.Size = 0x4100 }), whole, "an environment of 0x4100 bytes does not end with a sector", 0, 0, false},
		{"between sectors", at(func(p *Place) { p.Offset = 0x100 }), whole, "an environment at 0x100 does not begin with a sector", 0, 0, false},
		{"a shadow between sectors", at(func(p *Place) { p.Shadow++ }), whole, "an environment at 0x400001 does not begin with a sector", 0, 0, false},
		{"a shadow in the environment", at(func(p *Place) { p.Shadow = 0x2000 }), whole, "two copies of the environment of 0x4000 bytes, at 0x0 and at 0x2000, overlap", 0, 0, false},
		{"a pair of one", at(func(p *Place) { p.Second = 0 }), whole, "two copies of the environment of 0x4000 bytes, at 0x0 and at 0x0, overlap", 0, 0, false},
		{"torn copies in the shadow", at(func(p *Place) { p.Torn = 0x3fe000 }), whole, "at 0x400000 and at 0x3fe000, overlap", 0, 0, false},
	} {
		got, err := c.place.within(c.size)
		if c.says == "" {
			if err != nil || got.Shadow != c.shadow || got.Torn != c.torn {
				t.Errorf("%s: %+v, %v; want shadow %#x, torn %#x", c.name, got, err, c.shadow, c.torn)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want %q", c.name, err, c.says)
		}
		var small *TooSmallError
		if errors.As(err, &small) != c.tooSmal {
			t.Errorf("%s: %T", c.name, err)
		}
		// Such a place is refused before anything is read or written.
		m := newMemory(0)
		m.bytes = make([]byte, min(c.size, whole))
		if _, err := Update(sized{m, c.size}, c.place, setTo(envOf(t, "a", "1"))); err == nil || len(m.log) != 0 {
			t.Errorf("%s: Update: %v, with %d effects", c.name, err, len(m.log))
		}
	}
}

// sized is a disk that says another size.
type sized struct {
	*memory
	size int64
}

func (s sized) Size() (int64, error) { return s.size, nil }
