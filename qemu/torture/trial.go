package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// bench is a recorded scenario on which its cases are tried.
type bench struct {
	*laboratory
	scenario scenario
	base     string // the disk before the record
	record   record
	images   []image // all there are

	endOnce sync.Once
	endFile string
	endErr  error

	mu      sync.Mutex
	settled map[string]bool // trees that a boot has been seen to leave as they are
}

type trees map[string]tree

// String is the same for the same files.
func (t trees) String() string {
	var all strings.Builder
	for _, name := range slices.Sorted(maps.Keys(t)) {
		fmt.Fprintf(&all, "%s:\n%s", name, t[name])
	}
	return all.String()
}

// try boots an image twice and judges it. consoles is what the boots showed.
func (b *bench) try(i image) (v verdict, consoles string, err error) {
	disk, err := b.place("disk")
	if err != nil {
		return v, "", err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Dir(disk))) }()
	if err := i.build(disk, b.base); err != nil {
		return v, "", err
	}
	before, err := b.judgeDisk(disk)
	if err != nil {
		return v, "", err
	}
	if before.verdict.Class == lost {
		before.verdict.Why = "the disk after the cut: " + before.verdict.Why
		return before.verdict, "", nil
	}
	cut, v, err := b.environmentAfterCut(disk, i.synced)
	if err != nil || v.failed() {
		return v, "", err
	}
	first, err := b.bootOn(disk)
	if err != nil {
		return v, first.consoles, err
	}
	if v = reached(first.result); before.verdict.Class == repaired && (v.Class == fine || v.Class == degraded || refusedImages(first.result) || lostMedium(first.result)) {
		// The boot got along without it, or asked for this. Now somebody repairs it.
		if err := b.repair(disk); err != nil {
			return v, first.consoles, err
		}
		again, err := b.bootOn(disk)
		if first = first.then("after e2fsck", again); err != nil {
			return v, first.consoles, err
		}
		v = reached(first.result)
	}
	if v.Class != fine {
		return v, first.consoles, nil
	}
	after, err := b.judgeDisk(disk)
	if err != nil {
		return v, first.consoles, err
	}
	environment, err := b.environmentAfterBoots(disk, cut, first.times)
	if err != nil {
		return v, first.consoles, err
	}
	table, err := b.judgeTable(disk)
	if err != nil {
		return v, first.consoles, err
	}
	v = worst(after.verdict, environment, table, b.scenario.filesStored(after.trees, i.synced), b.scenario.filesShown(first.result, i.synced))
	if v.failed() {
		return v, first.consoles, nil
	}
	changed, console, err := b.changesAgain(disk, after.trees, i.synced)
	return worst(changed, v, before.verdict), first.consoles + console, err
}

// boots are one or more boots, one after the other.
type boots struct {
	result          // of the last
	consoles string // of all
	times    int
}

// then are these boots and more of them.
func (f boots) then(title string, more boots) boots {
	return boots{more.result, f.consoles + "\n== " + title + "\n" + more.consoles, f.times + more.times}
}

// repair lets e2fsck repair what it can, as a person would.
func (b *bench) repair(disk string) (err error) {
	for _, name := range b.scenario.ext4Partitions() {
		part, r := disk+"."+name, b.scenario.partition(name)
		if err := r.Extract(part, disk); err != nil {
			return err
		}
		none, err := b.scenario.unmade(name, part)
		if err != nil {
			return err
		}
		if none {
			continue
		}
		if _, err := status("e2fsck", "-fy", part); err != nil {
			return err
		}
		if err := insert(disk, r.Start, part); err != nil {
			return err
		}
	}
	return nil
}

// insert writes a partition back into a disk.
func insert(disk string, at int64, part string) (err error) {
	out, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot write a partition back: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	in, err := os.Open(part)
	if err != nil {
		return fmt.Errorf("cannot write a partition back: %w", err)
	}
	defer in.Close()
	if _, err := io.Copy(io.NewOffsetWriter(out, at), in); err != nil {
		return fmt.Errorf("cannot write a partition back: %w", err)
	}
	return os.Remove(part)
}

func (b *bench) place(name string) (string, error) {
	dir, err := os.MkdirTemp(b.dir, "case-")
	if err != nil {
		return "", fmt.Errorf("cannot make a place for a case: %w", err)
	}
	return filepath.Join(dir, name), nil
}

// bootOn boots, and when init failed clearly once more as the bootloader would.
func (b *bench) bootOn(disk string) (boots, error) {
	r, err := b.warm(b.scenario, disk, b.scenario.afterCut(false))
	first := boots{r, r.console, 1}
	if err != nil || !failedClearly(r) {
		return first, err
	}
	r, err = b.warm(b.scenario, disk, b.scenario.afterCut(true))
	return first.then("the next boot", boots{r, r.console, 1}), err
}

// changesAgain boots once more and judges whether anything changes. A disk with
// the same files as one that was seen to stay so is not booted.
func (b *bench) changesAgain(disk string, was trees, marks int) (verdict, string, error) {
	key := fmt.Sprintf("%s%d", was, marks)
	b.mu.Lock()
	known := b.settled[key]
	b.mu.Unlock()
	if known {
		return isFine, "", nil
	}
	r, err := b.warm(b.scenario, disk, b.scenario.afterCut(false))
	if err != nil {
		return verdict{}, "", err
	}
	console := "\n== the boot after it\n" + r.console
	again, err := b.judgeDisk(disk)
	if err != nil {
		return verdict{}, console, err
	}
	v := worst(reached(r), again.verdict, b.scenario.filesShown(r, marks), b.scenario.filesStored(again.trees, marks))
	if v.failed() {
		v.Why = "the boot after the next: " + v.Why
		return v, console, nil
	}
	if strings.Contains(r.console, putAside) {
		return judged(lost, "the boot after the next puts an upper aside"), console, nil
	}
	if again.trees.String() != was.String() {
		return judged(lost, "the boot after the next still changes something: from\n%s\nto\n%s", was, again.trees), console, nil
	}
	b.mu.Lock()
	b.settled[key] = true
	b.mu.Unlock()
	return isFine, console, nil
}

// inspection is what is on a disk, and what its own tools say of it.
type inspection struct {
	trees   trees
	verdict verdict
}

// judgeDisk looks at the filesystems of a disk and leaves it as it is.
func (b *bench) judgeDisk(disk string) (inspection, error) {
	found := inspection{trees: trees{}, verdict: isFine}
	for _, name := range b.scenario.ext4Partitions() {
		part := disk + "." + name
		if err := b.scenario.partition(name).Extract(part, disk); err != nil {
			return found, err
		}
		none, err := b.scenario.unmade(name, part)
		if err != nil {
			return found, err
		}
		if none {
			found.trees[name] = tree{}
			continue
		}
		v, err := checkExt4(part)
		if err != nil {
			return found, err
		}
		if v.Class != fine {
			v.Why = name + ": " + v.Why
		}
		found.verdict = worst(found.verdict, v)
		if found.trees[name], err = readExt4(part); err != nil && v.Class != lost {
			return found, err
		}
		for file, node := range found.trees[name] {
			if known, ok := b.parts.known[node.content]; ok {
				node.content = known
				found.trees[name][file] = node
			}
		}
		if err := os.Remove(part); err != nil {
			return found, fmt.Errorf("cannot remove a copy of a partition: %w", err)
		}
	}
	v, err := b.judgeUntouched(disk)
	found.verdict = worst(found.verdict, v)
	return found, err
}

// judgeUntouched judges what the scenario's boots only read, and the boot
// partition's files.
func (b *bench) judgeUntouched(disk string) (verdict, error) {
	for _, r := range b.scenario.recipe(parts{}).Ranges() {
		switch r.Name {
		case "rootfs-a", "rootfs-b", "kernel-a", "kernel-b":
			same, err := sameRange(b.base, disk, r)
			if err != nil {
				return verdict{}, err
			}
			if !same {
				return judged(lost, "%s has changed, which nobody may write", r.Name), nil
			}
		}
	}
	return b.judgeFAT(disk, b.scenario.partition("boot"))
}

// end returns the disk after the recorded boot.
func (b *bench) end() (string, error) {
	b.endOnce.Do(func() {
		b.endFile = b.base + ".end"
		b.endErr = image{pieces: b.record.prefix(len(b.record.writes), none)}.build(b.endFile, b.base)
	})
	return b.endFile, b.endErr
}
