package main

import (
	"bytes"
	"debug/elf"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// compiled is a program of testdata, made as init is, for an architecture or, for
// "", for this machine.
func compiled(t *testing.T, pkg, arch string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "program")
	command := exec.Command("go", "build", "-o", name, "-trimpath", "-buildvcs=false", "-ldflags="+linkerFlags, pkg)
	command.Env = append(hostEnv(), "CGO_ENABLED=0")
	if arch != "" {
		a, err := findArchitecture(arch)
		if err != nil {
			t.Fatal(err)
		}
		command.Env = compiler{arch: a}.targetEnv()
	}
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("cannot compile: %v\n%s", err, out)
	}
	program, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// A program without line numbers does what it did before, and the stack of a
// panic names the same functions with the same offsets.
func TestWithoutLinesStillRuns(t *testing.T) {
	program := compiled(t, "./testdata/panics", "")
	run := func(program []byte) string {
		name := filepath.Join(t.TempDir(), "program")
		if err := os.WriteFile(name, program, 0o755); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(name).CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return string(out)
	}
	without, err := withoutLines(program)
	if err != nil {
		t.Fatal(err)
	}
	// Addresses differ from run to run, and what is inlined has no offset.
	normal := func(stack string) string {
		stack = regexp.MustCompile(`\(0x[0-9a-f?, x{}.]*\)|goroutine \d+`).ReplaceAllString(stack, "")
		return regexp.MustCompile(`(?m)^\t\S+:\d+`).ReplaceAllString(stack, "\t?:0")
	}
	before, after := run(program), run(without)
	if want := normal(before); normal(after) != want || !strings.Contains(want, "main.fails") {
		t.Errorf("the stack is\n%s\nand was\n%s", after, before)
	}
	if strings.Contains(after, ".go") {
		t.Errorf("there are names of files in\n%s", after)
	}
}

// Nothing but tables changes, for every architecture, and they get smaller by
// a quarter at least.
func TestWithoutLinesOfEveryArchitecture(t *testing.T) {
	for _, arch := range architectureNames() {
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			program := compiled(t, "./testdata/init", arch)
			without, err := withoutLines(program)
			if err != nil {
				t.Fatal(err)
			}
			before, after := sections(t, program), sections(t, without)
			for name := range before {
				if name != ".gopclntab" && !bytes.Equal(before[name], after[name]) {
					t.Errorf("section %s is not what it was", name)
				}
			}
			more, less := lz4Size(before[".gopclntab"]), lz4Size(after[".gopclntab"])
			if less > more*3/4 {
				t.Errorf("the tables have %d bytes of lz4, and had %d", less, more)
			}
			if bytes.Contains(after[".gopclntab"], []byte(".go\x00")) {
				t.Error("names of source files are still there")
			}
			again, err := withoutLines(without)
			if err != nil || !bytes.Equal(again, without) {
				t.Errorf("the second time it is not the same: %v", err)
			}
		})
	}
}

// What is not known in every detail stays as it is.
func TestWithoutLinesRefuses(t *testing.T) {
	program := compiled(t, "./testdata/init", "arm64")
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	at := file.Section(".gopclntab").Offset
	order := file.ByteOrder
	list := at + order.Uint64(program[at+64:])
	for _, c := range []struct {
		name, want string
		change     func(p []byte)
	}{
		{"another Go", "it is not as Go 1.20 to 1.26 make it", func(p []byte) { p[at] = 0xf2 }},
		{"order", "not in their order", func(p []byte) { order.PutUint64(p[at+56:], 1) }},
		{"too many functions", "not in their order", func(p []byte) { order.PutUint64(p[at+8:], 1<<40) }},
		{"fields", "function 0 is behind its end", func(p []byte) { order.PutUint32(p[list+4:], 1<<31) }},
		{"a table", "does not end", func(p []byte) {
			order.PutUint32(p[list+uint64(order.Uint32(p[list+4:]))+fieldStack:], 1<<31)
		}},
	} {
		broken := bytes.Clone(program)
		c.change(broken)
		if _, err := withoutLines(broken); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := withoutLines([]byte("no program")); err == nil {
		t.Error("text is taken for a program")
	}
}

func sections(t *testing.T, program []byte) map[string][]byte {
	t.Helper()
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, s := range file.Sections {
		if s.Type == elf.SHT_NOBITS || s.Type == elf.SHT_NULL {
			continue
		}
		if all[s.Name], err = s.Data(); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func lz4Size(content []byte) int {
	return len(compress(content))
}
