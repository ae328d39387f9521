package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// scriptImage is commands as mkimage -T script packs them.
func scriptImage(text string) string {
	data := binary.BigEndian.AppendUint32(nil, uint32(len(text)))
	data = append(append(data, 0, 0, 0, 0), text...)
	image := make([]byte, 64)
	binary.BigEndian.PutUint32(image, 0x27051956)
	binary.BigEndian.PutUint32(image[12:], uint32(len(data)))
	binary.BigEndian.PutUint32(image[24:], crc32.ChecksumIEEE(data))
	image[28], image[29], image[30] = 5, 22, 6 // Linux, arm64, a script
	binary.BigEndian.PutUint32(image[4:], crc32.ChecksumIEEE(image))
	return string(append(image, data...))
}

const cpio = "070701 an archive "

// bootDevice is a device that U-Boot's script has started, with the boot files
// at the top, and new ones in the directory new.
type bootDevice struct {
	testDevice
	free     int64         // bytes on the boot partition
	writable func(on bool) // is called when the boot partition is made so, and when not any more
	refuse   error         // of making it writable
}

const threeEach = "BOOT_ORDER=A B BOOT_A_LEFT=3 BOOT_B_LEFT=3"

func newBootDevice(t *testing.T) *bootDevice {
	d := &bootDevice{testDevice: newDevice(t), free: 1 << 30}
	for _, dir := range []string{"boot/firmware", "new"} {
		if err := os.MkdirAll(d.path(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	d.file("boot/firmware/boot.scr", scriptImage("old: m_files BOOT_FILES_TRY"))
	d.file("boot/firmware/initramfs.cpio.lz4", cpio+"old")
	d.file("new/boot.scr", scriptImage("new: m_files"))
	d.file("new/initramfs.cpio.lz4", cpio+"new")
	d.starts(0, "")
	d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3")
	return d
}

// starts is a boot with a set of boot files.
func (d *bootDevice) starts(files int, degraded string) {
	d.Helper()
	roles := `"roles": [{"name": "boot", "mounted_at": "/boot/firmware", "state": "ok"}], "degraded":`
	d.file("run/minos/boot.json", strings.Replace(bootJSON("A", degraded), `"degraded":`, roles, 1))
	d.file("proc/cmdline", "quiet minos.files="+string(rune('0'+files))+" rauc.slot=A\n")
}

// update is minosctl with the effects on the mount recorded.
func (d *bootDevice) update(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	h := host{root: d.root, lockWait: time.Second,
		space: func(string) (space, error) { return space{d.free, 512}, nil },
		makeWritable: func(dir string) (func() error, error) {
			if dir != d.path("boot/firmware") || d.refuse != nil {
				return nil, errors.Join(d.refuse, errors.New(dir))
			}
			if d.writable != nil {
				d.writable(true)
			}
			return func() error {
				if d.writable != nil {
					d.writable(false)
				}
				return nil
			}, nil
		}}
	status = run(h, append([]string{callName}, args...), &out, &errs)
	return status, out.String(), errs.String()
}

func (d *bootDevice) updates(args ...string) string {
	d.Helper()
	status, stdout, stderr := d.update(append([]string{"boot-update"}, args...)...)
	if status != statusOK || stderr != "" {
		d.Fatalf("boot-update %q: status %d, %s", args, status, stderr)
	}
	fits(d.TB.(*testing.T), stdout)
	return stdout
}

func (d *bootDevice) stateIs(want string) {
	d.Helper()
	if got := d.at(0); got != want {
		d.Errorf("the boot state is %s, want %s", got, want)
	}
}

// holds compares the initramfs and the script of a set.
func (d *bootDevice) holds(dir, initramfs, script string) {
	d.Helper()
	dir = "boot/firmware/" + dir
	if got := string(d.bytes(dir + "/initramfs.cpio.lz4")); got != cpio+initramfs {
		d.Errorf("%s has the initramfs %q, want %q", dir, got, initramfs)
	}
	text, err := scriptText(d.bytes(dir + "/boot.scr"))
	if err != nil || !strings.HasPrefix(string(text), script+":") {
		d.Errorf("%s has the script %q, %v, want %s", dir, text, err, script)
	}
}

// The story of some updates: each goes to a directory of its own, is tried, and
// kept or not; what runs and what is current is never written to.
func TestBootUpdate(t *testing.T) {
	d := newBootDevice(t)
	if out := d.updates(d.path("new")); !strings.HasPrefix(out, "boot-1 holds the new boot files.") {
		t.Error(out)
	}
	d.holds("boot-1", "new", "new")
	d.holds("", "old", "old")
	d.stateIs(threeEach + " BOOT_FILES_TRY=1")

	// The trial comes, and nobody keeps it; the next update may have its place.
	d.put(0, strings.Split("BOOT_ORDER=A B,BOOT_A_LEFT=2,BOOT_B_LEFT=3", ",")...)
	d.starts(0, "")
	d.file("boot/firmware/boot-1/stale.txt", "")
	d.file("new/initramfs.cpio.lz4", cpio+"newer")
	d.file("devicetree.dtb", "\xd0\x0d\xfe\xed\x00\x00\x00\x28"+strings.Repeat("\x00", 32))
	d.updates(d.path("new/initramfs.cpio.lz4"), d.path("devicetree.dtb"))
	d.holds("boot-1", "newer", "old") // the script is of the running set
	if entries, err := os.ReadDir(d.path("boot/firmware/boot-1")); err != nil || len(entries) != 3 {
		t.Errorf("%v, %v, want three files", entries, err)
	}

	// The trial runs: mark-good keeps it. Marking the other slot does not.
	d.put(0, strings.Split("BOOT_ORDER=A B,BOOT_A_LEFT=2,BOOT_B_LEFT=3", ",")...)
	d.starts(1, "")
	d.ok("mark-good", "B")
	d.stateIs("BOOT_ORDER=A B BOOT_A_LEFT=2 BOOT_B_LEFT=3 BOOT_GOOD=B")
	d.ok("mark-good")
	d.stateIs(threeEach + " BOOT_GOOD=A BOOT_FILES=1")

	// The next one goes to the other directory, with what is not given of the
	// running one; --commit keeps it as well.
	d.file("new/initramfs.cpio.lz4", cpio+"newest")
	d.updates(d.path("new/initramfs.cpio.lz4"))
	d.holds("boot-2", "newest", "old")
	d.holds("boot-1", "newer", "old")
	if _, err := os.Stat(d.path("boot/firmware/boot-2/devicetree.dtb")); err != nil {
		t.Error(err)
	}
	d.stateIs(threeEach + " BOOT_GOOD=A BOOT_FILES=1 BOOT_FILES_TRY=2")
	d.put(0, strings.Split("BOOT_ORDER=A B,BOOT_A_LEFT=3,BOOT_B_LEFT=3,BOOT_FILES=1", ",")...)
	d.starts(2, "")
	if out := d.ok("status"); !strings.Contains(out, "Boot files    boot-1 is current; boot-2 is running, on trial\n") {
		t.Error(out)
	}
	if status, _, stderr := d.update("boot-update", d.path("new")); status != statusFailed || !strings.Contains(stderr, "there is no third directory") {
		t.Errorf("an update during a trial: %d, %s", status, stderr)
	}
	d.updates("--commit")
	d.stateIs(threeEach + " BOOT_FILES=2")
	if out := d.ok("status"); !strings.Contains(out, "Boot files    boot-2 is current and running\n") {
		t.Error(out)
	}
}

// Nothing points at the directory before all of it is there, and an earlier
// trial is put off before it is touched.
func TestBootUpdateOrder(t *testing.T) {
	d := newBootDevice(t)
	d.updates(d.path("new"))
	d.file("new/initramfs.cpio.lz4", cpio+"newer")
	var seen []bool
	d.writable = func(on bool) {
		seen = append(seen, on)
		d.stateIs(threeEach)
		d.holds("boot-1", map[bool]string{true: "new", false: "newer"}[on], "new")
	}
	d.updates(d.path("new"))
	if len(seen) != 2 || !seen[0] || seen[1] {
		t.Errorf("the boot partition was made writable and not: %v", seen)
	}
	d.stateIs(threeEach + " BOOT_FILES_TRY=1")
}

// What is refused leaves the boot partition and the boot state as they are.
func TestBootUpdateRefuses(t *testing.T) {
	damaged := func(at int) string {
		image := []byte(scriptImage("new: m_files"))
		image[at] ^= 1
		return string(image)
	}
	for name, c := range map[string]struct {
		change func(d *bootDevice)
		says   string
		status int
	}{
		"space":        {func(d *bootDevice) { d.free = 1535 }, "there is too little space: the files take 1536 bytes, and 1535 are free", statusFailed},
		"header":       {func(d *bootDevice) { d.file("new/boot.scr", damaged(40)) }, "its header is damaged", statusFailed},
		"text":         {func(d *bootDevice) { d.file("new/boot.scr", damaged(75)) }, "boot.scr cannot be used: it is damaged: its CRC", statusFailed},
		"cut short":    {func(d *bootDevice) { d.file("new/boot.scr", scriptImage("m_files")[:70]) }, "it is cut short: 6 bytes of its 15", statusFailed},
		"source":       {func(d *bootDevice) { d.file("new/boot.scr", "m_files") }, "it is no image of U-Boot; mkimage -T script makes one", statusFailed},
		"of one set":   {func(d *bootDevice) { d.file("new/boot.scr", scriptImage("booti")) }, "it does not look at m_files", statusFailed},
		"top too old":  {func(d *bootDevice) { d.file("boot/firmware/boot.scr", scriptImage("old")) }, "starts no other set of boot files", statusFailed},
		"no script":    {func(d *bootDevice) { d.remove("new/boot.scr") }, "there is no boot.scr", statusFailed},
		"no initramfs": {func(d *bootDevice) { d.remove("new/initramfs.cpio.lz4") }, "there is no initramfs.cpio.lz4", statusFailed},
		"empty":        {func(d *bootDevice) { d.file("new/initramfs.cpio.lz4", "") }, "initramfs.cpio.lz4 cannot be used: it is empty", statusFailed},
		"no archive":   {func(d *bootDevice) { d.file("new/initramfs.cpio.lz4", "\x04\x22\x4d\x18 frames") }, `it begins with "\x04\"M\x18 fra"`, statusFailed},
		"no tree":      {func(d *bootDevice) { d.file("new/devicetree.dtb", "/dts-v1/;"+strings.Repeat(" ", 40)) }, "it is no device tree", statusFailed},
		"half a tree": {func(d *bootDevice) {
			d.file("new/devicetree.dtb", "\xd0\x0d\xfe\xed\x00\x00\x01\x00"+strings.Repeat("\x00", 40))
		}, "it is cut short: 48 bytes of its 256", statusFailed},
		"unknown":        {func(d *bootDevice) { d.file("new/kernel.img", "") }, "kernel.img is no boot file", statusFailed},
		"not ours":       {func(d *bootDevice) { d.file("proc/cmdline", "rauc.slot=A") }, "minos.files= is not on the kernel command line", statusFailed},
		"not mounted":    {func(d *bootDevice) { d.file("run/minos/boot.json", bootJSON("A", "")) }, "cannot find the boot partition", statusFailed},
		"stays readonly": {func(d *bootDevice) { d.refuse = errors.New("EROFS") }, "cannot make the boot partition writable: EROFS", statusFailed},
		"no directory":   {func(d *bootDevice) { d.file("boot/firmware/boot-1", "a file") }, "not a directory", statusFailed},
		"no boot state":  {func(d *bootDevice) { d.write(0, bytes.Repeat([]byte("ext4"), 0x1000)); d.remove("dev/vda9") }, "cannot open the boot state", statusNoState},
	} {
		t.Run(name, func(t *testing.T) {
			d := newBootDevice(t)
			c.change(d)
			status, stdout, stderr := d.update("boot-update", d.path("new"))
			if status != c.status || !strings.Contains(stderr, c.says) || strings.Count(stderr, "\n") != 1 || stdout != "" {
				t.Errorf("status %d, %s%s", status, stdout, stderr)
			}
			if name != "no boot state" {
				d.stateIs(threeEach)
			}
			if entries, err := os.ReadDir(d.path("boot/firmware/boot-1")); err == nil {
				t.Errorf("boot-1 was made, with %d files", len(entries))
			}
		})
	}
	d := newBootDevice(t)
	if status, _, stderr := d.update("boot-update"); status != statusUsage {
		t.Errorf("without anything: %d, %s", status, stderr)
	}
	if status, _, stderr := d.update("boot-update", "--commit", d.path("new")); status != statusUsage {
		t.Errorf("both at once: %d, %s", status, stderr)
	}
	unlock, err := lockDir(d.path("boot/firmware"))
	if err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := d.update("boot-update", d.path("new")); status != statusFailed || !strings.Contains(stderr, "another update") {
		t.Errorf("two at once: %d, %s", status, stderr)
	}
	unlock()
	d.updates(d.path("new"))
}

// A disk that does not return what was written is told of.
func TestReadBack(t *testing.T) {
	d := newDevice(t)
	d.file("file", "content")
	for content, ok := range map[string]bool{"content": true, "contents": false, "conten": false, "Content": false} {
		if err := readBack(d.path("file"), []byte(content)); (err == nil) != ok {
			t.Errorf("%s: %v", content, err)
		}
	}
}

// A boot that lacks something does not keep boot files on trial, nor its slot.
func TestBootFilesOnTrialAndDegraded(t *testing.T) {
	d := newBootDevice(t)
	d.starts(1, "data is not there")
	for _, args := range [][]string{{"mark-good"}, {"boot-update", "--commit"}} {
		if status, _, stderr := d.update(args...); status != statusRefused || !strings.Contains(stderr, "data is not there") {
			t.Errorf("%s: %d, %s", args, status, stderr)
		}
		d.stateIs(threeEach)
	}
	d.updates("--commit", "--force")
	d.stateIs(threeEach + " BOOT_FILES=1")
	// The files at the top are no trial: that they run is a failure of the others.
	d.starts(0, "data is not there")
	d.ok("mark-good")
	d.stateIs(threeEach + " BOOT_GOOD=A")
}

// The boot partition and the boot state of another device are given, and what
// runs here has no say.
func TestBootUpdateOfAnotherDevice(t *testing.T) {
	d := newBootDevice(t)
	d.starts(1, "")
	d.file("card9", string(d.bytes("dev/vda9")))
	if err := os.Rename(d.path("boot/firmware"), d.path("card1")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := d.update("boot-update", "--device", d.path("card9"), d.path("new")); status != statusUsage || !strings.Contains(stderr, "--dir") {
		t.Errorf("%d, %s", status, stderr)
	}
	d.updates("--device", d.path("card9"), "--dir", d.path("card1"), d.path("new"))
	if _, err := os.Stat(d.path("card1/boot-1/boot.scr")); err != nil {
		t.Error(err)
	}
	if card := d.bytes("card9"); !bytes.Contains(card[:0x4000], []byte("BOOT_FILES_TRY=1\x00")) {
		t.Errorf("the card has %q", card[:100])
	}
	d.stateIs(threeEach)
}

// What mkimage makes of the script in this repository is taken, and any flipped
// bit of it is not.
func TestScriptOfMkimage(t *testing.T) {
	if _, err := exec.LookPath("mkimage"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("mkimage is not installed, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: mkimage, of the package u-boot-tools, is not installed")
	}
	name := filepath.Join(t.TempDir(), "boot.scr")
	const source = "../../qemu/boot.cmd"
	if out, err := exec.Command("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-d", source, name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	image, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	got, err := scriptText(image)
	if err != nil || strings.TrimRight(string(got), "\x00") != string(want) {
		t.Fatalf("%v; %d bytes of %d", err, len(got), len(want))
	}
	if err := hasSets(filepath.Dir(name)); err != nil || !bytes.Contains(got, []byte("m_files")) {
		t.Error(err)
	}
	for at := 0; at < len(image); at += 1 + at/50 {
		broken := bytes.Clone(image)
		broken[at] ^= 0x10
		if _, err := scriptText(broken); err == nil {
			t.Fatalf("with byte %d flipped it is taken", at)
		}
	}
}
