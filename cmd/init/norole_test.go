package main

import (
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// A partition that is said not to be there is neither waited for nor looked for,
// under no name, number or content.
func TestARoleThatIsNotThere(t *testing.T) {
	const none = " minos.part.bootstate=none"
	for _, c := range []struct {
		name, words string
		disk        *systest.Disk
		waits       bool
		found       bool // the boot state
		ends        string
		says        string
	}{
		{"it is there", "", state(card(), three), false, true, toInit, "bootstate=vda9"},
		{"it is missing", "", without(card(), 9), true, false, toInit, ""},
		{"it is said to be missing", none, without(card(), 9), false, false, toInit, ""},
		{"it is there and said to be missing", none, state(card(), three), false, false, toInit, ""},
		{"under another number too", none, renumbered(state(card(), three), 9, 12), false, false, toInit, ""},
		{"data", " minos.part.data=none", card(), false, true, toInit, "minos.part.data=none says that there is no such partition"},
		{"what no boot does without", " minos.part.rootfs-a=none", card(), true, false, "reboot", "no disk with rootfs-a (GPT name none)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := systest.New("rauc.slot=A" + c.words)
			k.AddDisk(c.disk)
			start(k, mount.InOrder)
			trace := k.Trace()
			if k.Ended() != c.ends || !strings.Contains(trace, c.says) {
				t.Errorf("ended with %q, want %q, and %q to be said:\n%s", k.Ended(), c.ends, c.says, trace)
			}
			// Its clock moves only while something is waited for.
			if waited := k.Now() >= time.Second; waited != c.waits {
				t.Errorf("it took %v, want a wait: %t", k.Now(), c.waits)
			}
			if found := strings.Contains(trace, " bootstate="); found != c.found {
				t.Errorf("the boot state was found: %t, want %t:\n%s", found, c.found, trace)
			}
		})
	}
}
