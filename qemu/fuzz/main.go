// Command fuzz feeds every parser of the project with what nobody expects. make
// fuzz runs it; see CONTRIBUTING.md.
//
// First the seeds of each target are shown to reach what it is there for: four fifths of
// the statements of what its comment names. A target that knows only what its
// parser refuses would find nothing. Then each runs for some time.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	if err := run(os.Stdout, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fuzz:", err)
		os.Exit(1)
	}
}

// where has parsers. What builds images reads what its user gives it, and what
// tests boots is no input of a device.
var where = []string{"cmd", "pkg", "initramfs"}

func run(out io.Writer, args []string) error {
	flags := flag.NewFlagSet("fuzz", flag.ContinueOnError)
	each := flags.Duration("time", 30*time.Second, "time for each target; 0: only its seeds")
	only := flags.String("run", "", "targets whose names this regular expression matches")
	if err := flags.Parse(args); err != nil {
		return err
	}
	wanted, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	targets, uncovered, err := findTargets(".", where...)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "minos-fuzz-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	failed := len(uncovered)
	for _, name := range uncovered {
		fmt.Fprintf(out, "%s has no fuzz target: name it in the line %s of one, or in exempt of qemu/fuzz/targets.go with the reason\n", name, covers)
	}
	fmt.Fprintf(out, "%-28s %-20s %10s %8s %12s  %s\n", "package", "target", "statements", "reached", "inputs", "")
	programs := map[string]testProgram{}
	for _, t := range targets {
		if !wanted.MatchString(t.name) {
			continue
		}
		line, err := t.try(programs, dir, *each)
		fmt.Fprintln(out, line)
		if err != nil {
			failed++
			fmt.Fprintln(out, err)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d failures", failed)
	}
	return nil
}

// try runs a target's seeds, and then the target, and returns its line in the table.
func (t target) try(programs map[string]testProgram, dir string, each time.Duration) (line string, err error) {
	if t.wrong != nil {
		return t.line(coverage{}, "", "FAILED"), t.wrong
	}
	program, ok := programs[t.pkg]
	if !ok {
		if program, err = compileTests(".", t.pkg, dir); err != nil {
			return t.line(coverage{}, "", "FAILED"), err
		}
		programs[t.pkg] = program
	}
	reached, err := program.seeds(t)
	if err == nil {
		err = t.judge(reached)
	}
	if err != nil || each == 0 {
		return t.line(reached, "", verdict(err)), err
	}
	inputs, err := t.fuzz(each)
	return t.line(reached, inputs, verdict(err)), err
}

func verdict(err error) string {
	if err != nil {
		return "FAILED"
	}
	return "ok"
}

func (t target) line(c coverage, inputs, verdict string) string {
	return fmt.Sprintf("%-28s %-20s %10d %7d%% %12s  %s", t.pkg, strings.TrimPrefix(t.name, "Fuzz"), c.statements, c.part(), inputs, verdict)
}

// judge says whether the seeds reach enough.
func (t target) judge(c coverage) error {
	if c.part() < leastPart {
		return fmt.Errorf("the seeds of %s.%s reach %d of %d statements of what it covers, less than %d %%: add some that are taken, and some of each refusal; not reached: %s",
			t.pkg, t.name, c.reached, c.statements, leastPart, strings.Join(c.missed, " "))
	}
	return nil
}

// inputsTried is in the lines that go test prints while it fuzzes.
var inputsTried = regexp.MustCompile(`execs: (\d+)`)

// fuzz runs a target for some time. What it finds stays as a seed, in testdata
// of the package, and fails each go test from then on.
func (t target) fuzz(each time.Duration) (inputs string, err error) {
	command := exec.Command("go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-fuzztime="+each.String(), "./"+filepath.ToSlash(t.pkg))
	out, err := command.CombinedOutput()
	if all := inputsTried.FindAllSubmatch(out, -1); len(all) > 0 {
		inputs = string(all[len(all)-1][1])
	}
	if err != nil {
		return inputs, fmt.Errorf("%s.%s: %w\n%s", t.pkg, t.name, err, out)
	}
	if inputs == "" {
		return "", errors.New(t.pkg + "." + t.name + " has tried nothing")
	}
	return inputs, nil
}
