package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/minos-os/minos-init/qemu"
)

// track is what all boots have in common.
type track struct {
	kernel string
	disk   string
	append []string // further words of the kernel command line
	keep   bool     // what a boot writes stays on the disk
	// byClock measures with the workstation's clock. Else time counts
	// instructions, and a wait for the disk is as long as chance wants it.
	byClock bool
	// processors is how many there are, 0 for one.
	processors int
	// words say which layout is booted; mounts are what it has to leave. None
	// for the layout slots.
	words  []string
	mounts []mounted
	out    io.Writer // takes the tables
}

// mounted is what has to be mounted somewhere, "rw" or "ro".
type mounted struct{ target, fstype, access string }

// figures are what one boot took, from one exec to the other.
type figures struct {
	cpu, wall time.Duration
	// written is the number of sectors of 512 bytes that the boot wrote, with
	// what was still in memory at its end; requests is in how many writes.
	written, requests int64
	// memory is the most that PID 1 had for itself, in KiB.
	memory  int64
	console string
}

// runRounds boots each variant in turn, round by round, so that what changes on
// the workstation meanwhile falls on all of them.
func runRounds(progress *qemu.Progress, t track, variants []variant, rounds int) ([][]figures, error) {
	runs := make([][]figures, len(variants))
	for round := range rounds {
		err := progress.Step(fmt.Sprintf("round %d of %d", round+1, rounds), func() error {
			for i, v := range variants {
				f, err := t.run(v)
				if err != nil {
					return fmt.Errorf("cannot measure the variant %s: %w", v.name, err)
				}
				runs[i] = append(runs[i], f)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// instructionCount makes the guest's clocks count instructions, 2 ns each.
const instructionCount = "shift=1,sleep=off"

// diskStatistics count what the kernel has sent to the disk since it appeared
// (Documentation/admin-guide/iostats.rst).
const diskStatistics = "/sys/block/vda/stat"

// run boots a variant and looks at what it left.
func (t track) run(v variant) (figures, error) {
	words := append([]string{"rdinit=/start", "panic=-1", "stub.do=sync:,read:" + diskStatistics}, t.layoutWords()...)
	count := instructionCount
	if t.byClock {
		count = ""
	}
	vm, err := qemu.Machine{
		Kernel: t.kernel, Initramfs: v.initramfs, Append: append(words, t.append...),
		Drives:           []qemu.Drive{{File: t.disk, Keep: t.keep}},
		InstructionCount: count, Processors: t.processors,
	}.Start()
	if err != nil {
		return figures{}, err
	}
	ending, err := vm.Wait(5 * time.Minute)
	console := vm.Console()
	if err = errors.Join(err, vm.Stop()); err != nil {
		return figures{}, err
	}
	f, err := readFigures(console, v, t.layoutMounts())
	if err == nil && ending != qemu.PowerOff {
		err = fmt.Errorf("the machine ended with %s", ending)
	}
	f.console = console
	if err != nil {
		return figures{}, fmt.Errorf("%w; the console's last lines:\n%s", err, lastLines(console, 30))
	}
	return f, nil
}

// readFigures reads what the finishing line and the stub printed.
func readFigures(console string, v variant, mounts []mounted) (figures, error) {
	_, line, found := strings.Cut(console, "BENCH cpu_ns=")
	if !found {
		return figures{}, errors.New("the finishing line was not reached")
	}
	var f figures
	if _, err := fmt.Sscanf(line, "%d wall_ns=%d memory_kib=%d", &f.cpu, &f.wall, &f.memory); err != nil {
		return f, fmt.Errorf("the finishing line printed something else than its figures: %w", err)
	}
	stub, err := qemu.ReadStub(console)
	if err != nil {
		return f, err
	}
	if !stub.Complete || len(stub.Done) != 2 {
		return f, errors.New("the stub did not get to its end")
	}
	if !v.mounts {
		return f, nil
	}
	if f.requests, f.written, err = readStatistics(stub.Done[1]); err != nil {
		return f, err
	}
	return f, checkMounts(stub, mounts)
}

// readStatistics reads the stub's answer: the fifth number counts the writes,
// the seventh the sectors written.
func readStatistics(answer string) (requests, sectors int64, err error) {
	numbers := strings.Fields(strings.TrimPrefix(answer, "read:"+diskStatistics+` "`))
	if len(numbers) < 7 {
		return 0, 0, fmt.Errorf("cannot read the statistics of the disk: %q", answer)
	}
	_, err = fmt.Sscan(numbers[4]+" "+numbers[6], &requests, &sectors)
	return requests, sectors, err
}

// slotsMounts are those of the layout slots.
func slotsMounts() []mounted {
	return []mounted{
		{"/run/initramfs/rootfs", "ext4", "ro"},
		{"/run/initramfs/overlay", "ext4", "rw"},
		{"/data", "ext4", "rw"},
		{"/boot/firmware", "vfat", "ro"},
	}
}

// layoutWords and layoutMounts are those of the layout slots without others.
func (t track) layoutWords() []string {
	if t.words == nil {
		return []string{"rauc.slot=A"}
	}
	return t.words
}

func (t track) layoutMounts() []mounted {
	if t.mounts == nil {
		return slotsMounts()
	}
	return t.mounts
}

// checkMounts sees that a variant did the whole job: the layout's mounts, and
// those of all layouts.
func checkMounts(stub qemu.Stub, layout []mounted) error {
	for _, want := range append([]mounted{
		{"/", "overlay", "rw"},
		{"/proc", "proc", "rw"},
		{"/sys", "sysfs", "rw"},
		{"/dev", "devtmpfs", "rw"},
		{"/run", "tmpfs", "rw"},
	}, layout...) {
		m, ok := stub.MountAt(want.target)
		access, _, _ := strings.Cut(m.Options, ",")
		if !ok || m.FSType != want.fstype || access != want.access {
			return fmt.Errorf("on %s there is %+v; want %s, %s", want.target, m, want.fstype, want.access)
		}
	}
	return nil
}

func lastLines(text string, count int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
