package qemu

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What is written to a blank data partition until nothing more is: by init, by
// minosctl grow-data, and by the kernel in the minutes after it, which begins
// the inode tables by itself. docs/first-boot.md has the numbers.
func TestWritesToANewDataPartition(t *testing.T) {
	machines(t)
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	const written, grow, pause = "read:/sys/block/vda/stat", "run:/sbin/minosctl%20grow-data", "sleep:45"
	for _, test := range []struct {
		name string
		card int64
		most int64 // MiB
		ends bool  // within the time that is waited here
	}{
		{"128 GiB", 128 << 30, 384, true},
		{"1 TiB", 1 << 40, 480, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk := blankData(t, "usr/sbin/mke2fs")
			root := disk.RootFSA.Content.(Ext4)
			root.Tree = root.Tree.With(File{Name: "sbin/minosctl", Mode: 0o755, From: initramfs(t, "minosctl")})
			disk.RootFSA.Content = root
			image := (Case{Disk: &disk}).image(t)
			if err := os.Truncate(image, test.card); err != nil {
				t.Fatal(err)
			}
			do := []string{written, grow, "sync", written, pause, "sync", written, pause, "sync", written, pause, "sync", written, pause, "sync", written, pause, "sync", written}
			r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A"}, Do: do, Within: 15 * time.Minute})
			r.handedOver(t)
			var all []int64
			for _, done := range r.Stub.Done {
				if text, ok := strings.CutPrefix(done, written+" "); ok {
					all = append(all, writtenMiB(t, text))
				}
			}
			t.Logf("MiB written by the hand-over, after the growth, and every 45 s from then on: %d", all)
			last := len(all) - 1
			if last < 3 || test.ends && all[last] != all[last-1] || all[last] > test.most {
				t.Errorf("written, in MiB: %d; want no more than %d, and an end of it: %t", all, test.most, test.ends)
			}
		})
	}
}

// writtenMiB is the seventh number of a disk's stat, in sectors of 512 bytes
// (Documentation/block/stat.rst of the kernel).
func writtenMiB(t *testing.T, text string) int64 {
	t.Helper()
	plain, err := strconv.Unquote(text)
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(plain)
	if len(fields) < 7 {
		t.Fatalf("the disk's stat is %q", text)
	}
	var sectors int64
	if _, err := fmt.Sscan(fields[6], &sectors); err != nil {
		t.Fatal(err)
	}
	return sectors * 512 / mib
}
