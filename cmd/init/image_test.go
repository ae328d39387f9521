package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

const (
	imgName = "root-squashfs.img"
	oldName = "root-squashfs-old.img"
	newName = "root-squashfs-new.img"
)

// The boots of the layout image. Each names the statements of the layouts'
// specification that its trace shows.
func imageScenarios() []scenario {
	one, two := imgName+"="+squashfs("1"), imgName+"="+squashfs("2")
	return []scenario{
		{name: "image", cmdline: onImage, disk: imageDisk(one), ends: toInit, check: versionIs("1")},                      // 2.5.1
		{name: "image-ro", cmdline: onImage + " ro", disk: imageDisk(one), ends: toInit, check: versionIs("1")},           // 2.5.16
		{name: "image-adopt", cmdline: onImage, disk: bringing(imageDisk(one), two), ends: toInit, check: versionIs("2")}, // 2.5.5
		{name: "image-adopt-from-stick", cmdline: onImage, disk: imageDisk(one), ends: toInit, check: versionIs("2"),
			second: stick(two, sumOf(squashfs("2")))},
		{name: "image-stick-without-sum", cmdline: onImage, disk: imageDisk(one), second: stick(two), ends: toInit, check: versionIs("1")},
		{name: "image-previous", cmdline: onImage, ends: toInit, check: versionIs("1"), // 2.5.11
			disk: imageDisk(imgName+"=no squashfs", oldName+"="+squashfs("1"))},
		{name: "image-none", cmdline: onImage, disk: imageDisk(), ends: "reboot"},
		{name: "image-finish", cmdline: onImage, ends: toInit, check: versionIs("2"), // 2.5.12
			disk: imageDisk(newName+"="+squashfs("2"), oldName+"="+squashfs("1"))},
		{name: "image-overlay-refused", cmdline: onImage, disk: imageDisk(one), ends: toInit, check: versionIs("1"),
			break_: func(k *systest.Kernel) { k.Fail("mount ext4 /dev/vda3", unix.EUCLEAN) }},
		{name: "image-overlay-mended", cmdline: onImage, ends: toInit, check: versionIs("1"),
			disk: imageDisk(imgName + "=" + squashfs("1", "usr/sbin/e2fsck=\x7fELF", "tmp/")),
			break_: func(k *systest.Kernel) {
				k.FailTimes("mount ext4 /dev/vda3", 1, unix.EUCLEAN)
				k.Answer("e2fsck", sys.Exit{Status: 1, Output: "overlay: 11/24576 files\n"})
			}},
		{name: "image-img-refused", cmdline: onImage, disk: imageDisk(one), ends: "reboot",
			break_: func(k *systest.Kernel) { k.Fail("mount ext4 /dev/vda2", unix.EUCLEAN) }},
		{name: "image-module-on-boot", cmdline: onImage, disk: with(imageDisk(one), 1, "modules/6.12.0-test/squashfs.ko=x"), ends: toInit, check: versionIs("1"), // 2.5.17
			break_: func(k *systest.Kernel) { k.ForgetFilesystem("squashfs") }},
	}
}

const (
	imgDir     = "/run/initramfs/img"
	overlayDir = "/run/initramfs/overlay"
)

// Layouts 2.5, statement 1.
func TestStatement2_5_1_FreshDisk(t *testing.T) {
	k := bootImage(t, onImage, nil, imageDisk(imgName+"="+squashfs("1")))
	versionIs("1")(t, k)
	for _, dir := range []string{"upper/", "work/", "persistent/"} {
		if !slices.Contains(names(k, overlayDir), dir) {
			t.Errorf("there is no %s on the overlay partition, only %q", dir, names(k, overlayDir))
		}
	}
}

// Layouts 2.5, statements 2 and 3.
func TestStatement2_5_2_And3_PersistentStaysAndUpperGoes(t *testing.T) {
	d := imageDisk(imgName + "=" + squashfs("1"))
	with(d, 3, "persistent/etc/ssh/key=mine", "upper/etc/ssh/key=of an earlier boot", "work/work/")
	k := bootImage(t, onImage, nil, d)
	for boot := range 3 {
		if got := readFile(k, "/etc/ssh/key"); got != "mine" {
			t.Fatalf("boot %d: the key is %q", boot, got)
		}
		if got := names(k, overlayDir+"/.trash"); got != nil {
			t.Errorf("boot %d: the trash still has %q", boot, got)
		}
		if err := k.WriteFile("/written", []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		k = again(t, k)
		if got := readFile(k, "/written"); !strings.Contains(got, "no such file") {
			t.Fatalf("boot %d: what the boot before wrote to / reads %q", boot, got)
		}
	}
}

// Layouts 2.5, statements 5 and 6.
func TestStatement2_5_5_And6_AdoptedAndNeverMoreThanTwo(t *testing.T) {
	for name, before := range map[string][]string{
		"one":                       {imgName + "=" + squashfs("1")},
		"with the one before":       {imgName + "=" + squashfs("1"), oldName + "=" + squashfs("0")},
		"in both spellings":         {imgName + "=" + squashfs("1"), oldName + "=" + squashfs("0"), imgName + "-old=" + squashfs("00")},
		"and a copy that was cut":   {imgName + "=" + squashfs("1"), newName + "=" + squashfs("9")[:99]},
		"and a copy of the old way": {imgName + "=" + squashfs("1"), imgName + "-new=" + squashfs("9")[:99]},
	} {
		t.Run(name, func(t *testing.T) {
			d := bringing(imageDisk(before...), imgName+"="+squashfs("2"))
			k := bootImage(t, onImage, nil, d)
			versionIs("2")(t, k)
			images(t, k, map[string]string{imgName: "2", oldName: "1"})
			if k.MountedAt("/mnt/newimg") != "" {
				t.Error("the medium is still mounted")
			}
			if !strings.Contains(k.Trace(), "remove /mnt/newimg/"+imgName+"\nfsync /mnt/newimg\n") {
				t.Errorf("the source stays:\n%s", k.Trace())
			}
			k = again(t, k)
			images(t, k, map[string]string{imgName: "2", oldName: "1"})
		})
	}
}

// Layouts 2.5, statement 7.
func TestStatement2_5_7_NothingToAdopt(t *testing.T) {
	for name, files := range map[string][]string{"nothing": nil, "another name": {"other.img=" + squashfs("2")}} {
		k := bootImage(t, onImage, nil, bringing(imageDisk(imgName+"="+squashfs("1")), files...))
		images(t, k, map[string]string{imgName: "1"})
		if strings.Contains(k.Trace(), "remount") || k.MountedAt("/mnt/newimg") != "" {
			t.Errorf("%s: the partitions were written to, or the medium is still mounted:\n%s", name, k.Trace())
		}
	}
}

// Layouts 2.5, statements 9 and 10: what cannot be taken changes nothing, and
// the boot goes on with the image that is there.
func TestStatement2_5_9_And10_RefusedSources(t *testing.T) {
	before := []string{imgName + "=" + squashfs("1"), oldName + "=" + squashfs("0")}
	two := squashfs("2")
	for name, c := range map[string]struct {
		source  []string
		free    int64
		break_  func(k *systest.Kernel)
		warning string
	}{
		"too little space": {[]string{imgName + "=" + two}, 1<<20 + 100, nil, "it needs 1120256 bytes, and there are only "},
		"no space in the end": {[]string{imgName + "=" + large("2")}, 0, func(k *systest.Kernel) {
			k.FailTimes("append /run/initramfs/img/root-squashfs-new.img (6144", 1, unix.ENOSPC)
		}, "no space left on device"},
		"not writable": {[]string{imgName + "=" + two}, 0, func(k *systest.Kernel) { k.FailTimes("remount "+imgDir, 1, unix.EROFS) }, "read-only file system"},
		"not readable": {[]string{imgName + "=" + two}, 0, func(k *systest.Kernel) { k.Fail("mount ext4 /dev/vda4", unix.EIO) }, "input/output error"},
		"no squashfs":  {[]string{imgName + "=an ext4, perhaps"}, 0, nil, "it is no squashfs"},
		"cut short":    {[]string{imgName + "=" + two[:imageSize-1]}, 0, nil, "it has 71679 bytes, and its superblock says 71680"},
		"wrong sum":    {[]string{imgName + "=" + two, sumOf("x")}, 0, nil, "its bytes are not those of its checksum"},
		"no sum in it": {[]string{imgName + "=" + two, imgName + ".sha256=\n"}, 0, nil, "has no SHA-256 of"},
	} {
		t.Run(name, func(t *testing.T) {
			d := bringing(imageDisk(before...), c.source...)
			d.Parts[1].Room = c.free
			k := bootImage(t, onImage, c.break_, d)
			versionIs("1")(t, k)
			images(t, k, map[string]string{imgName: "1", oldName: "0"})
			if !strings.Contains(k.Trace(), c.warning) || !strings.Contains(k.Trace(), "a new image is not booted, or stays on its medium, ignoring: ") {
				t.Errorf("no warning with %q:\n%s", c.warning, k.Trace())
			}
			if strings.Contains(k.Trace(), "remove /mnt/newimg") {
				t.Error("the source was removed")
			}
		})
	}
}

// Layouts 2.5, statement 9, its other half: when only the image before the
// current one is in the way, it goes, after the new one was read to its end.
func TestStatement2_5_9_TheOneBeforeMakesRoom(t *testing.T) {
	for name, c := range map[string]struct {
		sum  string
		want map[string]string
	}{
		"good": {sumOf(squashfs("2")), map[string]string{imgName: "2", oldName: "1"}},
		"bad":  {sumOf("x"), map[string]string{imgName: "1", oldName: "0"}},
	} {
		d := bringing(imageDisk(imgName+"="+squashfs("1"), oldName+"="+squashfs("0")), imgName+"="+squashfs("2"), c.sum)
		d.Parts[1].Room = 1<<20 + 2*imageSize
		k := bootImage(t, onImage, nil, d)
		images(t, k, c.want)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// A medium that anybody may have put in has to bring the checksum, or the
// command line takes any.
func TestRemovableMediumNeedsTheChecksum(t *testing.T) {
	for name, c := range map[string]struct {
		cmdline string
		disk    *systest.Disk
		want    string
	}{
		"without":             {onImage, stick(imgName + "=" + squashfs("2")), "1"},
		"with":                {onImage, stick(imgName+"="+squashfs("2"), sumOf(squashfs("2"))), "2"},
		"of something else":   {onImage, stick(imgName+"="+squashfs("2"), sumOf("x")), "1"},
		"any":                 {onImage + " minos.newimg=any", stick(imgName + "=" + squashfs("2")), "2"},
		"any, but a bad sum":  {onImage + " minos.newimg=any", stick(imgName+"="+squashfs("2"), sumOf("x")), "1"},
		"a disk that is ours": {onImage, named(bringing(&systest.Disk{}, imgName+"="+squashfs("2")), "vdb"), "2"},
	} {
		k := bootImage(t, c.cmdline, nil, imageDisk(imgName+"="+squashfs("1")), c.disk)
		if got := readFile(k, "/etc/version"); got != c.want {
			t.Errorf("%s: version %q booted, want %q\n%s", name, got, c.want, k.Trace())
		}
	}
}

// Layouts 2.5, statement 11.
func TestStatement2_5_11_ThePreviousImage(t *testing.T) {
	for name, files := range map[string][]string{
		"no squashfs":           {imgName + "=x", oldName + "=" + squashfs("1")},
		"cut short":             {imgName + "=" + squashfs("2")[:imageSize/2], oldName + "=" + squashfs("1")},
		"not there":             {oldName + "=" + squashfs("1")},
		"under the other names": {"root-squash.img=x", "root-squash.img-old=" + squashfs("1")},
	} {
		k := bootImage(t, onImage, nil, imageDisk(files...))
		versionIs("1")(t, k)
		report := readFile(k, "/run/minos/boot.json")
		if !strings.Contains(report, `"value": "previous"`) || !strings.Contains(report, `"degraded": true`) {
			t.Errorf("%s: the report does not say so: %s", name, report)
		}
	}
	k := bootImage(t, onImage, nil, imageDisk(imgName+"=x", oldName+"=y"))
	if k.Ended() != "reboot" || !strings.Contains(k.Trace(), "FAILED step=rootfs") {
		t.Errorf("without any image the run ends with %q", k.Ended())
	}
}

// Layouts 2.5, statement 12.
func TestStatement2_5_12_CutBetweenTheRenames(t *testing.T) {
	for name, files := range map[string][]string{
		"here":           {newName + "=" + squashfs("2"), oldName + "=" + squashfs("1")},
		"of the old way": {imgName + "-new=" + squashfs("2"), imgName + "-old=" + squashfs("1")},
	} {
		k := bootImage(t, onImage, nil, imageDisk(files...))
		versionIs("2")(t, k)
		if got := names(k, imgDir); !slices.Contains(got, imgName) || len(got) != 2 {
			t.Errorf("%s: the images are %q", name, got)
		}
	}
	// What is not whole is not promoted.
	k := bootImage(t, onImage, nil, imageDisk(newName+"="+squashfs("2")[:99], oldName+"="+squashfs("1")))
	versionIs("1")(t, k)
}

// Layouts 2.5, statement 13.
func TestStatement2_5_13_OverlayComesLate(t *testing.T) {
	for after, ends := range map[time.Duration]string{7 * time.Second: toInit, 11 * time.Second: "reboot"} {
		d := imageDisk(imgName + "=" + squashfs("1"))
		d.Parts[2].At = after
		k := systest.New(onImage)
		k.AddDisk(d)
		start(k, mount.InOrder)
		if k.Ended() != ends || ends == "reboot" && !strings.Contains(k.Trace(), "label overlay) appeared within 10s") {
			t.Errorf("after %v the run ends with %q, want %q:\n%s", after, k.Ended(), ends, k.Trace())
		}
	}
}

// No attempts are counted, so init does not look on for a disk that is not there
// after the layout's time.
func TestImageDoesNotLookOn(t *testing.T) {
	d := imageDisk(imgName + "=" + squashfs("1"))
	d.At = 11 * time.Second
	k := systest.New(onImage)
	k.AddDisk(d)
	start(k, mount.InOrder)
	if k.Ended() != "reboot" {
		t.Errorf("the run ends with %q:\n%s", k.Ended(), k.Trace())
	}
}

// Layouts 2.5, statement 14.
func TestStatement2_5_14_ImgComesLate(t *testing.T) {
	d := imageDisk(imgName + "=" + squashfs("1"))
	d.Parts[1].At = 3 * time.Second
	versionIs("1")(t, bootImage(t, onImage, nil, d))
}

// Nothing is waited for that most boots do without.
func TestSettledBootDoesNotWait(t *testing.T) {
	k := bootImage(t, onImage, nil, without(imageDisk(imgName+"="+squashfs("1")), 1))
	versionIs("1")(t, k)
	if k.Now() != 0 {
		t.Errorf("the boot waited for %v", k.Now())
	}
	k = bootImage(t, onImage+" minos.newimg=wait", nil, imageDisk(imgName+"="+squashfs("1")))
	if k.Now() != 2*time.Second {
		t.Errorf("minos.newimg=wait waited for %v", k.Now())
	}
}

// Layouts 2.5, statements 15 and 19.
func TestStatement2_5_15_And19_OverlayOptions(t *testing.T) {
	k := bootImage(t, onImage, nil, imageDisk(imgName+"="+squashfs("1")))
	for line := range strings.Lines(k.Trace()) {
		if strings.HasPrefix(line, "mount overlay ") && (!strings.Contains(line, ",index=off,") || strings.Contains(line, "volatile")) {
			t.Errorf("the overlay is mounted so: %s", line)
		}
	}
	// Another image with the same work: upper and work are new at each boot.
	k = bootImage(t, onImage, nil, bringing(k.CutPower(func(int) bool { return true })[0], imgName+"="+squashfs("2")))
	versionIs("2")(t, k)
	trace := k.Trace()
	for _, dir := range []string{"upper", "work"} {
		if !strings.Contains(trace, "rename "+overlayDir+"/"+dir+" ") || !strings.Contains(trace, "mkdir "+overlayDir+"/"+dir+"\n") {
			t.Errorf("%s is not made anew:\n%s", dir, trace)
		}
	}
}

// Layouts 2.5, statement 17.
func TestStatement2_5_17_ModulesFromElsewhere(t *testing.T) {
	forget := func(k *systest.Kernel) { k.ForgetFilesystem("squashfs") }
	onBoot := func(file string) *systest.Disk { return with(imageDisk(imgName+"="+squashfs("1")), 1, file) }
	for name, c := range map[string]struct {
		disk   *systest.Disk
		break_ func(k *systest.Kernel)
		ends   string
		shows  string
	}{
		"built in":   {onBoot("modules/6.12.0-test/squashfs.ko=x"), nil, toInit, ""},
		"on boot":    {onBoot("modules/6.12.0-test/squashfs.ko=x"), forget, toInit, "module /mnt/boot/modules/6.12.0-test/squashfs.ko\n"},
		"compressed": {onBoot("modules/6.12.0-test/squashfs.ko.xz=x"), forget, toInit, "module /mnt/boot/modules/6.12.0-test/squashfs.ko.xz\n"},
		"with what it needs": {with(imageDisk(imgName+"="+squashfs("1")), 1, "modules/6.12.0-test/squashfs.ko=x", "modules/6.12.0-test/zstd.ko.xz=x", "modules/6.12.0-test/xxhash.ko=x",
			"modules/6.12.0-test/modules.dep=kernel/fs/squashfs/squashfs.ko.xz: kernel/lib/zstd.ko.xz kernel/lib/xxhash.ko.xz\n"), forget, toInit,
			"module /mnt/boot/modules/6.12.0-test/xxhash.ko\nmodule /mnt/boot/modules/6.12.0-test/zstd.ko.xz\nmodule /mnt/boot/modules/6.12.0-test/squashfs.ko\n"},
		"without what it needs": {with(imageDisk(imgName+"="+squashfs("1")), 1, "modules/6.12.0-test/squashfs.ko=x",
			"modules/6.12.0-test/modules.dep=squashfs.ko: zstd.ko\n"), forget, "reboot", "cannot load the module of squashfs: it needs zstd.ko: file does not exist"},
		"not unpacked": {onBoot("modules/6.12.0-test/squashfs.ko.gz=x"), func(k *systest.Kernel) { forget(k); k.Fail("module ", unix.EOPNOTSUPP) }, "reboot",
			"operation not supported; this kernel was built without CONFIG_MODULE_DECOMPRESS, or for another compression: unpack the file"},
		"another release": {onBoot("modules/6.1.0/squashfs.ko=x"), forget, "reboot", "no filesystem squashfs"},
		"no boot":         {without(imageDisk(imgName+"="+squashfs("1")), 1), forget, "reboot", "no filesystem squashfs"},
		"refused": {onBoot("modules/6.12.0-test/squashfs.ko=x"), func(k *systest.Kernel) { forget(k); k.Fail("module ", unix.ENOEXEC) }, "reboot",
			"squashfs may be missing, ignoring: cannot load the module of squashfs: "},
		"refused, but not needed": {onBoot("modules/6.12.0-test/squashfs.ko=x"), func(k *systest.Kernel) { k.Fail("module ", unix.ENOEXEC) }, toInit, ""},
	} {
		k := systest.New(onImage)
		k.AddDisk(c.disk)
		if c.break_ != nil {
			c.break_(k)
		}
		start(k, mount.InOrder)
		if k.Ended() != c.ends || !strings.Contains(k.Trace(), c.shows) {
			t.Errorf("%s: the run ends with %q, want %q and %q:\n%s", name, k.Ended(), c.ends, c.shows, k.Trace())
		}
		if c.shows == "" && strings.Contains(k.Trace(), "/mnt/boot") {
			t.Errorf("%s: the boot partition was mounted for nothing", name)
		}
	}
	// The module of overlay is in the image.
	content := systest.SquashFS(0, append(slices.Clone(rootfsFiles), "usr/lib/modules/6.12.0-test/kernel/fs/overlayfs/overlay.ko.zst=x")...)
	k := bootImage(t, onImage, func(k *systest.Kernel) { k.ForgetFilesystem("overlay") }, imageDisk(imgName+"="+content))
	if !strings.Contains(k.Trace(), "module /run/initramfs/rootfs/usr/lib/modules/6.12.0-test/kernel/fs/overlayfs/overlay.ko.zst\n") || k.MountedAt("/") != "overlay" {
		t.Errorf("the module of overlay was not taken from the image:\n%s", k.Trace())
	}
}

// Layouts 2.5, statement 18.
func TestStatement2_5_18_Names(t *testing.T) {
	for _, c := range []struct {
		cmdline string
		disk    *systest.Disk
		want    map[string]string
	}{
		{onImage, bringing(imageDisk("root-squash.img="+squashfs("1")), "root-squash.img="+squashfs("2")),
			map[string]string{"root-squash.img": "2", "root-squash-old.img": "1"}},
		{onImage + " minos.image-old=suffix", bringing(imageDisk("root-squash.img="+squashfs("1")), "root-squash.img="+squashfs("2")),
			map[string]string{"root-squash.img": "2", "root-squash.img-old": "1"}},
		{onImage, bringing(imageDisk("root-squash.img="+squashfs("1")), imgName+"="+squashfs("2")),
			map[string]string{"root-squash.img": "2", "root-squash-old.img": "1"}},
		{onImage + " minos.images=system.sqsh,root.sqsh", bringing(imageDisk("root.sqsh="+squashfs("1")), "root.sqsh="+squashfs("2")),
			map[string]string{"root.sqsh": "2", "root-old.sqsh": "1"}},
		{onImage, bringing(imageDisk(), "root-squash.img="+squashfs("2")), map[string]string{"root-squash.img": "2"}},
	} {
		k := bootImage(t, c.cmdline, nil, c.disk)
		versionIs("2")(t, k)
		images(t, k, c.want)
	}
}
