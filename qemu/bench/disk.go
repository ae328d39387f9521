package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

// settledDisk makes the disk that all boots begin with: the stub's, with the
// finishing line in front of it, after one boot of init and a clean end.
func settledDisk(progress *qemu.Progress, dir string, p programs, t track, first variant) (string, error) {
	disk := benchDisk(p)
	t.disk = filepath.Join(dir, "disk.img")
	err := progress.Step("making a disk and booting it once", func() error {
		if err := disk.Write(t.disk); err != nil {
			return err
		}
		t.keep = true
		if _, err := t.run(first); err != nil {
			return fmt.Errorf("cannot settle the disk: %w", err)
		}
		return shutDown(disk, t.disk)
	})
	return t.disk, err
}

// benchDisk is the stub's disk with the finishing line in front of the stub.
func benchDisk(p programs) qemu.Disk {
	disk := qemu.StubDisk(p.stub)
	// A bootloader has left one, and init reads it.
	disk.BootState.Content = qemu.FreshEnvironment("A", "B")
	for _, slot := range []*qemu.Partition{&disk.RootFSA, &disk.RootFSB} {
		rootfs := slot.Content.(qemu.Ext4)
		rootfs.Tree = rootfs.Tree.With(
			qemu.File{Name: "sbin/init", Mode: 0o755, From: p.finish},
			qemu.File{Name: "sbin/stub", Mode: 0o755, From: p.stub},
		)
		slot.Content = rootfs
	}
	return disk
}

// shutDown does for the filesystems what a clean end of the machine's run would
// have done: otherwise each boot would replay their journals.
func shutDown(disk qemu.Disk, image string) error {
	for _, r := range disk.Ranges() {
		if r.Name != "overlay" && r.Name != "data" {
			continue
		}
		if err := replayJournal(image, r); err != nil {
			return fmt.Errorf("cannot end the use of the partition %s cleanly: %w", r.Name, err)
		}
	}
	return nil
}

// replayJournal has e2fsck write down what the journal of a partition holds, on
// a copy: where a filesystem lies inside of an image, e2fsck 1.47.0 loses its
// place when it has replayed a journal.
func replayJournal(image string, r qemu.Range) (err error) {
	disk, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, disk.Close()) }()
	partition := make([]byte, r.Size)
	if _, err := disk.ReadAt(partition, r.Start); err != nil {
		return err
	}
	file := image + "." + r.Name
	if err := os.WriteFile(file, partition, 0o600); err != nil {
		return err
	}
	defer os.Remove(file)
	if _, err := output("e2fsck", nil, "-p", file); err != nil {
		return err
	}
	if partition, err = os.ReadFile(file); err != nil {
		return err
	}
	_, err = disk.WriteAt(partition, r.Start)
	return err
}
