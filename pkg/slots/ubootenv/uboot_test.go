package ubootenv

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"strings"
)

// This file is U-Boot's side of the agreement, written from its rules and not
// from our code: what U-Boot would have in its hands after a boot.

// ubootSees is what a U-Boot that was built for this place, with our boot
// script, imports: of a pair the copy by its own rule, else the primary and
// after a bad CRC the shadow.
func ubootSees(m *memory, place Place) (map[string]string, bool) {
	if place.Second < 0 {
		for _, offset := range []int64{place.Offset, place.Shadow} {
			for _, header := range []int{4, 5} {
				if data, _, ok := ubootCopy(m, offset, place.Size, header); ok {
					return ubootImport(data), true
				}
			}
		}
		return nil, false
	}
	one, flags1, ok1 := ubootCopy(m, place.Offset, place.Size, 5)
	two, flags2, ok2 := ubootCopy(m, place.Second, place.Size, 5)
	takeTwo := flags2 > flags1
	switch [2]byte{flags1, flags2} {
	case [2]byte{255, 0}:
		takeTwo = true
	case [2]byte{0, 255}:
		takeTwo = false
	}
	switch {
	case !ok1 && !ok2:
		return nil, false
	case !ok1 || ok2 && takeTwo:
		return ubootImport(two), true
	}
	return ubootImport(one), true
}

func ubootCopy(m *memory, offset, size int64, header int) (data []byte, flags byte, ok bool) {
	block := make([]byte, size)
	if offset < 0 {
		return nil, 0, false
	}
	if n, _ := m.ReadAt(block, offset); n < len(block) {
		return nil, 0, false
	}
	ok = binary.LittleEndian.Uint32(block) == crc32.ChecksumIEEE(block[header:])
	return block[header:], block[4], ok
}

// ubootImport is what himport_r makes of strings without blanks in front,
// comments and backslashes: the map of the variables that have a value.
func ubootImport(data []byte) map[string]string {
	vars := map[string]string{}
	for len(data) > 0 && data[0] != 0 {
		text, rest, _ := bytes.Cut(data, []byte{0})
		data = rest
		name, value, _ := strings.Cut(string(text), "=")
		if name == "" {
			continue // U-Boot's import fails here, so we never leave one
		}
		if value == "" {
			delete(vars, name)
			continue
		}
		vars[name] = value
	}
	return vars
}

// mapOf is an Env as U-Boot has it: without order, and an empty value is none.
func mapOf(e Env) map[string]string {
	vars := map[string]string{}
	for _, name := range e.Names() {
		if value, _ := e.Get(name); value != "" {
			vars[name] = value
		}
	}
	return vars
}

func sameForUBoot(m *memory, place Place, e Env) bool {
	vars, ok := ubootSees(m, place)
	return ok && maps.Equal(vars, mapOf(e))
}
