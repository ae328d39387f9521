package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// boot.json says where the boot state is, as init found it and was told: who
// marks the slot good later goes by that.
func TestReportHasTheBootState(t *testing.T) {
	type place struct {
		Device               string
		Offset, Size, Second int64
	}
	for _, c := range []struct {
		name, cmdline string
		disk          *systest.Disk
		want          place
	}{
		{"an MBR", "rauc.slot=A", state(card(), three), place{"/dev/vda9", 0, 0x4000, -1}},
		{"a GPT", "quiet", gpt(), place{"/dev/vda6", 0, 0x4000, -1}},
		{"a pair", "rauc.slot=A minos.bootstate=0x1000,0x2000,0x8000", card(), place{"/dev/vda9", 0x1000, 0x2000, 0x8000}},
		{"none", "rauc.slot=A", without(card(), 9), place{"", 0, 0x4000, -1}},
	} {
		k := systest.New(c.cmdline)
		// Its clock moves only while something is waited for.
		c.disk.PartsAt = time.Second
		k.AddDisk(c.disk)
		start(k, mount.InOrder)
		var report struct {
			BootState place `json:"boot_state"`
			Timeline  []struct {
				Name  string
				Began int64 `json:"began_us"`
				At    int64 `json:"at_us"`
			}
		}
		found := false
		// The report is in the new root, whose /run was moved.
		for _, f := range k.Files("/run/minos") {
			if content, ok := strings.CutPrefix(f, "boot.json="); ok {
				found = true
				if err := json.Unmarshal([]byte(content), &report); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
		}
		if !found {
			t.Fatalf("%s: no boot.json in %q; the run ended with %q", c.name, k.Files("/run"), k.Ended())
		}
		if diff := cmp.Diff(c.want, report.BootState); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		for _, m := range report.Timeline {
			waited := m.Name != "init" && m.Name != "config" && m.Name != "disk"
			if m.At < m.Began || waited != (m.Began >= time.Second.Microseconds()) {
				t.Errorf("%s: %+v, and the disk was there after a second", c.name, m)
			}
		}
	}
}

// boot.json has what a boot made of the machine, and nothing where all was kept.
func TestReportHasWhatWasSetUp(t *testing.T) {
	for _, c := range []struct {
		name, words string
		disk        *systest.Disk
		want        []string
	}{
		{"a settled boot", "", identified(card()), []string{}},
		{"a new machine", "", with(card(), 1, "config/wpa_supplicant.conf=net"), []string{"files taken over: 1", "machine-id made"}},
		{"one with an id given", " systemd.machine_id=" + strings.TrimSpace(oldID), card(), []string{"machine-id given"}},
		{"one with an id of before", "", with(card(), 3, "a/upper/etc/machine-id="+oldID, "a/work/"), []string{"machine-id taken over"}},
		{"blank data", "", blankCard(4), []string{"data formatted", "machine-id made"}},
		{"a larger card", "", identified(larger(card())), []string{"partition 4 grown to 264 MiB"}},
		{"a reset", " minos.build=v1", with(identified(card()), 1, "reset-data=v1"), []string{"data partition reset"}},
	} {
		k := systest.New("rauc.slot=A" + c.words)
		k.AddDisk(c.disk)
		start(k, mount.InOrder)
		var report struct {
			FirstBoot []string `json:"first_boot"`
		}
		for _, f := range k.Files("/run/minos") {
			if content, ok := strings.CutPrefix(f, "boot.json="); ok {
				if err := json.Unmarshal([]byte(content), &report); err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
			}
		}
		if diff := cmp.Diff(c.want, report.FirstBoot); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}
