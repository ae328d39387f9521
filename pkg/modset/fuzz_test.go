package modset

import (
	"strings"
	"testing"
)

// FuzzWordsOfTheSet: no ending leads out of a directory, and toram is all, a part, or an
// error that takes nothing.
//
//fuzz:covers ParseEnding ParseRAM
func FuzzWordsOfTheSet(f *testing.F) {
	for _, seed := range []string{"sb", ".sb", "", ".", "a/b", "full", "trim", "..", "half"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if ending, err := ParseEnding(text); err == nil && (ending == "" || strings.Contains(ending, "/")) {
			t.Errorf("%q is the ending %q", text, ending)
		}
		if ram, err := ParseRAM(text); err != nil && ram != NoRAM || err == nil && ram != Full && ram != Trim {
			t.Errorf("%q is %q, %v", text, ram, err)
		}
	})
}
