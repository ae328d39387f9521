package profiles

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func given(value string) Named { return Named{Value: value, Given: true} }

func noName(text string) string { return checkName(text).Error() }

// disks are the profiles of the device and of the card.
func disks(internal, card []ID) ProfileFacts {
	has := map[Medium][]ID{Internal: internal, Card: card}
	return ProfileFacts{
		All: func() []ID { return internal },
		Find: func(r Ref) (Medium, error) {
			for _, m := range []Medium{Internal, Card} {
				for _, id := range has[m] {
					if id == r.ID && (r.Medium == Anywhere || r.Medium == m) {
						return m, nil
					}
				}
			}
			return "", errors.New("there is no such profile")
		},
	}
}

// Layouts 4.6, statements 5 and 16, and 4.3 on the order.
func TestStatement4_6_5_ChooseProfile(t *testing.T) {
	two, desk := []ID{"desk", "router"}, []ID{"desk"}
	for _, c := range []struct {
		name           string
		facts          ProfileFacts
		line, next     Named
		other          Named // the default
		want           string
		source, reason string
		degraded       string
		rejected       string
	}{
		{"named", disks(two, nil), given("router"), given("desk"), given("desk"), "internal:router", "flipper.profile", "the command line names it", "", ""},
		{"once", disks(two, nil), Named{}, given("router"), given("desk"), "internal:router", "next", "it was asked for once, in @profiles/next", "", ""},
		{"default", disks(two, nil), Named{}, Named{}, given("desk"), "internal:desk", "minos.profile", "it is the default", "", ""},
		{"the only one", disks(desk, nil), Named{}, Named{}, Named{}, "internal:desk", "default", "it is the only one", "", ""},
		{"nobody says", disks(two, nil), Named{}, Named{}, Named{}, "none", "default", "nobody has named one of the 2 there are", "name one with flipper.profile= or minos.profile=", ""},
		{"there is none", disks(nil, nil), Named{}, Named{}, Named{}, "none", "default", "there is no profile", "", ""},
		{"none is wanted", disks(desk, nil), given("none"), Named{}, given("desk"), "none", "flipper.profile", "the command line names it", "", ""},
		{"unknown, default", disks(two, nil), given("x"), Named{}, given("desk"), "internal:desk", "minos.profile", "it is the default", `"x" was asked for: there is no such profile; desk is started`, "x: there is no such profile"},
		{"unknown, no default", disks(desk, nil), given("x"), Named{}, Named{}, "none", "default", "what was asked for is not there", `"x" was asked for: there is no such profile; no other was asked for`, "x: there is no such profile"},
		{"all unknown", disks(desk, nil), given("x"), given("y"), given("z"), "none", "default", "what was asked for is not there", `"x"`, "x: there is no such profile, y: there is no such profile, z: there is no such profile"},
		{"invalid", disks(desk, nil), given("../x"), Named{}, given("desk"), "internal:desk", "minos.profile", "it is the default", `"../x" was asked for: "../x" is no name`, "../x: " + noName("../x")},
		{"empty", disks(desk, nil), given(""), Named{}, given("desk"), "internal:desk", "minos.profile", "it is the default", `"" was asked for: "" is no name`, ": " + noName("")},
		{"on both, internal wins", disks(desk, desk), given("desk"), Named{}, Named{}, "internal:desk", "flipper.profile", "the command line names it", "", ""},
		{"on both, the card's", disks(desk, desk), given("sd:desk"), Named{}, Named{}, "sd:desk", "flipper.profile", "the command line names it", "", ""},
		{"on the card only", disks(desk, []ID{"lab"}), given("lab"), Named{}, Named{}, "sd:lab", "flipper.profile", "the command line names it", "", ""},
		{"card absent", disks(two, nil), given("sd:desk"), Named{}, given("router"), "internal:router", "minos.profile", "it is the default", `"sd:desk"`, "sd:desk: there is no such profile"},
	} {
		f := c.facts
		f.CommandLine, f.Next, f.Default = c.line, c.next, c.other
		got := ChooseProfile(f)
		is := Ref{Medium: got.Medium, ID: got.ID}.String()
		var rejected []string
		for _, r := range got.Rejected {
			rejected = append(rejected, r.Value+": "+r.Reason)
		}
		if is != c.want || got.Source != c.source || got.Reason != c.reason || !says(got.Degraded, c.degraded) || strings.Join(rejected, ", ") != c.rejected {
			t.Errorf("%s: %s by %s, %q, degraded %v, rejected %q", c.name, is, got.Source, got.Reason, got.Degraded, rejected)
		}
	}
}

// says tells whether an error has this part, "" whether there is none.
func says(err error, part string) bool {
	if part == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), part)
}

// Layouts 4.6, statements 4, 6 and 10.
func TestStatement4_6_6_ChooseBase(t *testing.T) {
	half := errors.New("half")
	for _, c := range []struct {
		name               string
		line, pin, current Named
		bases              string // what can be used, what cannot is in capitals
		want               string
		source, reason     string
		degraded, rejected string
	}{
		{"the command line beats the pin", given("2.0"), given("1.0"), given("1.0"), "1.0 2.0", "2.0", "flipper.base", "the command line names it", "", ""},
		{"the pin beats current", Named{}, given("1.0"), given("2.0"), "1.0 2.0", "1.0", "pin", "the profile is pinned to it", "", ""},
		{"current beats the highest", Named{}, Named{}, given("1.9"), "1.9 1.10", "1.9", "current", "it is current", "", ""},
		{"the highest", Named{}, Named{}, Named{}, "1.9 1.10", "1.10", "highest", "it is the highest version", "", ""},
		{"pin missing", Named{}, given("1.0"), given("2.0"), "2.0", "2.0", "current", "it is current", `"1.0" was asked for: not there; 2.0 is booted`, "1.0: not there"},
		{"current dangling", Named{}, Named{}, given("3.0"), "1.9 1.10", "1.10", "highest", "it is the highest version", `"3.0" was asked for: not there; 1.10 is booted`, "3.0: not there"},
		{"current leads elsewhere", Named{}, Named{}, given("../@data"), "1.0", "1.0", "highest", "it is the highest version", `"../@data" was asked for: "../@data" is no name`, "../@data: " + noName("../@data")},
		{"half received", Named{}, Named{}, Named{}, "1.0 2.0!", "1.0", "highest", "it is the highest version", "", "2.0: half"},
		{"half received, and asked for", given("2.0"), Named{}, given("1.0"), "1.0 2.0!", "1.0", "current", "it is current", `"2.0" was asked for: half; 1.0 is booted`, "2.0: half"},
		{"asked for once only", given("2.0"), given("2.0"), Named{}, "1.0 2.0!", "1.0", "highest", "it is the highest version", `"2.0" was asked for: half`, "2.0: half, 2.0: half"},
	} {
		usable := map[Version]error{}
		for _, name := range strings.Fields(c.bases) {
			whole, isHalf := strings.CutSuffix(name, "!")
			usable[Version(whole)] = nil
			if isHalf {
				usable[Version(whole)] = half
			}
		}
		got, err := ChooseBase(BaseFacts{
			CommandLine: c.line, Pin: c.pin, Current: c.current,
			Usable: func(v Version) error {
				err, there := usable[v]
				if !there {
					err = errors.New("not there")
				}
				return err
			},
			All: func() ([]string, error) {
				return strings.Fields(strings.ReplaceAll(c.bases, "!", "") + " current .tmp-9"), nil
			},
		})
		var rejected []string
		for _, r := range got.Rejected {
			rejected = append(rejected, r.Value+": "+r.Reason)
		}
		if err != nil || string(got.Version) != c.want || got.Source != c.source || got.Reason != c.reason || !says(got.Degraded, c.degraded) || strings.Join(rejected, ", ") != c.rejected {
			t.Errorf("%s: %s by %s, %q, degraded %v, rejected %q, %v", c.name, got.Version, got.Source, got.Reason, got.Degraded, rejected, err)
		}
	}
}

func TestNoBase(t *testing.T) {
	unreadable := errors.New("unreadable")
	for want, f := range map[string]BaseFacts{
		"there is no base in @base": {All: func() ([]string, error) { return nil, nil }},
		"unreadable":                {All: func() ([]string, error) { return nil, unreadable }},
		"there is no base in @base; 3: it is no subvolume; 2: it is no subvolume": {Pin: given("3"), Usable: func(Version) error { return WhyNoBase(false, false) }, All: func() ([]string, error) { return []string{"2", "3"}, nil }},
	} {
		if c, err := ChooseBase(f); err == nil || err.Error() != want {
			t.Errorf("%+v, %v, want %s", c, err, want)
		}
	}
	if WhyNoBase(true, true) != nil || WhyNoBase(true, false) == nil {
		t.Error("a base is a read-only subvolume")
	}
}

func TestMetadata(t *testing.T) {
	m := Metadata{Name: "Desk", Base: "1.0", Origin: "new", Created: time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600))}
	const want = `{
  "name": "Desk",
  "base": "1.0",
  "origin": "new",
  "created": "2026-01-02T02:04:05Z"
}
`
	if diff := cmp.Diff(want, string(m.Bytes())); diff != "" {
		t.Error(diff)
	}
	read, err := ParseMetadata(fmt.Appendf(nil, `{"dt": ["x.dtbo"], "base": "1.0", "name": "Desk", "created": %q}`, "2026-01-02T02:04:05Z"))
	if err != nil || read.Name != "Desk" || read.Base != "1.0" || !read.Created.Equal(m.Created.Truncate(time.Second)) {
		t.Errorf("%+v, %v", read, err)
	}
	read.Base = "2.0"
	if got := string(read.Bytes()); !strings.Contains(got, `"dt": ["x.dtbo"]`) || !strings.Contains(got, `"base": "2.0"`) {
		t.Errorf("it does not keep what others have put there: %s", got)
	}
	if _, err := ParseMetadata([]byte("[]")); err == nil {
		t.Error("a list was read as metadata")
	}
}
