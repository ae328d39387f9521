package qemu

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// demoImageName is what the image is called on a disk and on a medium.
const demoImageName = "root-squashfs.img"

// DemoImage returns a version of the demo's Debian as a squashfs, and makes it
// first where it is missing.
func (c *Cache) DemoImage(version string) (string, error) {
	debian, err := c.Debian()
	if err != nil {
		return "", err
	}
	tree := Tree{Base: debian.RootFS}.With(
		Text("usr/lib/os-release", fmt.Sprintf("%sIMAGE_ID=minos-demo-image\nIMAGE_VERSION=%s\n", debian.OSRelease, version)),
		Text("etc/minos-version", version+"\n"),
		Text("etc/fstab", "# The initramfs mounts / and, below /run/initramfs, what it is made of.\n"),
	)
	dir, err := c.Get("image-"+version, fmt.Sprintf("1 %+v", tree), func(dir string) error {
		return c.Progress.Step("making the demo's image, version "+version+" (about 10 s)", func() error {
			// What is unpacked fastest: an emulated processor takes a minute more to
			// the prompt with zstd.
			return SquashFS{Compressor: "lz4", Tree: tree}.Make(filepath.Join(dir, demoImageName), 0)
		})
	})
	if err != nil {
		return "", fmt.Errorf("cannot make the demo's image: %w", err)
	}
	return filepath.Join(dir, demoImageName), nil
}

// DemoImageDisk is the recipe of a card with an image, and room for three.
func DemoImageDisk(image string) ImageDisk {
	return ImageDisk{
		ID: 0x696d6764,
		Boot: Partition{MiB: minFAT / mib, Content: FAT{Label: "boot", ID: 0x696d6764, Files: []File{
			Text("README.txt", "Boot partition of a minos-init demo disk.\r\n"),
		}}},
		Img:     Partition{MiB: 512, Content: Ext4{Label: "img", UUID: "6d696e6f-7300-4000-8000-00000000000a", Tree: holdingImage(image)}},
		Overlay: Partition{MiB: 96, Content: Ext4{Label: "overlay", UUID: "6d696e6f-7300-4000-8000-00000000000b"}},
	}
}

func holdingImage(image string) Tree {
	return Tree{}.With(File{Name: demoImageName, Mode: 0o644, From: image})
}

// NewImageMedium is the recipe of a medium that brings an image, with its
// checksum as sha256sum writes it.
func NewImageMedium(image string) (ImageDisk, error) {
	in, err := os.Open(image)
	if err != nil {
		return ImageDisk{}, fmt.Errorf("cannot make a medium with a new image: %w", err)
	}
	defer in.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return ImageDisk{}, fmt.Errorf("cannot make the checksum of a new image: %w", err)
	}
	tree := holdingImage(image).With(Text(demoImageName+".sha256", fmt.Sprintf("%x  %s\n", sum.Sum(nil), demoImageName)))
	return ImageDisk{ID: 0x6e657769, NewImg: Partition{MiB: 256, Content: Ext4{Label: "newimg", Tree: tree}}}, nil
}
