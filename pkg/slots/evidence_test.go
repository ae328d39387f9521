package slots

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// block is the partition of a boot state, in memory.
type block [8 << 20]byte

func (b *block) ReadAt(p []byte, off int64) (int, error) { return copy(p, b[off:]), nil }

func (b *block) WriteAt(p []byte, off int64) (int, error) {
	if off < 0x500000 || off+int64(len(p)) > 0x600000 {
		return 0, errors.New("this is not where evidence is kept")
	}
	return copy(b[off:], p), nil
}

// What a failed boot of each slot leaves is read back, each for itself, and a
// block that was written by halves is nothing.
func TestEvidence(t *testing.T) {
	var disk block
	if e, ok := ReadEvidence(&disk, A); ok {
		t.Errorf("a blank partition has the evidence %+v", e)
	}
	long := strings.Repeat("x", 5000)
	for _, e := range []Evidence{
		{A, "rootfs-a", "cannot mount: a=b \"c\"", "3f5a"},
		{B, "init", "later", ""},
		{B, "root", "not \xff UTF-8, and a \x00", "id"},
		{A, "init", long, "id"},
	} {
		other, had := ReadEvidence(&disk, e.Slot.Other())
		if err := e.Write(&disk); err != nil {
			t.Fatal(err)
		}
		want := e
		switch e.Error {
		case long:
			want.Error = long[:2048]
		case "not \xff UTF-8, and a \x00":
			want.Error = "not  UTF-8, and a "
		}
		got, ok := ReadEvidence(&disk, e.Slot)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%+v (-want +got): %s", e, diff)
		}
		if after, has := ReadEvidence(&disk, e.Slot.Other()); after != other || has != had {
			t.Errorf("the evidence of the other slot became %+v", after)
		}
	}
	copy(disk[0x500100:], "torn")
	if e, ok := ReadEvidence(&disk, A); ok {
		t.Errorf("a torn block is the evidence %+v", e)
	}
	if _, ok := ReadEvidence(strings.NewReader("short"), B); ok {
		t.Error("a partition that ends before it has evidence")
	}
}
