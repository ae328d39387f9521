package qemu

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// cryptImage is our release image with dm-crypt for the demo's kernel.
func cryptImage(t *testing.T) string {
	t.Helper()
	out := t.TempDir()
	build := exec.Command("go", "run", "./initramfs", "-arch", "arm64", "-sets", "modules crypt virtio", "-modules", machines(t).debian.Modules, "-release-only", "-out", out)
	build.Dir, build.Stderr = "..", os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(out, "initramfs.cpio.lz4")
}

// Layouts 3.6, statement 22, with Debian's cryptsetup and without udev: an encrypted
// session is made, opened at the second try, and left alone after three.
func TestStatement3_6_22_EncryptedSession(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	tools(t, "sqfstar", "debugfs", "mmdebstrap", "fakeroot")
	image := cryptImage(t)
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	crypt, err := cache.Cryptsetup()
	if err != nil {
		t.Fatal(err)
	}
	set := setWithTools(t, ext4Tools...).With(sbModule(t, "minios/03-crypt.sb", Tree{}.With(Dir("etc"), Dir("usr")).With(crypt...)))
	medium := filepath.Join(t.TempDir(), "medium.img")
	if err := (Ext4{Label: "STICK", Tree: set}).Make(medium, 512*mib); err != nil {
		t.Fatal(err)
	}
	const again, ask = "The same once more: ", "The passphrase of session 1, "
	for _, c := range []struct {
		words   string
		answers [][2]string
		do      []string
		want    []string
		kept    bool
	}{
		{"perchdir=new perchmode=luks perchsize=64", [][2]string{{"A passphrase for the new session 1: ", "a secret"}, {again, "a secret"}},
			[]string{"write:/written=kept-in-a-volume"}, []string{"write:/written=kept-in-a-volume ok"}, true},
		{"perch", [][2]string{{ask + "1 of 3: ", "wrong"}, {ask + "2 of 3: ", "a secret"}}, []string{"read:/written"}, []string{`read:/written "kept-in-a-volume"`}, true},
		{"perch", [][2]string{{ask + "1 of 3: ", "1"}, {ask + "2 of 3: ", "2"}, {ask + "3 of 3: ", ""}}, []string{"read:/written", "rootwrite"}, []string{"read:/written ENOENT", "rootwrite ok"}, false},
	} {
		r, report := bootModulesAnswering(t, medium, append(strings.Fields(c.words), "noload=broken"), c.answers, func(m *Machine) { keep(m); m.Initramfs = image }, c.do...)
		r.did(t, c.want...)
		if kept := report.Overlay.Durability == "keep"; kept != c.kept || report.Degraded == c.kept {
			t.Errorf("boot.json: %+v", report)
		}
		if c.kept {
			r.mounted(t, Mount{Target: memoryDir + "/changes", FSType: "ext4", Source: "/dev/mapper/minos-session", Options: "rw"})
		}
		lacks(t, r.Console, "a secret")
		wentDown(t, r)
		cleanExt4(t, "the medium", medium)
		sessionClosed(t, medium)
	}
	holds(t, medium, "LUKS\xba\xbe", true)
	holds(t, medium, "kept-in-a-volume", false)
}

// holds looks for bytes in a file.
func holds(t *testing.T, file, text string, want bool) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil || bytes.Contains(data, []byte(text)) != want {
		t.Errorf("%s holds %q: %v, %v", file, text, !want, err)
	}
}

// An encrypted session under real systemd, which finds a volume that no udev has
// announced: no unit fails, and the way out closes it.
func TestDebianEncryptedSession(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	tools(t, "sqfstar", "debugfs", "mmdebstrap", "fakeroot")
	image := cryptImage(t)
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	crypt, err := cache.Cryptsetup()
	if err != nil {
		t.Fatal(err)
	}
	modules, err := cache.DemoModules()
	if err != nil {
		t.Fatal(err)
	}
	modules["03-crypt.sb"] = sbModule(t, "03-crypt.sb", Tree{}.With(Dir("etc"), Dir("usr")).With(crypt...)).From
	stick, disk := DemoModulesDisk(modules), filepath.Join(t.TempDir(), "disk.img")
	if err := stick.Write(disk); err != nil {
		t.Fatal(err)
	}
	r := boot(t, Case{
		Image: disk, Within: loginDeadline, Change: func(m *Machine) { keep(m); m.Initramfs = image },
		Append: []string{"minos.layout=modules", "perchdir=new", "perchmode=luks", "perchsize=96", "perchreserve=16", "panic=-1", "systemd.default_device_timeout_sec=900"},
		Drive: func(t *testing.T, vm *VM) {
			for _, question := range []string{"A passphrase for the new session 1: ", "The same once more: "} {
				if err := vm.Expect(question, loginDeadline); err != nil {
					t.Fatal(err)
				}
				if err := vm.Send("a secret\r"); err != nil {
					t.Fatal(err)
				}
			}
			term := login(t, vm)
			for _, c := range []said{
				{"systemctl is-system-running --wait", "running"},
				{"systemctl --failed --no-legend --plain", ""},
				{"findmnt -rno SOURCE,FSTYPE " + memoryDir + "/changes", "/dev/mapper/minos-session ext4"},
				{`grep -o '"degraded": [a-z]*' /run/minos/boot.json`, `"degraded": false`},
				{"echo kept >/root/file && cat /root/file", "kept"},
			} {
				term.saysWithin(c.command, c.want, loginDeadline)
			}
			if err := vm.Send("poweroff\n"); err != nil {
				t.Fatal(err)
			}
		},
	})
	_, after, _ := strings.Cut(r.Console, "Entering exitrd")
	lacks(t, after, "ignoring")
	wholeOnDisk(t, stick, disk)
	sessionClosed(t, filepath.Join(extracted(t, stick, disk), "img"))
}
