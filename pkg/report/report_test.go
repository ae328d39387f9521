package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update-report", false, "write testdata/boot.json anew")

func full() Report {
	return Report{
		Version: "1.0", Layout: "slots", Disk: "/dev/vda", BootState: BootState{"/dev/vda9", 0x1000, 0x4000, -1},
		Choice: Choice{"slot", "A", "rauc.slot=", "the bootloader picked it", []Rejected{{"b", "no slot has this name"}}},
		Base:   Choice{"base", "1.0", "pin", "the profile is pinned to it", []Rejected{{"2.0", "it is no subvolume"}}},
		Roles: []Role{
			{"rootfs-a", "/dev/vda6", "ext4", "number", "/run/initramfs/rootfs", "mounted"},
			{"data", "", "", "", "", "not found"},
		},
		Overlay: Overlay{
			Lowers: []string{"/run/initramfs/rootfs"}, Upper: "/run/initramfs/overlay/a/upper",
			Work: "/run/initramfs/overlay/a/work", Durability: "keep", Options: []string{"index=off", "xino=off"}, Subvolume: 257,
		},
		FirstBoot: []string{"grew data"},
		Modules:   []string{"virtio_blk", "overlay"},
		Warnings:  []string{"a \"quoted\" word\n\tand \x1b[31mred \xff \u0085 ümlaut"},
		Degraded:  []string{"no data partition"},
		Timeline: []Mark{
			{"start", 1500 * time.Millisecond, 1500 * time.Millisecond},
			{"disk found", 1500 * time.Millisecond, 1600*time.Millisecond + 7*time.Microsecond},
			{"handover", 1601 * time.Millisecond, 1623 * time.Millisecond},
		},
		Failure: &Failure{"data", "cannot mount"},
	}
}

type choice struct {
	What, Value, Source, Reason string
	Rejected                    []Rejected
}

// boot is boot.json as another program would declare it.
type boot struct {
	Schema    int
	Version   string
	Layout    string
	Choice    choice
	Base      choice
	Disk      string
	BootState BootState `json:"boot_state"`
	Roles     []struct {
		Name, Device, FSType string
		FoundBy              string `json:"found_by"`
		MountedAt            string `json:"mounted_at"`
		State                string
	}
	Overlay         Overlay
	FirstBoot       []string `json:"first_boot"`
	Modules         []string
	Warnings        []string
	Degraded        bool
	DegradedReasons []string `json:"degraded_reasons"`
	Timeline        []struct {
		Name  string
		Began int64 `json:"began_us"`
		AtUS  int64 `json:"at_us"`
	}
	Failure *Failure
}

// read reads boot.json with the judge, and refuses fields it does not know.
func read(t *testing.T, data []byte) Report {
	t.Helper()
	var b boot
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&b); err != nil {
		t.Fatalf("%v in\n%s", err, data)
	}
	if b.Schema != Schema || b.Degraded != (len(b.DegradedReasons) > 0) {
		t.Errorf("schema %d, degraded %t for %q", b.Schema, b.Degraded, b.DegradedReasons)
	}
	r := Report{
		Version: b.Version, Layout: b.Layout, Disk: b.Disk, BootState: b.BootState, Choice: Choice(b.Choice), Base: Choice(b.Base), Overlay: b.Overlay,
		FirstBoot: b.FirstBoot, Modules: b.Modules, Warnings: b.Warnings, Degraded: b.DegradedReasons, Failure: b.Failure,
		Roles: []Role{}, Timeline: []Mark{},
	}
	for _, role := range b.Roles {
		r.Roles = append(r.Roles, Role(role))
	}
	for _, mark := range b.Timeline {
		r.Timeline = append(r.Timeline, Mark{mark.Name, time.Duration(mark.Began) * time.Microsecond, time.Duration(mark.AtUS) * time.Microsecond})
	}
	return r
}

func TestJSONRoundTrip(t *testing.T) {
	want := full()
	want.Warnings[0] = strings.ToValidUTF8(want.Warnings[0], "\ufffd")
	if diff := cmp.Diff(want, read(t, full().JSON())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is empty is there all the same, so that readers need no special case.
func TestJSONOfNothing(t *testing.T) {
	none := []string{}
	want := Report{
		Choice: Choice{Rejected: []Rejected{}}, Base: Choice{Rejected: []Rejected{}}, Overlay: Overlay{Lowers: none, Options: none}, Roles: []Role{},
		FirstBoot: none, Modules: none, Warnings: none, Degraded: none, Timeline: []Mark{},
	}
	if diff := cmp.Diff(want, read(t, Report{}.JSON())); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if bytes.Contains(Report{}.JSON(), []byte("null,")) {
		t.Errorf("only failure may be null:\n%s", Report{}.JSON())
	}
}

// The form is for people, and the order of the fields is fixed.
func TestJSONGolden(t *testing.T) {
	const name = "testdata/boot.json"
	got := full().JSON()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, got, "", "  "); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(indented.String(), string(got)); diff != "" {
		t.Errorf("not as encoding/json indents it:\n%s", diff)
	}
}

// Every field of boot.json is described at the package.
func TestFieldsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("report.go")
	if err != nil {
		t.Fatal(err)
	}
	description, _, _ := strings.Cut(string(source), "package report")
	var top map[string]json.RawMessage
	if err := json.Unmarshal(full().JSON(), &top); err != nil {
		t.Fatal(err)
	}
	for field := range top {
		if !strings.Contains(description, "\n//\t"+field+" ") {
			t.Errorf("the package's comment does not describe the field %q", field)
		}
	}
}

func checkString(t *testing.T, text string) {
	t.Helper()
	out := appendString(nil, text)
	var got string
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%q: %v in %s", text, err, out)
	}
	// encoding/json replaces each wrong byte, as we do.
	reference, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	var want string
	if err := json.Unmarshal(reference, &want); err != nil {
		t.Fatal(err)
	}
	if got != want || !utf8.Valid(out) {
		t.Errorf("%q: %q, want %q", text, got, want)
	}
	for _, char := range string(out) {
		if char < 0x20 || (char >= 0x7f && char < 0xa0) {
			t.Errorf("%q: a control character in %s", text, out)
		}
	}
}

func TestStrings(t *testing.T) {
	for _, text := range []string{"", `"\/`, "\x00\x1f\x7f\u0080\u009f", "\n\r\t\b\f", "\xff\xc3", "\ufffd", "\u2028", "𝄞", "<&>"} {
		checkString(t, text)
	}
}

//fuzz:covers appendString lineValue
func FuzzStrings(f *testing.F) {
	for _, text := range []string{"", "plain", `"\`, "\x00\xff\u0085\u2028𝄞"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		checkString(t, text)
		r := Report{Warnings: []string{text, text}, Choice: Choice{What: "slot", Value: text}, Layout: text}
		if got := read(t, r.JSON()); len(got.Warnings) != 2 || got.Warnings[0] != got.Warnings[1] {
			t.Errorf("%q twice became %q", text, got.Warnings)
		}
		if line := r.OKLine(); strings.ContainsAny(line, "\n\r") {
			t.Errorf("%q is more than one line", line)
		}
	})
}

func TestOKLine(t *testing.T) {
	for _, c := range []struct {
		change func(*Report)
		want   string
	}{
		{func(r *Report) { r.Degraded = nil }, "OK layout=slots slot=A root=/dev/vda6 upper=keep took=0.123s"},
		{func(r *Report) {}, "OK layout=slots slot=A root=/dev/vda6 upper=keep degraded=1 took=0.123s"},
		{func(r *Report) { r.Choice, r.Degraded = Choice{}, nil }, "OK layout=slots root=/dev/vda6 upper=keep took=0.123s"},
		{func(r *Report) { r.Choice.Value, r.Degraded, r.Timeline = "two words", nil, nil },
			`OK layout=slots slot="two words" root=/dev/vda6 upper=keep took=0.000s`},
		{func(r *Report) {
			r.Overlay.Lowers, r.Degraded = []string{"/top", "/run/initramfs/rootfs/@base/1"}, nil
		}, "OK layout=slots slot=A root=/dev/vda6 upper=keep took=0.123s"},
		{func(r *Report) { r.Overlay.Lowers, r.Degraded = []string{"/run/initramfs/rootfs2"}, nil },
			"OK layout=slots slot=A root=/run/initramfs/rootfs2 upper=keep took=0.123s"},
		{func(r *Report) { r.Source, r.Degraded = "root.img", nil },
			"OK layout=slots slot=A root=root.img upper=keep took=0.123s"},
		{func(r *Report) { *r = Report{Layout: `a"b`} }, `OK layout="a\"b" root="" took=0.000s`},
	} {
		r := full()
		c.change(&r)
		if got := r.OKLine(); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
	}
}

func TestFailedLine(t *testing.T) {
	got := FailedLine("disk", errors.New("cannot find \"rootfs-a\":\nnothing there"))
	if want := `FAILED step=disk error="cannot find \"rootfs-a\":\nnothing there"`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
