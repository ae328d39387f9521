package main

import (
	"encoding/binary"
	"math"
)

// The legacy frame of lz4 (doc/lz4_Frame_format.md of lz4, "Legacy frame"), the only
// one that the kernel unpacks (lib/decompress_unlz4.c): a magic number, and blocks of so many bytes
// with their packed length before each.
const (
	legacyMagic = 0x184c2102
	legacyBlock = 8 << 20
)

// compress makes a legacy lz4 frame. Nothing follows the last block: before
// commit 2c484419efc0 the kernel took even zeros there for damage.
//
// The card delivers an image at each boot, and a builder packs it once: so of all
// ways to write a block the shortest is looked for, which no encoder for Go does.
// It is a nineteenth shorter than that of the best level of github.com/pierrec/lz4, and
// unlike that of the program lz4 the same on every workstation.
func compress(data []byte) []byte {
	frame := binary.LittleEndian.AppendUint32(nil, legacyMagic)
	for len(data) > 0 {
		n := min(len(data), legacyBlock)
		frame = appendBlock(frame, data[:n])
		data = data[n:]
	}
	return frame
}

// appendBlock adds a block to a frame.
func appendBlock(frame, plain []byte) []byte {
	block := compressBlock(plain)
	return append(binary.LittleEndian.AppendUint32(frame, uint32(len(block))), block...)
}

// The limits of a block (doc/lz4_Block_format.md of lz4): how short and how far a
// match may be, how many bytes at the end are literals, and how far from the end the
// last match may begin.
const (
	shortestMatch = 4
	farthest      = 1<<16 - 1
	lastLiterals  = 5
	lastMatch     = 12
)

// What bounds the search: of more candidates the older are not looked at, and
// one of so many bytes is good enough, and is taken whole.
const (
	mostCandidates = 1 << 6
	longEnough     = 1 << 10
)

// match says that length bytes are the same as those distance bytes before.
type match struct{ length, distance int32 }

// longestMatches finds for each position the longest match, of the nearest place
// that has it. All shorter ones begin there as well.
func longestMatches(src []byte) []match {
	matches := make([]match, len(src))
	newest := make([]int32, 1<<17) // by the hash of four bytes: a position, plus one
	older := make([]int32, len(src))
	for at := 0; at+lastMatch <= len(src); at++ {
		hash := binary.LittleEndian.Uint32(src[at:]) * 2654435761 >> 15
		limit, best := len(src)-lastLiterals-at, match{}
		if at > 0 && matches[at-1].length > longEnough {
			best = match{matches[at-1].length - 1, matches[at-1].distance} // the same one goes on
		}
		candidate := int(newest[hash]) - 1
		older[at] = int32(candidate)
		newest[hash] = int32(at + 1)
		for tries := 0; candidate >= 0 && at-candidate <= farthest && best.length < longEnough && tries < mostCandidates; tries++ {
			if length := common(src[candidate:], src[at:], int(best.length), limit); length > int(best.length) {
				best = match{int32(length), int32(at - candidate)}
			}
			candidate = int(older[candidate])
		}
		if best.length >= shortestMatch {
			matches[at] = best
		}
	}
	return matches
}

// common is how many bytes are the same, at most limit; 0 when they are not more
// than least.
func common(a, b []byte, least, limit int) int {
	if least >= limit || a[least] != b[least] {
		return 0
	}
	n := 0
	for n+8 <= limit && binary.LittleEndian.Uint64(a[n:]) == binary.LittleEndian.Uint64(b[n:]) {
		n += 8
	}
	for n < limit && a[n] == b[n] {
		n++
	}
	return n
}

// extra is how many bytes a length takes besides its four bits in the token.
func extra(length int) int {
	if length < 15 {
		return 0
	}
	return 1 + (length-15)/255
}

// shortestParse says for each position how the rest of the block is written in the fewest
// bytes: with a match of that length, or, where it is 0, with a literal.
func shortestParse(src []byte) []match {
	parse := longestMatches(src)
	cost := make([]int32, len(src)+1)     // of all from here
	literals := make([]int32, len(src)+1) // that come from here on
	for at := len(src) - 1; at >= 0; at-- {
		run := literals[at+1] + 1
		best, length := cost[at+1]+1+int32(extra(int(run))-extra(int(run)-1)), 0
		longest := int(parse[at].length)
		shortest := shortestMatch
		if longest >= longEnough {
			shortest = longest
		}
		for l := longest; l >= shortest; l-- {
			if c := cost[at+l] + 3 + int32(extra(l-shortestMatch)); c < best || c == best && length == 0 {
				best, length = c, l
			}
		}
		cost[at], parse[at].length = best, int32(length)
		if length == 0 {
			literals[at] = run
		}
	}
	return parse
}

// compressBlock writes one block.
func compressBlock(src []byte) (block []byte) {
	parse, from := shortestParse(src), 0 // the first literal not yet written
	for at := 0; at < len(src); {
		m := parse[at]
		if m.length == 0 {
			at++
			continue
		}
		block = appendSequence(block, src[from:at], int(m.length)-shortestMatch)
		block = binary.LittleEndian.AppendUint16(block, uint16(m.distance))
		block = appendLength(block, int(m.length)-shortestMatch)
		at += int(m.length)
		from = at
	}
	return appendSequence(block, src[from:], 0)
}

// appendSequence writes the token of a sequence, and its literals.
func appendSequence(block, literals []byte, length int) []byte {
	block = append(block, byte(min(len(literals), 15)<<4|min(length, 15)))
	return append(appendLength(block, len(literals)), literals...)
}

// appendLength writes what of a length is not in the token.
func appendLength(block []byte, length int) []byte {
	if length < 15 {
		return block
	}
	for length -= 15; length >= math.MaxUint8; length -= math.MaxUint8 {
		block = append(block, math.MaxUint8)
	}
	return append(block, byte(length))
}
