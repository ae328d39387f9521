package kmod

import "testing"

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"virtio:d00000002v*", "virtio:d00000002v00001AF4", true},
		{"virtio:d00000002v*", "virtio:d00000008v00001AF4", false},
		{"pci:v*d*sv*sd*bc01sc08i02*", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i02", true},
		{"pci:v*d*sv*sd*bc01sc08i02*", "pci:v00001B36d00000010sv00001AF4sd00001100bc01sc08i03", false},
		{"of:N*T*Cvirtio,mmio", "of:Nvirtio_mmioT(null)Cvirtio,mmio", true},
		{"of:N*T*Cvirtio,mmio", "of:Nvirtio_mmioT(null)Cvirtio,mmioC", false},
		{"usb:v0525pA4A5d033[0-2]*dc*", "usb:v0525pA4A5d0331dc00", true},
		{"usb:v0525pA4A5d033[0-2]*dc*", "usb:v0525pA4A5d0333dc00", false},
		{"usb:v0525pA4A5d033[!0-2]*dc*", "usb:v0525pA4A5d0333dc00", true},
		{"x[^a]z", "xbz", true},
		{"x[^a]z", "xaz", false},
		{"x[]]z", "x]z", true},
		{"x[abc]", "xd", false},
		{"x[a-]", "x-", true},
		{"x[a", "x[a", true}, // no set: the bracket stands for itself
		{"x[a", "xa", false},
		{"x?z", "x/z", true},
		{"*", ".x/y", true},
		{"", "", true},
		{"", "x", false},
		{"x", "", false},
		{"**", "", true},
		{"mmc:block", "mmc:block", true},
		{"mmc:block", "mmc:blocks", false},
		{"*a*b", "xaxaxb", true},
		{"*a*b", "xbxa", false},
	} {
		if got := Match(test.pattern, test.text); got != test.want {
			t.Errorf("Match(%q, %q) = %v, want %v", test.pattern, test.text, got, test.want)
		}
	}
}

// A pattern that fits goes on fitting when a star at its end meets more text.
//
//fuzz:covers pattern.go
func FuzzMatch(f *testing.F) {
	f.Add("usb:v0525pA4A5d033[0-2]*dc*", "usb:v0525pA4A5d0331dc00")
	f.Add("x[]]z", "x]z")
	f.Add("[", "[")
	f.Add("[!]", "!")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if Match(pattern, text) && !Match(pattern+"*", text+"tail") {
			t.Errorf("%q fits %q, but with * at its end not the longer text", pattern, text)
		}
	})
}
