package main

import (
	"fmt"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

// benchTryboot measures a settled boot of the layout tryboot beside a floor of
// its own. The firmware's answer is not in the device tree of QEMU, so that a
// word names the slot, as on a board that does not tell.
func benchTryboot(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error {
	t.words = []string{"minos.layout=tryboot", "kn86.slot=A"}
	t.mounts = []mounted{
		{"/run/initramfs/rootfs", "ext4", "ro"},
		{"/run/initramfs/volatile", "tmpfs", "rw"},
		{"/boot/firmware", "vfat", "ro"},
		{"/home/shared", "ext4", "rw"},
	}
	line, err := startingLine(modules, p.startTryboot, drivers())
	if err != nil {
		return err
	}
	l := settledLayout{name: "tryboot", line: line, floor: p.floorTryboot, card: settledTrybootCard}
	return l.bench(progress, dir, release, p, t, rounds)
}

// settledTrybootCard is a card after one boot of init and a clean end.
func settledTrybootCard(progress *qemu.Progress, dir string, p programs, t track, first variant) (string, error) {
	t.disk = filepath.Join(dir, "tryboot.img")
	err := progress.Step("making a card of the layout tryboot and booting it once", func() error {
		root := qemu.StubTree(p.stub).With(
			qemu.Dir("home"), qemu.Dir("home/shared"),
			qemu.File{Name: "sbin/init", Mode: 0o755, From: p.finish},
			qemu.File{Name: "sbin/stub", Mode: 0o755, From: p.stub},
		)
		card := qemu.NewTrybootDisk([]qemu.File{qemu.Text("config.txt", "")}, root, 64)
		if err := card.Write(t.disk); err != nil {
			return err
		}
		t.keep = true
		if _, err := t.run(first); err != nil {
			return fmt.Errorf("cannot settle the card: %w", err)
		}
		shared, err := card.Find("shared")
		if err != nil {
			return err
		}
		return replayJournal(t.disk, shared)
	})
	return t.disk, err
}
