package firstboot

import (
	"bytes"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/sys"
)

// What mke2fs makes and we copy is whole in the eyes of e2fsck, on cards of
// every size, over somebody's old bytes, and it takes little writing.
func TestFilledPartitionIsWhole(t *testing.T) {
	needs(t, "mke2fs")
	needs(t, "e2fsck")
	for _, c := range []struct {
		name string
		size int64
		most float64 // MiB written
	}{
		{"smallest", Smallest, 3}, {"overlay of the layout", 96 * mib, 4}, {"odd", 999*mib + 512*7, 4}, {"8 GB", 7 * gib, 8},
		{"16 GB", 15 * gib, 8}, {"128 GB", 119 * gib, 8}, {"1 TB", 1 << 40, 8},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			made := runMke2fs(t, c.size)
			dev := partition(t, c.size, made)
			if _, err := dev.WriteAt(block.Claim{Start: 512}.Encode(), 0); err != nil {
				t.Fatal(err)
			}
			written, err := fill(dev, made, c.size)
			if err != nil {
				t.Fatal(err)
			}
			if got := float64(written) / mib; got > c.most {
				t.Errorf("%.1f MiB were written, more than %.0f", got, c.most)
			}
			t.Logf("%.2f MiB were written", float64(written)/mib)
			if got := Judge(dev, c.size, 512); got.Content != Filesystem || got.Super.Type != "ext4" || got.Super.Label != "data" {
				t.Errorf("judged as %+v", got)
			}
			file := dev.(interface{ Name() string }).Name()
			if out, err := exec.Command("e2fsck", "-f", "-n", file).CombinedOutput(); err != nil {
				t.Errorf("e2fsck: %v\n%s", err, out)
			}
			if out, err := exec.Command("blkid", "-p", file).CombinedOutput(); err != nil {
				t.Errorf("blkid finds more than one thing: %v %s", err, out)
			}
		})
	}
}

// runMke2fs runs this machine's mke2fs as Format does.
func runMke2fs(t *testing.T, size int64) sys.SparseFile {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ext4")
	if err := (sys.Linux{}).MakeSparse(file, FirstSize(size)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("mke2fs", Ext4Arguments(size, "data", file)...)
	cmd.Env = append(os.Environ(), makeEnviron...)
	if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("mke2fs: %v, %s", err, out)
	}
	made, err := sys.Linux{}.OpenSparse(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	return made
}

// imageFile is a partition in a file.
type imageFile struct {
	sys.WritableDevice
	name string
}

func (f imageFile) Name() string { return f.name }

// partition is one full of old bytes: everywhere, when it is small, else
// wherever the new filesystem has something and around it.
func partition(t *testing.T, size int64, made sys.SparseFile) sys.WritableDevice {
	t.Helper()
	name := filepath.Join(t.TempDir(), "partition")
	if err := (sys.Linux{}).MakeSparse(name, size); err != nil {
		t.Fatal(err)
	}
	dev, err := sys.Linux{}.WriteDevice(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	junk := make([]byte, mib)
	random := rand.NewChaCha8([32]byte{6})
	put := func(start, end int64) {
		for at := max(start, 0); at < min(end, size); at += mib {
			_, _ = random.Read(junk)
			if _, err := dev.WriteAt(junk[:min(mib, end-at, size-at)], at); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(0, 192*mib)
	put(size-mib, size)
	for from := int64(0); ; {
		start, end, err := made.NextData(from)
		if err != nil {
			return imageFile{dev, name}
		}
		put(start-mib/4, end+mib/4)
		from = end
	}
}

// Over old bytes the copy is what mke2fs would have made of them itself, to the
// byte: where it wants zeros there are zeros, though its file has a hole there.
func TestCopyIsWhatMke2fsMakes(t *testing.T) {
	needs(t, "mke2fs")
	const size = 200 * mib
	arguments := func(file string) []string {
		text := strings.Join(Ext4Arguments(size, "data", file), "\n")
		return append([]string{"-U", uuid}, strings.Split(strings.Replace(text, "nodiscard", "nodiscard,hash_seed="+uuid, 1), "\n")...)
	}
	run := func(file string, environ ...string) {
		cmd := exec.Command("mke2fs", arguments(file)...)
		cmd.Env = append(append(os.Environ(), "E2FSPROGS_FAKE_TIME=1000000000"), environ...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("mke2fs: %v, %s", err, out)
		}
	}
	file := filepath.Join(t.TempDir(), "ext4")
	if err := (sys.Linux{}).MakeSparse(file, size); err != nil {
		t.Fatal(err)
	}
	run(file, makeEnviron...)
	made, err := sys.Linux{}.OpenSparse(file)
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	// The last 64 KiB are made zero by every mke2fs, against an old md RAID.
	if _, _, err := made.NextData(size - 64<<10); err != nil {
		t.Errorf("mke2fs leaves a hole where it wants zeros: %v", err)
	}
	ours, theirs := partition(t, size, made), partition(t, size, made)
	if _, err := fill(ours, made, size); err != nil {
		t.Fatal(err)
	}
	run(theirs.(imageFile).name)
	wiped := Places(size)
	for at := int64(0); at < size; at += page {
		a, b := make([]byte, page), make([]byte, page)
		if _, err := ours.ReadAt(a, at); err != nil {
			t.Fatal(err)
		}
		if _, err := theirs.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(wiped, func(p Range) bool { return at >= p.Offset && at < p.Offset+p.Length }) {
			// Nothing old is left where it could be taken for something.
			if _, err := made.ReadAt(b, at); err != nil {
				t.Fatal(err)
			}
		}
		for _, super := range []int{0, 1024} { // how much was written, s_kbytes_written, and the checksum over it
			if a[super+56] == 0x53 && a[super+57] == 0xef {
				for _, field := range []Range{{0x178, 8}, {0x3fc, 4}} {
					copy(a[super:][field.Offset:][:field.Length], b[super:][field.Offset:])
				}
			}
		}
		if !bytes.Equal(a, b) {
			t.Fatalf("the page at %d is not what mke2fs makes", at)
		}
	}
}

// What the kernel writes later, the inode tables and a journal that goes round
// once, is bounded on every card.
func TestLaterWritesAreBounded(t *testing.T) {
	for size := int64(Smallest); size <= 64<<40; size += size / 3 {
		tables, journal := size/inodeRatio(size)*256, journalSize(size)
		if tables > 256*mib || tables < min(size/64-size/640, 120*mib) {
			t.Errorf("%d bytes: %d bytes of inode tables", size, tables)
		}
		if journal < 4*mib || journal > 64*mib || journal > size/4 {
			t.Errorf("%d bytes: a journal of %d bytes", size, journal)
		}
	}
}
