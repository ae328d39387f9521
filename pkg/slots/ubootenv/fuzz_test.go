package ubootenv

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"testing"
)

// seedLists are lists of strings that a fuzzer begins with.
var seedLists = []string{
	"BOOT_ORDER=A B\x00BOOT_A_LEFT=3\x00BOOT_B_LEFT=3\x00\x00",
	"a=1\x00a=2=3\x00b\x00=x\x00a=\x00c=\xff\\\x00\x00stale=1\x00",
	"no=end",
	"\x00\x00\x00",
}

// FuzzCodec seals any bytes as an environment: they decode to what U-Boot has
// in its hands, and that is encoded and decoded to the same.
//
//fuzz:covers codec.go
func FuzzCodec(f *testing.F) {
	for _, list := range seedLists {
		for _, header := range []Header{Plain, WithFlags} {
			block := append(make([]byte, header), list...)
			if e, _, err := Decode(sealAs(block, header)); err != nil || len(e.Names()) == 0 && list[0] != 0 {
				f.Fatalf("seed %q: %v, %q", list, err, e.Names())
			}
			f.Add([]byte(list), header == WithFlags, byte(0xff))
		}
	}
	f.Fuzz(func(t *testing.T, list []byte, withFlags bool, pad byte) {
		header := Plain
		if withFlags {
			header = WithFlags
		}
		block := sealAs(append(make([]byte, header), list...), header)
		e, got, err := Decode(block)
		if err != nil {
			if len(block) >= minSize && !errors.Is(err, ErrBlank) {
				t.Fatalf("%q: %v", block, err)
			}
			return
		}
		if got == header && !maps.Equal(mapOf(e), ubootImport(list)) {
			t.Fatalf("%q: %q is not what U-Boot has", list, lines(e))
		}
		again, err := e.Encode(len(block)+2, got, 7, pad) // a list without an end gets one
		if err != nil {
			t.Fatalf("%q: %v", list, err)
		}
		back, header, err := Decode(again)
		if err != nil || header != got || !back.Equal(e) {
			t.Fatalf("%q: %v, header %d, %q; want %q", list, err, header, lines(back), lines(e))
		}
	})
}

// sealAs puts the checksum of a header in front.
func sealAs(block []byte, header Header) []byte {
	binary.LittleEndian.PutUint32(block, crc32.ChecksumIEEE(block[header:]))
	return block
}

// FuzzDecode takes any bytes as they are.
//
//fuzz:covers Decode isBlank parse
func FuzzDecode(f *testing.F) {
	for _, g := range golden {
		f.Add(g.block(f))
		f.Add(g.block(f)[1:]) // damaged
	}
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, block []byte) {
		e, header, err := Decode(block)
		var damaged *DamagedError
		if err != nil && (header != 0 || len(e.entries) != 0 || errors.Is(err, ErrBlank) == errors.As(err, &damaged)) {
			t.Fatalf("%v, header %d, %q", err, header, lines(e))
		}
	})
}

// What the fuzzer can put at each offset of its disk.
const (
	sealedPlain = iota // a valid environment
	sealedFlags
	sealedTwice // a valid environment of twice the size, which is foreign
	raw
	spoiled // unreadable
	kinds
)

// small is the place of the seeds. The disk of the fuzzer has 8 sectors, so
// that an input is small.
var small = Place{Offset: 0, Size: sector, Second: -1, Shadow: 3 * sector, Torn: 6 * sector}

// fuzzDisk makes a disk with lists of strings at the offset 0 and 3*sector.
func fuzzDisk(first, second []byte, kind, flags byte) *memory {
	m := newMemory(8 * sector)
	for i, list := range [][]byte{first, second} {
		offset := int64(i * 3 * sector)
		block := make([]byte, 2*sector)
		n, header := sector, Plain
		switch kind >> (4 * i) & 15 % kinds {
		case sealedFlags:
			header = WithFlags
		case sealedTwice:
			n = 2 * sector
		case raw:
			m.put(offset, list[:min(len(list), sector)])
			continue
		case spoiled:
			m.spoil(extent{offset, block[:sector]})
			continue
		}
		copy(block[header:n], list)
		if header == WithFlags {
			block[Plain] = flags + byte(i)
		}
		m.put(offset, sealAs(block[:n], header))
	}
	return m
}

// FuzzStore takes any content of a disk and any place. Read never panics and
// never writes; Update writes whole sectors of the environment and of what
// belongs to it, nothing when it refuses, and what it wrote is there
// afterwards.
//
//fuzz:covers read.go update.go
func FuzzStore(f *testing.F) {
	pair := small
	pair.Second = small.Shadow
	add := func(place Place, kind1, kind2, flags byte, from Source) {
		lists := [2][]byte{[]byte(seedLists[0]), []byte(seedLists[1])}
		kind := kind1 | kind2<<4
		if got, err := Read(fuzzDisk(lists[0], lists[1], kind, flags), place); got.From != from {
			f.Fatalf("a seed of kind %#x is read from %q, %v; want %q", kind, got.From, err, from)
		}
		f.Add(lists[0], lists[1], kind, flags, place.Offset, place.Size, place.Second, place.Shadow, place.Torn)
	}
	add(small, sealedPlain, raw, 0, Primary)
	add(small, raw, sealedFlags, 3, Shadow)
	add(small, spoiled, sealedPlain, 0, Shadow)
	add(small, raw, raw, 0, None)
	add(small, sealedTwice, sealedPlain, 0, None)
	add(pair, sealedFlags, sealedFlags, 255, Second)
	add(pair, sealedFlags, spoiled, 7, First)
	add(pair, sealedPlain, raw, 0, None)
	f.Fuzz(func(t *testing.T, first, second []byte, kind, flags byte, offset, size, other, shadow, torn int64) {
		m := fuzzDisk(first, second, kind, flags)
		place := Place{offset, size, other, shadow, torn}
		before, readErr := Read(m, place)
		if len(m.log) != 0 || (readErr == nil) != (before.From != None) {
			t.Fatalf("Read: %d effects, from %q, %v", len(m.log), before.From, readErr)
		}
		want := before.Env
		if err := want.Set("BOOT_A_LEFT", "fuzzed"); err != nil {
			t.Fatal(err)
		}
		changed, err := Update(m, place, setTo(want))
		for _, e := range m.log {
			if e.bytes != nil && !belongs(place, extent(e)) {
				t.Fatalf("%d bytes were written at %#x, with %+v", len(e.bytes), e.offset, place)
			}
		}
		if err != nil {
			if len(m.log) != 0 {
				t.Fatalf("%v, after %d effects", err, len(m.log))
			}
			return
		}
		after, err := Read(m, place)
		if err != nil || !after.Env.Equal(want) || changed == before.Env.Equal(want) && before.From != Shadow {
			t.Fatalf("after Update: %v, %v, from %q, %q; want %q", changed, err, after.From, lines(after.Env), lines(want))
		}
	})
}

// belongs tells whether a write is one whole copy of the environment.
func belongs(place Place, w extent) bool {
	if int64(len(w.bytes)) != place.Size || place.Size%sector != 0 || w.offset%sector != 0 || w.offset < 0 {
		return false
	}
	shadow := place.Shadow
	if place.Second >= 0 {
		shadow = -1
	}
	return w.offset == place.Offset || w.offset == place.Second || w.offset == shadow || w.offset == place.Torn
}
