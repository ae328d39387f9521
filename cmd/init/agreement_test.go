package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// datedCard is the card of a machine that has settled: the files of its identity
// have the dates that say that they agree.
func datedCard(t *testing.T) *systest.Disk {
	t.Helper()
	_, k := identityOn(t, "rauc.slot=A", card(), 0)
	if err := k.WriteFile("/data/config/system/first-boot-complete", []byte(firstID), 0o444); err != nil {
		t.Fatal(err)
	}
	_, k = identityOn(t, "rauc.slot=A", restarted(k), 0) // finds it complete
	return restarted(k)
}

// dataReads are the files of the data partition that a boot has read.
func dataReads(k *systest.Kernel) (names []string) {
	for _, name := range k.Reads() {
		if strings.HasPrefix(name, "/mnt/data/") {
			names = append(names, name)
		}
	}
	return names
}

// The first file that is opened on an ext4 makes the kernel write to it. So a
// settled boot reads none of the data partition, and changes no date either.
func TestSettledIdentityOpensNothingOfData(t *testing.T) {
	settled := identity{Etc: firstID, Mode: "0444", Stored: firstID, Complete: true}
	d := datedCard(t)
	for _, slot := range []string{"A", "B", "B", "A"} {
		got, k := identityOn(t, "rauc.slot="+slot, d, 99)
		if diff := cmp.Diff(settled, got); diff != "" {
			t.Errorf("slot %s (-want +got):\n%s", slot, diff)
		}
		reads := dataReads(k)
		first := slot == "B" && d.Name != "seen"
		if first != (len(reads) > 0) || first != strings.Contains(k.Trace(), "\ndate /sysroot/etc/machine-id") {
			t.Errorf("slot %s, its first boot %v: reads %q of data:\n%s", slot, first, reads, k.Trace())
		}
		d = restarted(k)
		if slot == "B" {
			d.Name = "seen"
		}
	}
}

// Whoever changes one of the three files is noticed, whatever the clock says.
func TestChangedIdentityIsNoticed(t *testing.T) {
	const (
		stored   = "/data/config/system/machine-id"
		complete = "/data/config/system/first-boot-complete"
	)
	settled := identity{Etc: firstID, Mode: "0444", Stored: firstID, Complete: true}
	another := identity{Etc: oldID, Mode: "0444", Stored: oldID, Complete: true}
	write := func(file, text string) func(k *systest.Kernel) error {
		return func(k *systest.Kernel) error { return k.WriteFile(file, []byte(text), 0o444) }
	}
	for _, c := range []struct {
		name   string
		change func(k *systest.Kernel) error
		want   identity
	}{
		{"another id", write(stored, oldID), another},
		{"another file with the same date", func(k *systest.Kernel) error {
			is, err := k.Lstat(stored)
			return errors.Join(err, k.WriteFile(stored+".new", []byte(oldID), 0o444),
				k.SetModified(stored+".new", is.Modified), k.Rename(stored+".new", stored))
		}, another},
		{"another id in the new root", write("/etc/machine-id", oldID), settled},
		{"nonsense in the new root", write("/etc/machine-id", strings.Repeat("x", 33)), settled},
		{"the note is gone", func(k *systest.Kernel) error { return k.Remove(complete) }, settled},
		{"a note of another id", write(complete, oldID), settled},
		{"a longer file", write(stored, firstID+"#"), settled},
		{"no id at all", write(stored, "no id\n"), identity{Etc: firstID, Mode: "0444", Stored: firstID, Complete: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, k := identityOn(t, "rauc.slot=A", datedCard(t), 99)
			if len(dataReads(k)) > 0 {
				t.Fatalf("the machine has not settled: %q", dataReads(k))
			}
			if err := c.change(k); err != nil {
				t.Fatal(err)
			}
			got, k := identityOn(t, "rauc.slot=A", restarted(k), 99)
			if c.name == "a longer file" {
				got.Stored, c.want.Stored = "", ""
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if note, _ := k.ReadFile(complete); c.want == settled && string(note) != firstID {
				t.Errorf("the note is %q", note)
			}
		})
	}
}

// A filesystem that keeps whole seconds tells nothing by its dates, and is not
// given new ones in each boot.
func TestDatesOfWholeSecondsAreNotTrusted(t *testing.T) {
	_, k := identityOn(t, "rauc.slot=A", datedCard(t), 99)
	is, err := k.Lstat("/data/config/system/machine-id")
	if err != nil {
		t.Fatal(err)
	}
	const whole = int64(2e9)
	for file, date := range map[string]int64{"machine-id": whole, "first-boot-complete": whole + int64(is.Inode)} {
		if err := k.SetModified("/data/config/system/"+file, date); err != nil {
			t.Fatal(err)
		}
	}
	if err := k.SetModified("/etc/machine-id", whole+int64(is.Inode)); err != nil {
		t.Fatal(err)
	}
	_, k = identityOn(t, "rauc.slot=A", restarted(k), 99)
	if reads := dataReads(k); len(reads) != 2 || strings.Contains(k.Trace(), "\ndate ") {
		t.Errorf("read %q of data:\n%s", reads, k.Trace())
	}
	_, k = identityOn(t, "rauc.slot=A", datedCard(t), 99)
	if err := k.SetModified("/etc/machine-id", whole); err != nil {
		t.Fatal(err)
	}
	if _, k = identityOn(t, "rauc.slot=A", restarted(k), 99); strings.Contains(k.Trace(), "\ndate ") {
		t.Errorf("a file whose filesystem keeps seconds only is dated:\n%s", k.Trace())
	}
}

// A note that could not be written is not dated as if it had been.
func TestFailedNoteIsNotDated(t *testing.T) {
	const complete = "/data/config/system/first-boot-complete"
	_, k := identityOn(t, "rauc.slot=A", datedCard(t), 99)
	if err := k.WriteFile(complete, []byte(oldID), 0o444); err != nil {
		t.Fatal(err)
	}
	d := restarted(k)
	k = systest.New("rauc.slot=A")
	k.AddDisk(d)
	k.Fail("write /mnt"+complete, unix.ENOSPC)
	k.ReturnAfterExec()
	start(k, mount.InOrder)
	if !strings.Contains(k.Trace(), "the next boot may be taken for a first one, ignoring: ") || strings.Contains(k.Trace(), "\ndate ") {
		t.Errorf("nobody is told, or a file is dated:\n%s", k.Trace())
	}
}

// A cut in the boot that dates the files, or in one that follows a change by
// hand: the next boot has the id that /data has.
func TestPowerCutWhileDating(t *testing.T) {
	for name, text := range map[string]string{"the same id": firstID, "another id": oldID} {
		t.Run(name, func(t *testing.T) {
			fresh := func() *systest.Disk {
				_, k := identityOn(t, "rauc.slot=A", datedCard(t), 99)
				for _, file := range []string{"machine-id", "first-boot-complete"} {
					if err := k.WriteFile("/data/config/system/"+file, []byte(text), 0o444); err != nil {
						t.Fatal(err)
					}
				}
				return restarted(k)
			}
			whole, k := identityOn(t, "rauc.slot=A", fresh(), 99)
			if want := (identity{Etc: text, Mode: "0444", Stored: text, Complete: true}); whole != want {
				t.Fatalf("without a cut: %s", cmp.Diff(want, whole))
			}
			lines := strings.Split(k.Trace(), "\n")
			from := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "mount overlay") })
			for cut := from; cut < len(lines); cut++ {
				for variant, last := 0, false; !last; variant++ {
					k := systest.New("rauc.slot=A")
					k.AddDisk(fresh())
					k.CutAfter(cut)
					start(k, mount.InOrder)
					var keep func(int) bool
					keep, last = losses(variant, k.Unsynced())
					after, again := identityOn(t, "rauc.slot=A", k.CutPower(keep)[0], 99)
					if after != whole {
						t.Fatalf("cut after %d of %d effects, loss %d (-want +got):\n%s", cut, len(lines)-1, variant, cmp.Diff(whole, after))
					}
					if last, k := identityOn(t, "rauc.slot=A", restarted(again), 99); last != whole || len(dataReads(k)) > 0 {
						t.Fatalf("cut after %d, loss %d: the boot after the next has %+v and reads %q", cut, variant, last, dataReads(k))
					}
				}
			}
		})
	}
}

// The machine-id of one boot's command line is not taken for that of /data by
// the next.
func TestGivenIdentityIsNotDated(t *testing.T) {
	_, k := identityOn(t, "rauc.slot=A", datedCard(t), 99)
	for _, file := range []string{"/etc/machine-id", "/data/config/system/first-boot-complete"} {
		if err := k.WriteFile(file, []byte(oldID), 0o444); err != nil {
			t.Fatal(err)
		}
	}
	given, k := identityOn(t, "rauc.slot=A systemd.machine_id="+strings.TrimSpace(oldID), restarted(k), 99)
	if want := (identity{Etc: oldID, Mode: "0444", Stored: firstID, Complete: true}); given != want {
		t.Errorf("with the word (-want +got):\n%s", cmp.Diff(want, given))
	}
	got, _ := identityOn(t, "rauc.slot=A", restarted(k), 99)
	if want := (identity{Etc: firstID, Mode: "0444", Stored: firstID, Complete: true}); got != want {
		t.Errorf("in the next boot (-want +got):\n%s", cmp.Diff(want, got))
	}
}
