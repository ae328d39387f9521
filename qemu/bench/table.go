package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Targets.
const (
	maxCPU         = 2.0     // times the floor's median
	maxWall        = 1.5     // times the floor's minimum
	maxReleaseSize = 3 << 19 // bytes, 1.5 MiB
	maxDebugSize   = 3 << 20
	maxBootMemory  = 12 << 10 // KiB
)

// row is one line of the table.
type row struct {
	what   string
	values []string // one a variant
	ratio  string   // of init to the floor
	target string
	met    string // "PASS", "OVER", or "" where there is no target
}

func printTable(w io.Writer, t track, runs [][]figures, images builtImages) error {
	cpu := func(f figures) time.Duration { return f.cpu }
	wall := func(f figures) time.Duration { return f.wall }
	rows := []row{
		{what: "", values: []string{"floor", "init", "script", "empty Go"}, ratio: "init/floor", target: "target"},
		timeRow("own CPU, median", runs, median(cpu), maxCPU),
		timeRow("own CPU, minimum", runs, minimum(cpu), 0),
		timeRow("own wall, median", runs, median(wall), 0),
		timeRow("own wall, minimum", runs, minimum(wall), maxWall),
		writtenRow("sectors written", runs, func(f figures) int64 { return f.written }, true),
		writtenRow("in how many writes", runs, func(f figures) int64 { return f.requests }, false),
		memoryRow(runs),
		sizeRow(releasePlain, images, maxReleaseSize),
		sizeRow(debugPlain, images, maxDebugSize),
		sizeRow(releaseModules, images, 0),
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%d rounds, one processor, 2 ns an instruction, Linux %s, words added: %q\n\n",
		len(runs[floorVariant]), images.modulesFrom, strings.Join(t.append, " "))
	for _, r := range rows {
		out.WriteString(r.line(variantCount) + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// line is the row, with so many columns of values.
func (r row) line(columns int) string {
	line := fmt.Sprintf("%-30s", r.what)
	for i := range columns {
		line += fmt.Sprintf("%11s", at(r.values, i))
	}
	line += fmt.Sprintf("%12s  %-10s %s", r.ratio, r.target, r.met)
	return strings.TrimRight(line, " ")
}

func at(values []string, i int) string {
	if i < len(values) {
		return values[i]
	}
	return ""
}

// timeRow compares one statistic of a time.
func timeRow(what string, runs [][]figures, statistic func([]figures) time.Duration, limit float64) row {
	r := row{what: what}
	for _, variant := range runs {
		r.values = append(r.values, fmt.Sprintf("%.2f ms", float64(statistic(variant).Nanoseconds())/1e6))
	}
	ratio := float64(statistic(runs[initVariant])) / float64(statistic(runs[floorVariant]))
	r.ratio = fmt.Sprintf("%.2f", ratio)
	if limit > 0 {
		r.target, r.met = fmt.Sprintf("<= %.1f", limit), verdict(ratio <= limit)
	}
	return r
}

// writtenRow compares a count of what was written. It is the same in each round
// but for chance, whose smallest amount is shown.
func writtenRow(what string, runs [][]figures, count func(figures) int64, target bool) row {
	r := row{what: what}
	least := func(variant int) int64 { return slices.Min(each(runs[variant], count)) }
	for variant := range emptyVariant {
		r.values = append(r.values, fmt.Sprint(least(variant)))
	}
	more := least(initVariant) - least(floorVariant)
	r.ratio = fmt.Sprintf("%+d", more)
	if target {
		r.target, r.met = "<= +0", verdict(more <= 0)
	}
	return r
}

// memoryRow tells the most memory that the first process had in any round.
func memoryRow(runs [][]figures) row {
	r := row{what: "memory, most", target: fmt.Sprintf("<= %d MiB", maxBootMemory>>10)}
	most := func(variant []figures) int64 {
		return slices.Max(each(variant, func(f figures) int64 { return f.memory }))
	}
	for _, variant := range runs {
		r.values = append(r.values, fmt.Sprintf("%.1f MiB", float64(most(variant))/1024))
	}
	r.met = verdict(most(runs[initVariant]) <= maxBootMemory)
	return r
}

func sizeRow(what string, images builtImages, limit int64) row {
	const mib = 1 << 20
	size := images.sizes[what]
	r := row{what: what, values: []string{"", fmt.Sprintf("%.2f MiB", float64(size)/mib)}}
	if limit > 0 {
		r.target, r.met = fmt.Sprintf("<= %.1f MiB", float64(limit)/mib), verdict(size <= limit)
	}
	return r
}

func verdict(met bool) string {
	if met {
		return "PASS"
	}
	return "OVER"
}

func each[T any](runs []figures, get func(figures) T) (values []T) {
	for _, f := range runs {
		values = append(values, get(f))
	}
	return values
}

func minimum[T cmp.Ordered](get func(figures) T) func([]figures) T {
	return func(runs []figures) T { return slices.Min(each(runs, get)) }
}

// median is the middle value, the upper one of two.
func median[T cmp.Ordered](get func(figures) T) func([]figures) T {
	return func(runs []figures) T {
		values := slices.Sorted(slices.Values(each(runs, get)))
		return values[len(values)/2]
	}
}
