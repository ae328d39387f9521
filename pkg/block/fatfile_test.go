package block

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fatImage is what mkfs.fat and mtools make, with these files in this order.
func fatImage(t testing.TB, kib int, options string, names ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	image := filepath.Join(dir, "fat.img")
	tool := func(name string, args ...string) {
		if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
			if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") != "true" {
				t.Skip("SKIPPED: ", err)
			}
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	tool("mkfs.vfat", append(strings.Fields(options), "-C", image, fmt.Sprint(kib))...)
	for _, name := range names {
		file := filepath.Join(dir, name)
		content := []byte("content of " + name)
		if strings.HasPrefix(name, "ballast") {
			content = make([]byte, 36<<20)
		}
		if err := os.WriteFile(file, content, 0o644); err != nil {
			t.Fatal(err)
		}
		tool("mcopy", "-i", image, file, "::"+name)
	}
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// many are more files than a cluster of a directory has entries.
func many(last string) (names []string) {
	for i := range 40 {
		names = append(names, fmt.Sprintf("a file with a long name %d", i))
	}
	return append(names, last)
}

func TestFindInFAT(t *testing.T) {
	for name, c := range map[string]struct {
		kib     int
		options string
	}{
		"FAT12": {2 << 10, "-F 12"}, "FAT16": {16 << 10, "-F 16"}, "FAT32": {40 << 10, "-F 32 -s 1"},
		"FAT32, large clusters": {300 << 10, "-F 32 -s 8"},
	} {
		t.Run(name, func(t *testing.T) {
			image := fatImage(t, c.kib, c.options, many("autoboot.txt")...)
			f, err := FindInFAT(bytes.NewReader(image), int64(len(image)), "AUTOBOOTTXT")
			if err != nil {
				t.Fatal(err)
			}
			if got, want := string(image[f.Offset:f.Offset+f.Size]), "content of autoboot.txt"; got != want || f.Offset%512 != 0 {
				t.Errorf("at %d there is %q, want %q", f.Offset, got, want)
			}
			if f, err := FindInFAT(bytes.NewReader(image), int64(len(image)), "RESCUE  TXT"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a file that is not there: %+v, %v", f, err)
			}
		})
	}
	// Behind so much that the number of its cluster has more than 16 bits.
	far := fatImage(t, 40<<10, "-F 32 -s 1", "ballast of 36 MiB", "autoboot.txt")
	f, err := FindInFAT(bytes.NewReader(far), int64(len(far)), "AUTOBOOTTXT")
	if err != nil || f.Offset < 36<<20 || !bytes.HasPrefix(far[f.Offset:], []byte("content of autoboot.txt")) {
		t.Errorf("far away: %+v, %v", f, err)
	}
	blank := make([]byte, 1<<20)
	if _, err := FindInFAT(bytes.NewReader(blank), int64(len(blank)), "AUTOBOOTTXT"); err == nil {
		t.Error("a file was found on a blank device")
	}
}

// A directory whose chain leads in a circle, or to nowhere, comes to an end.
func TestFindInFATWithABrokenChain(t *testing.T) {
	for name, next := range map[string]uint32{"to itself": 2, "to nowhere": 0x0ffffff0, "to a free one": 0} {
		image := fatImage(t, 40<<10, "-F 32 -s 1", many("autoboot.txt")...)
		b, _ := parseBootSector(image[:headSize])
		le.PutUint32(image[b.table+4*int64(b.rootCluster):], next)
		if f, err := FindInFAT(bytes.NewReader(image), int64(len(image)), "AUTOBOOTTXT"); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %+v, %v", name, f, err)
		}
	}
}

//fuzz:covers fatfile.go
func FuzzFindInFAT(f *testing.F) {
	// The head of a FAT32 and its root directory are far from each other.
	whole := func(head, root []byte, at, size int64) *io.SectionReader {
		return io.NewSectionReader(pieces{{0, head}, {at, root}}, 0, size)
	}
	for options, kib := range map[string]int{"-F 12": 1 << 10, "-F 32 -s 1": 40 << 10} {
		for _, last := range []string{"autoboot.txt", "config.txt"} {
			image := fatImage(f, kib, options, many(last)...)
			b, _ := parseBootSector(image[:headSize])
			at, _, _ := b.rootStart()
			head, root, size := image[:32<<10], image[at:][:64<<10], int64(len(image))
			if _, err := FindInFAT(whole(head, root, at, size), size, "AUTOBOOTTXT"); err != nil && last == "autoboot.txt" {
				f.Fatal("a seed is not found: ", err)
			}
			f.Add(head, root, at, size)
			if b.rootCluster != 0 {
				cut := bytes.Clone(head)
				le.PutUint32(cut[b.table+4*int64(b.rootCluster):], 1)
				f.Add(cut, root, at, size)
			}
		}
	}
	f.Add(make([]byte, 8<<10), []byte{}, int64(0), int64(8<<10))
	f.Fuzz(func(t *testing.T, head, root []byte, at, size int64) {
		if size < 0 || at < 0 {
			return
		}
		found, err := FindInFAT(whole(head, root, at, size), size, "AUTOBOOTTXT")
		if err == nil && found.Size > 0 && (found.Offset < 512 || found.Offset > size) {
			t.Errorf("a file of %d bytes at %d of %d", found.Size, found.Offset, size)
		}
	})
}

// pieces are bytes of a device at their places, with zeros between. Where two
// have the same place the later one counts.
type pieces []struct {
	at   int64
	data []byte
}

func (p pieces) ReadAt(b []byte, offset int64) (int, error) {
	clear(b)
	for _, piece := range p {
		if from := piece.at - offset; from >= 0 && from < int64(len(b)) {
			copy(b[from:], piece.data)
		} else if from < 0 && -from < int64(len(piece.data)) {
			copy(b, piece.data[-from:])
		}
	}
	return len(b), nil
}
