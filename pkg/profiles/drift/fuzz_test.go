package drift

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzStatus: whatever an upper has in the place of dpkg's list, each package that
// is read from it was named there, and is one that a list of its own says again.
//
//fuzz:covers walk.parseStatus
func FuzzStatus(f *testing.F) {
	f.Add(fmt.Sprintf(status, "12", "1.0"))
	f.Add("Package: a\nStatus: hold ok installed\nArchitecture: all\nVersion: 1\n\nPackage:\nStatus\n /x\n")
	f.Add("Conffiles:\n /etc/a 01\n /etc/b\n\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		w := &walk{conffiles: map[string]bool{}}
		all, err := w.parseStatus(strings.NewReader(text))
		if err != nil {
			return
		}
		for name, version := range all {
			bare, _, _ := strings.Cut(name, ":")
			if !strings.Contains(text, bare) || !strings.Contains(text, version) {
				t.Errorf("%q of version %q comes from %q", name, version, text)
			}
		}
		for file := range w.conffiles {
			if !strings.Contains(text, file) {
				t.Errorf("%q comes from %q", file, text)
			}
		}
	})
}

// FuzzVersions: an order is one, whatever is compared.
//
//fuzz:covers CompareVersions cutVersion comparePart cutAt compareText weight
func FuzzVersions(f *testing.F) {
	f.Add("1:2.0~rc1-3", "2.0+b1-3", "a.~")
	f.Add("", "0", "00-0")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		if CompareVersions(a, a) != 0 || CompareVersions(a, b) != -CompareVersions(b, a) {
			t.Errorf("%q and %q: %d and %d", a, b, CompareVersions(a, b), CompareVersions(b, a))
		}
		if CompareVersions(a, b) < 0 && CompareVersions(b, c) < 0 && CompareVersions(a, c) >= 0 {
			t.Errorf("%q < %q < %q, but not the first and the last", a, b, c)
		}
	})
}
