package qemu

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fatOf is a FAT with the files of a directory, by their long names. To copy
// each with a program of its own takes minutes for thousands.
type fatOf struct{ dir string }

// Make implements Content.
func (f fatOf) Make(file string, size int64) error {
	if err := (FAT{Label: "bootfs", ID: 1}).Make(file, size); err != nil {
		return err
	}
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return err
	}
	args := []string{"-s", "-Q", "-i", file}
	for _, e := range entries {
		args = append(args, filepath.Join(f.dir, e.Name()))
	}
	cmd, err := command("mcopy", append(args, "::")...)
	if err != nil {
		return err
	}
	// Names in UTF-8 are what mtools takes them for in such a locale only.
	cmd.Env = append(cmd.Env, "LC_ALL=C.UTF-8")
	return runCommand(cmd, nil)
}

// inboxDisk is the stub disk with these files on its boot partition, by path,
// and a data partition of so many MiB.
func inboxDisk(t *testing.T, bootMiB, dataMiB int, files map[string]string) string {
	t.Helper()
	tools(t, "mcopy", "mkfs.vfat", "debugfs")
	dir := t.TempDir()
	for name, content := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	disk := StubDisk(machines(t).stub)
	disk.Boot = Partition{MiB: bootMiB, Content: fatOf{dir}}
	disk.Data.MiB = dataMiB
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := disk.Write(image); err != nil {
		t.Fatal(err)
	}
	return image
}

// onFAT lists the files of the boot partition of such a disk; it is the first.
func onFAT(t *testing.T, image string) []string {
	t.Helper()
	out, err := Tool("mdir", "-b", "-/", "-i", fmt.Sprintf("%s@@%d", image, gap), "::/")
	if err != nil && !bytes.Contains(out, []byte("File \"*\" not found")) {
		t.Fatalf("mdir: %v, %s", err, out)
	}
	return strings.Fields(string(out))
}

// putOnFAT puts a file on the boot partition, as a person with a card reader.
func putOnFAT(t *testing.T, image, name, content string) {
	t.Helper()
	if err := Text(name, content).copyToFAT(fmt.Sprintf("%s@@%d", image, gap)); err != nil {
		t.Fatal(err)
	}
}

const consumeAll = "minos.inbox=config:config:consume:0644"

// Layouts 1.7, statement 7, on a real FAT, with all that a card can bring: ten
// thousand files, one of 100 MB, names that are long and from everywhere, lines
// of Windows. All of it arrives byte for byte, and leaves the card.
func TestStatement1_7_7_ConsumeFromAFAT(t *testing.T) {
	t.Parallel()
	const many, bigSize = 10_000, 100_000_000
	big := strings.Repeat("A line of a hundred bytes, by which a large file is made, and which differs by nothing, at all.....\n", bigSize/100)
	long := "a name that no old FAT could have had with blanks and " + strings.Repeat("x", 150) + ".conf"
	files := map[string]string{
		"config/wifi/w.conf": "new\r\nlines\r\n", "config/big": big, "config/Grüße.conf": "hallo",
		"config/" + long: "long", "config/UPPER.TXT": "upper", "config/.hidden": "hidden", "README.txt": "stays",
	}
	for n := range many {
		files[fmt.Sprintf("config/many/%02d/file-%d", n/100, n)] = strconv.Itoa(n)
	}
	image := inboxDisk(t, 180, 320, files)
	first := boot(t, Case{Image: image, Change: keep, Do: []string{
		"mkdir:/data/config/wifi", "write:/data/config/wifi/w.conf=old", "write:/data/config/other=1", "sync"},
		Append: []string{"rauc.slot=A", "minos.inbox=none"}})
	first.handedOver(t)
	r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A", consumeAll}, Within: 4 * time.Minute,
		Do: []string{"read:/data/config/wifi/w.conf", "read:/data/config/other", "read:/data/config/Gr%C3%BC%C3%9Fe.conf",
			"read:/data/config/" + strings.ReplaceAll(long, " ", "%20"), "read:/data/config/UPPER.TXT", "read:/data/config/.hidden",
			"read:/data/config/many/99/file-9999", "stat:/data/config/big", "ls:/boot/firmware", "write:/boot/firmware/x=1"}})
	report := r.handedOver(t)
	shows(t, r.Console, fmt.Sprintf("files taken over from the boot partition to the data partition: %d; removed there afterwards: %[1]d", many+6))
	for verb, want := range map[string]string{
		"read:/data/config/wifi/w.conf": `"new\r\nlines\r\n"`, "read:/data/config/other": `"1"`,
		"read:/data/config/UPPER.TXT": `"upper"`, "read:/data/config/.hidden": `"hidden"`,
		"read:/data/config/Gr%C3%BC%C3%9Fe.conf": `"hallo"`, "read:/data/config/" + strings.ReplaceAll(long, " ", "%20"): `"long"`,
		"read:/data/config/many/99/file-9999": `"9999"`, "ls:/boot/firmware": `"README.txt"`, "write:/boot/firmware/x=1": "EROFS",
	} {
		if got := r.result(t, verb); got != want {
			t.Errorf("%s: %s, want %s", verb, got, want)
		}
	}
	if got := r.result(t, "stat:/data/config/big"); !strings.HasPrefix(got, "mode=100644 uid=0 gid=0 size=100000000 ") {
		t.Errorf("the large file: %s", got)
	}
	if report.Degraded {
		t.Errorf("the boot is degraded: %q", report.DegradedReasons)
	}
	t.Logf("init took %s", r.Line("minos: OK"))
	if left := onFAT(t, image); !slices.Equal(left, []string{"::/README.txt"}) {
		t.Errorf("the card has %q", left)
	}
	onPartitionOf(t, image, 320, func(file string) {
		out, err := Tool("e2fsck", "-fn", file)
		if err != nil {
			t.Errorf("e2fsck: %v, %s", err, out)
		}
		copied := filepath.Join(t.TempDir(), "big")
		if out, err := Tool("debugfs", "-R", "dump /config/big "+copied, file); err != nil {
			t.Fatalf("debugfs: %v, %s", err, out)
		}
		if got, err := os.ReadFile(copied); err != nil || string(got) != big {
			t.Errorf("the large file came back with %d bytes, %v, and differs", len(got), err)
		}
	})
}

// onPartitionOf gives a program the data partition of an inboxDisk, after the
// journal was replayed.
func onPartitionOf(t *testing.T, image string, dataMiB int, use func(file string)) {
	t.Helper()
	info, err := os.Stat(image)
	if err != nil {
		t.Fatal(err)
	}
	disk, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer disk.Close()
	content := make([]byte, dataMiB*mib) // data is the last
	if _, err := disk.ReadAt(content, info.Size()-int64(len(content))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(file, content, 0o644); err != nil {
		t.Fatal(err)
	}
	// Status 1: the journal was replayed.
	if out, err := Tool("e2fsck", "-p", file); err != nil && !strings.Contains(err.Error(), "exit status 1") {
		t.Fatalf("e2fsck: %v, %s", err, out)
	}
	use(file)
}

// Layouts 1.7, statements 8, 9 and 11 in two boots: what has no space stays on
// the card and its target is the old one; lines are appended once; without a
// rule of its own the Wi-Fi file arrives, whatever Windows made of its name.
func TestStatement1_7_8_FullDataAndTheOtherPolicies(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("0123456789abcdef", 80*mib/16)
	image := inboxDisk(t, 120, 64, map[string]string{
		"config/wifi/w.conf": large, "config/small": "s", "Keys": "one\r\ntwo\r\n", "CONFIG/._small": "mac",
		"net/WPA_Supplicant.conf.txt": "network={}\r\n",
	})
	words := []string{"rauc.slot=A", consumeAll, "minos.inbox=keys:ssh/keys:append-unique:0640",
		"minos.inbox=net/wpa_supplicant.conf:wifi/wpa_supplicant.conf", "minos.data-dirs=extensions/sysext,extensions/confext"}
	first := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A", "minos.inbox=none"}, Do: []string{
		"mkdir:/data/config/wifi", "write:/data/config/wifi/w.conf=old", "mkdir:/data/ssh", "write:/data/ssh/keys=two", "sync"}})
	first.handedOver(t)
	looks := []string{"read:/data/config/wifi/w.conf", "read:/data/config/small", "read:/data/ssh/keys", "read:/data/wifi/wpa_supplicant.conf",
		"ls:/data/extensions", "ls:/boot/firmware/config", "ls:/boot/firmware/config/wifi", "stat:/data/wifi/wpa_supplicant.conf", "sync"}
	for i, told := range []string{"files taken over from the boot partition to the data partition: 3; removed there afterwards: 1", ""} {
		r := boot(t, Case{Image: image, Change: keep, Append: words, Do: looks, Within: 3 * time.Minute})
		if report := r.handedOver(t); report.Degraded || !slices.ContainsFunc(report.Warnings, func(w string) bool {
			return strings.HasPrefix(w, "CONFIG/wifi/w.conf of the boot partition is not taken over, ignoring: it takes 83886080 bytes, and the data partition has ")
		}) {
			t.Errorf("boot %d: degraded %t, warnings %q", i, report.Degraded, report.Warnings)
		}
		shows(t, r.Console, told)
		for verb, want := range map[string]string{
			looks[0]: `"old"`, looks[1]: `"s"`, looks[2]: `"two\none\n"`, looks[3]: `"network={}\r\n"`, looks[4]: `"confext sysext"`,
			looks[5]: `"._small wifi"`, looks[6]: `"w.conf"`,
		} {
			if got := r.result(t, verb); got != want {
				t.Errorf("boot %d: %s: %s, want %s", i, verb, got, want)
			}
		}
		if mode := r.result(t, looks[7]); !strings.HasPrefix(mode, "mode=100600 ") {
			t.Errorf("boot %d: the Wi-Fi file has %s", i, mode)
		}
		if told == "" {
			lacks(t, r.Console, "taken over from the boot partition to")
		}
	}
}

// What a person asks for with a file on the card, and minosctl from inside, is
// done once; the identity stays.
func TestWishes(t *testing.T) {
	t.Parallel()
	disk := StubDisk(machines(t).stub)
	disk.RootFSA = rootfs(disk.RootFSA.MiB, StubTree(machines(t).stub).With(File{Name: "sbin/minosctl", Mode: 0o755, From: initramfs(t, "minosctl")}), "A")
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := disk.Write(image); err != nil {
		t.Fatal(err)
	}
	write := []string{"write:/etc/mine=1", "mkdir:/data/config/ssh", "mkdir:/data/apps", "write:/data/config/ssh/key=k", "write:/data/config/x=1", "write:/data/apps/a=1"}
	read := []string{"read:/etc/mine", "read:/data/config/ssh/key", "read:/data/config/x", "read:/data/apps/a", "ls:/boot/firmware"}
	const factory = "must:/sbin/minosctl%20factory-reset%20--yes"
	const there, gone, identity = `"1"`, "ENOENT", `"k"`
	for i, b := range []struct {
		wish, text string // put on the card before the boot
		do         []string
		overlay    string // what becomes of what was written there
		data       string
		card       string
		says       string
	}{
		{"", "", append(write, "sync"), "", "", "", ""},
		{"reset-data", "v2\r\n", read, there, there, `"README.txt reset-data"`, `reset-data on the boot partition is not obeyed, ignoring: it is for the image "v2", and this is v1`},
		{"reset-data", "v1\r\n", append(read, write...), there, gone, `"README.txt"`, "reset-data is asked for: what is on the data partition is thrown away, but for config/system, config/ssh"},
		{"Reset-Overlay.txt", "", append(read, append(write, factory, "sync")...), gone, there, `"README.txt"`, "reset-overlay is asked for: what is on the overlay partition is thrown away"},
		{"", "", append(read, append(write, "sync")...), gone, gone, `"README.txt"`, "reset-data is asked for"},
		{"", "", read, there, there, `"README.txt"`, ""},
	} {
		if b.wish != "" {
			putOnFAT(t, image, b.wish, b.text)
		}
		r := boot(t, Case{Image: image, Change: keep, Append: []string{"rauc.slot=A", "minos.build=v1"}, Do: b.do})
		if report := r.handedOver(t); report.Degraded {
			t.Errorf("boot %d is degraded: %q", i, report.DegradedReasons)
		}
		shows(t, r.Console, b.says)
		if b.says == "" {
			lacks(t, r.Console, "is asked for")
		}
		if i == 0 {
			continue
		}
		for verb, want := range map[string]string{read[0]: b.overlay, read[1]: identity, read[2]: b.data, read[3]: b.data, read[4]: b.card} {
			if got := r.result(t, verb); got != want {
				t.Errorf("boot %d: %s: %s, want %s", i, verb, got, want)
			}
		}
		if slices.Contains(b.do, factory) && r.result(t, factory) != "ok" {
			t.Errorf("boot %d: minosctl: %s", i, r.result(t, factory))
		}
		if t.Failed() {
			t.Fatalf("in boot %d:\n%s", i, r.Console)
		}
	}
}
