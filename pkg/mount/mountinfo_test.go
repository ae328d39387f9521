package mount_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/mount"
)

func TestParseMountinfo(t *testing.T) {
	for _, test := range []struct {
		name, line string
		want       []mount.Mounted
		wrong      bool
	}{
		{"a disk", "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
			[]mount.Mounted{{ID: 36, Parent: 35, Device: "98:0", At: "/mnt2", FSType: "ext3", Source: "/dev/root"}}, false},
		{"no tags, and read-only", "31 30 254:6 / /run/initramfs/rootfs ro,noatime - ext4 /dev/vda6 ro",
			[]mount.Mounted{{ID: 31, Parent: 30, Device: "254:6", At: "/run/initramfs/rootfs", FSType: "ext4", Source: "/dev/vda6", ReadOnly: true}}, false},
		{"only this mount is read-only", "31 30 254:6 / /a ro - ext4 /dev/vda6 rw,errors=remount-ro",
			[]mount.Mounted{{ID: 31, Parent: 30, Device: "254:6", At: "/a", FSType: "ext4", Source: "/dev/vda6"}}, false},
		{"many tags", "1 2 0:5 / /a rw shared:1 master:2 propagate_from:3 - tmpfs none rw",
			[]mount.Mounted{{ID: 1, Parent: 2, Device: "0:5", At: "/a", FSType: "tmpfs", Source: "none"}}, false},
		{"escapes", `1 2 8:1 / /a\040b\011c\012d\134e\043f rw - ext4 /dev/disk\040one rw`,
			[]mount.Mounted{{ID: 1, Parent: 2, Device: "8:1", At: "/a b\tc\nd\\e#f", FSType: "ext4", Source: "/dev/disk one"}}, false},
		{"no escape", `1 2 8:1 / /a\9\04 rw - ext4 x\ rw`,
			[]mount.Mounted{{ID: 1, Parent: 2, Device: "8:1", At: `/a\9\04`, FSType: "ext4", Source: `x\`}}, false},
		{"an empty source", "1 2 0:9 / /a rw - tmpfs  rw", []mount.Mounted{{ID: 1, Parent: 2, Device: "0:9", At: "/a", FSType: "tmpfs"}}, false},
		{"no dash", "1 2 0:9 / /a rw tmpfs none rw", nil, true},
		{"no number", "x 2 0:9 / /a rw - tmpfs none rw", nil, true},
		{"no place", "1 2 0:9 / a rw - tmpfs none rw", nil, true},
		{"too short", "1 2 0:9 / - tmpfs none rw", nil, true},
		{"nothing", "", nil, false},
	} {
		got, err := mount.ParseMountinfo([]byte(test.line))
		if diff := cmp.Diff(test.want, got); diff != "" || (err != nil) != test.wrong {
			t.Errorf("%s: error %v; (-want +got):\n%s", test.name, err, diff)
		}
	}
}

//fuzz:covers ParseMountinfo parseMountinfoLine unescapeMountinfo UnmountOrder placeInTree
func FuzzParseMountinfo(f *testing.F) {
	f.Add([]byte("36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue\n1 1 0:1 / / rw - x y z\n"))
	f.Add([]byte("no mount\n1 0 0:1 / / rw - overlay o lowerdir=/a\n2 1 8:1 / /a rw - ext4 /dev/a rw\n3 2 8:2 / /a rw - ext4 /dev/b rw\nx 1 0:1 / /x rw - a b c\n"))
	f.Add([]byte(`1 2 8:1 / /a\040\777\1 rw - ext4 \ rw`))
	f.Fuzz(func(t *testing.T, text []byte) {
		mounts, err := mount.ParseMountinfo(text)
		if lines := strings.Count(string(text), "\n") + 1; len(mounts) > lines {
			t.Fatalf("%d mounts in %d lines", len(mounts), lines)
		}
		if err == nil && len(mounts) == 0 && len(text) > 0 {
			t.Fatal("a text, no mount and no error")
		}
		order := mount.UnmountOrder(mounts, "/")
		kept := 0
		for _, m := range mounts {
			if m.At == "/" {
				kept++
			}
		}
		if len(order)+kept != len(mounts) {
			t.Fatalf("of %d mounts, %d are to be unmounted and %d kept", len(mounts), len(order), kept)
		}
	})
}

// afterPivot is what the way out sees, in the order of a real kernel.
const afterPivot = `22 35 0:21 / /oldroot/proc rw,nosuid - proc proc rw
24 35 0:6 / /oldroot/dev rw,nosuid - devtmpfs devtmpfs rw
27 35 0:25 / /oldroot/run rw,nosuid - tmpfs tmpfs rw
30 1 0:2 /exitrd / rw - rootfs rootfs rw
31 30 254:6 / /rootfs ro,noatime - ext4 /dev/vda6 ro
32 30 254:3 / /overlay rw,noatime - ext4 /dev/vda3 rw
35 30 0:27 / /oldroot rw,relatime - overlay overlay rw,lowerdir+=/run/initramfs/rootfs
36 35 254:4 / /oldroot/data rw,noatime - ext4 /dev/vda4 rw
37 36 7:0 / /oldroot/data/nested rw - ext4 /dev/loop0 rw
40 30 0:6 / /dev rw,nosuid - devtmpfs devtmpfs rw
41 40 0:22 / /dev/pts rw - devpts devpts rw
42 30 0:21 / /proc rw,nosuid - proc proc rw
43 30 0:25 / /run rw,nosuid - tmpfs tmpfs rw
44 43 8:1 / /run/media/stick rw - vfat /dev/sda1 rw
`

func TestUnmountOrder(t *testing.T) {
	for _, test := range []struct {
		name, mountinfo string
		want            []string
	}{
		{"after systemd", afterPivot, []string{
			"/oldroot/data/nested", "/oldroot/data", "/oldroot/run", "/oldroot/dev", "/oldroot/proc", "/oldroot",
			"/run/media/stick", "/overlay", "/rootfs"}},
		{"a cover goes before what it hides", "1 0 0:1 / / rw - x x rw\n2 1 8:1 / /a/b rw - ext4 /dev/sda1 rw\n3 1 8:2 / /a rw - ext4 /dev/sda2 rw\n",
			[]string{"/a", "/a/b"}},
		{"one on top of another", "1 0 0:1 / / rw - x x rw\n3 2 8:2 / /a rw - ext4 /dev/sda2 rw\n2 1 8:1 / /a rw - ext4 /dev/sda1 rw\n",
			[]string{"/a", "/a"}},
		{"in circles", "1 2 8:1 / /a rw - ext4 /dev/sda1 rw\n2 1 8:2 / /b rw - ext4 /dev/sda2 rw\n", []string{"/b", "/a"}},
	} {
		mounts, err := mount.ParseMountinfo([]byte(test.mountinfo))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		order := mount.UnmountOrder(mounts, "/", "/proc", "/sys", "/dev", "/run")
		for _, m := range order {
			got = append(got, m.At)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
		if test.name == "one on top of another" && order[0].ID != 3 {
			t.Errorf("%s: %d comes first, want 3", test.name, order[0].ID)
		}
	}
}
