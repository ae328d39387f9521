// Package kmod loads the kernel modules that the image carries, and only those
// that are needed. The image builder has read each module's .modinfo already:
// it wrote an Index, one line of text a module, so that init has neither to
// read ELF files nor to work out an order.
package kmod

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
)

// IndexFile is the name of the index in /lib/modules/RELEASE of the image.
const IndexFile = "minos.modules"

// Module is one line of an Index.
type Module struct {
	Name string // with _ for each -, as the kernel calls it
	File string // relative to the directory of the index
	// Needs are the modules that have to be loaded before: without them the
	// kernel refuses this one.
	Needs []string
	// Wants are the modules that are loaded before when they can be, a
	// checksum for example that the module asks for by name. Without them it
	// may fail later, or find another way.
	Wants []string
	// Aliases are the patterns of the devices that it drives
	// ("virtio:d00000002v*") and its other names ("fs-ext4").
	Aliases []string
}

// Index is what modules an image carries for one kernel release, each after
// those that it needs and wants.
//
// As text it has one line a module,
//
//	name file deps alias alias ...
//
// with one space between the fields. deps are the names of other modules with
// commas between them, a wanted one with ? at its end, or - for none.
type Index []Module

// ParseIndex reads the text of an index. An error names the line.
func ParseIndex(text []byte) (Index, error) {
	var index Index
	number := 0
	for line := range bytes.Lines(text) {
		number++
		module, err := parseLine(strings.TrimSuffix(string(line), "\n"))
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		index = append(index, module)
	}
	return index, index.check()
}

func parseLine(line string) (Module, error) {
	fields := strings.Split(line, " ")
	if len(fields) < 3 {
		return Module{}, fmt.Errorf("%q has %d fields, at least name, file and dependencies are expected", line, len(fields))
	}
	module := Module{Name: fields[0], File: fields[1]}
	if len(fields) > 3 {
		module.Aliases = fields[3:]
	}
	if fields[2] == "-" {
		return module, nil
	}
	for dep := range strings.SplitSeq(fields[2], ",") {
		if wanted, soft := strings.CutSuffix(dep, "?"); soft {
			module.Wants = append(module.Wants, wanted)
		} else {
			module.Needs = append(module.Needs, dep)
		}
	}
	return module, nil
}

// Format writes the index as text. It refuses what ParseIndex would not read
// back.
func (x Index) Format() ([]byte, error) {
	if err := x.check(); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, module := range x {
		deps := append([]string(nil), module.Needs...)
		for _, wanted := range module.Wants {
			deps = append(deps, wanted+"?")
		}
		if len(deps) == 0 {
			deps = []string{"-"}
		}
		fields := append([]string{module.Name, module.File, strings.Join(deps, ",")}, module.Aliases...)
		text.WriteString(strings.Join(fields, " "))
		text.WriteByte('\n')
	}
	return text.Bytes(), nil
}

// check holds the promises that the loader relies on: above all, that nothing
// needs what comes after it, so that no two modules wait for each other.
func (x Index) check() error {
	earlier := make(map[string]bool, len(x))
	for _, module := range x {
		if err := module.check(earlier); err != nil {
			return err
		}
		earlier[module.Name] = true
	}
	return nil
}

func (m Module) check(earlier map[string]bool) error {
	if !isName(m.Name) {
		return fmt.Errorf("%q is no name of a module", m.Name)
	}
	if earlier[m.Name] {
		return fmt.Errorf("module %s is there twice", m.Name)
	}
	if !isWord(m.File) || !filepath.IsLocal(m.File) {
		return fmt.Errorf("module %s: %q is no file below the directory of the index", m.Name, m.File)
	}
	for _, deps := range [][]string{m.Needs, m.Wants} {
		for _, dep := range deps {
			if !earlier[dep] {
				return fmt.Errorf("module %s needs %q, which is not listed before it", m.Name, dep)
			}
		}
	}
	for _, alias := range m.Aliases {
		if !isWord(alias) {
			return fmt.Errorf("module %s: %q is no alias", m.Name, alias)
		}
	}
	return nil
}

// Normalize is the kernel's spelling of a module's name, of its file's name
// too: the two are the same but for - and _.
func Normalize(name string) string {
	return strings.ReplaceAll(name, "-", "_")
}

// isName tells whether a name can stand in an index without being taken for
// something else.
func isName(s string) bool {
	return isWord(s) && !strings.ContainsAny(s, "-,?/")
}

// isWord tells whether s is one field of a line.
func isWord(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f })
}
