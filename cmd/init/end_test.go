package main

import (
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/sys"
)

// A system on trial restarts soon, whatever the words say.
func TestDecideEnd(t *testing.T) {
	for _, c := range []struct {
		words   string
		onTrial bool
		how     sys.Ending
		pause   time.Duration
	}{
		{"", false, sys.Restart, 10 * time.Second},
		{"panic=5", false, sys.Restart, 5 * time.Second},
		{"", true, sys.Restart, 3 * time.Second},
		{"panic=60", true, sys.Restart, 3 * time.Second},
		{"panic=1", true, sys.Restart, time.Second},
		{"panic=-1", true, sys.Restart, 0},
		{"panic=0", true, sys.Restart, 3 * time.Second},
		{"minos.onfail=halt", true, sys.Restart, 3 * time.Second},
		{"minos.onfail=poweroff", true, sys.Restart, 3 * time.Second},
		{"minos.onfail=poweroff", false, sys.PowerOff, 10 * time.Second},
	} {
		got := decideEnd(config.Parse(nil, []byte(c.words)), c.onTrial)
		if got.how != c.how || got.pause != c.pause {
			t.Errorf("decideEnd(%q, %t) = %s after %v; want %s after %v", c.words, c.onTrial, got.how, got.pause, c.how, c.pause)
		}
	}
}
