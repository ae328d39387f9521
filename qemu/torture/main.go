// Command torture cuts the power at each write of a boot, on disks that it
// makes of one record of these writes, and boots each of them again. It prints
// one table; docs/reliability.md says how to read it.
//
//	go run ./qemu/torture
//
// It is run from the top of the repository. A run that was interrupted goes on
// where it was: what it knows is in out/torture.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

func main() {
	if err := torture(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func torture() (err error) {
	only := flag.String("run", "", "scenarios whose names match this regular expression; all without it")
	cases := flag.Int("cases", 0, "at most so many disks of a scenario, chosen evenly; 0 for all")
	jobs := flag.Int("j", runtime.NumCPU(), "machines side by side")
	state := flag.String("state", "out/torture", "directory for records, verdicts and failures")
	initramfs := flag.String("initramfs", "out/arm64/initramfs.cpio.lz4", "the initramfs to try")
	words := flag.String("append", "", "further words for the kernel command line")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return fmt.Errorf("cannot choose scenarios: %w", err)
	}
	l, err := newLaboratory(*initramfs, strings.Fields(*words))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var all []outcome
	for _, s := range scenarios() {
		if !pattern.MatchString(s.name) {
			continue
		}
		out, err := l.runScenario(s, options{state: *state, cases: *cases, jobs: *jobs, shrink: true, progress: os.Stderr})
		if err != nil {
			return err
		}
		all = append(all, out)
	}
	printTable(os.Stdout, all)
	var failures []string
	for _, o := range all {
		if len(o.failures) > 0 {
			failures = append(failures, o.tell())
		}
	}
	if len(failures) > 0 {
		return errors.New("not every case is fine:\n" + strings.Join(failures, "\n"))
	}
	return nil
}

// tell names the smallest failure of a scenario and where it is kept.
func (o outcome) tell() string {
	f := o.failures[0]
	return fmt.Sprintf("%s: %d failures, the smallest after %s: %s: %s\nkept in %s", o.scenario, len(o.failures), f.image.plainest().name, f.verdict.Class, f.verdict.Why, f.dir)
}

// newLaboratory gets together what the boots need.
func newLaboratory(initramfs string, extra []string) (*laboratory, error) {
	if _, err := os.Stat(initramfs); err != nil {
		return nil, fmt.Errorf("cannot boot without an initramfs (\"make torture\" makes it): %w", err)
	}
	cache, err := qemu.UserCache(qemu.NewProgress(os.Stderr))
	if err != nil {
		return nil, err
	}
	debian, err := cache.Debian()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "minos-torture-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a directory for the cases: %w", err)
	}
	stub, err := qemu.BuildStub(dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &laboratory{kernel: debian.Image, initramfs: initramfs, stub: stub, dir: dir, extra: extra}, nil
}

func (l *laboratory) close() error { return os.RemoveAll(l.dir) }
