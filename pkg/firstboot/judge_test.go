package firstboot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
)

// card is a partition in memory: one byte everywhere, and pieces.
type card struct {
	size   int64
	fill   byte
	pieces map[int64][]byte
	bad    map[int64]bool // pages that cannot be read
}

var errMedium = errors.New("medium error")

func (c card) ReadAt(b []byte, offset int64) (int, error) {
	n := int(min(int64(len(b)), c.size-offset))
	if n <= 0 {
		return 0, io.EOF
	}
	for i := range b[:n] {
		b[i] = c.fill
	}
	for at, piece := range c.pieces {
		if lo, hi := max(at, offset), min(at+int64(len(piece)), offset+int64(n)); lo < hi {
			copy(b[lo-offset:hi-offset], piece[lo-at:])
		}
	}
	for at := range c.bad {
		if at >= offset && at < offset+int64(n) {
			return int(at - offset), errMedium
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// sizes are those of cards, and odd ones.
var sizes = []int64{16 * mib, 64 * mib, 100*mib + 512, 8*gib - 512, 64 * gib, 300*gib + 3584, 1 << 40}

func TestBlankIsBlank(t *testing.T) {
	for _, size := range sizes {
		for _, fill := range []byte{0x00, 0xff} {
			got := Judge(card{size: size, fill: fill}, size, 0)
			if got.Content != Blank || !strings.HasPrefix(got.Reason, "is blank: ") {
				t.Errorf("%d bytes of %#02x: %+v", size, fill, got)
			}
		}
		// Erased flash of which some blocks were written with zeros.
		mixed := card{size: size, fill: 0xff, pieces: map[int64][]byte{0: make([]byte, mib)}}
		if got := Judge(mixed, size, 0); got.Content != Blank {
			t.Errorf("%d bytes of 0xff behind a MiB of zeros: %+v", size, got)
		}
	}
	// Bytes that are all the same, and nobody's erased flash.
	if got := Judge(card{size: mib * 64, fill: 0x5a}, mib*64, 0); got.Content != Unknown {
		t.Errorf("64 MiB of 0x5a: %+v", got)
	}
	if got := Judge(card{size: Smallest - 512}, Smallest-512, 0); got.Content != Unknown {
		t.Errorf("a partition too small for a filesystem: %+v", got)
	}
}

// One byte in any place that is looked at is enough, first and last ones too,
// and so is one page that cannot be read.
func TestOneStrayByte(t *testing.T) {
	for _, size := range sizes {
		for _, p := range Places(size) {
			for _, at := range []int64{p.Offset, p.Offset + p.Length/2, p.Offset + p.Length - 1} {
				for _, fill := range []byte{0x00, 0xff} {
					stray := card{size: size, fill: fill, pieces: map[int64][]byte{at: {0x5a}}}
					got := Judge(stray, size, 0)
					if want := fmt.Sprintf("is not blank: at offset %d there is the byte 0x5a", at); got.Content != Unknown || !strings.HasPrefix(got.Reason, want) {
						t.Errorf("%d bytes of %#02x with a byte at %d: %+v", size, fill, at, got)
					}
				}
				bad := card{size: size, bad: map[int64]bool{at: true}}
				if got := Judge(bad, size, 0); got.Content != Unreadable || !strings.Contains(got.Reason, "medium error") {
					t.Errorf("%d bytes that cannot be read at %d: %+v", size, at, got)
				}
			}
		}
	}
}

// Each mark that is known lies in a place that is looked at, and is named.
func TestEverySignatureIsSeen(t *testing.T) {
	const size = 512 * mib
	for _, s := range signatures {
		at := s.at(size)
		got := Judge(card{size: size, pieces: map[int64][]byte{at: []byte(s.magic)}}, size, 0)
		if got.Content != Unknown && got.Content != Filesystem {
			t.Errorf("%s at %d: %+v", s.name, s.offset, got)
		}
		if got.Content == Unknown && !strings.Contains(got.Reason, "that of "+s.name) && !strings.Contains(got.Reason, "the mark of "+s.name) {
			t.Errorf("%s at %d is not named: %s", s.name, s.offset, got.Reason)
		}
	}
}

// Places are sorted, lie inside, and do not overlap; both ends are whole.
func TestPlaces(t *testing.T) {
	for _, size := range append(sizes, 512, 2*mib, 2*mib+512) {
		last, places := int64(0), Places(size)
		for _, p := range places {
			if p.Offset < last || p.Length <= 0 || p.Offset+p.Length > size {
				t.Fatalf("%d bytes: %v", size, places)
			}
			last = p.Offset + p.Length
		}
		if size > 2*mib && (places[0] != Range{0, mib} || places[len(places)-1] != Range{size - mib, mib}) || len(places) > 300 {
			t.Errorf("%d bytes: %d places, %v … %v", size, len(places), places[0], places[len(places)-1])
		}
	}
}

// makers are the filesystems that this machine's tools make, on $1. Those with
// copies are found after the first bytes are gone as well.
var makers = []struct {
	name, tool, script string
	content            Content
	copies             int64 // this many bytes from the start may be gone
}{
	{"ext4", "mke2fs", `mke2fs -q -F -t ext4 -b 4096 "$1"`, Filesystem, 64 * mib},
	{"ext4 of 1 KiB blocks", "mke2fs", `mke2fs -q -F -t ext4 -b 1024 "$1"`, Filesystem, 200 * mib},
	{"ext4 of 2 KiB blocks", "mke2fs", `mke2fs -q -F -t ext4 -b 2048 "$1"`, Filesystem, 200 * mib},
	{"ext4 with two copies", "mke2fs", `mke2fs -q -F -t ext4 -b 1024 -O sparse_super2 "$1"`, Filesystem, 500 * mib},
	{"ext2", "mke2fs", `mke2fs -q -F -t ext2 "$1"`, Filesystem, mib},
	{"ext journal", "mke2fs", `mke2fs -q -F -O journal_dev "$1"`, Filesystem, 0},
	{"btrfs", "mkfs.btrfs", `mkfs.btrfs -q "$1"`, Filesystem, 2 * mib},
	{"vfat", "mkfs.vfat", `mkfs.vfat "$1"`, Filesystem, 0},
	{"swap", "mkswap", `mkswap -q "$1"`, Filesystem, 0},
	{"LUKS1", "cryptsetup", `echo word | cryptsetup luksFormat -q --type luks1 --pbkdf-force-iterations 1000 "$1" -`, Filesystem, 0},
	{"LUKS2", "cryptsetup", `echo word | cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 "$1" -`, Filesystem, 4096},
	{"minix", "mkfs.minix", `mkfs.minix "$1"`, Unknown, 0},
	{"GPT", "sfdisk", `echo ',,L' | sfdisk -q --label gpt "$1"`, Unknown, 2 * mib},
	{"MBR", "sfdisk", `echo ',,L' | sfdisk -q --label dos "$1"`, Unknown, 0},
	{"squashfs", "mksquashfs", `mksquashfs /etc/init.d "$1" -noappend -quiet -no-progress >/dev/null; truncate -s 512M "$1"`, Filesystem, 0},
	{"erofs", "mkfs.erofs", `rm "$1"; mkfs.erofs "$1" /etc/init.d >/dev/null 2>&1; truncate -s 512M "$1"`, Filesystem, 0},
	{"xfs", "mkfs.xfs", `truncate -s 600M "$1"; mkfs.xfs -q "$1"`, Filesystem, 2 * mib},
	{"f2fs", "mkfs.f2fs", `mkfs.f2fs -q "$1" >/dev/null`, Unknown, 4096},
	{"exfat", "mkfs.exfat", `mkfs.exfat "$1" >/dev/null`, Filesystem, 4096},
	{"ntfs", "mkfs.ntfs", `mkfs.ntfs -q -Q -F -s 512 -p 0 -H 0 -S 0 "$1" >/dev/null 2>&1`, Filesystem, 2 * mib},
	{"udf", "mkudffs", `mkudffs -b 512 "$1" >/dev/null`, Unknown, mib},
	{"udf of 4 KiB blocks", "mkudffs", `mkudffs -b 4096 "$1" >/dev/null`, Unknown, mib},
	{"nilfs2", "mkfs.nilfs2", `mkfs.nilfs2 -q "$1" >/dev/null 2>&1`, Unknown, 2 * mib},
}

func TestNothingOfAToolIsBlank(t *testing.T) {
	for _, m := range makers {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			needs(t, m.tool)
			file := filepath.Join(t.TempDir(), "partition")
			if err := os.WriteFile(file, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(file, 512*mib); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("sh", "-ec", m.script, "sh", file).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v, %s", m.script, err, out)
			}
			f, err := os.OpenFile(file, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			info, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if got := Judge(f, info.Size(), 0); got.Content != m.content {
				t.Errorf("%+v, want %d", got, m.content)
			}
			if m.copies == 0 {
				return
			}
			if _, err := f.WriteAt(make([]byte, m.copies), 0); err != nil {
				t.Fatal(err)
			}
			if got := Judge(f, info.Size(), 0); got.Content != Unknown && got.Content != Filesystem {
				t.Errorf("without its first %d bytes: %+v", m.copies, got)
			}
		})
	}
}

// Debian keeps the makers of filesystems out of an ordinary user's PATH.
func init() { os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") }

// needs skips a test whose tool this machine does not have; where a gap is a
// failure, it fails.
func needs(t *testing.T, tool string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is not installed, and with CI=true nothing is skipped; qemu/host-packages.sh test installs it", tool)
	}
	t.Skipf("%s is not installed; qemu/host-packages.sh test installs it", tool)
}

// ext4 is the superblock of a filesystem of this many bytes, at its place.
func ext4(t *testing.T, size int64, change string) map[int64][]byte {
	t.Helper()
	needs(t, "mke2fs")
	file := filepath.Join(t.TempDir(), "ext4")
	script := `truncate -s "$2" "$1"; mke2fs -q -F -t ext4 -b 4096 -L data -U ` + uuid + ` "$1"; ` + change
	if out, err := exec.Command("sh", "-ec", script, "sh", file, fmt.Sprint(size)).CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, 4096)
	if _, err := f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	return map[int64][]byte{0: head}
}

const (
	uuid    = "01234567-89ab-cdef-0123-456789abcdef"
	mounted = `debugfs -w -R "ssv mnt_count 1" "$1" 2>/dev/null`
)

// claimed puts a claim over what is there.
func claimed(pieces map[int64][]byte, c block.Claim) map[int64][]byte {
	head := bytes.Clone(pieces[0])
	if head == nil {
		head = make([]byte, block.ClaimSize)
	}
	copy(head, c.Encode())
	all := map[int64][]byte{0: head}
	for at, piece := range pieces {
		if at != 0 {
			all[at] = piece
		}
	}
	return all
}

// Facts to decision, beyond blank and not blank.
func TestJudge(t *testing.T) {
	const size, start = 64 * mib, 4 * gib
	here := block.Claim{Start: start}
	stale := block.Claim{Start: start, Stale: true, Replaces: uuid}
	md12 := map[int64][]byte{4096: []byte("\xfc\x4e\x2b\xa9")}
	for _, c := range []struct {
		name   string
		pieces map[int64][]byte
		want   Content
		reason string
	}{
		{"its own size", ext4(t, size, ""), Filesystem, "holds ext4"},
		{"smaller: it was grown around", ext4(t, 16*mib, ""), Filesystem, "holds ext4"},
		{"larger: a card that was written anew", ext4(t, 128*mib, mounted), Stale,
			`has the header of a filesystem (ext4, label "data") of 134217728 bytes, and is only 67108864 bytes long`},
		{"claimed, and no more", claimed(nil, here), HalfMade, "was being formatted when the power went"},
		{"claimed and copied, but for the end", claimed(ext4(t, size, ""), here), HalfMade, "was being formatted when the power went"},
		{"claimed for another place", claimed(nil, block.Claim{Start: 512}), Unknown, "has the mark of a format that was cut short on a partition that began at byte 512"},
		{"a claim that is not whole", map[int64][]byte{0: here.Encode()[:500]}, Unknown, "is not blank: at offset 0 "},
		{"claimed, and mounted since", claimed(ext4(t, size, mounted), here), Leftover, "has the mark of a format that was cut short, and a filesystem"},
		{"claimed, and made something else since", claimed(md12, here), Unknown, "has the mark of a format that was cut short, and at offset 4096 that of md RAID 1.2"},
		{"stale and claimed", claimed(ext4(t, 128*mib, mounted), stale), HalfMade, "was being formatted in place of a stale filesystem"},
		{"stale, claimed, grown, so that it fits again", claimed(ext4(t, size, mounted), stale), HalfMade, "was being formatted in place of a stale filesystem"},
		{"stale and claimed, and another one mounted since", claimed(ext4(t, size, mounted+`; tune2fs -U clear "$1" >/dev/null`), stale), Leftover, "has the mark"},
		{"stale of another kind, and claimed", claimed(md12, block.Claim{Start: start, Stale: true}), HalfMade, "was being formatted"},
	} {
		got := Judge(card{size: size, pieces: c.pieces}, size, start)
		if got.Content != c.want || !strings.HasPrefix(got.Reason, c.reason) {
			t.Errorf("%s: %+v, want %d, %q", c.name, got, c.want, c.reason)
		}
	}
	bad := card{size: size, pieces: claimed(nil, here), bad: map[int64]bool{65536: true}}
	if got := Judge(bad, size, start); got.Content != Unreadable {
		t.Errorf("claimed, and not to be read: %+v", got)
	}
}
