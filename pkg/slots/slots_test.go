package slots

import "testing"

// Layouts 1.7, statement 2: what names a slot, and what does not.
func TestStatement1_7_2_Choose(t *testing.T) {
	for _, c := range []struct {
		named    []string
		slot     Slot
		source   string
		reason   string
		rejected int
		warnings int
	}{
		{nil, A, "default", "the kernel command line has no rauc.slot=", 0, 0},
		{[]string{"A"}, A, "rauc.slot=", "the bootloader named it", 0, 0},
		{[]string{"B"}, B, "rauc.slot=", "the bootloader named it", 0, 0},
		{[]string{"b"}, A, "default", "rauc.slot= names no slot", 1, 1},
		{[]string{"C"}, A, "default", "rauc.slot= names no slot", 1, 1},
		{[]string{""}, A, "default", "rauc.slot= names no slot", 1, 1},
		{[]string{"A", "B"}, B, "rauc.slot=", "the bootloader named it", 1, 0},
		{[]string{"B", "B"}, B, "rauc.slot=", "the bootloader named it", 0, 0},
		{[]string{"B", "x"}, B, "rauc.slot=", "the bootloader named it", 1, 1},
		{[]string{"x", "B"}, B, "rauc.slot=", "the bootloader named it", 1, 1},
	} {
		got := Choose(c.named)
		if got.Slot != c.slot || got.Source != c.source || got.Reason != c.reason ||
			len(got.Rejected) != c.rejected || len(got.Warnings) != c.warnings {
			t.Errorf("Choose(%q) = %+v; want %+v", c.named, got, c)
		}
	}
}
