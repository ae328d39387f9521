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
	"path/filepath"
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
	var chosen []scenario
	for _, s := range scenarios() {
		if pattern.MatchString(s.name) {
			chosen = append(chosen, s)
		}
	}
	all, err := l.runScenarios(chosen, options{state: *state, cases: func(scenario) int { return *cases }, places: newPlaces(*jobs), shrink: true, progress: os.Stderr})
	if err != nil {
		return err
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

// newLaboratory gets together what the boots need. What was built with the
// initramfs lies beside it.
func newLaboratory(initramfs string, extra []string) (*laboratory, error) {
	built := func(name string) string { return filepath.Join(filepath.Dir(initramfs), name) }
	for _, file := range []string{initramfs, built("minosctl"), built("initramfs-shared.cpio.lz4"), built("modules.cpio.lz4")} {
		if _, err := os.Stat(file); err != nil {
			return nil, fmt.Errorf("cannot boot without what \"make torture\" builds: %w", err)
		}
	}
	cache, err := qemu.UserCache(qemu.NewProgress(os.Stderr))
	if err != nil {
		return nil, err
	}
	debian, err := cache.Debian()
	if err != nil {
		return nil, err
	}
	p := parts{minosctl: built("minosctl")}
	if p.tools, err = qemu.SlotTools(debian.RootFS, "usr/sbin/mke2fs"); err != nil {
		return nil, err
	}
	if p.firmware, err = cache.UBoot(); err != nil {
		return nil, err
	}
	if p.kernel, err = cache.KernelSlot(debian.Image, built("modules.cpio.lz4")); err != nil {
		return nil, err
	}
	if p.boot, err = qemu.BootFiles(built("initramfs-shared.cpio.lz4"), withVerbs(nil, looks(scenarios()))...); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "minos-torture-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a directory for the cases: %w", err)
	}
	if p.stub, err = qemu.BuildStub(dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	session, err := qemu.SlotTools(debian.RootFS, "usr/sbin/mke2fs", "usr/sbin/e2fsck", "usr/sbin/e2undo")
	if err == nil {
		err = makeImages(&p, dir, session)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &laboratory{kernel: debian.Image, initramfs: initramfs, parts: p, dir: dir, extra: extra}, nil
}

func (l *laboratory) close() error { return os.RemoveAll(l.dir) }
