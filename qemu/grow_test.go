package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
)

// An image is moved to a card of 3 GiB: the first boot gives data the space, in
// the table and in the running kernel, minosctl gives it to the filesystem while
// that is in use, and the second boot does nothing to the disk's table. With
// minos.grow=now it is all there at the hand-over.
func TestDataGrows(t *testing.T) {
	machines(t)
	tools(t, "sfdisk", "sgdisk", "e2fsck")
	const grow, fits = "run:/sbin/minosctl%20grow-data", "statfs:/data"
	for _, test := range []struct {
		name   string
		gpt    bool
		append []string
	}{
		{"MBR", false, nil},
		{"GPT", true, []string{"minos.grow=now"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			disk := StubDisk(machines(t).stub)
			disk.GPT = test.gpt
			disk.RootFSA = rootfs(disk.RootFSA.MiB, StubTree(machines(t).stub).With(File{Name: "sbin/minosctl", Mode: 0o755, From: initramfs(t, "minosctl")}), "A")
			image := (Case{Disk: &disk}).image(t)
			const card = 3<<30 + 4608
			if err := os.Truncate(image, card); err != nil {
				t.Fatal(err)
			}
			bootOnce := func(do ...string) Result {
				r := boot(t, Case{Image: image, Change: keep, Append: append([]string{"rauc.slot=A"}, test.append...), Do: append(do, "sync")})
				if report := r.handedOver(t); report.Degraded {
					t.Errorf("the boot is degraded: %q", report.DegradedReasons)
				}
				return r
			}
			large := func(r Result) bool {
				var magic, size int64
				_, err := fmt.Sscanf(strings.ReplaceAll(r.result(t, fits), "ro=false ", ""), "magic=%v bytes=%d", &magic, &size)
				return err == nil && size > 2500<<20
			}

			first := bootOnce(fits, grow)
			shows(t, first.Console, "minos: disk /dev/vda has grown: partition ")
			if now := len(test.append) > 0; large(first) != now {
				t.Errorf("at the hand-over /data is %s, minos.grow=now %t", first.result(t, fits), now)
			}
			want := `status=0 "the filesystem of /data has `
			if len(test.append) > 0 {
				want = `status=0 ""`
			}
			if got := first.result(t, grow); !strings.HasPrefix(got, want) {
				t.Errorf("minosctl grow-data: %s, want %s", got, want)
			}
			judgeTable(t, image, test.gpt)

			before := ends(t, image)
			second := bootOnce(fits, grow)
			lacks(t, second.Console, "has grown", "stays unused", "does not fill")
			if got := second.result(t, grow); !large(second) || got != `status=0 ""` {
				t.Errorf("in the second boot /data is %s, and minosctl grow-data: %s", second.result(t, fits), got)
			}
			if !bytes.Equal(before, ends(t, image)) {
				t.Error("the second boot changed the partition table")
			}
			data := disk.Ranges()[len(disk.Ranges())-1]
			for _, r := range disk.Ranges() {
				if r.Name == "data" {
					data = r
				}
			}
			at := fmt.Sprintf("%s?offset=%d", image, data.Start)
			_, _ = Tool("e2fsck", "-p", at) // replays the journal; the judge follows
			if out, err := Tool("e2fsck", "-f", "-n", at); err != nil {
				t.Errorf("e2fsck of data: %v\n%s", err, out)
			}
		})
	}
}

// judgeTable lets sfdisk and, for a GPT, sgdisk look at a partition table.
func judgeTable(t *testing.T, image string, gpt bool) {
	t.Helper()
	out, err := Tool("sfdisk", "--verify", image)
	if err != nil || !strings.Contains(string(out), "No errors detected") || strings.Contains(string(out), "mismatch") {
		t.Errorf("sfdisk --verify: %v\n%s", err, out)
	}
	if !gpt {
		return
	}
	if out, err = Tool("sgdisk", "--verify", image); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk --verify: %v\n%s", err, out)
	}
}

// ends are the first and the last 64 KiB of an image, where its table is.
func ends(t *testing.T, image string) []byte {
	t.Helper()
	file, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	both := make([]byte, 128<<10)
	for i, at := range []int64{0, info.Size() - 64<<10} {
		if _, err := file.ReadAt(both[i*64<<10:][:64<<10], at); err != nil {
			t.Fatal(err)
		}
	}
	return both
}
