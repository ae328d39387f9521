package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// grower is the kernel of the workstation, which may not let a filesystem grow.
type grower struct {
	sys.Linux
	sizes *[]int64
	err   error
}

func (g grower) GrowFilesystem(_, fstype string, size int64) error {
	if fstype != "ext4" {
		return errors.New("asked for " + fstype)
	}
	if g.err == nil {
		*g.sizes = append(*g.sizes, size)
	}
	return g.err
}

// makeExt4 makes a filesystem in a file.
func makeExt4(t testing.TB, file, size string) {
	t.Helper()
	if _, err := exec.LookPath("mke2fs"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("mke2fs is not installed, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: mke2fs is not installed")
	}
	if out, err := exec.Command("mke2fs", "-q", "-F", "-t", "ext4", file, size).CombinedOutput(); err != nil {
		t.Fatalf("mke2fs: %v, %s", err, out)
	}
}

// The filesystem grows in parts, each of which is told; one that fills its
// partition is not touched, and nothing is said.
func TestGrowData(t *testing.T) {
	const gib = 1 << 30
	for _, c := range []struct {
		name      string
		partition int64
		report    string
		fails     error
		sizes     []int64
		says      string
	}{
		{name: "small card", partition: 8 * gib, sizes: []int64{8 * gib}, says: "the filesystem of /data has 8 GiB of 8 GiB\n"},
		{name: "large card", partition: 40*gib + 4096, sizes: []int64{16 * gib, 32 * gib, 40*gib + 4096},
			says: "the filesystem of /data has 16 GiB of 40.0 GiB\nthe filesystem of /data has 32 GiB of 40.0 GiB\nthe filesystem of /data has 40.0 GiB of 40.0 GiB\n"},
		{name: "settled", partition: 64 << 20},
		{name: "a little at the end", partition: 72<<20 - 512},
		{name: "refused", partition: 8 * gib, fails: unix.EPERM, says: "minosctl: cannot grow the filesystem of /data: operation not permitted\n"},
		{name: "not mounted", partition: 8 * gib, report: `"mounted_at":"","state":"ok"`,
			says: "minosctl: cannot grow the filesystem of /data: init has not mounted it, see minosctl report\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t)
			if c.report == "" {
				c.report = `"mounted_at":"/data","state":"ok"`
			}
			d.file("run/minos/boot.json", `{"schema":1,"roles":[{"name":"data","device":"/dev/vda4",`+c.report+`}]}`)
			d.file("dev/vda4", "")
			makeExt4(t, d.path("dev/vda4"), "64M")
			if err := os.Truncate(d.path("dev/vda4"), c.partition); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			var sizes []int64
			status := run(host{root: d.root, kernel: grower{sizes: &sizes, err: c.fails}}, []string{"minosctl", "grow-data"}, &said, &said)
			if !slices.Equal(sizes, c.sizes) || said.String() != c.says {
				t.Errorf("grown to %d, said %q; want %d, %q", sizes, said.String(), c.sizes, c.says)
			}
			if failed := strings.Contains(c.says, "cannot"); failed != (status != 0) {
				t.Errorf("status %d", status)
			}
		})
	}
}
