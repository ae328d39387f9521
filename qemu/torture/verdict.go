package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// class is what a judge says of a case.
type class string

// The classes, the worst first.
const (
	lost     class = "lost"     // something that had been synced is not there, or the disk is damaged beyond its own repair
	deadEnd  class = "dead end" // neither the real init nor a failure that the bootloader can act on
	degraded class = "degraded" // the real init was reached, without something that the machine should have, on a disk without damage
	repaired class = "repaired" // the cut left a filesystem that only e2fsck can repair; with that done, nothing is missing
	fine     class = "fine"
)

// verdict is the judgement of one case.
type verdict struct {
	Class class
	Why   string // "" when it is fine
}

func judged(c class, format string, args ...any) verdict {
	return verdict{c, fmt.Sprintf(format, args...)}
}

// worst is the first of the worst verdicts.
func worst(verdicts ...verdict) verdict {
	order := []class{lost, deadEnd, degraded, repaired, fine}
	return slices.MinFunc(verdicts, func(a, b verdict) int {
		return slices.Index(order, a.Class) - slices.Index(order, b.Class)
	})
}

// failed tells whether a promise was broken. That a filesystem needs a repair
// is none of init's: a write of 4 KiB that is torn takes an ext4's superblock
// with it, whose checksum is in the same block.
func (v verdict) failed() bool { return v.Class != fine && v.Class != repaired }

var isFine = verdict{Class: fine}

// putAside is what init says when it takes an upper for another system's.
const putAside = "what was written over the one before is put aside"

// reached judges whether a boot came to the real init.
func reached(r result) verdict {
	switch {
	case r.ending == qemu.PowerOff && r.stub.Complete:
	case failedClearly(r):
		return judged(deadEnd, "the boot failed again: %s", lineOf(r.console, "minos: FAILED"))
	default:
		return judged(deadEnd, "the machine ended with %s, without the real init and without a failure that a bootloader sees: %s", r.ending, lastLine(r.console))
	}
	var report struct {
		Degraded bool
		Reasons  []string `json:"degraded_reasons"`
	}
	if err := json.Unmarshal([]byte(r.stub.BootJSON), &report); err != nil {
		return judged(deadEnd, "boot.json is not readable: %v", err)
	}
	if report.Degraded {
		return judged(degraded, "the boot is degraded: %s", strings.Join(report.Reasons, "; "))
	}
	return isFine
}

// failedClearly tells whether a boot ended in a way that the bootloader can act
// on: init says what failed, and the machine restarts.
func failedClearly(r result) bool {
	return r.ending == qemu.Reset && !r.stub.Started && lineOf(r.console, "minos: FAILED step=") != ""
}

// filesShown judges what the stub saw of the files, with this many marks set.
func (s scenario) filesShown(r result, marks int) verdict {
	for _, f := range s.files {
		if f.where == stored || f.where == removed || f.marked > marks {
			continue
		}
		found, want := "nothing", "ENOENT"
		for _, done := range r.stub.Done {
			if answer, ok := strings.CutPrefix(done, "read:"+f.path+" "); ok {
				found = answer
			}
		}
		if f.where == shown {
			want = quoted(f.texts)
		}
		if !slices.Contains(strings.Split(want, " or "), found) {
			return judged(lost, "%s is %s in the new root, want %s", f.path, found, want)
		}
	}
	return isFine
}

func quoted(texts []string) string {
	var all []string
	for _, t := range texts {
		all = append(all, strconv.Quote(t))
	}
	return strings.Join(all, " or ")
}

// filesStored judges what is on the partitions.
func (s scenario) filesStored(found trees, marks int) verdict {
	for _, f := range s.files {
		if f.where != stored && f.where != removed || f.marked > marks {
			continue
		}
		partition, name, _ := strings.Cut(f.path, "/")
		node, ok := found[partition][name]
		if f.where == removed {
			if ok {
				return judged(lost, "%s is still there", f.path)
			}
			continue
		}
		if !ok || !slices.Contains(f.texts, node.content) {
			return judged(lost, "%s is %+v, want %s; there are %q", f.path, node, quoted(f.texts), found[partition].names())
		}
	}
	return isFine
}

func lineOf(console, text string) string {
	for line := range strings.Lines(console) {
		if strings.Contains(line, text) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

func lastLine(console string) string {
	lines := strings.Split(strings.TrimSpace(console), "\n")
	return lines[len(lines)-1]
}
