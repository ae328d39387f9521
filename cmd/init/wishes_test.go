package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

func wishCard(wishes ...string) *systest.Disk {
	return with(cardAnd(append([]string{"boot.scr=x"}, wishes...), usedData), 3, usedOverlay...)
}

// A wish is obeyed once, removed, and otherwise told of.
func TestWishes(t *testing.T) {
	for name, c := range map[string]struct {
		wish, words   string
		overlay, data bool // is reset
		left          bool // the wish is
		says          string
	}{
		"reset-overlay":            {"reset-overlay=", "", true, false, false, "reset-overlay is asked for: what is on the overlay partition is thrown away"},
		"reset-overlay of Windows": {"Reset-Overlay.TXT=", "", true, false, false, ""},
		"reset-data by text":       {"reset-data= v1\r\n", "minos.build=v1", false, true, false, "reset-data is asked for: what is on the data partition is thrown away, but for config/system, config/ssh"},
		"reset-data of Windows":    {"reset-data.txt=\uFEFFv1", "minos.build=v1", false, true, false, ""},
		"another image":            {"reset-data=v2", "minos.build=v1", false, false, true, `reset-data on the boot partition is not obeyed, ignoring: it is for the image "v2", and this is v1`},
		"no image":                 {"reset-data=", "minos.build=v1", false, false, true, "it has to say which image it is for, in its text or behind a = in its name: v1"},
		"no label":                 {"reset-data=v1", "", false, false, true, "this image has no label, which minos.build= would give it"},
		"a directory":              {"reset-overlay/x=1", "", false, false, true, "reset-overlay on the boot partition is not obeyed, ignoring: it is no file"},
		"volatile":                 {"reset-overlay=", "minos.overlay=volatile", false, false, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			k := bootCard(t, slotA+c.words, wishCard(c.wish), nil)
			judgeReset(t, k, c.overlay, c.data)
			listed(t, k, "/boot/firmware", systestTree(wishesLeft(c.wish, c.left))...)
			tells(t, k, c.says)
		})
	}
}

func wishesLeft(wish string, left bool) []string {
	if left {
		return []string{"boot.scr=x", wish}
	}
	return []string{"boot.scr=x"}
}

// judgeReset looks whether the partitions were reset, those and no others.
func judgeReset(t *testing.T, k *systest.Kernel, overlay, data bool) {
	t.Helper()
	if data {
		listed(t, k, "/data", keptData...)
	} else if !slices.Contains(k.Files("/data"), "apps/a=1") {
		t.Errorf("data was reset: %q", k.Files("/data"))
	}
	if k.MountedAt("/run/initramfs/overlay") == "" {
		return
	}
	mine := slices.Contains(k.Files("/run/initramfs/overlay"), "b/upper/mine=1")
	if mine == overlay {
		t.Errorf("the overlay partition was reset: %v, want %v: %q", !mine, overlay, k.Files("/run/initramfs/overlay"))
	}
}

// A wish in the name of a file, which a list of files here cannot have.
func TestWishInAName(t *testing.T) {
	for _, name := range []string{"reset-data=v1", "RESET-DATA=v1.txt"} {
		k := systest.New("")
		k.AddDisk(wishCard())
		for _, err := range []error{
			k.Mkdir("/x", 0o755), k.Mount(sys.MountRequest{Source: "/dev/vda1", Target: "/x", FSType: "vfat"}), k.WriteFile("/x/"+name, nil, 0o644),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		next := bootCard(t, slotA+"minos.build=v1", k.CutPower(func(int) bool { return true })[0], nil)
		judgeReset(t, next, false, true)
		listed(t, next, "/boot/firmware", "boot.scr=x")
	}
}

// What minosctl leaves: the request of each partition.
func TestRequests(t *testing.T) {
	d := with(cardAnd([]string{"boot.scr=x"}, append([]string{".minos-reset="}, usedData...)), 3, append([]string{".minos-reset="}, usedOverlay...)...)
	k := bootCard(t, slotA, d, nil)
	judgeReset(t, k, true, true)
	if strings.Contains(k.Trace(), "remount") {
		t.Errorf("the boot partition was made writable:\n%s", k.Trace())
	}
}

// A wish that could not be removed would be obeyed at each boot, so it is not
// obeyed at all.
func TestWishOnAReadOnlyCard(t *testing.T) {
	for _, fails := range []string{"remount /mnt/boot rw", "remove /mnt/boot/reset-data", "syncfs /mnt/boot", "write /mnt/data/.minos-reset"} {
		k := bootCard(t, slotA+"minos.build=v1", wishCard("reset-data=v1"), func(k *systest.Kernel) { k.Fail(fails, unix.EIO) })
		judgeReset(t, k, false, false)
		tells(t, k, "reset-data on the boot partition is not obeyed, ignoring: ")
		if files := k.Files("/data"); strings.HasPrefix(files[0], ".minos-reset") {
			t.Errorf("%s: the request stays: %q", fails, files)
		}
	}
}

// A full disk is a reason for a reset, and no obstacle.
func TestResetOfAFullPartition(t *testing.T) {
	for _, fails := range []string{"mkdir /mnt/data/.minos-trash", "rename /mnt/data/apps /mnt/data/.minos-trash", "rename /mnt/data/config/wifi"} {
		times := 1
		if strings.HasPrefix(fails, "mkdir") {
			times = -1
		}
		d := with(cardAnd([]string{"boot.scr=x", "reset-data=v1"}, usedData), 3, usedOverlay...)
		k := bootCard(t, slotA+"minos.build=v1", d, func(k *systest.Kernel) { k.FailTimes(fails, times, unix.ENOSPC) })
		judgeReset(t, k, false, true)
	}
	// Files only: there is no directory that could become the trash.
	d := cardAnd([]string{"reset-data=v1"}, []string{"a=1", "b=2"})
	k := bootCard(t, slotA+"minos.build=v1", d, func(k *systest.Kernel) { k.Fail("mkdir /mnt/data/.minos-trash", unix.ENOSPC) })
	if files := k.Files("/data"); len(files) > 0 {
		t.Errorf("/data has %q", files)
	}
}
