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

// What a first boot may cost, on cards of different sizes.
const (
	maxCardRatio  = 1.3      // of the slowest card to the fastest, data blank
	maxGrownRatio = 1.1      // likewise, with a filesystem of 64 MiB there
	maxFormatted  = 20 << 20 // bytes written on the largest
)

// cardSizes are the sizes of the cards that the image is written to. They are
// files with holes.
func cardSizes() []int64 { return []int64{8 << 30, 128 << 30, 1 << 40} }

// cardKind is what the image has for its data partition.
type cardKind struct {
	name     string
	blank    bool
	maxRatio float64
	maxBytes int64 // written on the largest card; 0 for any number
}

func cardKinds() []cardKind {
	return []cardKind{
		{"first boot, data blank", true, maxCardRatio, maxFormatted},
		{"first boot, data of 64 MiB", false, maxGrownRatio, 0},
	}
}

// cardFigures are those of each kind, by the size of the card.
type cardFigures [][][]figures

// runCards boots each card as it is for the first time, in turn, round by round.
func runCards(progress *qemu.Progress, dir, rootfs string, p programs, t track, v variant, rounds int) (cardFigures, error) {
	tools, err := qemu.SlotTools(rootfs, "usr/sbin/mke2fs", "usr/sbin/e2fsck")
	if err != nil {
		return nil, err
	}
	all := make(cardFigures, len(cardKinds()))
	for i, kind := range cardKinds() {
		image := filepath.Join(dir, fmt.Sprintf("card-%d.img", i))
		if err := cardDisk(kind, p, tools).Write(image); err != nil {
			return nil, err
		}
		all[i] = make([][]figures, len(cardSizes()))
		for round := range rounds {
			err := progress.Step(fmt.Sprintf("%s, round %d of %d", kind.name, round+1, rounds), func() error {
				for n, size := range cardSizes() {
					f, err := t.runCard(v, image, size)
					if err != nil {
						return fmt.Errorf("cannot measure a card of %d GiB: %w", size>>30, err)
					}
					all[i][n] = append(all[i][n], f)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
		if err := os.Remove(image); err != nil {
			return nil, fmt.Errorf("cannot remove the disk of a card: %w", err)
		}
	}
	return all, nil
}

// cardDisk is the disk of the others, with tools for a first boot.
func cardDisk(kind cardKind, p programs, tools []qemu.File) qemu.Disk {
	disk := benchDisk(p)
	rootfs := disk.RootFSA.Content.(qemu.Ext4)
	rootfs.Tree = rootfs.Tree.With(tools...)
	disk.RootFSA.Content = rootfs
	if kind.blank {
		disk.Data.Content = nil
	}
	return disk
}

// runCard boots the image on a card of that size. What the boot writes is not
// kept, so that the next one is a first boot, too.
func (t track) runCard(v variant, image string, size int64) (figures, error) {
	if err := os.Truncate(image, size); err != nil {
		return figures{}, fmt.Errorf("cannot make a card of %d bytes: %w", size, err)
	}
	t.disk, t.keep, t.byClock = image, false, true
	return t.run(v)
}

// printCards prints a table for each kind.
func printCards(w io.Writer, all cardFigures) error {
	var out strings.Builder
	for i, kind := range cardKinds() {
		header := row{what: kind.name, ratio: "most/least", target: "target"}
		for _, size := range cardSizes() {
			header.values = append(header.values, fmt.Sprintf("%d GiB", size>>30))
		}
		wall := minimum(func(f figures) time.Duration { return f.wall })
		cpu := median(func(f figures) time.Duration { return f.cpu })
		rows := []row{header, cardTimeRow("own wall, minimum", all[i], wall, kind.maxRatio), cardTimeRow("own CPU, median", all[i], cpu, 0), cardBytesRow(all[i], kind.maxBytes)}
		out.WriteString("\n")
		for _, r := range rows {
			out.WriteString(r.line(len(cardSizes())) + "\n")
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// cardTimeRow compares a time between the cards.
func cardTimeRow(what string, cards [][]figures, statistic func([]figures) time.Duration, limit float64) row {
	r := row{what: what}
	least, most := time.Duration(0), time.Duration(0)
	for n, runs := range cards {
		took := statistic(runs)
		r.values = append(r.values, fmt.Sprintf("%.1f ms", float64(took.Nanoseconds())/1e6))
		if n == 0 {
			least = took
		}
		least, most = min(least, took), max(most, took)
	}
	ratio := float64(most) / float64(least)
	r.ratio = fmt.Sprintf("%.2f", ratio)
	if limit > 0 {
		r.target, r.met = fmt.Sprintf("<= %.1f", limit), verdict(ratio <= limit)
	}
	return r
}

// cardBytesRow shows what was written until the real init had synced all.
func cardBytesRow(cards [][]figures, limit int64) row {
	const mib = 1 << 20
	r := row{what: "written"}
	most := int64(0)
	for _, runs := range cards {
		written := 512 * median(func(f figures) int64 { return f.written })(runs)
		most = max(most, written)
		r.values = append(r.values, fmt.Sprintf("%.2f MiB", float64(written)/mib))
	}
	if limit > 0 {
		r.target, r.met = fmt.Sprintf("<= %d MiB", limit/mib), verdict(most <= limit)
	}
	return r
}
