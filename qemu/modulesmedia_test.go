package qemu

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
)

// mediaImages is the release image with the filesystems that the set of modules for
// the layout does not bring along.
var mediaImages = sync.OnceValues(func() (string, error) {
	s, err := shared()
	if err != nil {
		return "", err
	}
	out := filepath.Join(s.dir, "media")
	build := exec.Command("go", "run", "./initramfs", "-arch", "arm64", "-modules", s.debian.Modules, "-extra", "exfat,ntfs3,xfs,btrfs", "-release-only", "-out", out)
	build.Dir, build.Stderr = "..", os.Stderr
	return filepath.Join(out, "initramfs.cpio.lz4"), build.Run()
})

// TestModulesOnOtherMedia boots the set from each filesystem that needs a module of
// its own, and sees that no bit of the medium changes.
func TestModulesOnOtherMedia(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	machines(t)
	tools(t, "sqfstar", "xorriso", "mkfs.xfs", "mkfs.btrfs", "mkfs.exfat", "mkfs.ntfs", "ntfscp")
	image, err := mediaImages()
	if err != nil {
		t.Fatal(err)
	}
	const odd = "10-a,b-c.sb" // the recipe of an XFS takes no blanks
	set := smallSet(t, odd)
	dir := spread(t, set)
	iso := filepath.Join(t.TempDir(), "m.iso")
	if out, err := Tool("xorriso", "-as", "mkisofs", "-quiet", "-R", "-o", iso, dir); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, c := range map[string]struct {
		words   string
		make    func(file string) error
		options string // of the mount's filesystem
		size    int64
	}{
		"btrfs": {"", func(file string) error { return run(nil, "mkfs.btrfs", "-q", "--rootdir", dir, file) }, "ro", 256 * mib},
		"xfs":   {"", func(file string) error { return run(nil, "mkfs.xfs", "-q", "-p", protofile(t, set), file) }, "ro,norecovery", 320 * mib},
		"exfat": {"from=/m.iso", func(file string) error { return exFATWith(file, "m.iso", iso) }, "ro,iocharset=utf8", 64 * mib},
		"ntfs3": {"from=/m.iso", func(file string) error {
			return errors.Join(run(nil, "mkfs.ntfs", "-q", "-F", "-f", "-L", "MINIOS", file), run(nil, "ntfscp", "-q", file, iso, "m.iso"))
		}, "ro,iocharset=utf8", 64 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			medium := filepath.Join(t.TempDir(), "medium.img")
			if err := errors.Join(os.WriteFile(medium, nil, 0o644), os.Truncate(medium, c.size), c.make(medium)); err != nil {
				t.Fatal(err)
			}
			before := sumOfFile(t, medium)
			r, report := bootModulesOn(t, medium, func(m *Machine) { keep(m); m.Initramfs = image }, append([]string{"noload=broken"}, strings.Fields(c.words)...), "read:/etc/top", "rootwrite")
			r.did(t, "read:/etc/top "+fmt.Sprintf("%q", odd), "rootwrite ok")
			at := memoryDir + "/data"
			if c.words != "" {
				at = memoryDir + "/iso"
			}
			r.mounted(t, Mount{Target: at, FSType: name, Source: "/dev/vda", Options: "ro", Super: c.options})
			if report.Degraded || sumOfFile(t, medium) != before {
				t.Errorf("the medium has changed, or the boot is degraded: %q", report.DegradedReasons)
			}
		})
	}
}

// spread is a set as a directory of the workstation, without what is no file of it.
func spread(t *testing.T, set Tree) string {
	t.Helper()
	dir := t.TempDir()
	for _, f := range set.Files {
		at := filepath.Join(dir, f.Name)
		err := os.MkdirAll(filepath.Dir(at), 0o755)
		switch {
		case f.Mode.IsDir():
			err = errors.Join(err, os.MkdirAll(at, 0o755))
		case f.From != "":
			err = errors.Join(err, copySparse(at, f.From))
		default:
			err = errors.Join(err, os.WriteFile(at, []byte(f.Data), f.Mode.Perm()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// protofile is the recipe of mkfs.xfs for a tree: a line for each file, indented by
// nothing, and a $ behind the last of a directory.
func protofile(t *testing.T, set Tree) string {
	t.Helper()
	dir := spread(t, set)
	var lines strings.Builder
	lines.WriteString("/stand/none\n0 0\nd--755 0 0\n")
	if err := protoDir(&lines, dir); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "proto")
	if err := os.WriteFile(file, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

func protoDir(lines *strings.Builder, dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		at := path.Join(dir, e.Name())
		if !e.IsDir() {
			fmt.Fprintf(lines, "%s ---644 0 0 %s\n", e.Name(), at)
			continue
		}
		fmt.Fprintf(lines, "%s d--755 0 0\n", e.Name())
		err = errors.Join(err, protoDir(lines, at))
	}
	lines.WriteString("$\n")
	return err
}

// exFATWith makes an exFAT of a file of the workstation, which has its size already,
// with one file in it: no tool writes to an exFAT that is not mounted. The file lies
// in one piece behind the root directory (Microsoft's "exFAT file system
// specification", 7).
func exFATWith(file, name, from string) error {
	if err := run(nil, "mkfs.exfat", "-L", "STICK", file); err != nil {
		return err
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	disk, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer disk.Close()
	boot := make([]byte, 512)
	if _, err := disk.ReadAt(boot, 0); err != nil {
		return err
	}
	le := binary.LittleEndian
	sectorLog, clusterLog, root := boot[108], boot[109], le.Uint32(boot[96:])
	offset := func(cluster uint32) int64 {
		return int64(le.Uint32(boot[88:]))<<sectorLog + int64(cluster-2)<<(sectorLog+clusterLog)
	}
	// The root directory begins with the label, the map of what is in use, which is in
	// the first cluster, and the table of capitals. The directory is the last cluster in use.
	const firstCluster, entrySize, ownEntries = 2, 32, 3
	used := int(root-firstCluster) + 1
	used += (len(content) + 1<<(sectorLog+clusterLog) - 1) >> (sectorLog + clusterLog)
	inUse := bytes.Repeat([]byte{0xff}, used/8)
	if used%8 > 0 {
		inUse = append(inUse, 1<<(used%8)-1)
	}
	for at, piece := range map[int64][]byte{
		offset(root + 1):                    content,
		offset(firstCluster):                inUse,
		offset(root) + ownEntries*entrySize: exFATEntries(name, root+1, uint64(len(content))),
	} {
		if _, err := disk.WriteAt(piece, at); err != nil {
			return err
		}
	}
	return nil
}

// exFATEntries are the three entries of a file in one piece: itself, where its
// content is, and its name, of at most 15 letters.
func exFATEntries(name string, cluster uint32, size uint64) []byte {
	le := binary.LittleEndian
	set := make([]byte, 96)
	set[0], set[1] = 0x85, 2
	set[32], set[33], set[35] = 0xc0, 0x03, byte(len(name)) // allocated, in one piece
	set[64] = 0xc1
	var hash uint16
	for i, unit := range utf16.Encode([]rune(name)) {
		le.PutUint16(set[66+2*i:], unit)
	}
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(name))) {
		for _, b := range []byte{byte(unit), byte(unit >> 8)} {
			hash = hash<<15 | hash>>1
			hash += uint16(b)
		}
	}
	le.PutUint16(set[36:], hash)
	le.PutUint64(set[40:], size) // that is valid
	le.PutUint32(set[52:], cluster)
	le.PutUint64(set[56:], size)
	var sum uint16
	for i, b := range set {
		if i == 2 || i == 3 {
			continue
		}
		sum = sum<<15 | sum>>1
		sum += uint16(b)
	}
	le.PutUint16(set[2:], sum)
	return set
}
