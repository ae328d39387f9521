package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// environment is where a scenario's disk has U-Boot's environment. All are
// bytes from the start of the partition.
type environment struct {
	partition    string
	size         int64
	offset       int64
	shadowOffset int64
}

// bootState is the environment of the layout slots.
var bootState = environment{partition: "bootstate", size: 0x4000, shadowOffset: 0x400000}

// judgeEnvironment lets Debian's fw_printenv read the environment, and its
// shadow when that is damaged. What it reads has to be the environment before
// the recorded boot or after it, whole.
func (b *bench) judgeEnvironment(disk string) (verdict, error) {
	if b.scenario.environment == nil {
		return isFine, nil
	}
	end, err := b.end()
	if err != nil {
		return verdict{}, err
	}
	var states []map[string]string
	for i, d := range []string{b.base, end, disk} {
		part := filepath.Join(filepath.Dir(disk), fmt.Sprintf("environment-%d", i))
		if err := b.scenario.partition(b.scenario.environment.partition).Extract(part, d); err != nil {
			return verdict{}, err
		}
		variables, err := b.scenario.environment.read(part)
		if err = errors.Join(err, os.Remove(part)); err != nil {
			return verdict{}, err
		}
		states = append(states, variables)
	}
	return judgeVariables(states[0], states[1], states[2]), nil
}

// judgeVariables compares what is read with what was there before and after. A
// damaged environment, which is nil, is fine only where it was damaged before.
func judgeVariables(before, after, now map[string]string) verdict {
	same := func(other map[string]string) bool { return (now == nil) == (other == nil) && maps.Equal(now, other) }
	switch {
	case same(before) || same(after):
		return isFine
	case now == nil:
		return judged(lost, "fw_printenv accepts neither the environment nor its shadow")
	}
	return judged(lost, "the environment is %q, neither that before, %q, nor that after, %q", now, before, after)
}

// read returns the variables, or nil when neither copy is accepted.
func (e environment) read(file string) (map[string]string, error) {
	for _, at := range []int64{e.offset, e.shadowOffset} {
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
		variables := map[string]string{}
		for line := range strings.Lines(output) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			variables[name] = value
		}
		return variables, nil
	}
	return nil, nil
}
