package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// A layout is how the demo shows one layout of init. Each has a file of its own,
// and a line in layouts.
type layout struct {
	name string
	// initramfs is what the release is started with: one of the images in
	// imagesDir.
	initramfs string
	// settings are the environment variables that it knows besides those of all
	// layouts.
	settings []string
	// machine makes the disks ready and describes what is to be started.
	machine func(show) (qemu.Machine, notes, error)
}

// layouts are those that can be shown, the first without a word.
func layouts() []layout { return []layout{slots(), image(), tryboot(), modules(), profiles()} }

// everyLayout are the settings that mean the same in all layouts.
func everyLayout() []string { return []string{"FRESH", "DEBUG", "APPEND"} }

// A show is one run of one layout.
type show struct {
	cache     *qemu.Cache
	dir       string // where the disks of earlier runs are
	initramfs string
	words     []string // for the kernel command line, from APPEND
	fresh     bool     // begin with new disks
}

// notes are for the person at the terminal.
type notes struct {
	booting string   // what is booted, as the end of a sentence
	hints   []string // what can be done, and by which words
}

// choose finds the layout of that name, and refuses settings that it would not
// look at.
func choose(name string, setting func(string) string) (layout, error) {
	all := layouts()
	i := slices.IndexFunc(all, func(l layout) bool { return l.name == name })
	if name == "" {
		i = 0
	}
	if i < 0 {
		var names []string
		for _, l := range all {
			names = append(names, l.name)
		}
		return layout{}, fmt.Errorf("cannot show the layout %q: LAYOUT is one of %s", name, strings.Join(names, ", "))
	}
	for _, l := range all {
		for _, s := range l.settings {
			if setting(s) != "" && !slices.Contains(all[i].settings, s) {
				return layout{}, fmt.Errorf("cannot use %s=%s: the layout %s knows only %s", s, setting(s), all[i].name,
					strings.Join(append(everyLayout(), all[i].settings...), ", "))
			}
		}
	}
	return all[i], nil
}

// newShow is what the environment asks for.
func newShow(cache *qemu.Cache, l layout) (show, error) {
	s := show{cache: cache, dir: filepath.Join(demoDir, l.name), fresh: os.Getenv("FRESH") == "1",
		words: strings.Fields(os.Getenv("APPEND"))}
	name := l.initramfs
	if os.Getenv("DEBUG") != "" {
		name = "initramfs-debug.cpio.lz4"
	}
	s.initramfs = setting("INITRAMFS", filepath.Join(imagesDir, name))
	if _, err := os.Stat(s.initramfs); err != nil {
		return s, fmt.Errorf("cannot boot without an initramfs (\"make demo-initramfs\" makes it): %w", err)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return s, fmt.Errorf("cannot make a place for the demo disk: %w", err)
	}
	return s, nil
}

// disk is the disk of earlier runs or, when there is none or a new one is asked
// for, what write makes. The recipe is all that it follows from: one of another
// recipe is kept, with a warning.
func (s show) disk(recipe string, write func(file string) error) (file string, kept bool, err error) {
	file = filepath.Join(s.dir, "disk.img")
	origin := filepath.Join(s.dir, "origin")
	from, err := os.ReadFile(origin)
	if err == nil && !s.fresh {
		if string(from) != recipe {
			fmt.Fprintln(os.Stderr, "The disk of the last run is of an older recipe, its kernel modules may not fit the kernel; FRESH=1 makes it anew.")
		}
		return file, true, nil
	}
	// The note of the origin goes first and comes last: without it the disk of
	// an interrupted run is made again.
	if err := os.RemoveAll(origin); err != nil {
		return "", false, fmt.Errorf("cannot start over: %w", err)
	}
	if err := write(file); err != nil {
		return "", false, err
	}
	if err := os.WriteFile(origin, []byte(recipe), 0o644); err != nil {
		return "", false, fmt.Errorf("cannot note where the demo disk came from: %w", err)
	}
	return file, false, nil
}

// setting is an environment variable or, when that is empty, a default.
func setting(variable, otherwise string) string {
	if value := os.Getenv(variable); value != "" {
		return value
	}
	return otherwise
}
