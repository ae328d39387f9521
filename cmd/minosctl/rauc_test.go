package main

import (
	"bytes"
	"strings"
	"testing"
)

// What RAUC's custom backend has to answer.
func TestRauc(t *testing.T) {
	d := newDevice(t)
	d.put(0, "BOOT_ORDER=B A", "BOOT_A_LEFT=1", "BOOT_B_LEFT=0")
	for _, c := range []struct{ args, want string }{
		{"get-current", "A\n"},
		{"get-primary", "A\n"},
		{"get-state A", "good\n"},
		{"get-state B", "bad\n"},
		{"set-primary B", ""},
		{"get-primary", "B\n"},
		{"get-state B", "good\n"},
		{"set-state B bad", ""},
		{"get-state B", "bad\n"},
		{"set-state A bad", ""},
		{"get-primary", "A\n"}, // nothing is left, and A is what would start
		{"set-state A good", ""},
		{"get-state A", "good\n"},
	} {
		if got := d.ok(append([]string{raucVerb}, strings.Fields(c.args)...)...); got != c.want {
			t.Errorf("%s: %q, want %q", c.args, got, c.want)
		}
	}
	if got := d.at(0); got != "BOOT_ORDER=A BOOT_A_LEFT=3 BOOT_B_LEFT=0 BOOT_GOOD=A" {
		t.Error(got)
	}
	// By the name of a link, as RAUC calls it.
	var out, errs bytes.Buffer
	if status := run(host{root: d.root}, []string{"/usr/lib/minos/rauc-backend", "get-current"}, &out, &errs); status != 0 || out.String() != "A\n" {
		t.Errorf("%d %q %q", status, out.String(), errs.String())
	}
	// Without a report the bootloader's word counts; without that there is no answer.
	d.remove("run/minos/boot.json")
	d.file("proc/cmdline", "quiet rauc.slot=A rauc.slot=B\n")
	if got := d.ok(raucVerb, "get-current"); got != "B\n" {
		t.Errorf("by the command line: %q", got)
	}
	d.file("proc/cmdline", "quiet\n")
	if status, out, _ := d.run(raucVerb, "get-current"); status != statusFailed || out != "" {
		t.Errorf("by nothing: %d %q", status, out)
	}
}
