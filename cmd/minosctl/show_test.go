package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/slots"
)

var updateGolden = flag.Bool("update", false, "write the golden files anew")

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	if *updateGolden {
		if err := os.WriteFile(name, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s, written by -update, -want +got:\n%s", name, diff)
	}
}

// fits checks what a terminal is given: 80 columns, nothing that does not
// print.
func fits(t *testing.T, text string) {
	t.Helper()
	for line := range strings.SplitSeq(text, "\n") {
		if utf8.RuneCountInString(line) > lineWidth {
			t.Errorf("more than %d columns: %q", lineWidth, line)
		}
		for _, r := range line {
			if !strconv.IsPrint(r) {
				t.Errorf("%q does not print: %q", r, line)
			}
		}
	}
}

// shown is a device in a state, for the golden files of status and report.
type shown struct {
	name    string
	prepare func(testDevice)
}

var long = strings.Repeat("no disk with rootfs-b appeared, and none will; ", 8) + strings.Repeat("x", 120)

var shownDevices = []shown{
	{"good", func(d testDevice) {
		d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_GOOD=A")
	}},
	{"trial", func(d testDevice) {
		d.file("run/minos/boot.json", bootJSON("B", "what is written to / is lost at power-off: cannot mount the overlay partition: structure needs cleaning"))
		d.put(0, "BOOT_ORDER=B A", "BOOT_A_LEFT=3", "BOOT_B_LEFT=1", "BOOT_GOOD=A")
		d.leave(slots.Evidence{Slot: slots.B, Step: "rootfs-b", Error: "cannot mount the root filesystem of slot B: " + long, Boot: "01234567-89ab-cdef-0123-456789abcdef"})
	}},
	{"set up", func(d testDevice) {
		d.file("run/minos/boot.json", strings.Replace(bootJSON("A", ""), `"warnings":`, `"first_boot": ["partition 4 grown to 6.8 GiB", "machine-id made"], "warnings":`, 1))
		d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3")
	}},
	{"exhausted", func(d testDevice) {
		d.put(0, "BOOT_ORDER=A B", "BOOT_A_LEFT=0", "BOOT_B_LEFT=0", "BOOT_GOOD=B", "BOOT_EXHAUSTED=2")
		d.leave(slots.Evidence{Slot: slots.A, Step: "disk", Error: "cannot\n\x1b[31mfind the boot disk", Boot: "a"})
		d.leave(slots.Evidence{Slot: slots.B, Step: "init", Error: "cannot start slot B", Boot: "b"})
	}},
	{"shadow", func(d testDevice) {
		d.write(0, []byte("torn"))
		d.put(0x400000, "BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_GOOD=A")
	}},
	{"odd", func(d testDevice) {
		d.put(0, "BOOT_ORDER=\x1b[2J recovery A "+strings.Repeat("y", 300), "BOOT_A_LEFT=zz", "BOOT_B_LEFT=ffffffffffffffffffff")
	}},
	{"blank", func(testDevice) {}},
	{"no report", func(d testDevice) {
		d.remove("run/minos/boot.json")
		d.file("proc/cmdline", "rauc.slot=B\n")
		d.file("etc/fw_env.config", "/dev/vda9 0 0x4000\n")
		d.put(0, "BOOT_ORDER=B A", "BOOT_A_LEFT=0", "BOOT_B_LEFT=2")
	}},
}

// The tables are as the golden files show them, in 80 columns.
func TestShown(t *testing.T) {
	for _, s := range shownDevices {
		t.Run(s.name, func(t *testing.T) {
			d := newDevice(t)
			s.prepare(d)
			before := d.bytes("dev/vda9")
			text := d.ok("status") + "\n" + d.ok("report")
			text = strings.ReplaceAll(text, d.root, "")
			fits(t, text)
			golden(t, filepath.Join("testdata", strings.ReplaceAll(s.name, " ", "-")+".golden"), text)
			if !bytes.Equal(before, d.bytes("dev/vda9")) {
				t.Error("a reader has written")
			}
		})
	}
}

// The JSON says the same as the table, and every field is always there.
func TestStatusJSON(t *testing.T) {
	for _, s := range shownDevices {
		d := newDevice(t)
		s.prepare(d)
		decoder := json.NewDecoder(strings.NewReader(d.ok("status", "--json")))
		decoder.DisallowUnknownFields()
		var got status
		if err := decoder.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if got.Schema != 1 || len(got.Slots) != 2 || got.Next.Slot == "" || got.Warnings == nil || got.Order == nil {
			t.Errorf("%s: %+v", s.name, got)
		}
		if want := s.name == "trial"; want != (got.Running != nil && len(got.Running.Degraded) == 1) {
			t.Errorf("%s: running %+v", s.name, got.Running)
		}
		if want := map[string]string{"trial": "on trial", "good": "standby", "exhausted": "exhausted", "blank": "new"}[s.name]; want != "" && got.Slots[1].State != want {
			t.Errorf("%s: slot B is %q, want %q", s.name, got.Slots[1].State, want)
		}
	}
}

// The picture is well-formed, has a bar for each part of the boot, and the
// bars lie as their times do.
func TestSVG(t *testing.T) {
	d := newDevice(t)
	name := d.path("boot.svg")
	d.ok("report", "--svg", name)
	picture := d.bytes("boot.svg")
	if out := d.ok("report", "--svg", "-"); out != string(picture) {
		t.Error("standard output has another picture")
	}
	type bar struct{ x, width float64 }
	var bars []bar
	var texts []string
	decoder := xml.NewDecoder(bytes.NewReader(picture))
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, picture)
		}
		switch token := token.(type) {
		case xml.CharData:
			texts = append(texts, string(token))
		case xml.StartElement:
			attributes := map[string]string{}
			for _, a := range token.Attr {
				attributes[a.Name.Local] = a.Value
			}
			if token.Name.Local == "rect" && attributes["x"] != "" {
				x, err1 := strconv.ParseFloat(attributes["x"], 64)
				width, err2 := strconv.ParseFloat(attributes["width"], 64)
				if err1 != nil || err2 != nil {
					t.Fatalf("%v", attributes)
				}
				bars = append(bars, bar{x, width})
			}
		}
	}
	if len(bars) != 8 {
		t.Fatalf("%d bars for 8 marks", len(bars))
	}
	for i, b := range bars {
		if b.x < svgLeft || b.x+b.width > svgLeft+svgWidth+3 || b.width < 2 || i > 0 && b.x < bars[i-1].x {
			t.Errorf("bar %d: %+v after %+v", i, b, bars[max(i-1, 0)])
		}
	}
	if all := strings.Join(texts, ""); !strings.Contains(all, "step data <&>") || !strings.Contains(all, "800.3 ms from the start of init") {
		t.Errorf("the texts are %s", all)
	}
}

// A timeline can be anything.
func TestOddTimelines(t *testing.T) {
	for _, marks := range [][]mark{
		nil, {{"one", 5, 5}}, {{"backwards", 9, 3}}, {{"far", -1 << 62, 1 << 61}},
		{{"\x00\xff<]]>", 0, 1}, {strings.Repeat("long ", 50), 1, 2}},
	} {
		b := boot{Timeline: marks}
		fits(t, waterfall(marks))
		if err := xml.Unmarshal(svg(b), new(struct{ XMLName xml.Name })); err != nil {
			t.Errorf("%+v: %v", marks, err)
		}
	}
}
