package block

import (
	"bytes"
	"hash/crc32"
	"strings"
	"testing"
)

// FuzzClaim: a claim that is taken is written back as it was read, and what it replaces
// can be printed.
//
//fuzz:covers ParseClaim parseClaim
func FuzzClaim(f *testing.F) {
	f.Add(Claim{Start: 1 << 20}.Encode())
	f.Add(Claim{Start: -1, Stale: true, Replaces: "6d696e6f-7300-4000-8000-00000000000b"}.Encode())
	f.Add(make([]byte, ClaimSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= ClaimSize {
			// A fuzzer does not find the checksum.
			le.PutUint32(b[claimSum:], crc32.Checksum(b[:claimSum], crc32.MakeTable(crc32.Castagnoli)))
		}
		c, ok := ParseClaim(b)
		if sb, known := parseClaim(b); known != ok || ok && sb.Type != ClaimType {
			t.Errorf("a claim: %t, as a superblock %+v: %t", ok, sb, known)
		}
		if !ok {
			return
		}
		// What does not print was escaped, and would be once more.
		if again, ok := ParseClaim(c.Encode()); !ok || again != c && !strings.Contains(c.Replaces, `\`) {
			t.Errorf("%+v became %+v, %t", c, again, ok)
		}
		if strings.ContainsFunc(c.Replaces, func(r rune) bool { return r < ' ' }) || bytes.Contains([]byte(c.Replaces), []byte{0}) {
			t.Errorf("%q does not print", c.Replaces)
		}
	})
}
