// Command bench measures what init costs, beside a floor and a shell script that
// do the same job. It prints one table, and fails only when something did not
// run: a figure over its target is a result.
//
//	go run ./qemu/bench
//
// BENCH_ROUNDS is how often each variant is booted (7), BENCH_APPEND adds words
// to the kernel command line, BENCH_LAYOUT is slots, image, tryboot, modules or profiles, and
// all of them without. It is run from the top of the repository.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

func main() {
	if err := bench(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func bench() (err error) {
	rounds, err := roundsWanted(os.Getenv("BENCH_ROUNDS"))
	if err != nil {
		return err
	}
	// Where Debian keeps e2fsck, which is not in an ordinary user's PATH.
	if err := os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin"); err != nil {
		return fmt.Errorf("cannot extend PATH: %w", err)
	}
	dir, err := os.MkdirTemp("", "minos-bench-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the benchmark: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	progress := qemu.NewProgress(os.Stderr)
	cache, err := qemu.UserCache(progress)
	if err != nil {
		return err
	}
	debian, err := cache.Debian()
	if err != nil {
		return err
	}
	images, err := buildImages(progress, debian.Modules)
	if err != nil {
		return err
	}
	programs, err := buildPrograms(cache, dir)
	if err != nil {
		return err
	}
	budget, err := parseBudget(budgetText)
	if err != nil {
		return err
	}
	var tables strings.Builder
	track := track{kernel: debian.Image, append: strings.Fields(os.Getenv("BENCH_APPEND")), out: io.MultiWriter(os.Stdout, &tables)}
	m := bencher{progress, dir, debian, images, programs, track, rounds}
	if err := m.layouts(os.Getenv("BENCH_LAYOUT")); err != nil {
		return err
	}
	if worse := overBudget(tables.String(), budget); len(worse) > 0 {
		return errors.New(strings.Join(worse, "\n"))
	}
	return nil
}

// bencher is what the benchmark of each layout gets.
type bencher struct {
	progress *qemu.Progress
	dir      string
	debian   qemu.Debian
	images   builtImages
	programs programs
	track    track
	rounds   int
}

// layouts measures one layout, or with "" all of them.
func (b bencher) layouts(only string) error {
	type of = func(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error
	known := only == "" || only == "slots"
	if known {
		if err := benchSlots(b.progress, b.dir, b.debian, b.images, b.programs, b.track, b.rounds); err != nil {
			return err
		}
	}
	for _, layout := range []struct {
		name  string
		bench of
	}{{"image", benchImage}, {"tryboot", benchTryboot}, {"modules", benchModules}, {"profiles", benchProfiles}} {
		if only != "" && only != layout.name {
			continue
		}
		known = true
		if err := layout.bench(b.progress, b.dir, b.debian.Modules, b.images.release, b.programs, b.track, b.rounds); err != nil {
			return err
		}
	}
	if !known {
		return fmt.Errorf("BENCH_LAYOUT=%s is no layout: give slots, image, tryboot, modules or profiles", only)
	}
	return nil
}

// benchSlots measures the layout slots: settled boots, and first boots on cards
// of different sizes.
func benchSlots(progress *qemu.Progress, dir string, debian qemu.Debian, images builtImages, p programs, t track, rounds int) error {
	variants, err := makeVariants(dir, debian.Modules, images.release, p)
	if err != nil {
		return err
	}
	if t.disk, err = settledDisk(progress, dir, p, t, variants[initVariant]); err != nil {
		return err
	}
	runs, err := runRounds(progress, t, variants, rounds)
	if err != nil {
		return err
	}
	cards, err := runCards(progress, dir, debian.RootFS, p, t, variants[initVariant], min(rounds, maxCardRounds))
	if err != nil {
		return err
	}
	if err := printTable(t.out, t, runs, images); err != nil {
		return err
	}
	return printCards(t.out, cards)
}

// maxCardRounds is how often a card is booted at most: each of its boots takes
// several times as long as one of a settled disk.
const maxCardRounds = 3

// roundsWanted reads BENCH_ROUNDS.
func roundsWanted(text string) (int, error) {
	if text == "" {
		return 7, nil
	}
	rounds, err := strconv.Atoi(text)
	if err != nil || rounds < 1 {
		return 0, fmt.Errorf("BENCH_ROUNDS=%s is no number of rounds: give 1 or more", text)
	}
	return rounds, nil
}
