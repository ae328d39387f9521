package sys

import (
	"errors"
	"testing"
)

func TestSetReadOnly(t *testing.T) {
	device := loopDevice(t, "512")
	write := func() error {
		d, err := Linux{}.WriteDevice(device)
		if err != nil {
			return err
		}
		_, err = d.WriteAt(make([]byte, 512), 0)
		return errors.Join(err, d.Sync(), d.Close())
	}
	for _, c := range []struct{ on, was bool }{{true, false}, {true, true}, {false, true}, {false, false}} {
		was, err := Linux{}.SetReadOnly(device, c.on)
		if err != nil || was != c.was {
			t.Errorf("to %v: was %v, %v, want %v", c.on, was, err, c.was)
		}
		if err := write(); (err != nil) != c.on {
			t.Errorf("read-only %v: a write gives %v", c.on, err)
		}
	}
	if _, err := (Linux{}).SetReadOnly("/dev/null", true); err == nil {
		t.Error("what is no disk was made read-only")
	}
}
