package block

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProbeGolden(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			image := golden(t, f.name)
			got, err := Probe(bytes.NewReader(image), int64(len(image)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(f.want, got); diff != "" {
				t.Errorf("made by %s: -want +got:\n%s", f.script, diff)
			}
		})
	}
}

// The tools of this machine make every filesystem anew, and blkid is the judge.
func TestProbeAgainstTools(t *testing.T) {
	for _, f := range fixtures {
		t.Run(f.name, func(t *testing.T) {
			device := f.build(t)
			got := probeFile(t, device)
			want := askBlkid(t, device)
			// blkid tells none of these; testdata judges ours.
			want.Size, want.Errors, want.Unclean, want.Used = got.Size, got.Errors, got.Unclean, got.Used
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("made by %s: -blkid +got:\n%s", f.script, diff)
			}
			if *updateSuperblocks {
				writeGolden(t, f, device)
			}
		})
	}
}

func probeFile(t *testing.T, name string) Superblock {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	sb, err := Probe(file, info.Size())
	if err != nil {
		t.Fatal(err)
	}
	return sb
}

func askBlkid(t *testing.T, device string) Superblock {
	t.Helper()
	out, err := exec.Command("blkid", "-p", "-o", "export", device).CombinedOutput()
	const nothingFound = 2
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == nothingFound {
		return Superblock{}
	}
	if err != nil {
		t.Fatalf("blkid: %v\n%s", err, out)
	}
	var sb Superblock
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		value = strings.ReplaceAll(value, `\ `, " ")
		switch key {
		case "TYPE":
			sb.Type = value
		case "LABEL":
			sb.Label = value
		case "UUID":
			sb.UUID = value
		}
	}
	return sb
}

// countingDevice counts reads, and fails those that touch a bad byte.
type countingDevice struct {
	io.ReaderAt
	reads, bytes int
	bad          int64 // -1 for none
}

var errMedium = errors.New("medium error")

func (d *countingDevice) ReadAt(p []byte, offset int64) (int, error) {
	d.reads++
	d.bytes += len(p)
	if d.bad >= offset && d.bad < offset+int64(len(p)) {
		return 0, errMedium
	}
	return d.ReaderAt.ReadAt(p, offset)
}

func TestProbeReadsOnePageInTheCommonCase(t *testing.T) {
	for name, want := range map[string]int{
		"ext4": 1, "ext2-rev0": 1, "fat32": 1, "squashfs": 1, "erofs": 1, "luks1": 1, "luks2": 1, "swap-4k": 1,
		"fat16-rootlabel": 2, "fat32-rootlabel": 2, "swap-16k": 2, "swap-64k": 3, "iso9660": 2, "btrfs": 3, "blank": 3,
	} {
		image := append(golden(t, name), make([]byte, 128<<10)...)
		d := &countingDevice{ReaderAt: bytes.NewReader(image), bad: -1}
		if _, err := Probe(d, int64(len(image))); err != nil {
			t.Fatal(err)
		}
		if d.reads != want || d.bytes > want*headSize {
			t.Errorf("%s: %d reads of %d bytes, want %d of at most %d", name, d.reads, d.bytes, want, want*headSize)
		}
	}
}

func TestProbeNamesTheOffsetOfAReadError(t *testing.T) {
	for _, c := range []struct {
		name   string
		bad    int64
		offset int64
	}{
		{"blank", 100, 0},
		{"swap-64k", 16380, 16374},
		{"blank", 33000, 32768},
		{"blank", 66000, 65536},
		{"fat16-rootlabel", 0, 0}, // its root directory, see below
	} {
		image := append(golden(t, c.name), make([]byte, 128<<10)...)
		if c.name == "fat16-rootlabel" {
			fat, _ := parseBootSector(image)
			c.bad, c.offset = fat.rootDir, fat.rootDir
		}
		d := &countingDevice{ReaderAt: bytes.NewReader(image), bad: c.bad}
		_, err := Probe(d, int64(len(image)))
		if !errors.Is(err, errMedium) || !strings.Contains(err.Error(), fmt.Sprintf("at offset %d:", c.offset)) {
			t.Errorf("%s, bad byte at %d: %v, want a medium error at offset %d", c.name, c.bad, err, c.offset)
		}
	}
}

// A device that ends anywhere is no error, and what is left of a filesystem is
// never taken for another one.
func TestProbeShortDevices(t *testing.T) {
	for _, f := range fixtures {
		image := golden(t, f.name)
		for _, size := range []int{0, 1, 511, 512, 1023, 1024, 1100, 2048, 4095, 4096, 16384, 33000, 65536, 66000} {
			size = min(size, len(image))
			got, err := Probe(bytes.NewReader(image), int64(size))
			// Cut inside its superblock, an ext4 has lost features and is an ext2.
			sameFamily := strings.TrimRight(got.Type, "234") == strings.TrimRight(f.want.Type, "234")
			if err != nil || (got.Type != "" && !sameFamily) {
				t.Errorf("%s cut to %d bytes: %q, %v", f.name, size, got.Type, err)
			}
			// The device may be shorter than it said, when it was cut since.
			if _, err := Probe(bytes.NewReader(image[:size]), 1<<40); err != nil {
				t.Errorf("%s, %d bytes there of those promised: %v", f.name, size, err)
			}
		}
	}
}

// Headers that one tool left behind another's.
func TestProbeStaleHeaders(t *testing.T) {
	for _, c := range []struct {
		stale, fresh string
		from, to     int // bytes that come from the fresh one
	}{
		{"ext4", "fat32", 0, 1024},         // mformat writes the boot sector only
		{"ext4", "luks1", 0, 592},          // the header of LUKS1 ends before it
		{"ext4", "squashfs", 0, 512},       // a tiny image, written over it
		{"swap-4k", "ext4", 0, 2048},       // mke2fs leaves the end of the page
		{"swap-16k", "ext4", 0, 2048},      //
		{"btrfs", "ext4", 0, 4096},         // the old one further in
		{"btrfs", "iso9660", 0, 36 << 10},  //
		{"ext4", "swap-4k", 0, 4096},       // mkswap writes all the page
		{"luks2", "btrfs", 0, 68 << 10},    // mkfs.btrfs clears the start
		{"fat32", "ext4", 0, 4096},         // so does mke2fs
		{"fat32", "iso9660", 0, 36 << 10},  // an ISO brings its own first sectors
		{"iso9660", "btrfs", 0, 68 << 10},  //
		{"erofs", "squashfs", 0, 4096},     //
		{"squashfs", "swap-64k", 0, 65536}, //
	} {
		image := make([]byte, 128<<10)
		copy(image, golden(t, c.stale))
		copy(image[c.from:c.to], golden(t, c.fresh)[c.from:])
		got, err := Probe(bytes.NewReader(image), int64(len(image)))
		if want := probeGolden(t, c.fresh).Type; err != nil || got.Type != want {
			t.Errorf("%s over %s: %q, %v, want %q", c.fresh, c.stale, got.Type, err, want)
		}
	}
}

// probeGolden probes a fixture from testdata.
func probeGolden(t *testing.T, name string) Superblock {
	t.Helper()
	image := golden(t, name)
	sb, err := Probe(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		t.Fatal(err)
	}
	return sb
}
