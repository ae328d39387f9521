package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// judgeFAT judges the boot partition as fsck.vfat leaves it.
func (b *bench) judgeFAT(disk string, r qemu.Range) (verdict, error) {
	same, err := sameRange(b.base, disk, r)
	if err != nil || same {
		return isFine, err
	}
	now, v, err := fatOf(disk, r)
	if err != nil || v.Class != fine {
		return v, err
	}
	before, _, err := fatOf(b.base, r)
	if err != nil {
		return verdict{}, err
	}
	end, err := b.end()
	if err != nil {
		return verdict{}, err
	}
	after, _, err := fatOf(end, r)
	if err != nil {
		return verdict{}, err
	}
	started, err := b.started(disk)
	return judgeFiles(before, after, now, b.scenario.writing, started), err
}

// use is whether new files of the boot partition are in use.
type use string

const (
	always  use = "always"  // as soon as they have their names
	already use = "already" // by a variable of the environment
	notYet  use = "not yet" // that variable is not stored
)

// started tells whether the new files are in use.
func (b *bench) started(disk string) (use, error) {
	if b.scenario.started == "" {
		return always, nil
	}
	e := b.scenario.environment
	state, err := b.readEnvironment(disk, filepath.Dir(disk), e.offset, e.shadowOffset)
	name, value, _ := strings.Cut(b.scenario.started, "=")
	if state[name] == value {
		return already, err
	}
	return notYet, err
}

// judgeFiles compares a boot partition's files with those before the recorded
// boot and after it. Only those that it was writing may be the new ones, and no
// file may be anything else.
func judgeFiles(before, after, now map[string]string, writing []string, started use) verdict {
	for _, name := range slices.Sorted(maps.Keys(before)) {
		content, ok := now[name]
		next, stays := after[name]
		switch {
		case ok && content == before[name]:
		case !slices.Contains(writing, name):
			return judged(lost, "boot: %s, which nobody was writing, is there: %t, of %d bytes, want the %d it had", name, ok, len(content), len(before[name]))
		case !ok && !stays: // it was to go
		case !ok || content != next:
			return judged(lost, "boot: %s, which was being written, is there: %t, and neither the old nor the new one", name, ok)
		}
	}
	for _, name := range writing {
		if _, was := before[name]; was || started == notYet {
			continue
		}
		if content, ok := now[name]; (ok || started == already) && content != after[name] {
			return judged(lost, "boot: %s, which is new, is there: %t, and not whole", name, ok)
		}
	}
	return isFine
}

// repairFAT has fsck.vfat repair a FAT until it finds nothing, and returns its
// last status: 0, or 1 when there still are errors that it corrects. A directory
// whose cluster is free is cut off in the first run, and removed in the second;
// between the two mcopy takes it for the root directory, in itself.
func repairFAT(part string) (code int, output string, err error) {
	for range 3 {
		if code, output, err = statusAndOutput("fsck.vfat", "-a", part); err != nil || code != 1 {
			break
		}
	}
	return code, output, err
}

// fatOf repairs a copy of a FAT partition and reads its files.
func fatOf(disk string, r qemu.Range) (files map[string]string, v verdict, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(disk), "fat-")
	if err != nil {
		return nil, v, fmt.Errorf("cannot make a place for the boot partition: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	part, tree := filepath.Join(dir, "part"), filepath.Join(dir, "tree")
	if err := errors.Join(r.Extract(part, disk), os.Mkdir(tree, 0o755)); err != nil {
		return nil, v, err
	}
	code, output, err := repairFAT(part)
	if err != nil {
		return nil, v, err
	}
	if code > 1 {
		return nil, judged(lost, "fsck.vfat -a cannot repair the boot partition:\n%s", output), nil
	}
	// -m keeps nothing that matters here; -n asks nothing; ::* are all names.
	code, output, err = statusAndOutput("mcopy", "-s", "-n", "-i", part, "::*", tree)
	if err != nil {
		return nil, v, err
	}
	if code != 0 {
		return nil, judged(lost, "mcopy cannot read the boot partition:\n%s", output), nil
	}
	files = map[string]string{}
	err = filepath.WalkDir(tree, func(full string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(full)
		name, _ := filepath.Rel(tree, full)
		files[name] = string(content)
		return err
	})
	return files, isFine, err
}
