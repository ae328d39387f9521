package qemu

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writable is a copy of the stub disk that keeps what machines write.
func writable(t *testing.T) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := CopyImage(image, machines(t).disk); err != nil {
		t.Fatal(err)
	}
	return image
}

// keep makes a machine keep what it writes.
func keep(m *Machine) { m.Drives[0].Keep = true }

// partitionListing lists directories of a partition without mounting it, with
// inodes, sizes and times. What a journal still holds is not in it.
func partitionListing(t *testing.T, image, partition string, dirs ...string) string {
	t.Helper()
	tools(t, "debugfs")
	ranges := StubDisk("").Ranges()
	i := slices.IndexFunc(ranges, func(r Range) bool { return r.Name == partition })
	var listing strings.Builder
	for _, dir := range dirs {
		cmd, err := command("debugfs", "-c", "-R", "ls -l "+dir, fmt.Sprintf("%s?offset=%d", image, ranges[i].Start))
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("debugfs: %v, %s", err, err.(*exec.ExitError).Stderr)
		}
		fmt.Fprintf(&listing, "%s:\n%s", dir, out)
	}
	return listing.String()
}

// Layouts 1.7, statement 1.
func TestStatement1_7_1_TheSlotsOwnDirectories(t *testing.T) {
	for _, test := range []struct{ slot, root, own, other string }{
		{"A", "/dev/vda6", "a", "b"},
		{"B", "/dev/vda8", "b", "a"},
	} {
		t.Run(test.slot, func(t *testing.T) {
			t.Parallel()
			image := writable(t)
			list := func(slot string) string {
				return partitionListing(t, image, "overlay", "/"+slot, "/"+slot+"/upper", "/"+slot+"/work")
			}
			own, other := list(test.own), list(test.other)
			r := boot(t, Case{
				Image: image, Change: keep, Append: []string{"rauc.slot=" + test.slot},
				Do: []string{"read:/etc/minos-slot", "write:/etc/new=1"},
			})
			report := r.handedOver(t)
			r.did(t, fmt.Sprintf(`read:/etc/minos-slot "%s\n"`, test.slot), "write:/etc/new=1 ok")
			const backing = "/run/initramfs/"
			r.mounted(t, Mount{Target: backing + "rootfs", FSType: "ext4", Source: test.root})
			dir := backing + "overlay/" + test.own
			if got := report.Overlay; !slices.Equal(got.Lowers, []string{backing + "rootfs"}) || got.Upper != dir+"/upper" || got.Work != dir+"/work" {
				t.Errorf("boot.json says overlay %+v, want %srootfs below %s", got, backing, dir)
			}
			if line := r.Line("minos: OK "); !strings.Contains(line, "layout=slots slot="+test.slot+" root="+test.root+" upper=keep took=") {
				t.Errorf("the last line of init is %q", line)
			}
			if diff := cmp.Diff(other, list(test.other)); diff != "" {
				t.Errorf("the other slot's directories changed (-before +after):\n%s", diff)
			}
			if list(test.own) == own {
				t.Errorf("nothing changed in the slot's own directories; this test looks at the wrong place:\n%s", own)
			}
		})
	}
}

// Layouts 6.2, statement 3: each layout boots to a stub real init, which shows
// its mounts and the report; in a machine, where the mounts are the kernel's own.
func TestStatement6_2_3_EachLayoutReachesTheRealInit(t *testing.T) {
	for layout, disk := range map[string]func(t *testing.T) string{
		"slots": func(t *testing.T) string { return machines(t).disk },
		"image": stubImageDisk,
	} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			r := boot(t, Case{Image: disk(t), Append: []string{"minos.layout=" + layout}})
			if report := r.handedOver(t); report.Layout != layout || report.Degraded {
				t.Errorf("boot.json says layout %q, degraded %t", report.Layout, report.Degraded)
			}
			r.mounted(t, Mount{Target: "/", FSType: "overlay"})
		})
	}
}

// With more than one processor the steps to the new root run side by side, and
// lead to the same root; also when one of them fails.
func TestProcessors(t *testing.T) {
	two := func(m *Machine) { m.Processors = 2 }
	t.Run("whole", func(t *testing.T) {
		t.Parallel()
		r := boot(t, Case{Change: two, Append: []string{"rauc.slot=A"}, Do: []string{"rootwrite"}})
		checkWholeReport(t, r.handedOver(t))
		r.did(t, "rootwrite ok")
	})
	t.Run("without data", func(t *testing.T) {
		t.Parallel()
		disk := StubDisk(machines(t).stub)
		disk.Data = Partition{}
		r := boot(t, Case{Disk: &disk, Change: two, Append: []string{"rauc.slot=A"}, Do: []string{"write:/data/x=1"}})
		if report := r.handedOver(t); !report.Degraded {
			t.Errorf("boot.json says the system is whole: %+v", report)
		}
		r.did(t, "write:/data/x=1 EROFS")
	})
}

// Layouts 1.7, statement 3.
func TestStatement1_7_3_ContradictionIsReported(t *testing.T) {
	t.Parallel()
	r := boot(t, Case{Append: []string{"root=/dev/mmcblk0p3", "rauc.slot=B"}, Do: []string{"read:/etc/minos-slot"}})
	report := r.handedOver(t)
	r.did(t, `read:/etc/minos-slot "B\n"`)
	if c := report.Choice; c.What != "slot" || c.Value != "B" || c.Source != "rauc.slot=" || len(c.Rejected) != 1 || c.Rejected[0].Value != "root=/dev/mmcblk0p3" {
		t.Errorf("boot.json says the choice %+v, want slot B by rauc.slot=, and root=/dev/mmcblk0p3 rejected", c)
	}
	const warning = "root=/dev/mmcblk0p3 is not slot B, which is /dev/vda8, ignoring: root="
	if !slices.Equal(report.Warnings, []string{warning}) {
		t.Errorf("boot.json has the warnings %q, want %q", report.Warnings, warning)
	}
	shows(t, r.Console, "minos: "+warning)
}

// Layouts 1.7, statement 10.
func TestStatement1_7_10_WhatTheNewRootHas(t *testing.T) {
	t.Parallel()
	const parameters, overlayLine = "write:/sys/module/overlay/parameters/", "grep:/proc/mounts=overlay%20/%20"
	r := boot(t, Case{Append: []string{"rauc.slot=A"}, Do: []string{
		"rootwrite", "write:/data/x=1", "write:/boot/firmware/x=1", "stat:/run/minos/boot.json", "ls:/run/initramfs",
		parameters + "index=Y", parameters + "metacopy=Y", overlayLine,
	}})
	report := r.handedOver(t)
	for _, m := range []Mount{
		{Target: "/", FSType: "overlay", Options: "rw"},
		{Target: "/data", FSType: "ext4", Source: "/dev/vda4", Options: "rw,noatime", Super: "rw"},
		{Target: "/boot/firmware", FSType: "vfat", Source: "/dev/vda1", Options: "ro,noatime", Super: "ro"},
		{Target: "/proc", FSType: "proc", Options: "rw,nosuid,nodev,noexec"},
		{Target: "/sys", FSType: "sysfs", Options: "rw,nosuid,nodev,noexec"},
		{Target: "/dev", FSType: "devtmpfs", Options: "rw,nosuid", Super: "mode=755"},
		{Target: "/run", FSType: "tmpfs", Options: "rw,nosuid,nodev", Super: "mode=755"},
		{Target: "/run/initramfs/rootfs", FSType: "ext4", Source: "/dev/vda6", Options: "ro,noatime", Super: "ro"},
		{Target: "/run/initramfs/overlay", FSType: "ext4", Source: "/dev/vda3", Options: "rw,noatime"},
	} {
		r.mounted(t, m)
	}
	// The tenth is the way out.
	r.mounted(t, Mount{Target: "/run/initramfs", FSType: "rootfs", Options: "rw"})
	if len(r.Stub.Mounts) != 10 {
		t.Errorf("there are more or less mounts than the ten expected: %q", r.Stub.Mounts)
	}
	// systemd would skip its own program for the way out on a /run that is noexec.
	if run, _ := r.Stub.MountAt("/run"); hasOptions(run.Options, "noexec") {
		t.Errorf("/run is mounted %s", run.Options)
	}
	// The kernel shows these options only where they differ from the module's
	// default, which the stub turns on for that. What init asked for, and did
	// not inherit, is in the report.
	for _, option := range []string{"index=off", "metacopy=off", "redirect_dir=off", "xino=off"} {
		if !slices.Contains(report.Overlay.Options, option) {
			t.Errorf("the overlay was mounted with %q, want %s among them", report.Overlay.Options, option)
		}
	}
	if root := r.result(t, overlayLine); !strings.Contains(root, ",index=off") || !strings.Contains(root, ",metacopy=off") {
		t.Errorf("the overlay came up as %s, want it with index=off and metacopy=off", root)
	}
	for verb, want := range map[string]string{
		"rootwrite": "ok", "write:/data/x=1": "ok", "write:/boot/firmware/x=1": "EROFS", "ls:/run/initramfs": `"dev oldroot overlay proc rootfs run shutdown sys"`,
	} {
		if got := r.result(t, verb); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
	}
	if got := r.result(t, "stat:/run/minos/boot.json"); !strings.HasPrefix(got, "mode=100644 uid=0 gid=0 ") {
		t.Errorf("boot.json is %s, want a file that all can read", got)
	}
	checkWholeReport(t, report)
}

// checkWholeReport looks at the report of a boot of slot A in which nothing was
// missing.
func checkWholeReport(t *testing.T, report bootJSON) {
	t.Helper()
	if report.Schema != 1 || report.Layout != "slots" || report.Disk != "/dev/vda" || report.Degraded ||
		len(report.Warnings)+len(report.DegradedReasons) != 0 || report.Overlay.Durability != "keep" {
		t.Errorf("boot.json: %+v", report)
	}
	var roles []string
	for _, r := range report.Roles {
		roles = append(roles, strings.Join([]string{r.Name, r.Device, r.FSType, r.MountedAt, r.State}, " "))
	}
	want := []string{
		"rootfs-a /dev/vda6 ext4 /run/initramfs/rootfs ok", "bootstate /dev/vda9   ok", "overlay /dev/vda3 ext4 /run/initramfs/overlay ok",
		"data /dev/vda4 ext4 /data ok", "boot /dev/vda1 vfat /boot/firmware ok",
	}
	if diff := cmp.Diff(want, roles); diff != "" {
		t.Errorf("the roles in boot.json (-want +got):\n%s", diff)
	}
	for _, module := range []string{"virtio_blk", "overlay", "vfat"} {
		if !slices.Contains(report.Modules, module) {
			t.Errorf("boot.json has the modules %q, want %s among them", report.Modules, module)
		}
	}
	if n := len(report.Timeline); n < 5 || report.Timeline[0].Name != "init" || report.Timeline[n-1].At <= 0 {
		t.Errorf("boot.json has the timeline %+v", report.Timeline)
	}
	for _, m := range report.Timeline {
		if m.Began < report.Timeline[0].At || m.At < m.Began {
			t.Errorf("boot.json has %+v in its timeline, which began at %d", m, report.Timeline[0].At)
		}
	}
}
