package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// imageScenarios are about the layout image: a new image that becomes the
// current one, and the upper that each boot throws away.
func imageScenarios() []scenario {
	const kept = "/run/initramfs/overlay/persistent/etc/kept"
	layout := []string{"minos.layout=image"}
	mark := "mark:/dev/vda1"
	return []scenario{
		{
			// Wherever the cut is, the next boot has the new image, whole, and
			// the one before it beside it.
			name: "adoption", words: layout, images: bringing, do: []string{mark},
			files: []expected{
				{path: "/etc/version", texts: []string{"2"}, where: shown},
				{path: "img/root-squashfs.img", texts: []string{"image 2"}, where: stored},
				{path: "img/root-squashfs-old.img", texts: []string{"image 1"}, where: stored},
				{path: "img/root-squashfs-new.img", where: removed},
				{path: "newimg/root-squashfs.img", where: removed},
				{path: "newimg/root-squashfs.img", where: removed, marked: 1},
			},
		},
		{
			name: "upper thrown away", words: layout, images: oneImage,
			before: []step{{do: slices.Concat([]string{"mkdir:" + filepath.Dir(kept)}, written(kept, "1"), written("/etc/gone", "1"), written("/gone", "1"))}},
			do:     slices.Concat(written("/etc/gone", "2"), []string{"replace:" + kept + "=2", "fsync:" + kept, mark}),
			files: []expected{
				{path: "/etc/kept", texts: []string{"1", "2"}, where: shown},
				{path: "/etc/kept", texts: []string{"2"}, where: shown, marked: 1},
				{path: "/etc/gone", where: hidden}, {path: "/gone", where: hidden},
				{path: "img/root-squashfs.img", texts: []string{"image 1"}, where: stored},
			},
		},
	}
}

// written are the verbs that write a file and make it durable.
func written(path, text string) []string {
	return []string{"write:" + path + "=" + text, "fsync:" + path}
}

// imageDisk is a disk of the layout image, with a blank partition for the marks
// where boot would be. Its filesystems have a second superblock.
func imageDisk(image string) qemu.ImageDisk {
	return qemu.ImageDisk{
		ID: 0x696d6774, Boot: qemu.Partition{MiB: 4},
		Img:     holding("img", image),
		Overlay: qemu.Partition{MiB: 160, Content: qemu.Ext4{Label: "overlay", UUID: "6d696e6f-7300-4000-8000-00000000000b"}},
		NewImg:  holding("newimg", ""),
	}
}

func holding(label, image string) qemu.Partition {
	tree := qemu.Tree{}
	if image != "" {
		tree = tree.With(qemu.File{Name: "root-squashfs.img", Mode: 0o644, From: image})
	}
	return qemu.Partition{MiB: 160, Content: qemu.Ext4{Label: label, UUID: "6d696e6f-7300-4000-8000-00000000000a", Tree: tree}}
}

func oneImage(p parts) qemu.ImageDisk { return imageDisk(p.images[0]) }

// bringing is a disk with a new image on a partition of its own.
func bringing(p parts) qemu.ImageDisk {
	d := imageDisk(p.images[0])
	d.NewImg = holding("newimg", p.images[1])
	return d
}

// refusedImages tells whether a boot failed because the kernel refused the
// partition of the images, and said what to do: without it there is no system,
// nor an e2fsck.
func refusedImages(r result) bool {
	return failedClearly(r) && strings.Contains(lineOf(r.console, "minos: FAILED step=img "), "run e2fsck -f /dev/vda2")
}

// makeImages makes the two images, and the one with tools, in dir.
func makeImages(p *parts, dir string, tools []qemu.File) error {
	p.known = map[string]string{}
	for i := range p.images {
		tree := qemu.StubTree(p.stub).With(qemu.Text("etc/version", strconv.Itoa(i+1)))
		if err := makeImage(p, filepath.Join(dir, fmt.Sprintf("image-%d", i+1)), fmt.Sprintf("image %d", i+1), &p.images[i], tree); err != nil {
			return err
		}
	}
	return makeImage(p, filepath.Join(dir, "core"), "core", &p.core, qemu.StubTree(p.stub).With(tools...))
}

// makeImage makes an image of a tree and knows it by a name from then on.
func makeImage(p *parts, file, name string, image *string, tree qemu.Tree) error {
	if err := (qemu.SquashFS{Compressor: "lz4", Tree: tree}).Make(file, 0); err != nil {
		return err
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("cannot read an image: %w", err)
	}
	*image, p.known[contentOf(content)] = file, name
	return nil
}
