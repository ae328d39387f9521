package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// environment is where a scenario's disk has U-Boot's environment, in bytes from
// the start of the partition, and what has to become of it. Each boot after the
// cut takes an attempt, and makes both copies the same.
type environment struct {
	partition    string
	size         int64
	offset       int64
	shadowOffset int64
	// marked is the mark of the recorded boot from which on it is the new one; 0
	// for any cut.
	marked int
}

// bootState is the environment of the layout slots.
var bootState = environment{partition: "bootstate", size: 0x4000, shadowOffset: 0x400000}

// storedBy is bootState, which has to be the new one from a mark on.
func storedBy(mark int) *environment {
	e := bootState
	e.marked = mark
	return &e
}

// variables are those of an environment; nil for a damaged one.
type variables map[string]string

// environmentAfterCut lets Debian's fw_printenv read the environment, and its
// shadow when that is damaged. What it reads has to be the environment before
// the recorded boot or after it, whole.
func (b *bench) environmentAfterCut(disk string, marks int) (variables, verdict, error) {
	e := b.scenario.environment
	if e == nil {
		return nil, isFine, nil
	}
	end, err := b.end()
	if err != nil {
		return nil, verdict{}, err
	}
	var states []variables
	for _, d := range []string{b.base, end, disk} {
		state, err := b.readEnvironment(d, filepath.Dir(disk), e.offset, e.shadowOffset)
		if err != nil {
			return nil, verdict{}, err
		}
		states = append(states, state)
	}
	before, after, now := states[0], states[1], states[2]
	return now, judgeCut(before, after, now, e.marked > 0 && marks >= e.marked), nil
}

// judgeCut compares what is read with what was there before and after. A damaged
// environment is fine only where it was damaged before. stored tells that the
// machine had gone on as if the new one were durable.
func judgeCut(before, after, now variables, stored bool) verdict {
	switch {
	case now.same(after), now.same(before) && !stored:
		return isFine
	case now == nil:
		return judged(lost, "fw_printenv accepts neither the environment nor its shadow")
	case now.same(before):
		return judged(lost, "the environment is still that before, %q, though the new one, %q, had been stored", now, after)
	}
	return judged(lost, "the environment is %q, neither that before, %q, nor that after, %q", now, before, after)
}

func (v variables) same(other variables) bool {
	return (v == nil) == (other == nil) && maps.Equal(v, other)
}

// environmentAfterBoots judges the environment and its shadow after so many
// boots: each has taken an attempt of what the cut had left.
func (b *bench) environmentAfterBoots(disk string, want variables, times int) (verdict, error) {
	e := b.scenario.environment
	if e == nil {
		return isFine, nil
	}
	dir := filepath.Dir(disk)
	for range times {
		want = want.attempt()
	}
	now, err := b.readEnvironment(disk, dir, e.offset)
	if err != nil {
		return verdict{}, err
	}
	shadow, err := b.readEnvironment(disk, dir, e.shadowOffset)
	return worst(judgeBoots(want, now, "environment"), judgeBoots(want, shadow, "shadow")), err
}

func judgeBoots(want, now variables, which string) verdict {
	if now.same(want) {
		return isFine
	}
	return judged(lost, "after the next boot the %s is %q, want %q", which, now, want)
}

// attempt is what a boot makes of the boot state: the first slot of the order
// that has an attempt left loses one. It is written after docs/layouts/slots.md,
// for an order of A and B in which one of them has an attempt left.
func (v variables) attempt() variables {
	next := variables{"BOOT_ORDER": "A B", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "3"}
	if v != nil {
		next = maps.Clone(v)
	}
	for slot := range strings.FieldsSeq(next["BOOT_ORDER"]) {
		name := "BOOT_" + slot
		left, err := strconv.ParseUint(next[name+"_LEFT"], 16, 32)
		if err != nil || left == 0 {
			continue
		}
		if _, ok := next[name+"_FROM"]; !ok || next[name+"_NOW"] != next[name+"_LEFT"] {
			next[name+"_FROM"] = next[name+"_LEFT"]
		}
		next[name+"_LEFT"] = strconv.FormatUint(left-1, 16)
		next[name+"_NOW"] = next[name+"_LEFT"]
		delete(next, "BOOT_EXHAUSTED")
		break
	}
	return next
}

// readEnvironment reads the first copy that is accepted, of a disk.
func (b *bench) readEnvironment(disk, dir string, offsets ...int64) (_ variables, err error) {
	part := filepath.Join(dir, "environment")
	if err := b.scenario.partition(b.scenario.environment.partition).Extract(part, disk); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.Remove(part)) }()
	return b.scenario.environment.read(part, offsets...)
}

// read returns the variables of the first copy that is accepted, or nil when
// none is.
func (e environment) read(file string, offsets ...int64) (variables, error) {
	for _, at := range offsets {
		config := filepath.Join(filepath.Dir(file), "fw_env.config")
		if err := os.WriteFile(config, fmt.Appendf(nil, "%s %#x %#x\n", file, at, e.size), 0o644); err != nil {
			return nil, fmt.Errorf("cannot say where the environment is: %w", err)
		}
		// Without a file of defaults, which it would take for the environment.
		code, output, err := statusAndOutput("fw_printenv", "-c", config, "-f", os.DevNull+"/none")
		if err = errors.Join(err, os.Remove(config)); err != nil {
			return nil, err
		}
		if code != 0 {
			continue
		}
		found := variables{}
		for line := range strings.Lines(output) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			found[name] = value
		}
		return found, nil
	}
	return nil, nil
}
