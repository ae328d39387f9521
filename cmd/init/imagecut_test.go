package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// imageCut is a boot of the layout image whose power is cut at every effect.
type imageCut struct {
	name  string
	disks func() []*systest.Disk
	// after are the images once all is done, where that is always the same, and complete those of which one has
	// to be booted when the medium was taken out after the cut.
	after    map[string]string
	complete []string
}

// Layouts 2.5, statement 8: whatever a cut leaves, the next boot starts from a
// complete image, also when the medium is gone, and the new one is current one
// boot later at most. The source goes only after that.
func TestStatement2_5_8_PowerCutWhileAdopting(t *testing.T) {
	two := imgName + "=" + squashfs("2")
	here := func(images ...string) func() []*systest.Disk {
		return func() []*systest.Disk { return []*systest.Disk{bringing(imageDisk(images...), two)} }
	}
	tight := func() []*systest.Disk {
		d := bringing(imageDisk(imgName+"="+squashfs("1"), oldName+"="+squashfs("0")), two)
		d.Parts[1].Room = 1<<20 + 2*imageSize
		return []*systest.Disk{d}
	}
	withStick := func() []*systest.Disk {
		return []*systest.Disk{imageDisk(imgName + "=" + squashfs("1")), stick(two, sumOf(squashfs("2")))}
	}
	both := map[string]string{imgName: "2", oldName: "1"}
	for _, c := range []imageCut{
		{"first", here(imgName + "=" + squashfs("1")), both, []string{"1", "2"}},
		{"in two pieces", func() []*systest.Disk {
			return []*systest.Disk{bringing(imageDisk(imgName+"="+squashfs("1")), imgName+"="+large("2"))}
		}, both, []string{"1", "2"}},
		{"with one before", here(imgName+"="+squashfs("1"), oldName+"="+squashfs("0")), both, []string{"1", "2"}},
		{"of the old way", here(imgName+"="+squashfs("1"), imgName+"-old="+squashfs("0"), imgName+"-new="+squashfs("9")[:99]), both, []string{"1", "2"}},
		{"no room", tight, both, []string{"1", "2"}},
		{"stick", withStick, both, []string{"1", "2"}},
		{"between the renames", here(newName+"="+squashfs("1"), oldName+"="+squashfs("0")), nil, []string{"1", "2"}},
		{"promoted, source still there", here(imgName+"="+squashfs("2"), oldName+"="+squashfs("1")), both, []string{"2"}},
		{"copied, not promoted", here(imgName+"="+squashfs("1"), newName+"="+squashfs("2"), oldName+"="+squashfs("0")), both, []string{"1", "2"}},
		{"not whole", here(imgName+"=damaged", oldName+"="+squashfs("1")), both, []string{"1", "2"}},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t) })
	}
}

func (c imageCut) run(t *testing.T) {
	whole := systest.New(onImage)
	for _, d := range c.disks() {
		whole.AddDisk(d)
	}
	start(whole, mount.InOrder)
	// Before and behind this nothing is done to an image.
	before, rest, _ := strings.Cut(whole.Trace(), " /mnt/newimg ro,noatime\n")
	during, _, _ := strings.Cut(rest, "unmount /mnt/newimg\n")
	from, effects := strings.Count(before, "\n"), strings.Count(during, "\n")+2
	if effects < 5 {
		t.Fatalf("the adoption has only %d effects:\n%s", effects, whole.Trace())
	}
	cases := 0
	for cut := from; cut <= from+effects; cut++ {
		for variant := 0; ; variant++ {
			last := false
			for _, pulled := range []bool{false, true} {
				k := systest.New(onImage)
				for _, d := range c.disks() {
					k.AddDisk(d)
				}
				k.CutAfter(cut)
				start(k, mount.InOrder)
				var keep func(int) bool
				keep, last = losses(variant, k.Unsynced())
				where := fmt.Sprintf("cut after %d effects, loss %d, medium pulled: %v", cut, variant, pulled)
				c.judge(t, where, k.CutPower(keep), pulled)
				cases++
			}
			if t.Failed() {
				return
			}
			if last || testing.Short() && variant == 6 {
				break
			}
		}
	}
	t.Logf("%d boundaries, %d cases", effects+1, cases)
}

// judge boots what a cut left, without the medium where it was pulled out, and
// then with it.
func (c imageCut) judge(t *testing.T, where string, disks []*systest.Disk, pulled bool) {
	t.Helper()
	medium := disks
	if pulled {
		if len(disks) > 1 {
			disks = disks[:1]
		} else {
			board := *disks[0]
			board.Parts = disks[0].Parts[:3]
			disks = []*systest.Disk{&board}
		}
		k := bootImage(t, onImage, nil, disks...)
		if version := readFile(k, "/etc/version"); !slices.Contains(c.complete, version) {
			t.Fatalf("%s: without the medium version %q boots:\n%s", where, version, k.Trace())
		}
		k.CutPower(func(int) bool { return true })
	}
	k := bootImage(t, onImage, nil, medium...)
	versionIs("2")(t, k)
	if c.after != nil {
		images(t, k, c.after)
	} else if got := names(k, imgDir); !slices.Equal(got, []string{oldName, imgName}) {
		t.Errorf("the images are %q", got)
	}
	if strings.Contains(k.Trace(), "degraded=") {
		t.Errorf("the boot is degraded:\n%s", k.Trace())
	}
	settled := again(t, k)
	if strings.Contains(settled.Trace(), "remount") {
		t.Errorf("the boot after the next still has something to do:\n%s", settled.Trace())
	}
	if t.Failed() {
		t.Fatal(where)
	}
}

// Whatever a cut takes of throwing the upper away: the next boot has a new one,
// and what is in persistent.
func TestPowerCutWhileTheUpperIsThrownAway(t *testing.T) {
	disk := func() *systest.Disk {
		return with(imageDisk(imgName+"="+squashfs("1")), 3,
			"persistent/etc/ssh/key=mine", "upper/written=x", "work/work/", ".trash/older=x", ".trash/more-1/oldest=x")
	}
	whole := bootImage(t, onImage, nil, disk())
	effects := strings.Count(whole.Trace(), "\n")
	for cut := range effects + 1 {
		for variant := 0; ; variant++ {
			k := systest.New(onImage)
			k.AddDisk(disk())
			k.CutAfter(cut)
			start(k, mount.InOrder)
			keep, last := losses(variant, k.Unsynced())
			next := bootImage(t, onImage, nil, k.CutPower(keep)...)
			if key := readFile(next, "/etc/ssh/key"); key != "mine" || strings.Contains(next.Trace(), "degraded=") {
				t.Fatalf("cut after %d, loss %d: the key is %q:\n%s", cut, variant, key, next.Trace())
			}
			for _, gone := range []string{"/written", "/older", "/oldest"} {
				if got := readFile(next, gone); !strings.Contains(got, "no such file") {
					t.Fatalf("cut after %d, loss %d: %s of an earlier boot reads %q", cut, variant, gone, got)
				}
			}
			if got := names(next, overlayDir+"/.trash"); got != nil {
				t.Fatalf("cut after %d, loss %d: the trash still has %q", cut, variant, got)
			}
			if last || testing.Short() && variant == 6 {
				break
			}
		}
	}
}
