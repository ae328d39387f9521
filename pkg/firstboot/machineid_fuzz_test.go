package firstboot

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzParseMachineID: an id is what machine-id(5) calls one.
//
//fuzz:covers ParseMachineID
func FuzzParseMachineID(f *testing.F) {
	const id = "0123456789abcdef0123456789ABCDEF"
	for _, seed := range []string{id, "01234567-89ab-cdef-0123-456789abcdef", strings.Repeat("0", 32), "", id[1:], id + "\n", "uninitialized"} {
		f.Add(seed)
	}
	whole := regexp.MustCompile(`^[0-9a-f]{32}$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := ParseMachineID(text)
		if ok != whole.MatchString(string(got)) || ok && strings.Trim(string(got), "0") == "" {
			t.Errorf("%q is %q, %t", text, got, ok)
		}
	})
}
