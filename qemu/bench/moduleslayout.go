package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minos-os/minos-init/qemu"
)

// The sets that are booted, by how many modules they have.
var setSizes = []int{5, 50, 150}

// Targets of the layout modules.
const (
	maxPerModule = 1.5  // times the floor
	maxBend      = 1.25 // times as much for one of many modules as for one of few
)

// setRuns are the boots of one set.
type setRuns struct {
	modules int
	runs    [][]figures
}

// benchModules measures the layout modules: boots of sets of different sizes
// beside a floor of its own. What one more module costs is what counts, since
// the rest of a boot is that of the other layouts.
func benchModules(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error {
	line, err := startingLine(modules, p.startModules, []string{"virtio_blk", "overlay", "loop", "squashfs"})
	if err != nil {
		return err
	}
	image, err := os.ReadFile(release)
	if err != nil {
		return fmt.Errorf("cannot read the release image: %w", err)
	}
	floor, err := writeVariant(dir, "modules floor", map[string]string{"init": p.floorModules}, line, nil)
	if err != nil {
		return err
	}
	ours, err := writeVariant(dir, "modules init", nil, line, image)
	if err != nil {
		return err
	}
	t.words = []string{"minos.layout=modules"}
	t.mounts = []mounted{
		{"/run/initramfs/memory/data", "ext4", "ro"},
		{"/run/initramfs/memory/changes", "tmpfs", "rw"},
	}
	var sets []setRuns
	for _, count := range setSizes {
		if t.disk, err = setDisk(progress, dir, p, count); err != nil {
			return err
		}
		runs, err := runRounds(progress, t, []variant{floor, ours}, rounds)
		if err != nil {
			return err
		}
		sets = append(sets, setRuns{count, runs})
	}
	beside, err := runBeside(progress, t, ours)
	if err != nil {
		return err
	}
	return printModules(t.out, sets, beside)
}

// setDisk is a disk without a table, with an ext4 with so many modules. The
// first is the system, and the others hold a directory.
func setDisk(progress *qemu.Progress, dir string, p programs, count int) (string, error) {
	disk := filepath.Join(dir, fmt.Sprintf("set-%d.img", count))
	err := progress.Step(fmt.Sprintf("making a set of %d modules", count), func() error {
		core, err := benchSquashFS(dir, "core.sb", p, 0)
		if err != nil {
			return err
		}
		small := filepath.Join(dir, "small.sb")
		if err := (qemu.SquashFS{Compressor: "lz4", Tree: qemu.Tree{}.With(qemu.Dir("etc"))}).Make(small, 0); err != nil {
			return err
		}
		set := qemu.Tree{}.With(qemu.Dir("minios"), qemu.File{Name: "minios/000.sb", Mode: 0o644, From: core})
		for i := 1; i < count; i++ {
			set = set.With(qemu.File{Name: fmt.Sprintf("minios/%03d.sb", i), Mode: 0o644, From: small})
		}
		return errors.Join(qemu.Ext4{Tree: set}.Make(disk, 64<<20), os.Remove(core), os.Remove(small))
	})
	return disk, err
}

// beside is how the modules were mounted on two processors.
type beside struct {
	took time.Duration // from the first to the last
	sum  time.Duration // what they took, each by its own interval
	most int           // of how many the intervals had a moment in common
}

// runBeside boots init on two processors, and reads the timeline that it left. On
// one, init takes its steps in turn.
func runBeside(progress *qemu.Progress, t track, v variant) (b beside, err error) {
	t.processors = 2
	err = progress.Step("one boot on two processors", func() error {
		f, err := t.run(v)
		if err != nil {
			return err
		}
		stub, err := qemu.ReadStub(f.console)
		if err != nil {
			return err
		}
		b, err = readBeside(stub.BootJSON)
		return err
	})
	return b, err
}

// readBeside reads a boot.json.
func readBeside(text string) (b beside, err error) {
	var report struct {
		Timeline []struct {
			Name  string
			Began int64 `json:"began_us"`
			Ended int64 `json:"at_us"`
		}
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		return b, fmt.Errorf("cannot read boot.json: %w", err)
	}
	var first, last, sum int64
	for i, m := range report.Timeline {
		if !strings.HasPrefix(m.Name, "step module-") {
			continue
		}
		if sum == 0 || m.Began < first {
			first = m.Began
		}
		last, sum = max(last, m.Ended), sum+m.Ended-m.Began
		together := 0
		for _, other := range report.Timeline[i:] { // in the order in which they ended
			if strings.HasPrefix(other.Name, "step module-") && other.Began < m.Ended {
				together++
			}
		}
		b.most = max(b.most, together)
	}
	if sum == 0 {
		return b, errors.New("boot.json tells of no module")
	}
	b.took, b.sum = time.Duration(last-first)*time.Microsecond, time.Duration(sum)*time.Microsecond
	return b, nil
}

// printModules prints the table of the layout modules. It has no wall times: while
// all wait for the disk, a clock that counts instructions leaps to the next timer,
// and with many modules there is a wait at which that is minutes away.
func printModules(w io.Writer, sets []setRuns, b beside) error {
	cpu := median(func(f figures) time.Duration { return f.cpu })
	var out strings.Builder
	out.WriteString("\n")
	rows := []row{{what: "layout modules", values: []string{"floor", "init"}, ratio: "init/floor", target: "target"}}
	for _, s := range sets {
		rows = append(rows, timeRow(fmt.Sprintf("%d modules, own CPU, median", s.modules), s.runs, cpu, 0))
	}
	few, some, many := sets[0], sets[1], sets[2]
	whole := slopes(few, many, cpu)
	perModule := row{what: "one module more, CPU", ratio: fmt.Sprintf("%.2f", whole[1]/whole[0]), target: fmt.Sprintf("<= %.1f", maxPerModule),
		met: verdict(whole[1] <= maxPerModule*whole[0])}
	early, late := slopes(few, some, cpu), slopes(some, many, cpu)
	bend := row{what: "of many beside one of few", target: fmt.Sprintf("<= %.2f", maxBend), met: verdict(late[1] <= maxBend*early[1])}
	for i := range whole {
		perModule.values = append(perModule.values, fmt.Sprintf("%.0f us", whole[i]/1e3))
		bend.values = append(bend.values, fmt.Sprintf("%.2f", late[i]/early[i]))
	}
	for _, r := range append(rows, perModule, bend) {
		out.WriteString(r.line(len(few.runs)) + "\n")
	}
	fmt.Fprintf(&out, "%d modules on two processors: %.1f ms from the first to the last, %.1f ms added up, up to %d at a time\n",
		many.modules, b.took.Seconds()*1e3, b.sum.Seconds()*1e3, b.most)
	_, err := io.WriteString(w, out.String())
	return err
}

// slopes are what one module more costs between two sets, in nanoseconds, for
// each variant.
func slopes(few, many setRuns, statistic func([]figures) time.Duration) (each []float64) {
	for i := range few.runs {
		more := statistic(many.runs[i]) - statistic(few.runs[i])
		each = append(each, float64(more)/float64(many.modules-few.modules))
	}
	return each
}
