package adopt

import (
	"bytes"
	library "crypto/sha256"
	"fmt"
	"testing"
)

// The hash is that of the standard library, for every length of the last block
// and however the bytes come.
func TestSHA256(t *testing.T) {
	data := bytes.Repeat([]byte("minos-init "), 100)
	for length := range 300 {
		want := fmt.Sprintf("%x", library.Sum256(data[:length]))
		for _, piece := range []int{1, 7, 64, 100, 300} {
			h := newSHA256()
			for at := 0; at < length; at += piece {
				h.Write(data[at:min(at+piece, length)])
			}
			if got := h.Sum(); got != want {
				t.Fatalf("of %d bytes in pieces of %d: %s, want %s", length, piece, got, want)
			}
		}
	}
}

func TestParseSum(t *testing.T) {
	sum := fmt.Sprintf("%x", library.Sum256(nil))
	other := fmt.Sprintf("%x", library.Sum256([]byte("x")))
	for text, want := range map[string]string{
		sum:               sum,
		sum + "\n":        sum,
		sum + "  a.img\n": sum,
		sum + " *a.img\n": sum,
		other + "  b.img\n" + sum + " *a.img\r\n": sum,
		other + "  b.img\n":                       "",
		sum[1:] + "  a.img\n":                     "",
		"":                                        "",
		"z" + sum[1:] + "  a.img\n":               "",
	} {
		got, err := parseSum([]byte(text), "a.img")
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func BenchmarkSHA256(b *testing.B) {
	piece := make([]byte, 64<<10)
	b.SetBytes(int64(len(piece)))
	h := newSHA256()
	for b.Loop() {
		h.Write(piece)
	}
}
