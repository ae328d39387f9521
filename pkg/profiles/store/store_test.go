package store

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/minos-os/minos-init/pkg/btrfs"
	"github.com/minos-os/minos-init/pkg/profiles"
)

// Layouts 4.6, statement 3: whatever a profile does, the generation of its base
// stays.
func TestStatement4_6_3_TheBaseStays(t *testing.T) {
	w := newWorld(t)
	generation := func() uint64 {
		info, err := btrfs.Stat(w.Path("@base/1.0"))
		w.ok(err)
		return info.Generation
	}
	before := generation()
	root := w.stack("desk")
	w.ok(os.WriteFile(root+"/etc/of-base", []byte("mine"), 0o644), os.Remove(root+"/usr/bin/tool"), os.Mkdir(root+"/usr/new", 0o755))
	s := w.store()
	s.Use.Profiles = []profiles.ID{"desk"}
	_, err := s.Snapshot("desk", "", 0)
	w.ok(err, s.Clone("desk", "desk2", ""))
	_, err = s.Rollback("desk", "t1")
	w.ok(err, btrfs.Sync(w.Top))
	if now := generation(); now != before {
		t.Errorf("the base has generation %d, and had %d", now, before)
	}
	w.ok(btrfs.Create(w.Path("probe")))
	if info, err := btrfs.Stat(w.Path("probe")); err != nil || info.Generation <= before {
		t.Errorf("generations do not count here: %+v, %v", info, err)
	}
}

// Layouts 4.6, statement 7: a clone mounts, has the content of its source, is
// apart from it from then on, and has no machine-id yet.
func TestStatement4_6_7_Clone(t *testing.T) {
	w := newWorld(t)
	source := w.stack("desk")
	w.ok(os.MkdirAll(source+"/var/lib/dbus", 0o755), os.WriteFile(source+"/var/lib/dbus/machine-id", []byte(someID), 0o644),
		os.MkdirAll(source+"/var/lib/systemd", 0o755), os.WriteFile(source+"/var/lib/systemd/random-seed", []byte("seed"), 0o600),
		os.WriteFile(source+"/etc/of-base", []byte("desk's"), 0o644), os.Remove(source+"/usr/bin/tool"))
	s := w.store()
	s.Use.Profiles = []profiles.ID{"desk"}
	w.ok(s.Clone("desk", "desk2", "Second"))
	clone := w.stack("desk2")
	read := func(name string) string {
		data, err := os.ReadFile(name)
		w.ok(err)
		return string(data)
	}
	if got := read(clone+"/etc/of-base") + read(clone+"/etc/x") + read(clone+"/etc/machine-id"); got != "desk's3" {
		t.Errorf("the clone has %q", got)
	}
	if _, err := os.Stat(clone + "/usr/bin/tool"); !os.IsNotExist(err) {
		t.Errorf("what was deleted in the source: %v", err)
	}
	if target, err := os.Readlink(clone + "/var/lib/dbus/machine-id"); target != "/etc/machine-id" {
		t.Errorf("the machine-id of D-Bus: %q, %v", target, err)
	}
	if _, err := os.Stat(clone + "/var/lib/systemd/random-seed"); !os.IsNotExist(err) {
		t.Errorf("the random seed: %v", err)
	}
	if got := read(source + "/etc/machine-id"); got != someID {
		t.Errorf("the source has the machine-id %q", got)
	}
	w.ok(os.WriteFile(clone+"/etc/x", []byte("clone"), 0o644), os.WriteFile(source+"/etc/y", []byte("source"), 0o644))
	if _, err := os.Stat(clone + "/etc/y"); !os.IsNotExist(err) || read(source+"/etc/x") != "3" {
		t.Errorf("source and clone share what is written later: %v", err)
	}
	p, err := s.Profile("desk2")
	w.ok(err)
	if m := p.Metadata; m.Origin != "clone of desk" || m.Name != "Second" || m.Base != "1.0" || !m.Created.Equal(w.now) || len(p.Snapshots) != 0 || len(p.Faults) != 0 {
		t.Errorf("%+v", p)
	}
}

// A machine-id that is none yet stays what it is, and one of a base is hidden.
func TestMachineIDs(t *testing.T) {
	w := newWorld(t)
	w.ok(btrfs.Create(w.Path("src")))
	w.Write("src/etc/machine-id", someID)
	w.ok(os.Chmod(w.Path("src/etc"), 0o711), btrfs.Snapshot(w.Path("src"), w.Path("@base/4.0"), true))
	s := w.store()
	w.ok(s.Create("lab", Fresh{Pin: "4.0"}), s.Clone("lab", "lab2", ""), s.Clone("router", "router2", ""))
	for name, want := range map[string]string{"lab": "uninitialized\n", "lab2": "uninitialized\n", "router2": "(none)"} {
		if got := w.Read("@profiles/" + name + "/upper/root/etc/machine-id"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if info, err := os.Stat(w.Path("@profiles/lab/upper/root/etc")); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("/etc of the profile is not like that of the base: %v %v", info, err)
	}
	// A link of the profile's leads nowhere in this system.
	victim := w.TempDir() + "/machine-id"
	w.ok(os.WriteFile(victim, []byte(someID), 0o644), os.RemoveAll(w.Path("@profiles/desk/upper/root/etc")),
		os.Symlink(strings.TrimSuffix(victim, "/machine-id"), w.Path("@profiles/desk/upper/root/etc")))
	err := s.Clone("desk", "trap", "")
	if data, _ := os.ReadFile(victim); string(data) != someID || err == nil {
		t.Errorf("a link out of the profile was followed: %q, %v", data, err)
	}
}

// Layouts 4.6, statement 8: a reset gives the shipped upper, and touches no data.
func TestStatement4_6_8_Reset(t *testing.T) {
	w := newWorld(t)
	s := w.store()
	later, err := s.Reset("desk", false)
	w.ok(err)
	var upper, pristine strings.Builder
	w.tree(&upper, "@profiles/desk/upper")
	w.tree(&pristine, "@pristine/desk")
	if diff := cmp.Diff(strings.ReplaceAll(pristine.String(), "@pristine/desk", "@profiles/desk/upper"), upper.String()); diff != "" || later {
		t.Errorf("later %v, %s", later, diff)
	}
	if got := w.Read("@data/shared"); got != "everybody's" {
		t.Errorf("@data has %q", got)
	}
	p, err := s.Profile("desk")
	w.ok(err)
	if p.Metadata.Name != "Desk" || p.Metadata.Origin != "pristine" || len(p.Snapshots) != 0 {
		t.Errorf("%+v", p)
	}
	if _, err := s.Reset("router", false); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "--empty") {
		t.Errorf("a profile that was never shipped: %v", err)
	}
	_, err = s.Reset("router", true)
	w.ok(err)
	if p, err := s.Profile("router"); err != nil || p.Pin.Value != "1.0" {
		t.Errorf("the pin is gone: %+v, %v", p, err)
	}
}

// Layouts 4.6, statement 9: a rollback to t1 gives t1, and t2 is still there.
func TestStatement4_6_9_Rollback(t *testing.T) {
	w := newWorld(t)
	s := w.store()
	x := func() string { return w.Read("@profiles/desk/upper/root/etc/x") }
	tags := func() (all []string) {
		p, err := s.Profile("desk")
		w.ok(err)
		for _, t := range p.Snapshots {
			all = append(all, string(t.Tag))
		}
		return all
	}
	r, err := s.Rollback("desk", "t1")
	w.ok(err)
	if got := x(); got != "1" || r.Back != "t1" || r.Later {
		t.Errorf("x is %s, %+v", got, r)
	}
	want := []string{"t1", "t2", "undone-20261121T180000Z"}
	if diff := cmp.Diff(want, tags()); diff != "" {
		t.Error(diff)
	}
	// What was undone can be had back.
	_, err = s.Rollback("desk", r.Undone)
	if w.ok(err); x() != "3" {
		t.Errorf("x is %s", x())
	}
	if _, err := s.Rollback("desk", "t9"); err == nil || x() != "3" {
		t.Errorf("a tag that is not there: %v", err)
	}
}

// Without a tag each rollback goes one change further back, and never forward.
func TestRollbackGoesBackOnly(t *testing.T) {
	w := newWorld(t)
	s := w.store()
	var went []string
	roll := func() {
		t.Helper()
		w.now = w.now.Add(time.Second)
		r, err := s.Rollback("desk", "")
		if err != nil {
			went = append(went, "nothing")
			return
		}
		went = append(went, string(r.Back)+"="+w.Read("@profiles/desk/upper/root/etc/x"))
	}
	roll()
	roll()
	roll()
	w.Write("@profiles/desk/upper/root/etc/x", "new")
	_, err := s.Snapshot("desk", "t3", 0)
	w.ok(err)
	w.Write("@profiles/desk/upper/root/etc/x", "newer")
	roll()
	roll()
	if diff := cmp.Diff([]string{"t2=2", "t1=1", "nothing", "t3=new", "t2=2"}, went); diff != "" {
		t.Error(diff)
	}
	p, err := s.Profile("desk")
	w.ok(err)
	if n := len(slices.DeleteFunc(p.Snapshots, func(t Snapshot) bool { return !automatic(t.Tag, undonePrefix) })); n != Undone {
		t.Errorf("%d undone uppers are kept, want %d", n, Undone)
	}
}

// A change of the running profile is for the next boot: until then the running
// system has what it had, and what would be made of it would not be what is meant.
func TestRunningProfileChangesAtTheNextBoot(t *testing.T) {
	w := newWorld(t)
	w.use = Use{Profiles: []profiles.ID{"desk"}, Bases: []profiles.Version{"1.0"}}
	root, s := w.stack("desk"), w.store()
	r, err := s.Rollback("desk", "")
	w.ok(err)
	if !r.Later {
		t.Error("it does not say that it takes effect later")
	}
	w.ok(s.SetCurrent("2.0"), s.SetCurrent("1.0"))
	kept := w.temps()
	if len(kept) != 1 || !strings.Contains(kept[0], "kept-first-") || w.Read(kept[0]+"/root/etc/x") != "3" {
		t.Fatalf("what runs is not kept: %q", kept)
	}
	w.ok(os.WriteFile(root+"/etc/x", []byte("still running"), 0o644), os.WriteFile(root+"/usr/bin/tool", nil, 0o755), os.WriteFile(root+"/new", nil, 0o644))
	if got := w.Read("@profiles/desk/upper/root/etc/x"); got != "2" {
		t.Errorf("the next boot gets x=%s", got)
	}
	for what, err := range map[string]error{
		"snapshot": second(s.Snapshot("desk", "", 0)),
		"clone":    s.Clone("desk", "desk2", ""),
		"delete":   s.Delete("desk"),
	} {
		if !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = s.Rollback("desk", "t1")
	later, err2 := s.Reset("desk", false)
	w.ok(err, err2)
	if !later || len(w.temps()) != 1 {
		t.Errorf("later %v; kept: %q", later, w.temps())
	}
	w.ok(os.WriteFile(root+"/etc/x", []byte("running on"), 0o644))
	// The next boot, and the next verb.
	w.Unstack(root)
	w.boot, w.use = "second", Use{}
	w.ok(w.store().SetCurrent("1.0"))
	if got := w.temps(); len(got) != 0 || w.Read("@profiles/desk/upper/root/etc/shipped") != "pristine" {
		t.Errorf("left: %q", got)
	}
}

func second[A any](_ A, err error) error { return err }

// Snapshots without a name are numbered when the clock stands still, and only the
// last ones stay; what a person has named stays.
func TestSnapshotKeeps(t *testing.T) {
	w := newWorld(t)
	s := w.store()
	var made []string
	for range 4 {
		tag, err := s.Snapshot("desk", "", 2)
		w.ok(err)
		made = append(made, string(tag))
	}
	p, err := s.Profile("desk")
	w.ok(err)
	var left []string
	for _, t := range p.Snapshots {
		left = append(left, string(t.Tag))
	}
	if diff := cmp.Diff(append([]string{"t1", "t2"}, made[2:]...), left); diff != "" {
		t.Error(diff)
	}
	if _, err := s.Snapshot("desk", "t1", 0); !errors.Is(err, ErrRefused) {
		t.Errorf("a tag that is there: %v", err)
	}
}

// Two changes at once: the second waits, and fails when that takes too long.
func TestLock(t *testing.T) {
	w := newWorld(t)
	s := w.store()
	unlock, err := s.lock()
	w.ok(err)
	other := w.store()
	other.LockWait = 50 * time.Millisecond
	if err := other.SetCurrent("2.0"); err == nil || !strings.Contains(err.Error(), "another change") {
		t.Errorf("while another change runs: %v", err)
	}
	time.AfterFunc(100*time.Millisecond, unlock)
	other.LockWait = 5 * time.Second
	w.ok(other.SetCurrent("2.0"))
}

// What is refused changes nothing.
func TestRefused(t *testing.T) {
	w := newWorld(t)
	s, before := w.store(), w.state("")
	for what, err := range map[string]error{
		"create in the place of what is there": s.Create("desk", Fresh{}),
		"clone in the place of what is there":  s.Clone("desk", "router", ""),
		"clone of nothing":                     s.Clone("none", "x", ""),
		"unknown pin":                          s.Create("x", Fresh{Pin: "9"}),
		"delete of nothing":                    s.Delete("x"),
		"no stream":                            second(s.Receive(strings.NewReader("PK"), "3.0")),
	} {
		if err == nil || strings.HasSuffix(what, "of what is there") != errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if diff := cmp.Diff(before, w.state("")); diff != "" || len(w.temps()) != 0 {
		t.Errorf("left %q: %s", w.temps(), diff)
	}
}
