package firstboot

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// board is a disk with a root filesystem that has mke2fs, and a partition.
func board(data *systest.Part) *systest.Disk {
	data.Number, data.Size = 4, size
	return &systest.Disk{Name: "vda", Parts: []*systest.Part{
		data, {Number: 6, FS: "ext4", Files: []string{"usr/sbin/mke2fs=\x7fELF", "dev/", "proc/", "run/", "tmp/"}},
	}}
}

// everything is known to this kernel.
type everything struct{}

func (everything) Filesystem(string) error { return nil }
func (everything) Unknown(string) error    { return nil }

const (
	size  = Smallest // of the partition
	start = 4 * mib  // where it begins, to Judge; any place will do
)

// bring is the part of a boot that is about the partition: it is judged, made
// what it has to be, and mounted.
func bring(k *systest.Kernel) (said []string, err error) {
	env := mount.Env{Kernel: k, Modules: everything{}, Say: func(line string) { said = append(said, line) }}
	root := mount.Mount{Source: "/dev/vda6", Target: "/rootfs", FSType: "ext4", Flags: sys.ReadOnly}
	actions := []mount.Action{root}
	for _, m := range mount.API() {
		if err := m.Apply(env); err != nil {
			return nil, err
		}
	}
	dev, err := k.OpenDevice("/dev/vda4")
	if err != nil {
		return nil, err
	}
	found := Judge(dev, size, start)
	decision := Decide(found, Wish{Format: "x", Build: "x"})
	if decision.Err != nil {
		return nil, decision.Err
	}
	mounted := mount.Mount{Source: "/dev/vda4", Target: "/mnt/data", FSType: "ext4"}
	claim := block.Claim{Start: start, Stale: found.Content == Stale, Replaces: found.Super.UUID}
	for _, a := range []struct {
		wanted bool
		action mount.Action
	}{
		{decision.Claim, Claim{Device: "/dev/vda4", Claim: claim, Why: found.Reason}},
		{decision.Clear, Unclaim{Device: "/dev/vda4", Why: found.Reason}},
		{decision.Format, Format{Device: "/dev/vda4", Label: "data", Tools: mount.Toolbox{Root: root.Target, Name: "slot A"}}},
		{true, mounted},
		{decision.Format, Prove{"/mnt/data"}},
	} {
		if a.wanted {
			actions = append(actions, a.action)
		}
	}
	for _, a := range actions {
		if err := a.Apply(env); err != nil {
			return said, err
		}
	}
	return said, nil
}

// newBoard is a machine with this disk, whose API filesystems are there before
// anything is judged.
func newBoard(d *systest.Disk) *systest.Kernel {
	k := systest.New("")
	k.AddDisk(d)
	return k
}

// Power cut at every call from the first look at a blank partition to the first
// file on it: the next boot makes the filesystem, or finds it, and never makes
// it again over what somebody has put there.
func TestPowerCutAtEveryCallOfAFormat(t *testing.T) {
	// Erased flash at its end only, which takes a sixth of the time.
	erased := append(make([]byte, size-mib), slices.Repeat([]byte{0xff}, mib)...)
	// The header of a filesystem that does not fit, and that has been mounted.
	stale := ext4(t, 1*gib, mounted)[0]
	for name, part := range map[string]func() *systest.Part{
		"blank":  func() *systest.Part { return &systest.Part{} },
		"erased": func() *systest.Part { return &systest.Part{Raw: erased} },
		"old bytes inside": func() *systest.Part {
			p := &systest.Part{}
			// Between the places that are looked at, where mke2fs has something
			// of its own, zeros among it.
			p.PutBytes(2*mib+page, slices.Repeat([]byte{0x5a}, page))
			p.PutBytes(3*mib, slices.Repeat([]byte{0x5a}, page))
			return p
		},
		"stale": func() *systest.Part { return &systest.Part{Raw: stale} },
	} {
		t.Run(name, func(t *testing.T) {
			whole := newBoard(board(part()))
			if said, err := bring(whole); err != nil || len(said) != 2 {
				t.Fatalf("without a cut: %v, %q\n%s", err, said, whole.Trace())
			}
			effects, cases := strings.Count(whole.Trace(), "\n"), 0
			for cut := range effects + 4 {
				for variant := 0; ; variant++ {
					k := newBoard(board(part()))
					k.CutAfter(cut)
					_, err := bring(k)
					kept := err == nil && k.WriteFile("/mnt/data/mine", []byte("1"), 0o644) == nil &&
						k.Fsync("/mnt/data/mine") == nil && k.Fsync("/mnt/data") == nil
					keep, last := losses(variant, k.Unsynced())
					cases++
					judge(t, fmt.Sprintf("cut after %d of %d effects, loss %d", cut, effects, variant), k.CutPower(keep), kept)
					if last || t.Failed() {
						break
					}
				}
				if t.Failed() {
					return
				}
			}
			t.Logf("%d boundaries, %d cases", effects+4, cases)
		})
	}
}

// losses are the ways in which a cut may treat n unsynced changes: all lost,
// all kept, each one alone lost, each one alone kept.
func losses(variant, n int) (keep func(i int) bool, last bool) {
	last = n == 0 || variant == 2*n+1
	switch {
	case variant < 2:
		return func(int) bool { return variant == 1 }, last
	case variant < 2+n:
		return func(i int) bool { return i != variant-2 }, last
	}
	return func(i int) bool { return i == variant-2-n }, last
}

// judge boots what is left twice.
func judge(t *testing.T, where string, disks []*systest.Disk, kept bool) {
	t.Helper()
	next := newBoard(disks[0])
	said, err := bring(next)
	if err != nil {
		t.Fatalf("%s: the next boot: %v", where, err)
	}
	files := next.Files("/mnt/data")
	if kept && (!slices.Contains(files, "mine=1") || len(said) > 0) {
		t.Fatalf("%s: what was synced is gone: there is %q; the boot said %q", where, files, said)
	}
	settled := newBoard(next.CutPower(func(int) bool { return true })[0])
	if said, err := bring(settled); err != nil || len(said) > 0 || strings.Contains(settled.Trace(), "for writing") {
		t.Fatalf("%s: the boot after the next: %v, %q\n%s", where, err, said, settled.Trace())
	}
}

// Whatever fails, the claim stays until the filesystem is whole, and the boot
// after that makes it.
func TestFormatFails(t *testing.T) {
	for _, c := range []struct {
		fails string
		tool  *sys.Exit
		err   string
	}{
		{"open /dev/vda4 for writing", nil, "open /dev/vda4: "},
		{"write /dev/vda4: 0x200 bytes at 0x0", nil, "write /dev/vda4: "},
		{"make /mnt/format-vda4/tmp/ext4", nil, "it is not formatted: open /mnt/format-vda4/tmp/ext4: "},
		{"mount tmpfs tmpfs /mnt/format-vda4/tmp", nil, "it is not formatted: mke2fs of slot A has no place to run: "},
		{"tool in", nil, "it is not formatted: exec /usr/sbin/mke2fs: "},
		{"", &sys.Exit{Status: 1, Output: "mke2fs: no\nspace\n"}, "it is not formatted: mke2fs ended with exit status 1: mke2fs: no space"},
		{"write /dev/vda4: 0xe00 bytes", nil, "it is not formatted: write /dev/vda4: "},
		{"mount ext4 /dev/vda4", nil, "mount /dev/vda4: "},
		{"write /mnt/data/.minos-probe", nil, "the new filesystem does not take a write: open /mnt/data/.minos-probe: "},
		{"fsync /mnt/data", nil, "the new filesystem does not take a write: fsync /mnt/data"},
	} {
		k := newBoard(board(&systest.Part{}))
		if c.fails != "" {
			k.Fail(c.fails, unix.EIO)
		}
		if c.tool != nil {
			k.Answer("mke2fs", *c.tool)
		}
		_, err := bring(k)
		if err == nil || !strings.HasPrefix(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", c.fails, err, c.err)
		}
		next := newBoard(k.CutPower(func(int) bool { return true })[0])
		if _, err := bring(next); err != nil {
			t.Errorf("%s: the next boot: %v", c.fails, err)
		}
	}
}

// A claim under which somebody has a filesystem in use is cleared, and nothing
// else happens.
func TestLeftoverClaim(t *testing.T) {
	k := newBoard(board(&systest.Part{}))
	if _, err := bring(k); err != nil {
		t.Fatal(err)
	}
	if err := k.WriteFile("/mnt/data/mine", []byte("1"), 0o644); err != nil {
		t.Fatal(err)
	}
	d := k.CutPower(func(int) bool { return true })[0]
	d.Parts[0].PutBytes(0, block.Claim{Start: start}.Encode())
	next := newBoard(d)
	said, err := bring(next)
	if err != nil || len(said) != 1 || !strings.HasSuffix(said[0], "; the mark is cleared") || !slices.Contains(next.Files("/mnt/data"), "mine=1") {
		t.Errorf("%v, %q, there is %q", err, said, next.Files("/mnt/data"))
	}
	last := newBoard(next.CutPower(func(int) bool { return true })[0])
	if said, err := bring(last); err != nil || len(said) > 0 {
		t.Errorf("the boot after it: %v, %q", err, said)
	}
}
