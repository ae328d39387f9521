package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// onImage is the command line of the layout image.
const onImage = "quiet minos.layout=image"

// imageSize is that of the images in these tests; largeSize is more than one
// piece of a copy.
const imageSize, largeSize = 70 << 10, 1030 << 10

// squashfs is an image of that version, with a systemd.
func squashfs(version string, more ...string) string {
	return systest.SquashFS(imageSize, append(imageFiles(version), more...)...)
}

// large is such an image that is copied in two pieces.
func large(version string) string { return systest.SquashFS(largeSize, imageFiles(version)...) }

func imageFiles(version string) []string {
	return append(slices.Clone(rootfsFiles), "etc/version="+version, "etc/ssh/key=of the image")
}

// imageDisk is the disk of the layout image, with these files on the partition
// of the images.
func imageDisk(images ...string) *systest.Disk {
	return &systest.Disk{Name: "vda", Parts: []*systest.Part{
		{Number: 1, FS: "vfat", Label: "boot"},
		{Number: 2, FS: "ext4", Label: "img", Files: images},
		{Number: 3, FS: "ext4", Label: "overlay", Files: []string{"lost+found/"}},
	}}
}

// bringing is that disk with a partition for new images that has these files.
func bringing(d *systest.Disk, files ...string) *systest.Disk {
	d.Parts = append(d.Parts, &systest.Part{Number: 4, FS: "ext4", Label: "newimg", Files: files})
	return d
}

// stick is a removable disk with a new image.
func stick(files ...string) *systest.Disk {
	return &systest.Disk{Name: "sda", Removable: true, Parts: []*systest.Part{{Number: 1, FS: "ext4", Label: "newimg", Files: files}}}
}

// sumOf is the line of sha256sum(1) for a file.
func sumOf(content string) string {
	return fmt.Sprintf("%s.sha256=%x  %s\n", imgName, sha256.Sum256([]byte(content)), imgName)
}

// versionIs looks which image was booted.
func versionIs(want string) func(*testing.T, *systest.Kernel) {
	return func(t *testing.T, k *systest.Kernel) {
		t.Helper()
		if got := readFile(k, "/etc/version"); got != want {
			t.Errorf("the version booted is %q, want %q:\n%s", got, want, k.Trace())
		}
	}
}

// readFile is the content of a file of the machine, or why there is none.
func readFile(k *systest.Kernel, name string) string {
	data, err := k.ReadFile(name)
	if err != nil {
		return err.Error()
	}
	return string(data)
}

// bootImage boots disks by the layout image, and goes on where the real init
// would.
func bootImage(t *testing.T, cmdline string, break_ func(*systest.Kernel), disks ...*systest.Disk) *systest.Kernel {
	t.Helper()
	k := systest.New(cmdline)
	for _, d := range disks {
		k.AddDisk(d)
	}
	if break_ != nil {
		break_(k)
	}
	k.ReturnAfterExec()
	start(k, mount.InOrder)
	return k
}

// again boots what another machine left.
func again(t *testing.T, k *systest.Kernel) *systest.Kernel {
	t.Helper()
	return bootImage(t, onImage, nil, k.CutPower(func(int) bool { return true })...)
}

// names are the files of a directory, without their content.
func names(k *systest.Kernel, dir string) (names []string) {
	for _, line := range k.Files(dir) {
		name, _, _ := strings.Cut(line, "=")
		names = append(names, name)
	}
	return names
}

// images looks at which images are there, by their versions.
func images(t *testing.T, k *systest.Kernel, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for _, line := range k.Files(imgDir) {
		name, content, _ := strings.Cut(line, "=")
		_, version, _ := strings.Cut(content, "etc/version=")
		version, _, _ = strings.Cut(version, "\x00")
		if len(content) != imageSize && len(content) != largeSize {
			version += " cut"
		}
		got[name] = version
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the images are %v, want %v\n%s", got, want, k.Trace())
	}
}
