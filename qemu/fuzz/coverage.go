package main

import (
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// coverage is how many statements there are in what a target covers, and how
// many of them its seeds reach.
type coverage struct {
	statements, reached int
	missed              []string // FILE:LINE of each block that they do not
}

// part is a number of hundredths.
func (c coverage) part() int {
	if c.statements == 0 {
		return 0
	}
	return 100 * c.reached / c.statements
}

// leastPart is what the seeds of each target have to reach, in hundredths.
const leastPart = 80

// testProgram is a package's tests, compiled once for all of its targets.
type testProgram struct{ pkg, file string }

// compileTests compiles the tests of a package so that they count what they reach.
func compileTests(root, pkg, dir string) (testProgram, error) {
	p := testProgram{filepath.Join(root, pkg), filepath.Join(dir, strings.ReplaceAll(pkg, "/", "-"))}
	command := exec.Command("go", "test", "-c", "-cover", "-o", p.file, "./"+pkg)
	command.Dir = root
	if out, err := command.CombinedOutput(); err != nil {
		return p, fmt.Errorf("cannot compile the tests of %s: %w\n%s", pkg, err, out)
	}
	return p, nil
}

// seeds runs the seeds and the kept inputs of a target, and counts what they reach.
func (p testProgram) seeds(t target) (coverage, error) {
	profile := p.file + ".profile"
	command := exec.Command(p.file, "-test.run=^"+t.name+"$", "-test.coverprofile="+profile)
	command.Dir = p.pkg
	if out, err := command.CombinedOutput(); err != nil {
		return coverage{}, fmt.Errorf("the seeds of %s.%s: %w\n%s", t.pkg, t.name, err, out)
	}
	text, err := os.ReadFile(profile)
	if err != nil {
		return coverage{}, err
	}
	return t.count(string(text))
}

// count reads a profile of Go's cover tool: after a line with the mode, for each
// block of statements FILE:LINE.COLUMN,LINE.COLUMN STATEMENTS TIMES.
func (t target) count(profile string) (c coverage, err error) {
	_, blocks, _ := strings.Cut(profile, "\n")
	for line := range strings.Lines(blocks) {
		at := strings.LastIndexByte(line, ':')
		var fromLine, fromColumn, toLine, toColumn, statements, times int
		if at < 0 {
			return c, fmt.Errorf("cannot read the line %q of a profile", line)
		}
		if _, err := fmt.Sscanf(line[at+1:], "%d.%d,%d.%d %d %d", &fromLine, &fromColumn, &toLine, &toColumn, &statements, &times); err != nil {
			return c, fmt.Errorf("cannot read the line %q of a profile: %w", line, err)
		}
		for _, s := range t.covers {
			if s.file == path.Base(line[:at]) && s.from <= fromLine && toLine <= s.to {
				c.statements += statements
				if times > 0 {
					c.reached += statements
				} else {
					c.missed = append(c.missed, fmt.Sprintf("%s:%d", s.file, fromLine))
				}
			}
		}
	}
	return c, nil
}
