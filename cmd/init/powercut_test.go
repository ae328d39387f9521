package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots/ubootenv"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// cutScenario is a boot whose power is cut at every effect.
type cutScenario struct {
	name    string
	cmdline string
	// state is the boot state before it, "" for none, and left are the attempts
	// that slot A may have after the boot that follows the cut.
	state string
	left  []string
	// overlay are the files on the overlay partition before it.
	overlay []string
	// mustShow are files of an earlier boot that have to be in the new root
	// afterwards, and mustHide those that must not; mustKeep have to be
	// somewhere on the partition.
	mustShow, mustHide, mustKeep []string
}

// identityOf the root filesystem of the card, as its first boot stamps it.
func identityOf(t *testing.T) string {
	t.Helper()
	k := systest.New("rauc.slot=A")
	k.AddDisk(with(card(), 3))
	start(k, mount.InOrder)
	for _, f := range k.Files("/run/initramfs/overlay") {
		if id, ok := strings.CutPrefix(f, "a/lower="); ok {
			return strings.TrimSpace(id)
		}
	}
	t.Fatal("the first boot left no stamp")
	return ""
}

// Power cut at every call of the upper's change and of reset: the next boot
// comes up, with what it should have.
func TestPowerCutAtEveryCall(t *testing.T) {
	same := "a/lower=" + identityOf(t) + "\n"
	for _, s := range []cutScenario{
		{name: "first upper", cmdline: "rauc.slot=A"},
		{name: "adopted upper", cmdline: "rauc.slot=A",
			overlay: []string{"a/upper/mine=1", "a/work/work/"}, mustShow: []string{"mine"}},
		// A cut takes no attempt, or one; never more, and never the state.
		{name: "attempt", cmdline: "quiet", state: "BOOT_ORDER=A B;BOOT_A_LEFT=6;BOOT_B_LEFT=3", left: []string{"5", "4"},
			overlay: []string{same, "a/upper/mine=1", "a/work/work/"}, mustShow: []string{"mine"}},
		{name: "settled", cmdline: "rauc.slot=A",
			overlay: []string{same, "a/upper/mine=1", "a/upper/etc/machine-id:0444=" + oldID, "a/work/work/"}, mustShow: []string{"mine"}},
		{name: "changed root filesystem", cmdline: "rauc.slot=A",
			overlay:  []string{"a/lower=another\n", "a/upper/mine=1", "a/work/work/", "a.old/upper/older=1"},
			mustKeep: []string{"mine=1"}, mustHide: []string{"mine", "older"}},
		{name: "reset", cmdline: "rauc.slot=A minos.overlay=reset",
			overlay:  []string{same, "a/upper/mine=1", "a/work/work/", "a.trash/upper/older=1", "b/upper/other=1"},
			mustHide: []string{"mine", "older"}, mustKeep: []string{"other=1"}},
	} {
		t.Run(s.name, func(t *testing.T) { s.run(t) })
	}
}

// cardWith is the card with these files on its overlay partition.
func (s cutScenario) cardWith() *systest.Disk {
	d := identified(with(card(), 3, s.overlay...))
	if s.state == "" {
		return d
	}
	return state(d, s.state)
}

func (s cutScenario) run(t *testing.T) {
	whole := systest.New(s.cmdline)
	whole.AddDisk(s.cardWith())
	start(whole, mount.InOrder)
	effects := strings.Count(whole.Trace(), "\n")
	cases := 0
	for cut := range effects + 1 {
		for variant := 0; ; variant++ {
			k := systest.New(s.cmdline)
			k.AddDisk(s.cardWith())
			k.CutAfter(cut)
			start(k, mount.InOrder)
			keep, last := losses(variant, k.Unsynced())
			disks := k.CutPower(keep)
			s.judge(t, fmt.Sprintf("cut after %d of %d effects, loss %d", cut, effects, variant), disks)
			if cases++; last || t.Failed() {
				break
			}
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d boundaries, %d cases", effects+1, cases)
}

// losses are the ways in which a cut may treat n unsynced changes: all lost,
// all kept, each one alone lost, each one alone kept, and a few at random.
func losses(variant, n int) (keep func(i int) bool, last bool) {
	random := 8
	last = variant == 2*n+1+random
	switch {
	case n == 0:
		return func(int) bool { return true }, true
	case variant == 0:
		return func(int) bool { return false }, last
	case variant == 1:
		return func(int) bool { return true }, last
	case variant < 2+n:
		return func(i int) bool { return i != variant-2 }, last
	case variant < 2+2*n:
		return func(i int) bool { return i == variant-2-n }, last
	}
	seed := uint64(variant)
	return func(int) bool { seed = seed*6364136223846793005 + 1442695040888963407; return seed>>63 == 0 }, last
}

// visible says for each file whether it has to be in the new root.
func (s cutScenario) visible() map[string]bool {
	v := map[string]bool{}
	for _, f := range s.mustShow {
		v[f] = true
	}
	for _, f := range s.mustHide {
		v[f] = false
	}
	return v
}

// judge boots the disks again and looks at what is there.
func (s cutScenario) judge(t *testing.T, where string, disks []*systest.Disk) {
	t.Helper()
	k := systest.New(s.cmdline)
	for _, d := range disks {
		k.AddDisk(d)
	}
	start(k, mount.InOrder)
	if k.Ended() != toInit || strings.Contains(k.Trace(), "degraded=") {
		t.Fatalf("%s: the next boot ended with %q:\n%s", where, k.Ended(), k.Trace())
	}
	if s.left != nil {
		env, _, err := ubootenv.Decode(k.Bytes("/dev/vda9", 0, 0x4000))
		left, _ := env.Get("BOOT_A_LEFT")
		if err != nil || !slices.Contains(s.left, left) {
			t.Fatalf("%s: the boot state has %q attempts left (%v), want one of %q", where, left, err, s.left)
		}
	}
	left := k.Files("/run/initramfs/overlay")
	for _, f := range s.mustKeep {
		if !slices.ContainsFunc(left, func(line string) bool { return strings.HasSuffix(line, "/"+f) }) {
			t.Fatalf("%s: %s is lost; there are %q", where, f, left)
		}
	}
	for f, want := range s.visible() {
		if _, _, err := k.ResolveIn("/", "/"+f); (err == nil) != want {
			t.Fatalf("%s: /%s shows in the new root: %v; there are %q", where, f, !want, left)
		}
	}
	// The boot after that has nothing left to do.
	settled := systest.New(s.cmdline)
	for _, d := range k.CutPower(func(int) bool { return true }) {
		settled.AddDisk(d)
	}
	start(settled, mount.InOrder)
	if got := settled.Files("/run/initramfs/overlay"); !slices.Equal(got, left) {
		t.Fatalf("%s: the boot after the next still changes something: from %q to %q", where, left, got)
	}
}

// What somebody wrote and synced over a fresh upper stays bound to the root
// filesystem that it was written over, whatever a cut takes.
func TestPowerCutAfterTheFirstWrite(t *testing.T) {
	for name, overlay := range map[string][]string{
		"first upper":   nil,
		"adopted upper": {"a/upper/", "a/work/"},
		"changed":       {"a/lower=another\n", "a/upper/older=1", "a/work/work/"},
	} {
		for _, updated := range []bool{false, true} {
			for variant := 0; ; variant++ {
				k := systest.New("rauc.slot=A")
				k.AddDisk(with(card(), 3, overlay...))
				k.ReturnAfterExec()
				start(k, mount.InOrder)
				for _, err := range []error{k.WriteFile("/mine", []byte("1"), 0o644), k.Fsync("/mine"), k.Fsync("/run/initramfs/overlay/a/upper")} {
					if err != nil {
						t.Fatal(err)
					}
				}
				keep, last := losses(variant, k.Unsynced())
				disks := k.CutPower(keep)
				if updated {
					disks[0].Parts[5].Label = "another image"
				}
				next := systest.New("rauc.slot=A")
				next.AddDisk(disks[0])
				start(next, mount.InOrder)
				_, _, err := next.ResolveIn("/", "/mine")
				if shows := err == nil; shows == updated {
					t.Fatalf("%s, root filesystem changed: %v, loss %d: the file shows: %v; there are %q",
						name, updated, variant, shows, next.Files("/run/initramfs/overlay"))
				}
				if last {
					break
				}
			}
		}
	}
}
