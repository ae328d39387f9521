package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// The boots of the layout profiles. Each names the statements of the layouts'
// specification that its trace shows.
func profileScenarios() []scenario {
	parted := subvolumes{"@profiles/desk/upper": {}, "@profiles/desk/upper/root": {ID: 270}, "@profiles/desk/upper/work": {ID: 271}}
	return []scenario{
		{name: "profiles", cmdline: onProfiles + " flipper.profile=desk", disk: internal(), ends: toInit},                                                                                             // 4.6.1
		{name: "profiles-pinned", cmdline: onProfiles + " flipper.profile=desk", disk: internal("@profiles/desk/base=2.0\n"), ends: toInit},                                                           // 4.6.4
		{name: "profiles-unknown", cmdline: onProfiles + " flipper.profile=x minos.profile=desk", disk: internal(), ends: toInit},                                                                     // 4.6.5
		{name: "profiles-none", cmdline: onProfiles, disk: internal(), ends: toInit},                                                                                                                  // 4.6.5
		{name: "profiles-once", cmdline: onProfiles + " minos.profile=desk", disk: internal("@profiles/next=router\n"), ends: toInit},                                                                 // 4.3
		{name: "profiles-no-dirs", cmdline: onProfiles + " flipper.profile=desk", disk: dropped(internal("@profiles/desk/upper/"), "@profiles/desk/upper/r", "@profiles/desk/upper/w"), ends: toInit}, // 4.5
		{name: "profiles-parted", cmdline: onProfiles + " flipper.profile=desk", disk: changed(internal(), parted), ends: toInit},                                                                     // 4.6.11
		{name: "profiles-read-only", cmdline: onProfiles + " flipper.profile=desk", ends: toInit, // 4.6.15
			disk: changed(internal(), subvolumes{"@profiles/desk/upper": {ID: 258, ReadOnly: true}})},
		{name: "profiles-card", cmdline: onProfiles + " flipper.profile=sd:desk", disk: internal(), second: sdCard(), ends: toInit}, // 4.6.16
		{name: "profiles-no-data", cmdline: onProfiles + " flipper.profile=desk", disk: dropped(internal(), "@data/"), ends: toInit},
		{name: "profiles-mounted-read-only", cmdline: onProfiles + " flipper.profile=desk", disk: internal(), ends: toInit,
			break_: func(k *systest.Kernel) { k.FailTimes("mount btrfs", 1, unix.EROFS) }},
		{name: "profiles-no-base", cmdline: onProfiles + " flipper.profile=desk", ends: "reboot", // 4.6.10
			disk: changed(internal(), subvolumes{"@base/1.0": {}, "@base/2.0": {ID: 257}})},
	}
}

// Layouts 4.6, statement 1.
func TestStatement4_6_1_BaseProfileAndData(t *testing.T) {
	k := bootProfiles(t, "flipper.profile=desk", internal())
	r := reportOf(t, k)
	if !slices.Equal(r.Overlay.Lowers, []string{topLevel + "/@base/1.0"}) || r.Overlay.Upper != topLevel+"/@profiles/desk/upper/root" || r.Degraded || len(r.Warnings) > 0 {
		t.Errorf("boot.json: %+v", r)
	}
	if !strings.Contains(k.Trace(), "mount btrfs /dev/mmcblk0p2 "+topLevel+" rw,noatime,subvolid=5,commit=120\n") {
		t.Errorf("the options:\n%s", k.Trace())
	}
	if readFile(k, "/etc/version") != "1.0" || readFile(k, "/etc/whose") != "desk" || readFile(k, "/data/shared") != "yes" {
		t.Errorf("the root is wrong:\n%s", k.Trace())
	}
	k = bootProfiles(t, "flipper.profile=desk minos.profiles-data=/srv/all", internal())
	if readFile(k, "/srv/all/shared") != "yes" || k.MountedAt("/data") != "" {
		t.Errorf("@data is not where it was asked for:\n%s", k.Trace())
	}
	k = bootProfiles(t, "flipper.profile=desk minos.profiles-data=none", internal())
	if r := reportOf(t, k); k.MountedAt("/data") != "" || r.Degraded {
		t.Errorf("@data is somewhere:\n%s", k.Trace())
	}
}

// Layouts 4.6, statement 2.
func TestStatement4_6_2_ProfilesApart(t *testing.T) {
	next := func(k *systest.Kernel, id string) *systest.Kernel {
		return bootProfiles(t, "flipper.profile="+id, cutOff(k)...)
	}
	k := bootProfiles(t, "flipper.profile=desk", internal())
	for file, content := range map[string]string{"/etc/x": "of desk", "/data/y": "of all"} {
		if err := k.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	k = next(k, "router")
	if readFile(k, "/etc/x") == "of desk" || readFile(k, "/data/y") != "of all" || readFile(k, "/etc/whose") != "router" {
		t.Errorf("in router:\n%s", k.Trace())
	}
	k = next(k, "desk")
	if readFile(k, "/etc/x") != "of desk" || readFile(k, "/data/y") != "of all" {
		t.Errorf("in desk again:\n%s", k.Trace())
	}
}

// Layouts 4.6, statement 3: nothing is written to a base, nor to any profile but
// the one that runs.
func TestStatement4_6_3_BaseStays(t *testing.T) {
	before := bootProfiles(t, "flipper.profile=none", internal()).Files(topLevel + "/@base")
	k := bootProfiles(t, "flipper.profile=desk", internal())
	if after := k.Files(topLevel + "/@base"); len(before) < 10 || !slices.Equal(before, after) {
		t.Errorf("the base was %q and is %q", before, after)
	}
	for line := range strings.Lines(k.Trace()) {
		for _, write := range []string{"write ", "mkdir ", "remove ", "rename ", "symlink "} {
			if strings.HasPrefix(line, write+topLevel) && line != write+topLevel+"\n" && !strings.Contains(line, "@profiles/desk/upper/root/run") {
				t.Errorf("a boot has no business to do: %s", line)
			}
		}
	}
}

// Layouts 4.6, statement 4.
func TestStatement4_6_4_WhichBase(t *testing.T) {
	pinned := func(version string, more ...string) *systest.Disk {
		return internal(append(more, "@profiles/desk/base="+version+"\n")...)
	}
	ten := changed(dropped(internal(append(base("1.9"), base("1.10")...)...), "@base/current", "@base/1.0/", "@base/2.0/"),
		subvolumes{"@base/1.9": {ID: 280, ReadOnly: true}, "@base/1.10": {ID: 281, ReadOnly: true}})
	for name, c := range map[string]struct {
		words string
		disk  *systest.Disk
		want  string
	}{
		"the command line beats the pin": {"flipper.base=2.0", pinned("1.0"), "desk by flipper.profile over 2.0 by flipper.base, keep"},
		"the pin beats current":          {"", pinned("2.0"), "desk by flipper.profile over 2.0 by pin, keep"},
		"current beats the highest":      {"", internal(), "desk by flipper.profile over 1.0 by current, keep"},
		"the highest, by numbers":        {"", ten, "desk by flipper.profile over 1.10 by highest, keep"},
	} {
		k := bootProfiles(t, "flipper.profile=desk "+c.words, c.disk)
		if got := reportOf(t, k).summary(); got != c.want || !strings.Contains(got, " over "+readFile(k, "/etc/version")+" ") {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Layouts 4.6, statement 5.
func TestStatement4_6_5_WhichProfile(t *testing.T) {
	one := func() *systest.Disk { return dropped(internal(), "@profiles/router/") }
	for name, c := range map[string]struct {
		words string
		disk  *systest.Disk
		want  string
		said  string
	}{
		"unknown, with a default": {"flipper.profile=x minos.profile=desk", internal(), "desk by minos.profile over 1.0 by current, keep, degraded",
			`another profile is started than was asked for, ignoring: cannot find the profile: "x" was asked for: there is no such profile; desk is started`},
		"unknown, without": {"flipper.profile=x", one(), "none by default over 1.0 by current, volatile, degraded",
			`"x" was asked for: there is no such profile; no other was asked for`},
		"invalid":     {"flipper.profile=../@data minos.profile=desk", internal(), "desk by minos.profile over 1.0 by current, keep, degraded", `"../@data" is no name`},
		"empty":       {"flipper.profile= minos.profile=desk", internal(), "desk by minos.profile over 1.0 by current, keep, degraded", `"" was asked for: "" is no name`},
		"the only":    {"", one(), "desk by default over 1.0 by current, keep", "profile desk: it is the only one"},
		"of two":      {"", internal(), "none by default over 1.0 by current, volatile, degraded", "nobody has named one of the 2 there are"},
		"none wanted": {"flipper.profile=none", internal(), "none by flipper.profile over 1.0 by current, volatile", "profile none: the command line names it"},
		"without upper": {"flipper.profile=desk minos.profile=router", dropped(internal(), "@profiles/desk/upper/"), "router by minos.profile over 1.0 by current, keep, degraded",
			"there is no such profile"},
		"volatile": {"flipper.profile=desk minos.overlay=volatile", internal("@profiles/desk/base=2.0"), "desk by flipper.profile over 2.0 by pin, volatile", "profile desk"},
		"reset": {"flipper.profile=desk minos.overlay=reset", internal(), "desk by flipper.profile over 1.0 by current, keep",
			"no boot throws a profile away, minosctl profile reset does, ignoring: minos.overlay=reset"},
	} {
		k := bootProfiles(t, c.words, c.disk)
		r := reportOf(t, k)
		if got := r.summary(); got != c.want || !strings.Contains(k.Trace(), c.said) {
			t.Errorf("%s: %s, want %s with %s:\n%s", name, got, c.want, c.said, k.Trace())
		}
		if strings.HasPrefix(name, "unknown") && (len(r.Choice.Rejected) != 1 || r.Choice.Rejected[0].Value != "x") {
			t.Errorf("%s: boot.json does not name what was asked for: %+v", name, r.Choice)
		}
		if shows := readFile(k, "/etc/whose") == r.Choice.Value; shows != (r.Overlay.Durability == "keep") {
			t.Errorf("%s: the files of %s show: %v", name, r.Choice.Value, shows)
		}
	}
}

// Layouts 4.6, statement 6.
func TestStatement4_6_6_BaseMissing(t *testing.T) {
	k := bootProfiles(t, "flipper.profile=desk", dropped(internal("@base/current->2.0", "@profiles/desk/base=1.0"), "@base/1.0/", "@base/current->1.0"))
	if r := reportOf(t, k); r.summary() != "desk by flipper.profile over 2.0 by current, keep, degraded" ||
		!slices.Contains(r.DegradedReasons, `another base is booted than was asked for: cannot find the base: "1.0" was asked for: there is no such base; 2.0 is booted`) {
		t.Errorf("the pin is missing: %+v", r)
	}
	k = bootProfiles(t, "flipper.profile=desk", dropped(internal("@base/current->3.0"), "@base/current->1.0"))
	if r := reportOf(t, k); r.summary() != "desk by flipper.profile over 2.0 by highest, keep, degraded" || r.Base.Rejected[0].Value != "3.0" {
		t.Errorf("current leads nowhere: %+v", r)
	}
}

// Layouts 4.6, statement 10: what was not received to its end is not booted.
func TestStatement4_6_10_HalfABase(t *testing.T) {
	received := append(base("3.0"), base(".tmp-4.0")...)
	d := changed(dropped(internal(received...), "@base/current"), subvolumes{"@base/3.0": {ID: 290}, "@base/.tmp-4.0": {ID: 291, ReadOnly: true}})
	k := bootProfiles(t, "flipper.profile=desk", d)
	if r := reportOf(t, k); r.summary() != "desk by flipper.profile over 2.0 by highest, keep" || r.Base.Rejected[0].Value != "3.0" {
		t.Errorf("boot.json: %+v", r)
	}
	k = bootProfiles(t, "flipper.profile=desk flipper.base=3.0", d)
	if r := reportOf(t, k); r.summary() != "desk by flipper.profile over 2.0 by highest, keep, degraded" {
		t.Errorf("asked for by name: %+v", r)
	}
	k = failsOnProfiles(t, "flipper.profile=desk", changed(dropped(internal(), "@base/2.0/"), subvolumes{"@base/1.0": {ID: 256}}))
	if !strings.Contains(k.Trace(), "there is no base in @base; 1.0: it is not read-only, so it was not received to its end, or is being changed") {
		t.Errorf("what was wrong is not said:\n%s", k.Trace())
	}
}

// Layouts 4.6, statements 11 and 15: what cannot be written to is found out, also
// where it has been used before, and is not handed over.
func TestStatement4_6_11_And15_WhatFailsAtWrites(t *testing.T) {
	parted := subvolumes{"@profiles/desk/upper": {}, "@profiles/desk/upper/root": {ID: 270}, "@profiles/desk/upper/work": {ID: 271}}
	for name, d := range map[string]*systest.Disk{
		"parted":                  changed(internal(), parted),
		"parted, with a run":      changed(internal("@profiles/desk/upper/root/run/stray=x"), parted),
		"read-only":               changed(internal(), subvolumes{"@profiles/desk/upper": {ID: 258, ReadOnly: true}}),
		"read-only, and not used": changed(dropped(internal("@profiles/desk/upper/root/", "@profiles/desk/upper/work/"), "@profiles/desk/upper/"), subvolumes{"@profiles/desk/upper": {ID: 258, ReadOnly: true}}),
	} {
		k := bootProfiles(t, "flipper.profile=desk", d)
		r := reportOf(t, k)
		if r.summary() != "none by default over 1.0 by current, volatile, degraded" || r.Overlay.Subvolume != 0 {
			t.Errorf("%s: %s, %+v:\n%s", name, r.summary(), r, k.Trace())
		}
	}
	// A profile with files in its run is as good as any.
	k := bootProfiles(t, "flipper.profile=desk", internal("@profiles/desk/upper/root/run/stray=x"))
	if r := reportOf(t, k); r.summary() != "desk by flipper.profile over 1.0 by current, keep" || !slices.Contains(k.Files(topLevel+"/@profiles/desk/upper/root/run"), "stray=x") {
		t.Errorf("%+v", r)
	}
}

// Layouts 4.6, statement 12: the option is there either way.
func TestStatement4_6_12_RedirectDir(t *testing.T) {
	for words, want := range map[string]string{"": "redirect_dir=off", "minos.redirect-dir=off": "redirect_dir=off", "minos.redirect-dir=on": "redirect_dir=on"} {
		r := reportOf(t, bootProfiles(t, "flipper.profile=desk "+words, internal()))
		for _, option := range []string{want, "index=off", "metacopy=off", "xino=off"} {
			if !slices.Contains(r.Overlay.Options, option) {
				t.Errorf("%q: %q lacks %s", words, r.Overlay.Options, option)
			}
		}
	}
}

// Layouts 4.6, statement 16.
func TestStatement4_6_16_Card(t *testing.T) {
	for name, c := range map[string]struct {
		words string
		disks []*systest.Disk
		want  string
		card  bool
	}{
		"internal wins":      {"flipper.profile=desk", []*systest.Disk{internal(), sdCard()}, "desk by flipper.profile over 1.0 by current, keep", false},
		"the card's":         {"flipper.profile=sd:desk", []*systest.Disk{internal(), sdCard()}, "sd:desk by flipper.profile over 1.0 by current, keep", true},
		"only on the card":   {"flipper.profile=lab", []*systest.Disk{internal(), sdCard()}, "sd:lab by flipper.profile over 1.0 by current, keep", true},
		"pinned on the card": {"flipper.profile=sd:lab", []*systest.Disk{internal(), sdCard("@profiles/lab/base=2.0")}, "sd:lab by flipper.profile over 2.0 by pin, keep", true},
		"no card":            {"flipper.profile=sd:desk minos.profile=router", []*systest.Disk{internal()}, "router by minos.profile over 1.0 by current, keep, degraded", false},
		"other labels":       {"flipper.profile=sd:desk minos.profiles-label=os,my-card", []*systest.Disk{labelled(internal(), "os"), labelled(sdCard(), "my-card")}, "sd:desk by flipper.profile over 1.0 by current, keep", true},
		"one label":          {"flipper.profile=lab minos.profile=desk minos.profiles-label=flipperos", []*systest.Disk{internal(), sdCard()}, "desk by minos.profile over 1.0 by current, keep, degraded", false},
		"by number":          {"flipper.profile=desk minos.part.profiles=2", []*systest.Disk{labelled(internal(), "x")}, "desk by flipper.profile over 1.0 by current, keep", false},
	} {
		k := bootProfiles(t, c.words, c.disks...)
		r := reportOf(t, k)
		if got := r.summary(); got != c.want || (k.MountedAt("/run/initramfs/profiles-sd") != "") != c.card {
			t.Errorf("%s: %s, want %s:\n%s", name, got, c.want, k.Trace())
		}
		if readFile(k, "/data/shared") != "yes" {
			t.Errorf("%s: @data is not the device's own", name)
		}
	}
	own := with(sdCard(), 2, append(sdCard().Parts[1].Files, append(base("9"), "@base/current->9")...)...)
	k := bootProfiles(t, "flipper.profile=sd:lab", internal(), changed(own, subvolumes{"@base/9": {ID: 310, ReadOnly: true}}))
	if got := reportOf(t, k).summary(); got != "sd:lab by flipper.profile over 9 by current, keep" || readFile(k, "/etc/version") != "9" {
		t.Errorf("a card with a base of its own: %s", got)
	}
}

func labelled(d *systest.Disk, label string) *systest.Disk {
	d.Parts[1].Label = label
	return d
}

// Layouts 4.6, statement 17.
func TestStatement4_6_17_BootJSON(t *testing.T) {
	k := bootProfiles(t, "flipper.profile=desk", internal())
	r := reportOf(t, k)
	if r.Choice.Value != "desk" || r.Base.Value != "1.0" || r.Overlay.Subvolume != 258 || r.Overlay.Upper != topLevel+"/@profiles/desk/upper/root" {
		t.Errorf("boot.json: %+v", r)
	}
	if !strings.Contains(k.Trace(), "OK layout=profiles profile=desk root=@base/1.0 upper=keep took=") {
		t.Errorf("the last line:\n%s", k.Trace())
	}
}

// Layouts 4.3: the profile that was asked for once is started once, whatever
// comes of it.
func TestNextProfile(t *testing.T) {
	for name, c := range map[string]struct {
		words, next string
		want, after string
		forgotten   bool
	}{
		"once":             {"minos.profile=desk", "router", "router by next over 1.0 by current, keep", "desk by minos.profile over 1.0 by current, keep", true},
		"unknown":          {"minos.profile=desk", "x", "desk by minos.profile over 1.0 by current, keep, degraded", "desk by minos.profile over 1.0 by current, keep", true},
		"the command line": {"flipper.profile=desk", "router", "desk by flipper.profile over 1.0 by current, keep", "desk by flipper.profile over 1.0 by current, keep", false},
	} {
		k := bootProfiles(t, c.words, internal("@profiles/next="+c.next+"\n"))
		if got := reportOf(t, k).summary(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if gone := !slices.Contains(k.Files(topLevel+"/@profiles"), "next="+c.next+"\n"); gone != c.forgotten {
			t.Errorf("%s: forgotten %v, want %v", name, gone, c.forgotten)
		}
		if got := reportOf(t, bootProfiles(t, c.words, cutOff(k)...)).summary(); got != c.after {
			t.Errorf("%s, the boot after it: %s, want %s", name, got, c.after)
		}
	}
	k := bootProfilesWith(t, "minos.profile=desk", func(k *systest.Kernel) { k.Fail("remove "+topLevel+"/@profiles/next", unix.EIO) }, internal("@profiles/next=router\n"))
	if r := reportOf(t, k); r.summary() != "router by next over 1.0 by current, keep, degraded" || !strings.Contains(r.DegradedReasons[0], "the profile of this boot is that of the next one too") {
		t.Errorf("it cannot be forgotten: %+v", r)
	}
}

// A base for another kernel is told of.
func TestBaseWithoutModules(t *testing.T) {
	for name, c := range map[string]struct {
		disk *systest.Disk
		want string
	}{
		"of another": {dropped(internal("@base/1.0/usr/lib/modules/5.0/"), "@base/1.0/usr/lib/modules/6"), "the base 1.0 has no modules for the running kernel 6.12.0-test, ignoring: it has those of 5.0"},
		"none":       {dropped(internal(), "@base/1.0/usr/lib/modules/"), "the base 1.0 has no modules for the running kernel 6.12.0-test, ignoring: it has none at all"},
	} {
		if r := reportOf(t, bootProfiles(t, "flipper.profile=desk", c.disk)); r.Degraded || !slices.Equal(r.Warnings, []string{c.want}) {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

// Each mount and each look that fails leads to a system, or to a restart with
// nothing left mounted.
func TestProfilesFailures(t *testing.T) {
	const volatile = "none by default over 1.0 by current, volatile, degraded"
	for fail, want := range map[string]string{
		"mount overlay":                          "reboot",
		"bind " + topLevel:                       "desk by flipper.profile over 1.0 by current, keep, degraded",
		"move /mnt/data":                         "desk by flipper.profile over 1.0 by current, keep, degraded",
		"write /sysroot/run/.minos-probe":        "reboot", // memory fails too
		"remove " + topLevel + "/@profiles/desk": "desk by flipper.profile over 1.0 by current, keep",
	} {
		k := bootProfilesWith(t, "flipper.profile=desk", func(k *systest.Kernel) { k.Fail(fail, unix.EIO) }, internal())
		if want == "reboot" {
			if k.Ended() != want || k.MountedAt(topLevel) != "" {
				t.Errorf("%s: it ended with %q:\n%s", fail, k.Ended(), k.Trace())
			}
			continue
		}
		if got := reportOf(t, k).summary(); got != want {
			t.Errorf("%s: %s, want %s:\n%s", fail, got, want, k.Trace())
		}
	}
	for _, once := range []string{"mount overlay", "write /sysroot/run/.minos-probe"} {
		k := bootProfilesWith(t, "flipper.profile=desk", func(k *systest.Kernel) { k.FailTimes(once, 1, unix.ENOSPC) }, internal())
		if got := reportOf(t, k).summary(); got != volatile {
			t.Errorf("%s: %s, want %s", once, got, volatile)
		}
	}
	k := failsOnProfiles(t, "", labelled(internal(), "other"))
	if !strings.Contains(k.Trace(), "no disk with profiles (GPT name profiles, else label flipperos) appeared within") {
		t.Errorf("what is missing is not said:\n%s", k.Trace())
	}
	k = failsOnProfiles(t, "minos.part.profiles=1", internal())
	if !strings.Contains(k.Trace(), "holds vfat; it has to hold btrfs") {
		t.Errorf("what is wrong is not said:\n%s", k.Trace())
	}
}

// Power cut at every call, with each loss that a disk may have: the next boot
// comes up whole, with what was written and synced.
func TestProfilesPowerCutAtEveryCall(t *testing.T) {
	for name, c := range map[string]struct {
		words string
		disk  func() *systest.Disk
		want  []string
	}{
		"settled": {"flipper.profile=desk", func() *systest.Disk { return internal() }, []string{"desk by flipper.profile"}},
		"new": {"flipper.profile=desk", func() *systest.Disk {
			return dropped(internal("@profiles/desk/upper/"), "@profiles/desk/upper/r", "@profiles/desk/upper/w")
		}, []string{"desk by flipper.profile"}},
		"once": {"minos.profile=desk", func() *systest.Disk { return internal("@profiles/next=router\n") }, []string{"desk by minos.profile", "router by next"}},
	} {
		effects := strings.Count(bootProfiles(t, c.words, c.disk()).Trace(), "\n")
		for cut := range effects + 1 {
			for variant := 0; ; variant++ {
				k := bootProfilesWith(t, c.words, func(k *systest.Kernel) { k.CutAfter(cut) }, c.disk())
				keep, last := losses(variant, k.Unsynced())
				after := bootProfiles(t, c.words, k.CutPower(keep)...)
				got := reportOf(t, after).summary()
				if !slices.ContainsFunc(c.want, func(w string) bool { return got == w+" over 1.0 by current, keep" }) || readFile(after, "/data/shared") != "yes" {
					t.Fatalf("%s: cut after %d of %d effects, loss %d: %s", name, cut, effects, variant, got)
				}
				if name == "settled" && readFile(after, "/etc/whose") != "desk" {
					t.Fatalf("%s: cut after %d: the profile lost something", name, cut)
				}
				if last {
					break
				}
			}
		}
	}
}
