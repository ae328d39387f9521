package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// What a boot makes of a data or an overlay partition that is damaged, or may
// be, and of systemd's words for it.
func TestChecks(t *testing.T) {
	const p3, p4 = "e2fsck -p -f /dev/vda3", "e2fsck -p -f /dev/vda4"
	errorsOn := func(number int) func(*systest.Disk) {
		return func(d *systest.Disk) { part(d, number).Errors = true }
	}
	unclean := func(number int) func(*systest.Disk) {
		return func(d *systest.Disk) { part(d, number).Unclean = true }
	}
	refused := func(k *systest.Kernel) { k.FailTimes("mount ext4 /dev/vda4", 1, unix.EUCLEAN) }
	exits := func(status int) func(*systest.Kernel) {
		return func(k *systest.Kernel) { k.Answer("e2fsck", sys.Exit{Status: status, Output: "words"}) }
	}
	killed := func(k *systest.Kernel) { k.Fail("tool in /mnt/tools-vda4", sys.ErrKilled) }
	noTool := func(d *systest.Disk) { with(d, 6, rootfsFiles...) }
	const lost = "/data is empty and read-only, ignoring: cannot mount the data partition: "
	const unchecked = "and is used unchecked, ignoring: "
	for _, c := range []struct {
		name, words string
		change      []func(*systest.Disk)
		breaks      []func(*systest.Kernel)
		ran         []string // of e2fsck, in any order
		before      bool     // each before the partition's first mount
		degraded    bool
		says        string
	}{
		{name: "nothing is wrong"},
		{name: "data refused and mended", breaks: []func(*systest.Kernel){refused, exits(1)}, ran: []string{p4}, says: "e2fsck has gone through /dev/vda4 and left no errors: words"},
		{name: "data refused and not mended", breaks: []func(*systest.Kernel){refused, exits(4)}, ran: []string{p4}, degraded: true, says: lost},
		{name: "data with errors", change: []func(*systest.Disk){errorsOn(4)}, ran: []string{p4}, before: true, says: "e2fsck has gone through /dev/vda4"},
		{name: "data with errors that stay", change: []func(*systest.Disk){errorsOn(4)}, breaks: []func(*systest.Kernel){exits(4)}, ran: []string{p4}, before: true, degraded: true,
			says: lost + "it is not mended: e2fsck of /dev/vda4 ended with exit status 4: words"},
		{name: "a check that is cut off", change: []func(*systest.Disk){errorsOn(4)}, breaks: []func(*systest.Kernel){killed}, ran: []string{p4}, before: true, degraded: true,
			says: lost + "it is not mended: exec /usr/sbin/e2fsck: was killed because it took too long"},
		{name: "data without journal", change: []func(*systest.Disk){unclean(4)}, ran: []string{p4}, before: true},
		{name: "overlay without journal", change: []func(*systest.Disk){unclean(3)}, ran: []string{p3}, before: true},
		{name: "data without journal, no tool", change: []func(*systest.Disk){unclean(4), noTool},
			says: "/dev/vda4 was not unmounted, and has no journal that would make it whole, " + unchecked + "slot A has no e2fsck in "},
		{name: "forced", words: " fsck.mode=force", ran: []string{p3, p4}, before: true},
		{name: "forced, no tool", words: " fsck.mode=force", change: []func(*systest.Disk){noTool}, says: "/dev/vda3 is to be checked, as fsck.mode=force has it, " + unchecked},
		{name: "forced, all mended", words: " fsck.mode=force fsck.repair=yes", ran: []string{"e2fsck -y -f /dev/vda3", "e2fsck -y -f /dev/vda4"}, before: true},
		{name: "forced, nothing mended", words: " fsck.mode=force fsck.repair=no", breaks: []func(*systest.Kernel){exits(4)},
			ran: []string{"e2fsck -n -f /dev/vda3", "e2fsck -n -f /dev/vda4"}, before: true, degraded: true},
		{name: "skipped", words: " fsck.mode=skip", change: []func(*systest.Disk){errorsOn(4), unclean(3)}, says: "/dev/vda4 says that it has errors, " + unchecked + "fsck.mode=skip wants no e2fsck"},
		{name: "skipped and refused", words: " fsck.mode=skip", breaks: []func(*systest.Kernel){refused}, degraded: true, says: "it is not mended: fsck.mode=skip wants no e2fsck"},
		{name: "no such mode", words: " fsck.mode=always", says: "expected auto, force or skip"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := withTools(card())
			for _, change := range c.change {
				change(d)
			}
			k := systest.New("rauc.slot=A" + c.words)
			k.AddDisk(d)
			for _, breaks := range c.breaks {
				breaks(k)
			}
			start(k, mount.InOrder)
			trace := k.Trace()
			if k.Ended() != toInit || !strings.Contains(trace, c.says) || strings.Contains(trace, "degraded=") != c.degraded {
				t.Errorf("ended with %q, want degraded %t and %q to be said:\n%s", k.Ended(), c.degraded, c.says, trace)
			}
			var ran []string
			for line := range strings.Lines(trace) {
				if at := strings.Index(line, "e2fsck -"); strings.HasPrefix(line, "tool in") {
					ran = append(ran, strings.Join(strings.Fields(line[at:])[:4], " "))
				}
			}
			slices.Sort(ran)
			if !slices.Equal(ran, c.ran) {
				t.Errorf("it ran %q, want %q:\n%s", ran, c.ran, trace)
			}
			for _, run := range ran {
				device := run[strings.LastIndex(run, " ")+1:]
				mounted := strings.Index(trace, "mount ext4 "+device)
				if before := mounted < 0 || strings.Index(trace, run) < mounted; before != c.before {
					t.Errorf("%s before %s is mounted: %t, want %t:\n%s", run, device, before, c.before, trace)
				}
			}
		})
	}
}
