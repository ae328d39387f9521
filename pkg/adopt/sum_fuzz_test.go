package adopt

import (
	"encoding/hex"
	"strings"
	"testing"
)

// FuzzParseSum: what is taken for a checksum is one, and stands in the file.
//
//fuzz:covers parseSum
func FuzzParseSum(f *testing.F) {
	digits := strings.Repeat("0123456789abcDEF", 4)
	for _, seed := range []string{digits, digits + "  a.img\n", digits + " *a.img", digits + "  b.img", "x" + digits, "", digits[1:] + " a.img"} {
		f.Add([]byte(seed), "a.img")
	}
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		sum, err := parseSum(text, name)
		if err != nil {
			return
		}
		if b, err := hex.DecodeString(sum); err != nil || len(b) != sumSize || !strings.Contains(strings.ToLower(string(text)), sum) {
			t.Errorf("%q has the sum %q", text, sum)
		}
	})
}
