package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minos-os/minos-init/qemu"
)

// Targets of the layout image.
const (
	maxAdoption = 1.1     // times cp and fsync of the same file
	maxMemory   = 8 << 10 // KiB of memory while an image is copied
)

// imageVariant are the two ways to boot it.
const (
	imageFloor = iota
	imageInit
	imageVariants
)

// adoptedMiB is the size of the image that is adopted.
const adoptedMiB = 300

// benchImage measures the layout image: a settled boot beside a floor of its
// own, and an adoption beside cp and fsync of the same file on the same disk.
func benchImage(progress *qemu.Progress, dir, modules, release string, p programs, t track, rounds int) error {
	variants, err := makeImageVariants(dir, modules, release, p)
	if err != nil {
		return err
	}
	t.words = []string{"minos.layout=image"}
	t.mounts = []mounted{
		{"/run/initramfs/img", "ext4", "ro"},
		{"/run/initramfs/rootfs", "squashfs", "ro"},
		{"/run/initramfs/overlay", "ext4", "rw"},
	}
	if t.disk, err = settledImageDisk(progress, dir, p, t, variants[imageInit]); err != nil {
		return err
	}
	runs, err := runRounds(progress, t, variants[:imageVariants], rounds)
	if err != nil {
		return err
	}
	adoption, copies, err := runAdoptions(progress, dir, p, t, variants, min(rounds, maxCardRounds))
	if err != nil {
		return err
	}
	return printImage(t.out, runs, adoption, copies)
}

// makeImageVariants makes the initramfs of the floor, of init, and of what only
// copies.
func makeImageVariants(dir, modules, release string, p programs) ([]variant, error) {
	line, err := startingLine(modules, p.startImage, []string{"virtio_blk", "overlay", "loop", "squashfs"})
	if err != nil {
		return nil, err
	}
	image, err := os.ReadFile(release)
	if err != nil {
		return nil, fmt.Errorf("cannot read the release image: %w", err)
	}
	var all []variant
	for _, v := range []struct {
		name  string
		files map[string]string
		image []byte
	}{
		imageFloor: {"image floor", map[string]string{"init": p.floorImage}, nil},
		imageInit:  {"image init", nil, image},
		{"copy", map[string]string{"init": p.copy}, nil},
	} {
		made, err := writeVariant(dir, v.name, v.files, line, v.image)
		if err != nil {
			return nil, err
		}
		all = append(all, made)
	}
	return all, nil
}

// benchSquashFS makes an image with the finishing line, and with so much more
// that does not compress.
func benchSquashFS(dir, name string, p programs, mib int64) (string, error) {
	tree := qemu.StubTree(p.stub).With(
		qemu.File{Name: "sbin/init", Mode: 0o755, From: p.finish},
		qemu.File{Name: "sbin/stub", Mode: 0o755, From: p.stub},
	)
	if mib > 0 {
		ballast := filepath.Join(dir, "ballast")
		out, err := os.Create(ballast)
		if err != nil {
			return "", fmt.Errorf("cannot make a large image: %w", err)
		}
		defer os.Remove(ballast)
		_, err = io.CopyN(out, rand.Reader, mib<<20)
		if err = errors.Join(err, out.Close()); err != nil {
			return "", fmt.Errorf("cannot make a large image: %w", err)
		}
		tree = tree.With(qemu.File{Name: "ballast", Mode: 0o644, From: ballast})
	}
	file := filepath.Join(dir, name)
	return file, qemu.SquashFS{Compressor: "lz4", Tree: tree}.Make(file, 0)
}

// holdingImage is a partition with a label and, unless it is "", an image.
func holdingImage(mib int, label, image string) qemu.Partition {
	tree := qemu.Tree{}
	if image != "" {
		tree = tree.With(qemu.File{Name: "root-squashfs.img", Mode: 0o644, From: image})
	}
	return qemu.Partition{MiB: mib, Content: qemu.Ext4{Label: label, Tree: tree}}
}

// settledImageDisk is a disk of the layout after one boot of init and a clean
// end.
func settledImageDisk(progress *qemu.Progress, dir string, p programs, t track, first variant) (string, error) {
	t.disk = filepath.Join(dir, "image.img")
	err := progress.Step("making a disk of the layout image and booting it once", func() error {
		small, err := benchSquashFS(dir, "small.squashfs", p, 0)
		if err != nil {
			return err
		}
		disk := qemu.ImageDisk{ID: 0x696d6762, Img: holdingImage(64, "img", small), Overlay: holdingImage(96, "overlay", ""), NewImg: holdingImage(32, "newimg", "")}
		if err := disk.Write(t.disk); err != nil {
			return err
		}
		t.keep = true
		if _, err := t.run(first); err != nil {
			return fmt.Errorf("cannot settle the disk: %w", err)
		}
		for _, r := range disk.Ranges() {
			if r.Name == "overlay" {
				return replayJournal(t.disk, r)
			}
		}
		return nil
	})
	return t.disk, err
}

// adoption is what the copying of an image took. How long it took by a clock that
// counts instructions says nothing: that leaps from timer to timer while all wait
// for the disk, and the Go runtime sets many.
type adoption struct {
	cpu    time.Duration
	memory int64 // KiB
}

// runAdoptions lets init adopt an image, and the other program copy the same one
// on the same disk, in turn. What is written is not kept. The CPU time of init is
// that of its whole boot.
func runAdoptions(progress *qemu.Progress, dir string, p programs, t track, variants []variant, rounds int) (inits, copies []adoption, err error) {
	t.disk = filepath.Join(dir, "adoption.img")
	err = progress.Step(fmt.Sprintf("making an image of %d MiB", adoptedMiB), func() error {
		small, err := benchSquashFS(dir, "current.squashfs", p, 0)
		if err != nil {
			return err
		}
		large, err := benchSquashFS(dir, "large.squashfs", p, adoptedMiB)
		if err != nil {
			return err
		}
		disk := qemu.ImageDisk{ID: 0x696d6763, Img: holdingImage(512, "img", small), Overlay: holdingImage(96, "overlay", ""), NewImg: holdingImage(400, "newimg", large)}
		return errors.Join(disk.Write(t.disk), os.Remove(large))
	})
	for round := 0; err == nil && round < rounds; round++ {
		err = progress.Step(fmt.Sprintf("adoption, round %d of %d", round+1, rounds), func() error {
			f, err := t.run(variants[imageInit])
			if err != nil {
				return err
			}
			if !strings.Contains(f.console, "root-squashfs.img is the current image now") {
				return errors.New("init did not adopt the image")
			}
			inits = append(inits, adoption{f.cpu, f.memory})
			c, err := t.runCopy(variants[imageVariants])
			copies = append(copies, c)
			return err
		})
	}
	return inits, copies, err
}

// runCopy boots the program that only copies.
func (t track) runCopy(v variant) (c adoption, err error) {
	vm, err := qemu.Machine{
		Kernel: t.kernel, Initramfs: v.initramfs, Append: append([]string{"rdinit=/start", "panic=-1"}, t.append...),
		Drives:           []qemu.Drive{{File: t.disk}},
		InstructionCount: instructionCount,
	}.Start()
	if err != nil {
		return c, err
	}
	_, err = vm.Wait(5 * time.Minute)
	console := vm.Console()
	if err = errors.Join(err, vm.Stop()); err != nil {
		return c, err
	}
	_, line, _ := strings.Cut(console, "copy_cpu_ns=")
	if _, err := fmt.Sscan(line, &c.cpu); err != nil {
		return c, fmt.Errorf("the copy was not made; the console's last lines:\n%s", lastLines(console, 30))
	}
	return c, nil
}

// printImage prints the table of the layout image.
func printImage(w io.Writer, runs [][]figures, inits, copies []adoption) error {
	cpu := func(f figures) time.Duration { return f.cpu }
	wall := func(f figures) time.Duration { return f.wall }
	memory := int64(0)
	for _, a := range inits {
		memory = max(memory, a.memory)
	}
	rows := []row{
		{what: "layout image", values: []string{"floor", "init"}, ratio: "init/floor", target: "target"},
		timeRow("own CPU, median", runs, median(cpu), maxCPU),
		timeRow("own CPU, minimum", runs, minimum(cpu), 0),
		timeRow("own wall, minimum", runs, minimum(wall), 0),
		imageWrittenRow(runs),
		{what: "", values: []string{"cp, fsync", "init"}, ratio: "init/cp", target: "target"},
		adoptionRow(inits, copies),
		{what: "memory of init meanwhile", values: []string{"", fmt.Sprintf("%.1f MiB", float64(memory)/1024)},
			target: fmt.Sprintf("<= %d MiB", maxMemory>>10), met: verdict(memory <= maxMemory)},
	}
	var out strings.Builder
	out.WriteString("\n")
	for _, r := range rows {
		out.WriteString(r.line(imageVariants) + "\n")
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// adoptionRow compares an adoption with a copy.
func adoptionRow(inits, copies []adoption) row {
	least := func(list []adoption) time.Duration {
		best := list[0].cpu
		for _, a := range list {
			best = min(best, a.cpu)
		}
		return best
	}
	ratio := float64(least(inits)) / float64(least(copies))
	return row{what: fmt.Sprintf("CPU for %d MiB, minimum", adoptedMiB), values: []string{seconds(least(copies)), seconds(least(inits))},
		ratio: fmt.Sprintf("%.2f", ratio), target: fmt.Sprintf("<= %.1f", maxAdoption), met: verdict(ratio <= maxAdoption)}
}

// imageWrittenRow compares what was written, whose least amount is shown.
func imageWrittenRow(runs [][]figures) row {
	written := minimum(func(f figures) int64 { return f.written })
	floor, init := written(runs[imageFloor]), written(runs[imageInit])
	return row{what: "sectors written", values: []string{fmt.Sprint(floor), fmt.Sprint(init)}, ratio: fmt.Sprintf("%+d", init-floor)}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
