package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/minos-os/minos-init/qemu"
)

// settledLayout measures settled boots of a layout beside a floor of its own.
type settledLayout struct {
	name  string
	line  []cpio.Record
	floor string // the program
	// card makes a card, boots it once and ends that cleanly. It returns the file.
	card func(progress *qemu.Progress, dir string, p programs, t track, first variant) (string, error)
}

// bench measures, and prints the table.
func (l settledLayout) bench(progress *qemu.Progress, dir, release string, p programs, t track, rounds int) error {
	image, err := os.ReadFile(release)
	if err != nil {
		return fmt.Errorf("cannot read the release image: %w", err)
	}
	floor, err := writeVariant(dir, l.name+" floor", map[string]string{"init": l.floor}, l.line, nil)
	if err != nil {
		return err
	}
	ours, err := writeVariant(dir, l.name+" init", nil, l.line, image)
	if err != nil {
		return err
	}
	if t.disk, err = l.card(progress, dir, p, t, ours); err != nil {
		return err
	}
	runs, err := runRounds(progress, t, []variant{floor, ours}, rounds)
	if err != nil {
		return err
	}
	return l.print(t.out, runs)
}

// print prints the table.
func (l settledLayout) print(w io.Writer, runs [][]figures) error {
	cpu := func(f figures) time.Duration { return f.cpu }
	wall := func(f figures) time.Duration { return f.wall }
	var out strings.Builder
	out.WriteString("\n")
	for _, r := range []row{
		{what: "layout " + l.name, values: []string{"floor", "init"}, ratio: "init/floor", target: "target"},
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
