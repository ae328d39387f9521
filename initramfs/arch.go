package main

import (
	"bytes"
	"debug/elf"
	"fmt"
	"strings"
)

// architecture is a kind of machine that images are made for.
type architecture struct {
	name    string // Go's
	machine elf.Machine
	class   elf.Class
	// env has the oldest processor that images are made for. It is always
	// given to the compiler, so that the environment of whoever builds cannot
	// choose another.
	env []string
}

func architectures() []architecture {
	return []architecture{
		{"arm64", elf.EM_AARCH64, elf.ELFCLASS64, []string{"GOARM64=v8.0"}},
		{"arm", elf.EM_ARM, elf.ELFCLASS32, []string{"GOARM=6"}},         // the first Raspberry Pi
		{"386", elf.EM_386, elf.ELFCLASS32, []string{"GO386=softfloat"}}, // SSE2 is missing in a Geode, and in many a Vortex86
		{"amd64", elf.EM_X86_64, elf.ELFCLASS64, []string{"GOAMD64=v1"}},
		{"riscv64", elf.EM_RISCV, elf.ELFCLASS64, []string{"GORISCV64=rva20u64"}},
	}
}

func architectureNames() []string {
	var names []string
	for _, a := range architectures() {
		names = append(names, a.name)
	}
	return names
}

func findArchitecture(name string) (architecture, error) {
	for _, a := range architectures() {
		if a.name == name {
			return a, nil
		}
	}
	return architecture{}, fmt.Errorf("unknown architecture %q: use Go's name, one of %s", name, strings.Join(architectureNames(), ", "))
}

// open reads the headers of an ELF file that is to run on this architecture.
func (a architecture) open(content []byte) (*elf.File, error) {
	file, err := elf.NewFile(bytes.NewReader(content))
	if err != nil {
		return nil, fmt.Errorf("no ELF file: %w", err)
	}
	if file.Machine != a.machine || file.Class != a.class {
		return nil, fmt.Errorf("it is for %v (%v), the image is for %s: %v (%v)",
			file.Machine, file.Class, a.name, a.machine, a.class)
	}
	return file, nil
}

// checkStatic makes sure that a program starts without anything else: an
// initramfs has no dynamic linker, and the kernel's only word on it would be
// that it cannot run /init.
func (a architecture) checkStatic(program []byte) error {
	file, err := a.open(program)
	if err != nil {
		return err
	}
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP || segment.Type == elf.PT_DYNAMIC {
			return fmt.Errorf("it is not static (it has a %v segment): something in it uses cgo", segment.Type)
		}
	}
	return nil
}
