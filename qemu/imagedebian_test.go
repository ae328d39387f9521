package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebianImage is the layout image with the real thing, over two boots: what
// is written to / goes and persistent stays, and the second boot takes a new
// image from a second disk. The filesystems are whole after each.
func TestDebianImage(t *testing.T) {
	machines(t)
	tools(t, "sqfstar")
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, version := range []string{DemoVersion, UpdateVersion} {
		image, err := cache.DemoImage(version)
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, image)
	}
	card, medium := DemoImageDisk(images[0]), ImageDisk{}
	if medium, err = NewImageMedium(images[1]); err != nil {
		t.Fatal(err)
	}
	disk, stick := filepath.Join(t.TempDir(), "disk.img"), filepath.Join(t.TempDir(), "newimg.img")
	for file, d := range map[string]ImageDisk{disk: card, stick: medium} {
		if err := d.Write(file); err != nil {
			t.Fatal(err)
		}
	}
	const overlay = "/run/initramfs/overlay"
	common := []said{
		{"systemctl is-system-running --wait", "running"},
		{"systemctl --failed --no-legend --plain", ""},
		{"findmnt -rno FSTYPE,OPTIONS /", `overlay +rw,.*lowerdir\+?=/run/initramfs/overlay/persistent.*`},
		{"findmnt -rno SOURCE,FSTYPE,OPTIONS /run/initramfs/img", `/dev/vda2 ext4 +ro,noatime`},
		{"findmnt -rno SOURCE,FSTYPE,OPTIONS /run/initramfs/rootfs", `/dev/loop0 squashfs +ro,noatime.*`},
		{"cat /etc/machine-id", "[0-9a-f]{32}"},
		{`grep -o '"degraded": [a-z]*' /run/minos/boot.json`, `"degraded": false`},
		{"dmesg -t --level=emerg,alert,crit,err,warn | grep -i -e '^minos' -e overlay -e ext4 -e squashfs", ""},
	}
	r := bootImageDebian(t, disk, "", append(common,
		said{"cat /etc/minos-version", DemoVersion},
		said{"mkdir -p " + overlay + "/persistent/etc && echo kept >" + overlay + "/persistent/etc/kept && echo gone >/etc/gone && cat /etc/gone", "gone"},
		said{"ls -1 " + overlay, "lost\\+found\npersistent\nupper\nwork"}))
	shows(t, r.Console, "minos: OK layout=image image=current root=root-squashfs.img upper=reset took=")
	wholeOnDisk(t, card, disk)

	r = bootImageDebian(t, disk, stick, append(common,
		said{"cat /etc/minos-version", UpdateVersion},
		said{"cat /etc/kept", "kept"},
		said{"ls /etc/gone", ".*No such file or directory"},
		said{"ls -1 /run/initramfs/img", "lost\\+found\nroot-squashfs-old.img\nroot-squashfs.img"}))
	shows(t, r.Console, "minos: copying root-squashfs.img: 100 % of ", "minos: root-squashfs.img is the current image now, and gone from its medium")
	wholeOnDisk(t, card, disk)
	wholeOnDisk(t, medium, stick)
	if left, err := Tool("debugfs", "-R", "ls -p /", filepath.Join(extracted(t, medium, stick), "newimg")); err != nil || strings.Contains(string(left), demoImageName) || !strings.Contains(string(left), "lost+found") {
		t.Errorf("on the medium are %v, %s", err, left)
	}
}

// said is a command, and a regular expression for all that it prints.
type said struct{ command, want string }

// bootImageDebian boots the disk to the login prompt, with a second disk when
// there is one, and to its end by way of systemd's.
func bootImageDebian(t *testing.T, disk, medium string, commands []said) Result {
	t.Helper()
	words := []string{"minos.layout=image", "panic=-1"}
	if medium != "" {
		words = append(words, "minos.newimg=wait")
	}
	r := boot(t, Case{
		Image: disk, Append: words, Within: loginDeadline,
		Change: func(m *Machine) {
			keep(m)
			if medium != "" {
				m.Drives = append(m.Drives, Drive{File: medium, Keep: true})
			}
		},
		Drive: asked(commands),
	})
	if r.Ending != PowerOff {
		t.Errorf("the machine ended with %s, want %s", r.Ending, PowerOff)
	}
	shows(t, r.Console, "Entering exitrd...", "minos: shut down: 4 of 4 filesystems unmounted, took=")
	_, after, _ := strings.Cut(r.Console, "Entering exitrd")
	lacks(t, after, "ignoring")
	return r
}

// asked logs in to a Debian, compares what the commands print, and powers it off.
func asked(commands []said) func(*testing.T, *VM) {
	return func(t *testing.T, vm *VM) {
		term := login(t, vm)
		for _, c := range commands {
			term.saysWithin(c.command, c.want, loginDeadline)
		}
		if err := vm.Send("poweroff\n"); err != nil {
			t.Fatal(err)
		}
	}
}

// wholeOnDisk looks at the ext4 filesystems of an image: each was unmounted, and
// e2fsck finds nothing.
func wholeOnDisk(t *testing.T, d ImageDisk, image string) {
	t.Helper()
	tools(t, "debugfs", "e2fsck")
	dir := extracted(t, d, image)
	for _, r := range d.Ranges() {
		if r.Name == "boot" {
			continue
		}
		file := filepath.Join(dir, r.Name)
		cleanExt4(t, r.Name, file)
		if found, err := Tool("e2fsck", "-fn", file); err != nil {
			t.Errorf("e2fsck of %s: %v\n%s", r.Name, err, found)
		}
	}
}

// extracted is a directory with the partitions of an image, by their names.
func extracted(t *testing.T, d ImageDisk, image string) string {
	t.Helper()
	dir := t.TempDir()
	for _, r := range d.Ranges() {
		if err := r.Extract(filepath.Join(dir, r.Name), image); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
