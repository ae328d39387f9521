package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minos-os/minos-init/qemu"
)

// benchProfiles measures a settled boot of the layout profiles beside a floor of
// its own, which proves the profile as init does.
func benchProfiles(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error {
	line, err := startingLine(modules, p.startProfiles, []string{"virtio_blk", "overlay", "xor-neon", "xor", "raid6_pq", "libcrc32c", "btrfs"})
	if err != nil {
		return err
	}
	image, err := os.ReadFile(release)
	if err != nil {
		return fmt.Errorf("cannot read the release image: %w", err)
	}
	floor, err := writeVariant(dir, "profiles floor", map[string]string{"init": p.floorProfiles}, line, nil)
	if err != nil {
		return err
	}
	ours, err := writeVariant(dir, "profiles init", nil, line, image)
	if err != nil {
		return err
	}
	t.words = []string{"minos.layout=profiles", "flipper.profile=desk"}
	t.mounts = []mounted{
		{"/run/initramfs/profiles", "btrfs", "rw"},
		{"/data", "btrfs", "rw"},
	}
	if t.disk, err = settledProfiles(progress, dir, p, t, ours); err != nil {
		return err
	}
	runs, err := runRounds(progress, t, []variant{floor, ours}, rounds)
	if err != nil {
		return err
	}
	return printProfiles(t.out, runs)
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

// printProfiles prints the table of the layout profiles.
func printProfiles(w io.Writer, runs [][]figures) error {
	cpu := func(f figures) time.Duration { return f.cpu }
	wall := func(f figures) time.Duration { return f.wall }
	var out strings.Builder
	out.WriteString("\n")
	for _, r := range []row{
		{what: "layout profiles", values: []string{"floor", "init"}, ratio: "init/floor", target: "target"},
		timeRow("own CPU, median", runs, median(cpu), maxCPU),
		timeRow("own CPU, minimum", runs, minimum(cpu), 0),
		timeRow("own wall, minimum", runs, minimum(wall), 0),
		imageWrittenRow(runs),
	} {
		out.WriteString(r.line(len(runs)) + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}
