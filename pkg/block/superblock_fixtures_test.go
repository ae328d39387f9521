package block

import (
	"bytes"
	"compress/gzip"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var updateSuperblocks = flag.Bool("update-superblocks", false,
	"write testdata/superblock anew with the tools that are installed here")

// fixture is a device that a filesystem's own tool made.
type fixture struct {
	name string
	// script is what made it: a shell script whose $1 is the device and $2 a
	// directory with one file.
	script string
	cut    int64 // bytes from the start that are kept in testdata
	want   Superblock
}

const (
	uuidA = "01234567-89ab-cdef-0123-456789abcdef"
	uuidB = "fedcba98-7654-3210-fedc-ba9876543210"
)

var fixtures = []fixture{
	{"ext4", `truncate -s 64M "$1"; mke2fs -q -F -t ext4 -O metadata_csum,64bit -L rootfs -U ` + uuidA + ` "$1"`,
		4 << 10, Superblock{"ext4", "rootfs", uuidA, 64 << 20, false, false, false}},
	{"ext4-nosum", `truncate -s 16M "$1"; mke2fs -q -F -t ext4 -b 4096 -O ^metadata_csum -U ` + uuidA + ` "$1"`,
		4 << 10, Superblock{"ext4", "", uuidA, 16 << 20, false, false, false}},
	{"ext4-errors", `truncate -s 16M "$1"; mke2fs -q -F -t ext4 -b 4096 -U ` + uuidA + ` "$1"; debugfs -w -R "ssv state 2" "$1" 2>/dev/null`,
		4 << 10, Superblock{"ext4", "", uuidA, 16 << 20, true, true, false}},
	{"ext3", `truncate -s 16M "$1"; mke2fs -q -F -t ext3 -L "with blank" -U ` + uuidB + ` "$1"`,
		4 << 10, Superblock{"ext3", "with blank", uuidB, 16 << 20, false, false, false}},
	{"ext2", `truncate -s 8M "$1"; mke2fs -q -F -t ext2 -L sixteen-bytes-ab -U ` + uuidA + ` "$1"`,
		4 << 10, Superblock{"ext2", "sixteen-bytes-ab", uuidA, 8 << 20, false, false, false}},
	{"ext2-rev0", `truncate -s 8M "$1"; mke2fs -q -F -t ext2 -r 0 -O none -U ` + uuidA + ` "$1" 2>/dev/null`,
		4 << 10, Superblock{"ext2", "", uuidA, 8 << 20, false, false, false}},
	{"jbd", `truncate -s 8M "$1"; mke2fs -q -F -b 4096 -O journal_dev -L journal -U ` + uuidB + ` "$1"`,
		4 << 10, Superblock{"jbd", "journal", uuidB, 8 << 20, false, false, false}},
	{"fat12", `mkfs.vfat -C -F 12 -n BOOT12 -i 1234abcd "$1" 2048 >/dev/null`,
		4 << 10, Superblock{"vfat", "BOOT12", "1234-ABCD", 2 << 20, false, false, false}},
	{"fat16", `mkfs.vfat -C -F 16 -n bootfs -i 00000001 "$1" 32768 >/dev/null 2>&1`,
		4 << 10, Superblock{"vfat", "bootfs", "0000-0001", 32 << 20, false, false, false}},
	{"fat32", `mkfs.vfat -C -F 32 -n "BOOT 32" -i deadbeef "$1" 65536 >/dev/null`,
		4 << 10, Superblock{"vfat", "BOOT 32", "DEAD-BEEF", 64 << 20, false, false, false}},
	{"fat32-nolabel", `mkfs.vfat -C -F 32 -i deadbeef "$1" 65536 >/dev/null`,
		4 << 10, Superblock{"vfat", "", "DEAD-BEEF", 64 << 20, false, false, false}},
	{"fat16-rootlabel", `mkfs.vfat -C -F 16 -n ROOT16 -i 00000002 "$1" 32768 >/dev/null; printf "NO NAME    " | dd of="$1" bs=1 seek=43 conv=notrunc status=none`,
		128 << 10, Superblock{"vfat", "ROOT16", "0000-0002", 32 << 20, false, false, false}},
	{"fat32-rootlabel", `mkfs.vfat -C -F 32 -S 4096 -s 1 -n ROOT32 -i 00000003 "$1" 300000 >/dev/null; printf "NO NAME    " | dd of="$1" bs=1 seek=71 conv=notrunc status=none`,
		1 << 20, Superblock{"vfat", "ROOT32", "0000-0003", 307101696, false, false, false}},
	{"squashfs", `mksquashfs "$2" "$1" -quiet -no-progress -all-root -mkfs-time 1 -all-time 1`,
		4 << 10, Superblock{Type: "squashfs", Size: 228}},
	{"erofs", `mkfs.erofs --quiet -T1 --all-root -U ` + uuidA + ` "$1" "$2" 2>/dev/null`,
		4 << 10, Superblock{"erofs", "", uuidA, 4096, false, false, false}},
	{"btrfs", `truncate -s 128M "$1"; mkfs.btrfs -q -L btrfs-label -U ` + uuidB + ` "$1" >/dev/null 2>&1`,
		68 << 10, Superblock{"btrfs", "btrfs-label", uuidB, 128 << 20, false, false, false}},
	{"btrfs-sha256", `truncate -s 128M "$1"; mkfs.btrfs -q --csum sha256 -U ` + uuidB + ` "$1" >/dev/null 2>&1`,
		68 << 10, Superblock{"btrfs", "", uuidB, 128 << 20, false, false, false}},
	{"iso9660", `xorriso -as mkisofs -quiet -V MINIOS --modification-date=2024010203040506 -o "$1" "$2" 2>/dev/null`,
		36 << 10, Superblock{"iso9660", "MINIOS", "2024-01-02-03-04-05-06", 376832, false, false, false}},
	{"xfs", `truncate -s 300M "$1"; mkfs.xfs -q -L "my xfs" -m uuid=` + uuidA + ` "$1"`,
		4 << 10, Superblock{"xfs", "my xfs", uuidA, 300 << 20, false, false, false}},
	{"exfat", `truncate -s 64M "$1"; mkfs.exfat -L "Stick 1" "$1" >/dev/null; tune.exfat -I 0x1234abcd "$1" >/dev/null`,
		4 << 20, Superblock{"exfat", "Stick 1", "1234-ABCD", 64 << 20, false, false, false}},
	{"exfat-nolabel", `truncate -s 64M "$1"; mkfs.exfat "$1" >/dev/null; tune.exfat -I 0x1 "$1" >/dev/null`,
		4 << 20, Superblock{"exfat", "", "0000-0001", 64 << 20, false, false, false}},
	{"ntfs", `truncate -s 64M "$1"; mkfs.ntfs -q -F -f -L "My Stick" "$1" >/dev/null 2>&1; printf '\001\002\003\004\005\006\007\370' | dd of="$1" bs=1 seek=72 conv=notrunc status=none`,
		64 << 10, Superblock{"ntfs", "My Stick", "F807060504030201", 64<<20 - 512, false, false, false}},
	{"ntfs-64k", `truncate -s 256M "$1"; mkfs.ntfs -q -F -f -c 65536 -L large "$1" >/dev/null 2>&1; printf '\001\002\003\004\005\006\007\370' | dd of="$1" bs=1 seek=72 conv=notrunc status=none`,
		1 << 20, Superblock{"ntfs", "large", "F807060504030201", 256<<20 - 512, false, false, false}},
	{"luks1", `truncate -s 32M "$1"; printf x | cryptsetup -q luksFormat --type luks1 --iter-time 10 --uuid ` + uuidA + ` "$1" -`,
		1 << 10, Superblock{Type: "crypto_LUKS", UUID: uuidA}},
	{"luks2", `truncate -s 32M "$1"; printf x | cryptsetup -q luksFormat --type luks2 --pbkdf pbkdf2 --iter-time 10 --label changes --uuid ` + uuidB + ` "$1" -`,
		4 << 10, Superblock{Type: "crypto_LUKS", Label: "changes", UUID: uuidB}},
	{"swap-4k", `truncate -s 1M "$1"; mkswap -q -p 4096 -L swap4 -U ` + uuidA + ` "$1" >/dev/null 2>&1`,
		4 << 10, Superblock{"swap", "swap4", uuidA, 1 << 20, false, false, false}},
	{"swap-16k", `truncate -s 1M "$1"; mkswap -p 16384 -L swap16 -U ` + uuidA + ` "$1" >/dev/null 2>&1`,
		16 << 10, Superblock{"swap", "swap16", uuidA, 1 << 20, false, false, false}},
	{"swap-64k", `truncate -s 1M "$1"; mkswap -p 65536 -U ` + uuidB + ` "$1" >/dev/null 2>&1`,
		64 << 10, Superblock{"swap", "", uuidB, 1 << 20, false, false, false}},
	{"blank", `truncate -s 1M "$1"`, 4 << 10, Superblock{}},
}

// golden returns the bytes of a fixture that are kept in testdata.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	packed, err := os.Open(filepath.Join("testdata", "superblock", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unpacked, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	image, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// writeGolden keeps the first bytes of a device. The command that made it is
// the comment in the header of the gzip file, where "file" and people find it.
func writeGolden(t *testing.T, f fixture, device string) {
	t.Helper()
	file, err := os.Open(device)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var packed bytes.Buffer
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	w.Comment = f.script
	if _, err := io.Copy(w, io.LimitReader(file, f.cut)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("testdata", "superblock", f.name+".gz"), packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// build makes the device of a fixture, or skips when this machine lacks a tool.
func (f fixture) build(t *testing.T) string {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin")
	needPrograms(t, append(programs(f.script), "blkid")...)
	dir := t.TempDir()
	device, content := filepath.Join(dir, "device"), filepath.Join(dir, "content")
	if err := os.Mkdir(content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(content, "file"), []byte("content\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("sh", "-e", "-c", f.script, "sh", device, content).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", f.script, err, out)
	}
	return device
}

// programs are the tools of filesystems that a script calls.
func programs(script string) []string {
	var found []string
	for _, word := range strings.Fields(script) {
		switch word {
		case "mke2fs", "mkfs.vfat", "mksquashfs", "mkfs.erofs", "mkfs.btrfs", "mkfs.xfs", "mkfs.exfat", "mkfs.ntfs", "xorriso", "cryptsetup", "mkswap":
			found = append(found, word)
		}
	}
	return found
}

// needPrograms skips a test that this machine cannot run. Where CI=true it
// fails: there everything is to be installed, and a silent skip hides a level.
func needPrograms(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and with CI=true this test must run: install it", name)
		}
		t.Skipf("SKIPPED: %s is not installed, so its filesystems are judged by testdata alone", name)
	}
}
