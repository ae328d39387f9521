package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/minos-os/minos-init/qemu"
)

// laboratory is what all boots have in common.
type laboratory struct {
	kernel    string
	initramfs string
	parts     parts
	dir       string // for what is not kept
	extra     []string

	mu    sync.Mutex
	made  map[string]func() (string, error) // files that scenarios share, see once
	boots map[string]int                    // of each scenario
}

// bootDeadline is for a boot that takes 2 to 4 s.
const bootDeadline = 60 * time.Second

// result is what a boot left behind.
type result struct {
	ending  qemu.Ending
	console string
	stub    qemu.Stub
}

func (l *laboratory) machine(s scenario, disk qemu.Drive, words []string) qemu.Machine {
	disk.Keep, disk.NoFlush = true, true
	m := qemu.Machine{
		Kernel: l.kernel, Initramfs: l.initramfs, MemoryMiB: 256,
		Append: append(append([]string(nil), words...), l.extra...),
		Drives: []qemu.Drive{disk},
	}
	if s.machine != nil {
		s.machine(l.parts, &m)
	}
	return m
}

// run lets a machine run to its end.
func (l *laboratory) run(s scenario, m qemu.Machine) (r result, err error) {
	l.mu.Lock()
	if l.boots == nil {
		l.boots = map[string]int{}
	}
	l.boots[s.name]++
	l.mu.Unlock()
	vm, err := m.Start()
	if err != nil {
		return r, err
	}
	r.ending, err = vm.Wait(bootDeadline)
	r.console = vm.Console()
	if err = errors.Join(err, vm.Stop()); err != nil {
		return r, fmt.Errorf("%w\n%s", err, r.console)
	}
	r.stub, err = qemu.ReadStub(r.console)
	return r, err
}

// cold boots from the very start.
func (l *laboratory) cold(s scenario, disk qemu.Drive, words []string) (result, error) {
	return l.run(s, l.machine(s, disk, words))
}

// warm boots from the moment at which init has started and not yet touched the
// disk: what comes before is the same for all disks, and takes half of a boot.
func (l *laboratory) warm(s scenario, disk string, words []string) (result, error) {
	if s.machine != nil {
		return l.cold(s, qemu.Drive{File: disk}, words)
	}
	key := fmt.Sprint("machine ", max(s.recipe(parts{}).Size(), s.card), words)
	file, err := l.once(key, "machine", func(file string) error { return l.save(file, disk, words) })
	if err != nil {
		return result{}, err
	}
	m := l.machine(s, qemu.Drive{File: disk}, words)
	m.Resume = file
	return l.run(s, m)
}

// firstWords are lines of the console at which a machine can be saved: the
// later one is better, but on a busy workstation the disk has already been read
// when the machine is stopped.
func firstWords() []string { return []string{"minos: minos-init ", "Run /init as init process"} }

// save makes a saved machine. Of the disk only the size matters.
func (l *laboratory) save(file, disk string, words []string) error {
	var err error
	for _, line := range firstWords() {
		if err = l.saveAt(line, file, disk, words); err == nil {
			return nil
		}
	}
	return fmt.Errorf("cannot save a machine that has not read its disk: %w", err)
}

func (l *laboratory) saveAt(line, file, disk string, words []string) (err error) {
	m := l.machine(scenario{}, qemu.Drive{File: disk}, words)
	m.Drives[0].Keep = false
	vm, err := m.Start()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, vm.Stop()) }()
	if err := vm.Expect(line, bootDeadline); err != nil {
		return err
	}
	if err := vm.Save(file); err != nil {
		return err
	}
	requests, err := vm.DiskReads()
	if err == nil && requests > 0 {
		err = fmt.Errorf("at %q it had made %d requests of the disk", line, requests)
	}
	return err
}

// whole boots, and fails unless the stub did all that it was asked for.
func (l *laboratory) whole(s scenario, disk qemu.Drive, words, verbs []string) error {
	r, err := l.cold(s, disk, withVerbs(words, verbs))
	if err != nil {
		return err
	}
	if r.ending != qemu.PowerOff || !r.stub.Complete {
		return fmt.Errorf("the machine ended with %s, the stub complete: %t\n%s", r.ending, r.stub.Complete, r.console)
	}
	for i, verb := range verbs {
		if i >= len(r.stub.Done) || r.stub.Done[i] != verb+" ok" {
			return fmt.Errorf("the stub did %q, want ok for each of %q", r.stub.Done, verbs)
		}
	}
	return nil
}

// recorded is the boot that is recorded, to its end.
func (l *laboratory) recorded(s scenario, disk qemu.Drive) error {
	if !s.fails {
		return l.whole(s, disk, s.words, s.do)
	}
	r, err := l.cold(s, disk, withVerbs(s.words, nil))
	if err == nil && !failedClearly(r) {
		err = fmt.Errorf("the boot did not fail as it was to: the machine ended with %s\n%s", r.ending, r.console)
	}
	return err
}

// logSize is ample for a boot, and a hole where it is not needed.
const logSize = 1 << 30

// record boots the scenario and returns what it wrote. The disk stays as it was.
func (l *laboratory) record(s scenario, disk, log string) (record, error) {
	written := log + ".disk"
	defer os.Remove(written)
	if err := qemu.CopyImage(written, disk); err != nil {
		return record{}, err
	}
	f, err := os.Create(log)
	if err == nil {
		err = errors.Join(f.Truncate(logSize), f.Close())
	}
	if err != nil {
		return record{}, fmt.Errorf("cannot make a place for the record: %w", err)
	}
	if err := l.recorded(s, qemu.Drive{File: written, Log: log}); err != nil {
		return record{}, fmt.Errorf("cannot record the scenario: %w", err)
	}
	r, err := s.readRecord(log)
	if err != nil {
		return r, err
	}
	blank, _ := s.marks()
	return r, r.compare(disk, written, s.partition(blank))
}
