package ubootenv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
)

// Header is the number of bytes before the variables: a CRC-32, and behind it
// a byte of flags when U-Boot was built with CONFIG_ENV_REDUNDANT
// (include/env_internal.h). Such a U-Boot writes the longer header with "env
// export -c", too, where there is one copy only.
type Header int

// The headers.
const (
	Plain     Header = 4 // the CRC
	WithFlags Header = 5 // the CRC and the flags
)

// minSize is the least that has room for a header, the end of a list and its
// second NUL.
const minSize = int(WithFlags) + 2

// ErrBlank says that all bytes are 0x00, or all 0xff: there has never been an
// environment, or it was erased. It is no damage.
var ErrBlank = errors.New("the environment is blank")

// DamagedError says that there is something, and no header of it has the right
// checksum.
type DamagedError struct {
	Size   int    // of the block, in bytes
	Stored uint32 // the checksum that the block has
	Plain  uint32 // the one that it should have with a header of 4 bytes
	Flags  uint32 // and with one of 5
}

func (e *DamagedError) Error() string {
	if e.Size < minSize {
		return fmt.Sprintf("the environment is damaged: %d bytes are not enough for one", e.Size)
	}
	return fmt.Sprintf("the environment is damaged: its CRC over %#x bytes is %08x, and not %08x or %08x",
		e.Size, e.Stored, e.Plain, e.Flags)
}

// OverflowError says that the variables do not fit.
type OverflowError struct {
	Needed int // bytes, without the header
	There  int
}

func (e *OverflowError) Error() string {
	return fmt.Sprintf("the variables need %d bytes and the environment has room for %d; remove some", e.Needed, e.There)
}

// Decode reads an environment that spans all of block; its size is not stored,
// and a block of another size has another checksum. Both headers are tried.
// The error is ErrBlank or a *DamagedError, and the Env is empty then.
//
// What is odd, in U-Boot's way (himport_r in lib/hashtable.c): the first '='
// of a string parts name and value; of several strings with one name the last
// counts, and takes the place of the first; the list ends at an empty string
// or at the end of the block. A string that begins with '=' is left out, since
// U-Boot's import fails at it.
//
// The CRC is in the byte order of the target. All targets here are little
// endian.
func Decode(block []byte) (Env, Header, error) {
	if isBlank(block) {
		return Env{}, 0, ErrBlank
	}
	if len(block) < minSize {
		return Env{}, 0, &DamagedError{Size: len(block)}
	}
	damaged := DamagedError{Size: len(block), Stored: binary.LittleEndian.Uint32(block)}
	if damaged.Plain = crc32.ChecksumIEEE(block[Plain:]); damaged.Plain == damaged.Stored {
		return parse(block[Plain:]), Plain, nil
	}
	if damaged.Flags = crc32.ChecksumIEEE(block[WithFlags:]); damaged.Flags == damaged.Stored {
		return parse(block[WithFlags:]), WithFlags, nil
	}
	return Env{}, 0, &damaged
}

// isBlank tells whether a block is as it left the factory, or was erased.
func isBlank(block []byte) bool {
	for _, b := range block {
		if b != block[0] {
			return false
		}
	}
	return len(block) == 0 || block[0] == 0x00 || block[0] == 0xff
}

// parse reads the list of strings.
func parse(data []byte) Env {
	var e Env
	at := map[string]int{}
	for len(data) > 0 && data[0] != 0 {
		var text []byte
		text, data, _ = bytes.Cut(data, []byte{0})
		name, value, assigned := bytes.Cut(text, []byte{'='})
		if len(name) == 0 {
			continue
		}
		v := entry{name: string(name), value: string(value), bare: !assigned}
		if i, known := at[v.name]; known {
			e.entries[i] = v
			continue
		}
		at[v.name] = len(e.entries)
		e.entries = append(e.entries, v)
	}
	return e
}

// Encode writes the environment as a block of size bytes, its header included.
// flags is the second part of a header WithFlags, pad fills what the variables
// leave free: 0x00 as U-Boot does it, 0xff as mkenvimage does. The error is an
// *OverflowError.
func (e Env) Encode(size int, header Header, flags, pad byte) ([]byte, error) {
	needed := 1 // an empty string ends the list
	for _, v := range e.entries {
		needed += len(v.name) + len(v.value) + 2
		if v.bare {
			needed--
		}
	}
	if len(e.entries) == 0 {
		// U-Boot looks for the end behind the first string only: of an empty
		// list it would read on into the padding.
		needed = 2
	}
	if there := size - int(header); needed > there {
		return nil, &OverflowError{Needed: needed, There: max(there, 0)}
	}
	block := make([]byte, header, size)
	for _, v := range e.entries {
		block = append(block, v.name...)
		if !v.bare {
			block = append(block, '=')
		}
		block = append(append(block, v.value...), 0)
	}
	for len(block) < int(header)+needed {
		block = append(block, 0)
	}
	block = append(block, slices.Repeat([]byte{pad}, size-len(block))...)
	if header == WithFlags {
		block[Plain] = flags
	}
	binary.LittleEndian.PutUint32(block, crc32.ChecksumIEEE(block[header:]))
	return block, nil
}
