package qemu

import (
	"fmt"
	"os"
	"path/filepath"
)

// Debian is the demo's Debian, unpacked and ready.
type Debian struct {
	RootFS         string // tar archive of the root filesystem
	Image          string // the kernel, which QEMU and U-Boot load
	KernelSquashFS string // the same for a kernel slot
	Modules        string // its lib/modules/VERSION directory
	OSRelease      string // the text of the root filesystem's os-release
	Authority      string // PEM certificate that updates are signed under
}

// Debian returns the Debian assets and makes them first where they are missing.
func (c *Cache) Debian() (Debian, error) {
	dir, err := c.Get("debian", debianRecipe(), func(dir string) error { return makeDebian(dir, c.Progress) })
	if err != nil {
		return Debian{}, err
	}
	version, err := moduleVersion(dir)
	if err != nil {
		return Debian{}, err
	}
	debian := Debian{
		RootFS:         filepath.Join(dir, "rootfs.tar"),
		Image:          filepath.Join(dir, "Image"),
		KernelSquashFS: filepath.Join(dir, "kernel.squashfs"),
		Modules:        filepath.Join(dir, "lib/modules", version),
	}
	if debian.OSRelease, err = osRelease(debian.RootFS); err != nil {
		return Debian{}, err
	}
	keys, err := c.UpdateKeys()
	if err != nil {
		return Debian{}, err
	}
	authority, err := os.ReadFile(keys.Authority)
	if err != nil {
		return Debian{}, fmt.Errorf("cannot read the certificate for updates: %w", err)
	}
	debian.Authority = string(authority)
	return debian, nil
}

// FullKernel returns Debian's kernel with the drivers of boards, its Image and
// Modules alone, and makes them first where they are missing.
func (c *Cache) FullKernel() (Debian, error) {
	return c.kernel("kernel", kernelPackage{debianSuite, "arm64", "linux-image-arm64"})
}

// kernel is a kernel as an asset of a kind.
func (c *Cache) kernel(kind string, from kernelPackage) (Debian, error) {
	recipe := "1 " + from.suite + " " + from.name
	dir, err := c.Get(kind, recipe, func(dir string) error { return makeKernel(dir, from, c.Progress) })
	if err != nil {
		return Debian{}, err
	}
	version, err := moduleVersion(dir)
	if err != nil {
		return Debian{}, err
	}
	return Debian{Image: filepath.Join(dir, "Image"), Modules: filepath.Join(dir, "lib/modules", version)}, nil
}

// DemoDisk returns the image of the demo disk, not to be written to, and makes
// it first where it is missing.
func (c *Cache) DemoDisk() (string, error) {
	debian, err := c.Debian()
	if err != nil {
		return "", err
	}
	disk := DebianDisk(debian)
	dir, err := c.Get("demo", fmt.Sprintf("1 %+v", disk), func(dir string) error {
		return c.Progress.Step("making the demo disk (about 15 s)", func() error {
			return disk.Write(filepath.Join(dir, "disk.img"))
		})
	})
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "disk.img"), nil
}

// rootfsUUID is that of both slots, as after an update, which writes the same
// image into either.
const rootfsUUID = "6d696e6f-7300-4000-8000-000000000006"

// DebianDisk is the recipe of the demo disk: Debian in both slots, each of which
// says its name in /etc/minos-slot. The slots have one size, and room for an
// update that is twice as large.
func DebianDisk(d Debian) Disk { return debianDisk(d, false) }

// debianDisk is the demo disk with an MBR or a GPT.
func debianDisk(d Debian, gpt bool) Disk {
	disk := emptyDisk(0x6d696e6f)
	disk.GPT = gpt
	disk.RootFSA.MiB, disk.RootFSB.MiB = 512, 512 // names of devices follow from what partitions there are
	tree := debianTree(disk, d, DemoVersion)
	disk.RootFSA = rootfs(512, tree, "A")
	disk.RootFSB = rootfs(512, tree, "B")
	disk.KernelA.Content = Copy{File: d.KernelSquashFS}
	disk.KernelB.Content = Copy{File: d.KernelSquashFS}
	return disk
}

// debianTree is the demo's root filesystem, in a version of the whole image.
func debianTree(disk Disk, d Debian, version string) Tree {
	return Tree{Base: d.RootFS}.With(raucFiles(disk, d.Authority)...).With(
		Text("usr/lib/os-release", fmt.Sprintf("%sIMAGE_ID=%s\nIMAGE_VERSION=%s\n", d.OSRelease, raucCompatible, version)),
		Text("etc/minos-version", version+"\n"),
	)
}

// StubDisk is the recipe of a small disk with the stub real init, an executable,
// in both slots. Its kernel slots are blank.
func StubDisk(stub string) Disk {
	disk := emptyDisk(0x73747562)
	disk.RootFSA = rootfs(24, StubTree(stub), "A")
	disk.RootFSB = rootfs(24, StubTree(stub), "B")
	return disk
}

// rootfs is a root filesystem that can be told from its twin by a file with the
// slot's name.
func rootfs(size int, tree Tree, slot string) Partition {
	return anyRootFS(size, tree.With(Text("etc/minos-slot", slot+"\n")))
}

// anyRootFS is a root filesystem for either slot.
func anyRootFS(size int, tree Tree) Partition {
	return Partition{MiB: size, Content: Ext4{Label: "rootfs", UUID: rootfsUUID, Tree: tree}}
}

// StubTree is the root filesystem around the stub real init: it, and the mount
// points that a root filesystem has.
func StubTree(stub string) Tree {
	return Tree{}.With(
		Dir("boot"), Dir("boot/firmware"), Dir("data"), Dir("dev"), Dir("etc"), Dir("mnt"), Dir("proc"),
		Dir("run"), Dir("sbin"), Dir("sys"), Dir("tmp"), Dir("usr"),
		File{Name: "sbin/init", Mode: 0o755, From: stub},
		Text("etc/os-release", "ID=minos-stub\nNAME=\"stub root filesystem\"\n"),
	)
}

// emptyDisk is a disk with everything but the root filesystems and kernels.
func emptyDisk(id uint32) Disk {
	return Disk{
		ID: id,
		Boot: Partition{MiB: minFAT / mib, Content: FAT{Label: "bootfs", ID: id, Files: []File{
			Text("README.txt", "Boot partition of a minos-init demo disk.\r\n"),
		}}},
		Overlay:   Partition{MiB: 96, Content: Ext4{Label: "overlay", UUID: "6d696e6f-7300-4000-8000-000000000003", Tree: overlayTree()}},
		Data:      Partition{MiB: 64, Content: Ext4{Label: "data", UUID: "6d696e6f-7300-4000-8000-000000000004", Tree: dataTree()}},
		KernelA:   Partition{MiB: 24},
		KernelB:   Partition{MiB: 24},
		BootState: Partition{MiB: 8},
	}
}

// overlayTree has the directories of both slots, made with the image.
func overlayTree() Tree {
	return Tree{}.With(
		Dir("a"), Dir("a/upper"), Dir("a/work"),
		Dir("b"), Dir("b/upper"), Dir("b/work"),
	)
}

// dataTree has the directories with which a new data partition comes.
func dataTree() Tree {
	return Tree{}.With(
		Dir("apps"), Dir("extensions"), Dir("extensions/sysext"), Dir("extensions/confext"),
		Dir("config"), Dir("config/bootconf"), File{Name: "config/sudo", Mode: os.ModeDir | 0o750},
		Dir("config/users"), Dir("config/services"), Dir("config/ssh"), Dir("config/wifi"), Dir("config/disco"),
	)
}
