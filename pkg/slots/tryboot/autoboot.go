// Package tryboot is what a Raspberry Pi's firmware knows of two systems on one
// card: autoboot.txt, which says what is started by default and what for a
// trial, and the device tree, which tells what was started. It is pure; who reads and writes the files is the caller's business.
package tryboot

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// FileName is the file in the first partition that the firmware looks for
// before anything else (raspberrypi.com, computers/config_txt, autoboot.txt).
const FileName = "autoboot.txt"

// SizeLimit is how many bytes of the file the firmware takes. It is also the
// smallest sector that a card writes: a file of this size is replaced by one
// write, which is done or is not.
const SizeLimit = 512

// lineLimit is where the firmware's parser stops reading a line.
const lineLimit = 98

// The keys that count here.
const (
	partitionKey = "boot_partition"
	abKey        = "tryboot_a_b"
)

// The sections that count: what stands before the first one belongs to all.
const (
	allSection   = "all"
	trialSection = "tryboot"
)

// Errors of Parse and File.Swapped.
var (
	ErrTooLong   = errors.New("autoboot.txt has more than 512 bytes, and the firmware takes no more")
	ErrNoDefault = errors.New("autoboot.txt names no boot_partition in [all]")
	ErrNoTrial   = errors.New("autoboot.txt names no boot_partition in [tryboot] that holds for a trial")
	ErrSame      = errors.New("autoboot.txt names the same boot_partition in [all] and [tryboot]")
	ErrLongLine  = errors.New("autoboot.txt has a boot_partition at the end of a line that is too long for another number")
)

// File is an autoboot.txt. What is not understood in it is kept, byte for byte.
type File struct {
	text    string
	entries []entry
}

// entry is a key with its value, in a section.
type entry struct {
	section, key string
	value        span
}

// span is a part of the text, in bytes from its start.
type span struct{ from, to int }

// Parse reads a file. The only error is ErrTooLong: the firmware skips over
// what it does not know, and so does this.
func Parse(data []byte) (File, error) {
	if len(data) > SizeLimit {
		return File{}, ErrTooLong
	}
	f := File{text: string(data)}
	section, at := allSection, 0
	for line := range strings.Lines(f.text) {
		name, e, kind := parseLine(line)
		switch kind {
		case sectionLine:
			section = name
		case entryLine:
			e.section = section
			e.value.from += at
			e.value.to += at
			f.entries = append(f.entries, e)
		}
		at += len(line)
	}
	return f, nil
}

// lineKind is what a line is to the firmware.
type lineKind int

const (
	otherLine lineKind = iota // blank, a comment, or not understood
	sectionLine
	entryLine
)

// parseLine reads one line, with its end. The value of an entry is counted
// from the line's start.
func parseLine(line string) (section string, e entry, kind lineKind) {
	line = strings.TrimRight(line, "\r\n")
	line = line[:min(len(line), lineLimit)]
	trimmed := strings.Trim(line, blanks)
	if inner, ok := strings.CutPrefix(trimmed, "["); ok {
		inner, _, ok = strings.Cut(inner, "]")
		if !ok {
			return "", entry{}, otherLine
		}
		return strings.Trim(inner, blanks), entry{}, sectionLine
	}
	key, value, ok := strings.Cut(line, "=")
	key = strings.Trim(key, blanks)
	if !ok || strings.HasPrefix(key, "#") {
		return "", entry{}, otherLine
	}
	from := len(line) - len(strings.TrimLeft(value, blanks))
	value, _, _ = strings.Cut(line[from:], "#")
	return "", entry{key: key, value: span{from, from + len(strings.TrimRight(value, blanks))}}, entryLine
}

const blanks = " \t"

// All is the partition that is started by default, from 1. It is false when the
// file leaves that to the firmware, which takes the first partition that it can
// start from.
func (f File) All() (partition int, ok bool) {
	return f.number(f.last(partitionKey, allSection))
}

// Trial is the partition that is started once when a trial is asked for, from
// 1. It is false when the file names none of its own for that: a trial passes
// the sections all and tryboot alike, and of a key that is there twice the last
// one holds.
func (f File) Trial() (partition int, ok bool) {
	e := f.last(partitionKey, allSection, trialSection)
	if e == nil || e.section != trialSection {
		return 0, false
	}
	return f.number(e)
}

// AB tells whether a trial changes the partition and nothing else. Without it
// the firmware looks for tryboot.txt in place of config.txt then.
func (f File) AB() bool {
	n, ok := f.number(f.last(abKey, allSection, trialSection))
	return ok && n == 1
}

// Swapped is the file in which the partition of a trial is the default one, and
// the default one is for trials. It has as many bytes as before.
func (f File) Swapped() (File, error) {
	standing, ok := f.All()
	if !ok {
		return File{}, ErrNoDefault
	}
	trial, ok := f.Trial()
	if !ok {
		return File{}, ErrNoTrial
	}
	if standing == trial {
		return File{}, ErrSame
	}
	a, b := f.last(partitionKey, allSection).value, f.last(partitionKey, trialSection).value
	// The value for a trial is behind the other one, or it would not hold.
	swapped, err := Parse([]byte(f.text[:a.from] + f.text[b.from:b.to] + f.text[a.to:b.from] + f.text[a.from:a.to] + f.text[b.to:]))
	if err != nil {
		return File{}, err
	}
	newStanding, _ := swapped.All()
	newTrial, _ := swapped.Trial()
	if newStanding != trial || newTrial != standing {
		return File{}, ErrLongLine
	}
	return swapped, nil
}

// Bytes is the file as it is written.
func (f File) Bytes() []byte { return []byte(f.text) }

// last is the last entry with a key in one of the sections, nil for none.
func (f File) last(key string, sections ...string) *entry {
	for i := len(f.entries) - 1; i >= 0; i-- {
		if e := &f.entries[i]; e.key == key && slices.Contains(sections, e.section) {
			return e
		}
	}
	return nil
}

// number is the value of an entry as a number from 1.
func (f File) number(e *entry) (n int, ok bool) {
	if e == nil {
		return 0, false
	}
	value, err := strconv.ParseUint(f.text[e.value.from:e.value.to], 10, 16)
	if err != nil || value == 0 {
		return 0, false
	}
	return int(value), true
}
