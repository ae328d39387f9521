package ubootenv

import (
	"testing"
)

// envOf makes an environment of names and values, one after the other.
func envOf(t testing.TB, words ...string) Env {
	t.Helper()
	var e Env
	for i := 0; i < len(words); i += 2 {
		if err := e.Set(words[i], words[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// encoded is an environment as a block.
func encoded(t testing.TB, e Env, size int, header Header, flags, pad byte) []byte {
	t.Helper()
	block, err := e.Encode(size, header, flags, pad)
	if err != nil {
		t.Fatal(err)
	}
	return block
}

// A mark-good writes the environment and its shadow once each, with one flush
// each.
func TestUpdateWritesOnceEach(t *testing.T) {
	m := newMemory(8 << 20)
	place := DefaultPlace()
	m.put(place.Offset, encoded(t, envOf(t, "BOOT_ORDER", "A B", "BOOT_A_LEFT", "2"), 0x4000, Plain, 0, 0xff))
	changed, err := Update(m, place, func(env *Env, found Copy) error {
		if found.From != Primary || found.Padding != 0xff || !found.Protected {
			t.Errorf("found %+v", found)
		}
		return env.Set("BOOT_A_LEFT", "3")
	})
	writes, syncs := m.counts()
	if err != nil || !changed || writes != 2 || syncs != 2 {
		t.Errorf("changed %v, %v, %d writes, %d syncs; want 2 of each", changed, err, writes, syncs)
	}
	for _, offset := range []int64{place.Shadow, place.Offset} {
		e, _, err := Decode(m.bytes[offset : offset+place.Size])
		if left, _ := e.Get("BOOT_A_LEFT"); err != nil || left != "3" {
			t.Errorf("at %#x: BOOT_A_LEFT=%s, %v", offset, left, err)
		}
	}
	changed, err = Update(m, place, func(env *Env, _ Copy) error { return env.Set("BOOT_A_LEFT", "3") })
	if again, _ := m.counts(); err != nil || changed || again != writes {
		t.Errorf("the same once more: changed %v, %v, %d writes", changed, err, again-writes)
	}
}
