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

// benchTryboot measures a settled boot of the layout tryboot beside a floor of
// its own. The firmware's answer is not in the device tree of QEMU, so that a
// word names the slot, as on a board that does not tell.
func benchTryboot(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error {
	line, err := startingLine(modules, p.startTryboot, drivers())
	if err != nil {
		return err
	}
	image, err := os.ReadFile(release)
	if err != nil {
		return fmt.Errorf("cannot read the release image: %w", err)
	}
	floor, err := writeVariant(dir, "tryboot floor", map[string]string{"init": p.floorTryboot}, line, nil)
	if err != nil {
		return err
	}
	ours, err := writeVariant(dir, "tryboot init", nil, line, image)
	if err != nil {
		return err
	}
	t.words = []string{"minos.layout=tryboot", "kn86.slot=A"}
	t.mounts = []mounted{
		{"/run/initramfs/rootfs", "ext4", "ro"},
		{"/run/initramfs/volatile", "tmpfs", "rw"},
		{"/boot/firmware", "vfat", "ro"},
		{"/home/shared", "ext4", "rw"},
	}
	if t.disk, err = settledTrybootCard(progress, dir, p, t, ours); err != nil {
		return err
	}
	runs, err := runRounds(progress, t, []variant{floor, ours}, rounds)
	if err != nil {
		return err
	}
	return printTryboot(t.out, runs)
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

// printTryboot prints the table of the layout tryboot.
func printTryboot(w io.Writer, runs [][]figures) error {
	cpu := func(f figures) time.Duration { return f.cpu }
	wall := func(f figures) time.Duration { return f.wall }
	var out strings.Builder
	out.WriteString("\n")
	for _, r := range []row{
		{what: "layout tryboot", values: []string{"floor", "init"}, ratio: "init/floor", target: "target"},
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
