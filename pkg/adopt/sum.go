package adopt

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strings"
)

// sumEnding is what the file with an image's checksum is called behind the
// image's own name.
const sumEnding = ".sha256"

// parseSum reads what sha256sum(1) writes, and returns the checksum of the file
// of this name: 64 hexadecimal digits, two blanks or a blank and an asterisk,
// the name. Digits alone will do.
func parseSum(text []byte, name string) (string, error) {
	for line := range strings.Lines(string(text)) {
		sum, file, named := strings.Cut(strings.TrimSpace(line), " ")
		if _, err := hex.DecodeString(sum); err != nil || len(sum) != 2*sumSize {
			continue
		}
		if file = strings.TrimLeft(file, " *"); !named || file == name {
			return strings.ToLower(sum), nil
		}
	}
	return "", fmt.Errorf("%s has no SHA-256 of %s", name+sumEnding, name)
}

// errSum says that a file is not the one that its checksum was made of.
var errSum = errors.New("its bytes are not those of its checksum")

// sumSize is the length of a SHA-256 in bytes.
const sumSize = 32

// sha256 is the hash of FIPS 180-4, section 6.2, fed piece by piece. That of the
// standard library would make the image a twentieth larger, with the rules of
// FIPS 140 that come with it; this one is needed once in a year.
type sha256 struct {
	state  [8]uint32
	block  [64]byte
	length uint64 // bytes so far
}

func newSHA256() *sha256 {
	return &sha256{state: [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}}
}

// Write takes in a piece.
func (h *sha256) Write(p []byte) {
	filled := int(h.length % 64)
	h.length += uint64(len(p))
	if filled > 0 {
		n := copy(h.block[filled:], p)
		if p = p[n:]; filled+n < 64 {
			return
		}
		h.mix(h.block[:])
	}
	for ; len(p) >= 64; p = p[64:] {
		h.mix(p[:64])
	}
	copy(h.block[:], p)
}

// Sum ends the hash, and returns its hexadecimal digits.
func (h *sha256) Sum() string {
	length := h.length * 8
	padding := make([]byte, 1+(119-h.length%64)%64, 72)
	padding[0] = 0x80
	h.Write(binary.BigEndian.AppendUint64(padding, length))
	var sum []byte
	for _, word := range h.state {
		sum = binary.BigEndian.AppendUint32(sum, word)
	}
	return hex.EncodeToString(sum)
}

// mix takes in one block of 64 bytes.
func (h *sha256) mix(block []byte) {
	var w [64]uint32
	for i := range 16 {
		w[i] = binary.BigEndian.Uint32(block[4*i:])
	}
	for i := 16; i < 64; i++ {
		a, b := w[i-15], w[i-2]
		w[i] = w[i-16] + w[i-7] +
			(bits.RotateLeft32(a, -7) ^ bits.RotateLeft32(a, -18) ^ a>>3) +
			(bits.RotateLeft32(b, -17) ^ bits.RotateLeft32(b, -19) ^ b>>10)
	}
	a, b, c, d, e, f, g, z := h.state[0], h.state[1], h.state[2], h.state[3], h.state[4], h.state[5], h.state[6], h.state[7]
	for i, k := range sha256Constants {
		t := z + (bits.RotateLeft32(e, -6) ^ bits.RotateLeft32(e, -11) ^ bits.RotateLeft32(e, -25)) + (e&f ^ ^e&g) + k + w[i]
		u := (bits.RotateLeft32(a, -2) ^ bits.RotateLeft32(a, -13) ^ bits.RotateLeft32(a, -22)) + (a&b ^ a&c ^ b&c)
		a, b, c, d, e, f, g, z = t+u, a, b, c, d+t, e, f, g
	}
	for i, add := range [8]uint32{a, b, c, d, e, f, g, z} {
		h.state[i] += add
	}
}

// sha256Constants are the first 32 bits of the fractional parts of the cube
// roots of the first 64 primes (FIPS 180-4, section 4.2.2).
var sha256Constants = [64]uint32{
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
	0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
	0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
	0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
	0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
	0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
	0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
}
