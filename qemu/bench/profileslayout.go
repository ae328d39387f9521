package main

import (
	"fmt"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

// benchProfiles measures a settled boot of the layout profiles beside a floor of
// its own, which proves the profile as init does.
func benchProfiles(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error {
	t.words = []string{"minos.layout=profiles", "flipper.profile=desk"}
	t.mounts = []mounted{
		{"/run/initramfs/profiles", "btrfs", "rw"},
		{"/data", "btrfs", "rw"},
	}
	line, err := startingLine(modules, p.startProfiles, []string{"virtio_blk", "overlay", "xor-neon", "xor", "raid6_pq", "libcrc32c", "btrfs"})
	if err != nil {
		return err
	}
	l := settledLayout{name: "profiles", line: line, floor: p.floorProfiles, card: settledProfiles}
	return l.bench(progress, dir, release, p, t, rounds)
}

// settledProfiles is a card after one boot of init and a clean end.
func settledProfiles(progress *qemu.Progress, dir string, p programs, t track, first variant) (string, error) {
	t.disk = filepath.Join(dir, "profiles.img")
	err := progress.Step("making a card of the layout profiles and booting it once", func() error {
		base := qemu.StubTree(p.stub).With(
			qemu.File{Name: "sbin/init", Mode: 0o755, From: p.finish},
			qemu.File{Name: "sbin/stub", Mode: 0o755, From: p.stub},
		)
		card := qemu.ProfilesDisk(256, qemu.Btrfs{
			Label:      "flipperos",
			Tree:       qemu.Tree{}.With(qemu.Dir("@base"), qemu.Link("@base/current", "1.0")),
			Subvolumes: []qemu.Subvolume{{Name: "@base/1.0", ReadOnly: true, Tree: base}, qemu.Profile("desk"), qemu.Profile("router"), {Name: "@data"}},
		})
		if err := card.Write(t.disk); err != nil {
			return err
		}
		t.keep = true
		if _, err := t.run(first); err != nil {
			return fmt.Errorf("cannot settle the card: %w", err)
		}
		// The log of the last writes is played back, and the filesystem unmounted.
		btrfs := card.Ranges()[1]
		return qemu.ChangeBtrfs(t.disk, btrfs.Start, btrfs.Size, `test -d "$at/@profiles/desk/upper/root/run"`)
	})
	return t.disk, err
}
