package main

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/pierrec/lz4/v4"
)

// Whatever is packed comes back, as the program lz4 reads it, whose decoder is
// the kernel's.
func TestCompressComesBack(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(random.Uint32())
		}
		return b
	}
	far := noise(100)
	for name, plain := range map[string][]byte{
		"nothing": {}, "a byte": {1}, "too short for a match": []byte("aaaaaaaaaaaa"), "the shortest with one": []byte("aaaaaaaaaaaaa"),
		"zeros": make([]byte, 100_000), "noise": noise(100_000), "255 literals and a match": append(noise(15+255), make([]byte, 40)...),
		"as far as a match goes":     append(append(bytes.Clone(far), noise(farthest-len(far))...), append(far, "the end of it"...)...),
		"farther than a match goes":  append(append(bytes.Clone(far), noise(farthest+1-len(far))...), append(far, "the end of it"...)...),
		"two blocks":                 append(make([]byte, legacyBlock), "the second block"...),
		"a match of each length":     lengths(random),
		"as long as a match may run": append(bytes.Repeat([]byte("ab"), longEnough), "the end of it"...),
	} {
		if got := hostTool(t, compress(plain), "lz4", "-dc"); !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes came back as %d others", name, len(plain), len(got))
		}
	}
}

// lengths is text in which matches of all lengths up to 600 are.
func lengths(random *rand.Rand) (text []byte) {
	for n := range 600 {
		text = append(text, byte(random.Uint32()), byte(random.Uint32()))
		text = append(text, bytes.Repeat([]byte{byte(n), byte(n >> 8), 'x'}, n/3+1)...)
	}
	return text
}

// It is what the card has to deliver: shorter than what a library makes.
func TestCompressIsShorter(t *testing.T) {
	program := compiled(t, "./testdata/init", "arm64")
	library := lz4.CompressorHC{Level: lz4.Level9}
	packed := make([]byte, lz4.CompressBlockBound(len(program)))
	n, err := library.CompressBlock(program, packed)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(compress(program)); got > n*97/100 {
		t.Errorf("%d bytes, and the library makes %d", got, n)
	}
}

// FuzzCompress: whatever is packed comes back from another decoder than the kernel's.
//
//fuzz:covers lz4.go
func FuzzCompress(f *testing.F) {
	f.Add([]byte("abcabcabcabcabcabcabcabcabcabcabcxyz"), 1000)
	f.Add([]byte{0}, 70_000)
	f.Fuzz(func(t *testing.T, piece []byte, times int) {
		if len(piece) == 0 || times < 0 || len(piece)*times > 1<<20 {
			return
		}
		plain := append(bytes.Repeat(piece, times), piece...)
		unpacked := make([]byte, len(plain))
		n, err := lz4.UncompressBlock(compressBlock(plain), unpacked)
		if err != nil || !bytes.Equal(unpacked[:n], plain) {
			t.Errorf("%d times %q: %d bytes come back, %v", times, piece, n, err)
		}
	})
}
