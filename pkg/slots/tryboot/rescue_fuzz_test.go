package tryboot

import (
	"testing"

	"github.com/minos-os/minos-init/pkg/slots"
)

// FuzzRescues: whatever is in the file, the count is of a slot, and ends.
//
//fuzz:covers rescue.go
func FuzzRescues(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("slot=C times=1\nslot=B times=65536\nslot=A times=x\n"))
	f.Add(Rescues{slots.B, 2}.Bytes())
	f.Add(Rescues{slots.A, RescueLimit}.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := ParseRescues(data)
		if r != (Rescues{}) && ParseRescues(r.Bytes()) != r {
			t.Errorf("%q is %+v, which is read back as %+v", data, r, ParseRescues(r.Bytes()))
		}
		for _, slot := range []slots.Slot{slots.A, slots.B} {
			next, times := r, 0
			for ok := true; ok; times++ {
				next, ok = next.Next(slot)
			}
			if times > RescueLimit+1 {
				t.Errorf("%q: slot %s fails %d times", data, slot, times)
			}
			if len(next.Bytes()) != SizeLimit {
				t.Errorf("%+v are %d bytes", next, len(next.Bytes()))
			}
		}
	})
}
