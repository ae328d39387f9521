package qemu

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// DemoVersion is what a fresh demo disk holds, UpdateVersion what the update
// brings.
const (
	DemoVersion   = "1"
	UpdateVersion = "2"
)

// WriteDemoUpdate makes an update for the demo, a RAUC bundle. Everything is new
// in it: it has another release of the kernel, with its own modules, another
// os-release and another /etc/minos-version; and RAUC marks the slot good, where
// our own unit does on a fresh disk. Its root filesystem has the label and the
// UUID of the one that it replaces.
func (c *Cache) WriteDemoUpdate(file string, tool Minosctl) error {
	full, err := c.FullKernel()
	if err != nil {
		return err
	}
	keys, err := c.UpdateKeys()
	if err != nil {
		return err
	}
	kernel, err := c.updateKernel(full)
	if err != nil {
		return err
	}
	root, err := c.updateRootFS(full)
	if err != nil {
		return err
	}
	return c.Progress.Step("making the demo's update (about 10 s)", func() error {
		return Bundle{
			Version: UpdateVersion, Kernel: Copy{File: kernel},
			RootFS: Partition{MiB: updateMiB, Content: With{Copy{File: root}, tool.filesBesideRAUC()}},
		}.Write(file, keys)
	})
}

// updateMiB is the size of the update's root filesystem: less than that of its
// partition.
const updateMiB = 256

// updateRootFS is the image of the update's root filesystem, without what is
// built from this module.
func (c *Cache) updateRootFS(kernel Debian) (string, error) {
	debian, err := c.Debian()
	if err != nil {
		return "", err
	}
	tree := debianTree(DebianDisk(debian), debian, UpdateVersion).With(raucMarksGood()...)
	recipe := fmt.Sprintf("1 %+v %s %q", tree, kernel.Modules, updateModules())
	dir, err := c.Get("update-rootfs", recipe, func(dir string) error {
		return c.Progress.Step("making the root filesystem of the demo's update (about 10 s)", func() error {
			modules, err := pickModules(dir, kernel.Modules)
			if err != nil {
				return err
			}
			tree.Remove = append(slices.Clone(tree.Remove), "usr/lib/modules")
			root := anyRootFS(updateMiB, tree.With(modules...)).Content
			return errors.Join(root.Make(filepath.Join(dir, "rootfs.ext4"), updateMiB*mib), os.RemoveAll(filepath.Join(dir, "lib")))
		})
	})
	if err != nil {
		return "", fmt.Errorf("cannot make the root filesystem of the demo's update: %w", err)
	}
	return filepath.Join(dir, "rootfs.ext4"), nil
}

// updateKernel is the kernel slot of the update. The archive of its modules is
// made each time, since it follows from the sources of this module.
func (c *Cache) updateKernel(kernel Debian) (string, error) {
	dir, err := os.MkdirTemp("", "minos-update-")
	if err != nil {
		return "", fmt.Errorf("cannot make a place for the update's kernel modules: %w", err)
	}
	defer os.RemoveAll(dir)
	err = run(nil, "go", "run", "github.com/minos-os/minos-init/initramfs", "-arch", "arm64", "-sets", "slots,virtio",
		"-modules", kernel.Modules, "-release-only", "-out", dir)
	if err != nil {
		return "", fmt.Errorf("cannot make the update's kernel modules: %w", err)
	}
	return c.KernelSlot(kernel.Image, filepath.Join(dir, "modules.cpio.lz4"))
}

// updateModules are the directories of kernel modules that the update's root
// filesystem takes along: those of a virtual machine's hardware, and what RAUC
// needs for the next update.
func updateModules() []string {
	return []string{"arch", "block", "crypto", "drivers/block", "drivers/char", "drivers/md", "drivers/virtio", "fs", "lib", "mm"}
}

// pickModules copies those modules of a kernel below dir, and returns them and
// their index as files of a root filesystem.
func pickModules(dir, modules string) ([]File, error) {
	to := filepath.Join("lib/modules", filepath.Base(modules))
	var files []File
	copyFile := func(name string) error {
		target := filepath.Join(dir, to, name)
		files = append(files, File{Name: path.Join("usr", to, name), Mode: 0o644, From: target})
		return errors.Join(os.MkdirAll(filepath.Dir(target), 0o755), copySparse(target, filepath.Join(modules, name)))
	}
	for _, picked := range updateModules() {
		err := filepath.WalkDir(filepath.Join(modules, "kernel", picked), func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(modules, file)
			if err != nil {
				return err
			}
			return copyFile(name)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("cannot copy the update's kernel modules: %w", err)
		}
	}
	for _, name := range []string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		if err := copyFile(name); err != nil {
			return nil, fmt.Errorf("cannot copy the update's list of modules: %w", err)
		}
	}
	index, err := moduleIndex(dir)
	return append(files, index...), err
}

// osRelease is the os-release of a root filesystem's archive.
func osRelease(archive string) (string, error) {
	var content []byte
	err := readArchive(archive, func(h *tar.Header, name string, r io.Reader) (err error) {
		if name == "usr/lib/os-release" {
			content, err = io.ReadAll(r)
		}
		return err
	})
	if err == nil && len(content) == 0 {
		err = errors.New("the root filesystem has no usr/lib/os-release")
	}
	return string(content), err
}
