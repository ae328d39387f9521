package block

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A role that may be on any disk.
func TestAnyDisk(t *testing.T) {
	newimg := Want{Role: "newimg", Name: "newimg", Label: "newimg", AnyDisk: true}
	boot := func(parts ...string) Inventory { return disk("vda", append([]string{"6"}, parts...)...) }
	for _, c := range []struct {
		name      string
		facts     Facts
		want      Want
		match     string // "device how"
		ambiguous string
	}{
		{"nowhere", facts(merge(boot("1"), disk("sda", "1"))), newimg, "", ""},
		{"by its label", facts(merge(boot(), disk("sda", "1", "2")), "sda2=newimg"), newimg, "sda2 label", ""},
		{"by its GPT name", facts(merge(boot(), disk("sda", "1=data", "2=newimg"))), newimg, "sda2 GPT name", ""},
		{"by both", facts(merge(boot(), disk("sda", "2=newimg")), "sda2=newimg"), newimg, "sda2 GPT name", ""},
		{"on a removable disk", facts(merge(boot(), disk("sda", "1")), "sda1=newimg", "removable-sda=yes"), newimg, "sda1 label", ""},
		{"on a disk without a table", facts(merge(boot(), disk("sda")), "sda=newimg"), newimg, "sda label", ""},
		{"a disk with a table is none itself", facts(merge(boot(), disk("sda", "1")), "sda=newimg", "sda1=newimg"), newimg, "sda1 label", ""},
		{"the boot disk's own wins", facts(merge(boot("2"), disk("sda", "1=newimg")), "vda2=newimg", "sda1=newimg"), newimg, "vda2 label", ""},
		{"never by number", facts(merge(boot(), disk("sda", "3"))), Want{Role: "newimg", Label: "newimg", Number: 3, AnyDisk: true}, "", ""},
		{"a configured number is the boot disk's", facts(merge(boot("3"), disk("sda", "3")), "sda3=newimg"), newimg.WithPart("3"), "vda3 number", ""},
		{"a configured name", facts(merge(boot(), disk("sda", "1=mine", "2=newimg"))), newimg.WithPart("mine"), "sda1 GPT name", ""},
		{"on two disks", facts(merge(boot(), disk("sda", "1"), disk("sdb", "1=newimg")), "sda1=newimg"), newimg, "", "sda1 sdb1"},
		{"twice on one disk", facts(merge(boot(), disk("sda", "1", "2")), "sda1=newimg", "sda2=newimg"), newimg, "", "sda1 sda2"},
		{"not for a role of the boot disk", facts(merge(boot(), disk("sda", "1=newimg")), "sda1=newimg"), Want{Role: "newimg", Name: "newimg", Label: "newimg"}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Resolve(c.facts, []Want{wantRoot, c.want}, Selector{})
			if r.Disk != "vda" {
				t.Fatalf("the boot disk is %q, want vda", r.Disk)
			}
			match, ambiguous := "", []string{}
			if m, ok := r.Matches["newimg"]; ok {
				match = m.Device.Name + " " + m.By
			}
			for _, d := range r.Ambiguous["newimg"] {
				ambiguous = append(ambiguous, d.Name)
			}
			if d := cmp.Diff([]string{c.match, c.ambiguous}, []string{match, strings.Join(ambiguous, " ")}); d != "" {
				t.Error("match, ambiguous (-want +got):", d)
			}
			missing := slices.ContainsFunc(r.Missing, func(w Want) bool { return w.Role == "newimg" })
			if missing != (c.match == "") {
				t.Errorf("the role is missing: %v, and its match is %q", missing, match)
			}
		})
	}
}

// Another disk than the boot disk is looked at for nothing else: its labels are
// not read when the boot disk has the role.
func TestOtherDisksAreLeftAlone(t *testing.T) {
	f := facts(merge(disk("vda", "6", "7=newimg"), disk("sda", "1")))
	f.Label = func(d Device) string {
		if d.Disk == "sda" && d.Number > 0 {
			t.Errorf("the label of %s was read", d.Name)
		}
		return ""
	}
	root := wantRoot
	root.Label = ""
	if r := Resolve(f, []Want{root.WithPart("6"), {Role: "newimg", Name: "newimg", AnyDisk: true}}, SelectorOf("vda")); len(r.Missing) != 0 {
		t.Errorf("missing: %v", r.Missing)
	}
}
