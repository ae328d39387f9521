package main

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// withoutLines blanks what a Go program knows of its source files and line numbers:
// an eighth of the image, which only the stack of a panic reads. It then names
// the functions alone, each with the offset in it.
//
// The tables are those of Go 1.20 to 1.26 (runtime/symtab.go, internal/abi/symtab.go
// and cmd/link/internal/ld/pcln.go of Go): to the runtime, an offset of 0 means a function without
// that table, as those written in assembler may be. The stack and the garbage collector have tables of their
// own, and these stay. Blanked bytes stay where they are, so no address
// changes; compressed they are nothing.
//
// A program whose tables are not known in every detail is an error.
func withoutLines(program []byte) ([]byte, error) {
	file, err := elf.NewFile(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("cannot read the program: %w", err)
	}
	section := file.Section(".gopclntab")
	if section == nil {
		return nil, errors.New("cannot find the section .gopclntab")
	}
	program = bytes.Clone(program)
	if section.Offset+section.Size > uint64(len(program)) {
		return nil, errors.New("cannot read the section .gopclntab: it ends behind the file")
	}
	table, err := openFunctions(program[section.Offset:section.Offset+section.Size], file.ByteOrder)
	if err != nil {
		return nil, err
	}
	if err := table.blankLines(); err != nil {
		return nil, err
	}
	return program, nil
}

// functions is the section .gopclntab: a header, and the tables that it points
// to in the order of its fields.
type functions struct {
	order binary.ByteOrder
	// units are the files of each compilation unit, as offsets in the names of
	// files behind them.
	units []byte
	// values has for each kind of value and function how it changes with the
	// program counter. Functions with the same changes share them.
	values []byte
	// list is the place of each function, and what is known of it.
	list  []byte
	count int
}

const (
	functionsMagic  = 0xfffffff1 // since Go 1.20
	functionsHeader = 8          // before the header's words: magic, zeros, step of the program counter, bytes of a word
)

// openFunctions takes the section apart.
func openFunctions(section []byte, order binary.ByteOrder) (functions, error) {
	if len(section) < functionsHeader+8*8 || order.Uint32(section) != functionsMagic {
		return functions{}, errors.New("cannot tell how .gopclntab is built: it is not as Go 1.20 to 1.26 make it")
	}
	word := func(n int) uint64 {
		if section[7] == 4 {
			return uint64(order.Uint32(section[functionsHeader+4*n:]))
		}
		return order.Uint64(section[functionsHeader+8*n:])
	}
	// 0: functions, 1: files, 2: start of the code, unused, 3: names of functions
	count, units, values, list := word(0), word(4), word(6), word(7)
	if units > values || values > list || list > uint64(len(section)) || count > (uint64(len(section))-list)/8 {
		return functions{}, errors.New("cannot follow .gopclntab: its tables are not in their order")
	}
	return functions{
		order: order, count: int(count),
		units: section[units:values], values: section[values:list], list: section[list:],
	}, nil
}

// The fields of runtime._func, in bytes from its start.
const (
	fieldStack     = 16 // the height of the stack
	fieldFile      = 20
	fieldLine      = 24
	fieldTables    = 28 // how many tables of values follow the fields
	fieldUnit      = 32
	fieldFirstLine = 36
	fieldsEnd      = 44
)

// blankLines makes every function one without files and lines, and blanks what
// then nobody points to.
func (f functions) blankLines() error {
	used := make([]bool, len(f.values))
	for i := range f.count {
		at := uint64(f.order.Uint32(f.list[8*i+4:])) // 8 bytes for each function: where its code is, where its fields are
		if at+fieldsEnd > uint64(len(f.list)) {
			return fmt.Errorf("cannot follow .gopclntab: function %d is behind its end", i)
		}
		fields := f.list[at:]
		tables := uint64(f.order.Uint32(fields[fieldTables:]))
		if fieldsEnd+4*tables > uint64(len(fields)) {
			return fmt.Errorf("cannot follow .gopclntab: the tables of function %d are behind its end", i)
		}
		if err := f.use(used, f.order.Uint32(fields[fieldStack:])); err != nil {
			return err
		}
		for n := range tables {
			if err := f.use(used, f.order.Uint32(fields[fieldsEnd+4*n:])); err != nil {
				return err
			}
		}
		for _, field := range []int{fieldFile, fieldLine, fieldUnit, fieldFirstLine} {
			f.order.PutUint32(fields[field:], 0)
		}
	}
	for i, keep := range used {
		if !keep {
			f.values[i] = 0
		}
	}
	clear(f.units)
	return nil
}

// use notes the bytes of a table of values: pairs of numbers of any length, a
// change of the value and a step of the program counter, until a change of 0 that is not
// the first.
func (f functions) use(used []bool, start uint32) error {
	if start == 0 {
		return nil // there is none
	}
	at := int(start)
	for first := true; ; first = false {
		change, n := binary.Uvarint(f.values[min(at, len(f.values)):])
		if n <= 0 {
			break
		}
		at += n
		if change == 0 && !first {
			for i := int(start); i < at; i++ {
				used[i] = true
			}
			return nil
		}
		if _, n = binary.Uvarint(f.values[at:]); n <= 0 {
			break
		}
		at += n
	}
	return fmt.Errorf("cannot follow .gopclntab: the table at %d does not end", start)
}
