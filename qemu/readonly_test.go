package qemu

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// An overlay partition that takes no write is never fatal: the upper is in
// memory, the boot is degraded and says why.
func TestReadOnlyOverlay(t *testing.T) {
	writeProtected := func(m *Machine) { m.Drives[0].ReadOnly = true }
	readOnlyFilesystem := func(t *testing.T, image string) { tuneOverlay(t, image, "-O", "read-only") }
	for _, test := range []struct {
		name    string
		used    bool // a boot before has laid its upper over the root
		change  func(*Machine)
		prepare func(*testing.T, string)
		data    string // what a write to /data gives
		reason  string
	}{
		// The whole card is, so data stands in as well.
		{"write-protected card", false, writeProtected, nil, "EROFS", "cannot mount the overlay partition: mount ext4 /dev/vda3 on /run/initramfs/overlay: permission denied"},
		{"write-protected used card", true, writeProtected, nil, "EROFS", "cannot mount the overlay partition: mount ext4 /dev/vda3 on /run/initramfs/overlay: permission denied"},
		// The kernel mounts it all the same, and reads it only.
		{"read-only filesystem", false, keep, readOnlyFilesystem, "ok", "cannot prepare the writable layer: "},
		{"read-only used filesystem", true, keep, readOnlyFilesystem, "ok", "cannot lay the writable layer over the root filesystem: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			image := writable(t)
			if test.used {
				boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A"}}).handedOver(t)
			}
			if test.prepare != nil {
				test.prepare(t, image)
			}
			before := partitionListing(t, image, "overlay", "/", "/a", "/a/upper", "/a/work")
			r := boot(t, Case{
				Image: image, Change: test.change, Append: []string{"rauc.slot=A"}, Do: []string{"rootwrite", "write:/data/x=1"},
			})
			report := r.handedOver(t)
			told := func(line string) bool {
				return strings.HasPrefix(line, "what is written to / is lost at power-off") && strings.Contains(line, test.reason)
			}
			if !report.Degraded || !slices.ContainsFunc(report.DegradedReasons, told) || !slices.ContainsFunc(report.Warnings, told) {
				t.Errorf("boot.json says degraded %t, reasons %q, warnings %q; want %q", report.Degraded, report.DegradedReasons, report.Warnings, test.reason)
			}
			shows(t, r.Console, test.reason, "upper=volatile degraded=")
			r.did(t, "rootwrite ok", "write:/data/x=1 "+test.data)
			r.mounted(t, Mount{Target: "/run/initramfs/volatile", FSType: "tmpfs"})
			if after := partitionListing(t, image, "overlay", "/", "/a", "/a/upper", "/a/work"); after != before {
				t.Errorf("the overlay partition changed:\nbefore\n%s\nafter\n%s", before, after)
			}
		})
	}
}

// tuneOverlay changes the filesystem of the overlay partition with tune2fs.
func tuneOverlay(t *testing.T, image string, args ...string) {
	t.Helper()
	tools(t, "tune2fs")
	onPartition(t, image, "overlay", func(file string) {
		if out, err := Tool("tune2fs", append(args, file)...); err != nil {
			t.Fatalf("tune2fs: %v, %s", err, out)
		}
	})
}

// onPartition gives a program a partition of an image as a file of its own,
// and puts it back. Not every tool that knows of offsets uses them for the
// journal too.
func onPartition(t *testing.T, image, partition string, use func(file string)) {
	t.Helper()
	disk, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	ranges := StubDisk("").Ranges()
	r := ranges[slices.IndexFunc(ranges, func(r Range) bool { return r.Name == partition })]
	file := filepath.Join(t.TempDir(), partition)
	content := make([]byte, r.Size)
	if _, err := disk.ReadAt(content, r.Start); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	use(file)
	if content, err = os.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.WriteAt(content, r.Start); err != nil {
		t.Fatal(err)
	}
}
