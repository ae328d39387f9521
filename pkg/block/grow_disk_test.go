package block

import (
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// sparseDisk is a disk in memory that is much larger than what was written to
// it: 512 bytes by sector, for those that are not zero.
type sparseDisk struct {
	size    int64
	sectors map[int64][512]byte
}

func (d *sparseDisk) ReadAt(b []byte, off int64) (n int, err error) {
	for n < len(b) && off+int64(n) < d.size {
		at := off + int64(n)
		s := d.sectors[at/512]
		n += copy(b[n:min(int64(len(b)), d.size-off)], s[at%512:])
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// put writes whole sectors.
func (d *sparseDisk) put(off int64, data []byte) {
	for len(data) > 0 {
		var s [512]byte
		n := copy(s[:], data)
		if d.sectors[off/512] = s; s == [512]byte{} {
			delete(d.sectors, off/512)
		}
		data, off = data[n:], off+512
	}
}

// apply performs stages as whoever grows a disk does.
func (d *sparseDisk) apply(stages []Stage) {
	for _, s := range stages {
		for _, w := range s.Writes {
			d.put(w.Offset, w.Data)
		}
	}
}

func (d *sparseDisk) clone() *sparseDisk {
	return &sparseDisk{d.size, maps.Clone(d.sectors)}
}

// scripted is a disk of size bytes in blocks of logical with a table that
// sfdisk made; then it is moved to a card of another size.
func scripted(t testing.TB, script string, size, logical int64) *sparseDisk {
	t.Helper()
	needs(t, "sfdisk", "fdisk")
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(name, size); err != nil {
		t.Fatal(err)
	}
	onDevice(t, name, logical, func(device string) {
		cmd := exec.Command("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", device)
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sfdisk: %v\n%s", err, out)
		}
	})
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := &sparseDisk{size, map[int64][512]byte{}}
	d.put(0, data)
	return d
}

// onDevice calls do with the image as a disk of blocks of that size: the file
// itself for 512, which the tools take a file for, else a loop device.
func onDevice(t testing.TB, name string, logical int64, do func(device string)) {
	t.Helper()
	if logical == 512 {
		do(name)
		return
	}
	needs(t, "losetup", "mount")
	if os.Geteuid() != 0 {
		cannotRun(t, "a disk of 4096-byte blocks is a loop device, which needs root")
	}
	out, err := exec.Command("losetup", "--find", "--show", "--sector-size", strconv.FormatInt(logical, 10), name).CombinedOutput()
	if err != nil {
		cannotRun(t, "losetup: "+err.Error()+": "+string(out))
	}
	device := strings.TrimSpace(string(out))
	defer func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v\n%s", err, out)
		}
	}()
	do(device)
}

// judged lets sfdisk and, for a GPT, sgdisk look for something to complain
// about.
func (d *sparseDisk) judged(t testing.TB, logical int64, gpt bool) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "grown")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := file.Truncate(d.size); err != nil {
		t.Fatal(err)
	}
	for at, s := range d.sectors {
		if _, err := file.WriteAt(s[:min(512, d.size-at*512)], at*512); err != nil {
			t.Fatal(err)
		}
	}
	onDevice(t, name, logical, func(device string) {
		out, err := exec.Command("sfdisk", "--verify", device).CombinedOutput()
		if text := string(out); err != nil || !strings.Contains(text, "No errors detected") ||
			strings.Contains(text, "mismatch") || strings.Contains(text, "backup GPT") || strings.Contains(text, "corrupt") {
			t.Errorf("sfdisk --verify: %v\n%s", err, out)
		}
		if !gpt {
			return
		}
		needs(t, "sgdisk", "gdisk")
		out, err = exec.Command("sgdisk", "--verify", device).CombinedOutput()
		if err != nil || !strings.Contains(string(out), "No problems found") {
			t.Errorf("sgdisk --verify: %v\n%s", err, out)
		}
	})
}

// needs skips without a program, of that package; with CI=true it fails.
func needs(t testing.TB, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		cannotRun(t, program+", of the package "+pkg+", is not installed")
	}
}

func cannotRun(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why + ", and with CI=true nothing is skipped")
	}
	t.Skip("SKIPPED: " + why)
}
