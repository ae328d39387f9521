package main

import (
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// Go's supervising thread sleeps longer where nothing runs beside the boot, and
// only there.
func TestSupervisionIsRelaxedWhereNothingRunsBeside(t *testing.T) {
	for _, c := range []struct {
		name     string
		files    []string
		schedule mount.Schedule
		want     time.Duration
	}{
		{"one processor", nil, mount.InOrder, 10 * time.Millisecond},
		{"several processors", nil, nil, 0},
		{"modules load beside", []string{"lib/modules/6.12.0-test/minos.modules=overlay overlay.ko -\n"}, mount.InOrder, 50 * time.Microsecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := systest.New("rauc.slot=A", c.files...)
			k.AddDisk(used())
			start(k, c.schedule)
			if got := k.Slack(); got != c.want {
				t.Errorf("the timers may be late by %v, want %v:\n%s", got, c.want, k.Trace())
			}
		})
	}
}

// The sizes of data and overlay are known from the look at their superblocks: a
// file of sysfs costs 50 µs.
func TestSettledBootReadsNoSizeAgain(t *testing.T) {
	_, k := identityOn(t, "rauc.slot=A", datedCard(t), 99)
	starts := 0
	for _, name := range k.Reads() {
		if strings.HasSuffix(name, "/vda3/size") || strings.HasSuffix(name, "/vda4/size") {
			t.Errorf("%s is read", name)
		}
		if strings.HasSuffix(name, "/vda4/start") {
			starts++
		}
	}
	if starts == 0 {
		t.Errorf("it is not seen whether data could grow: %q", k.Reads())
	}
}
