package mount

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// allKnown are the modules of a kernel that has every filesystem.
type allKnown struct{}

func (allKnown) Filesystem(string) error { return nil }
func (allKnown) Unknown(string) error    { return nil }

// machine is a kernel with a lower at /lower and a disk with these files
// mounted at /disk.
func machine(t *testing.T, files ...string) (*systest.Kernel, Env) {
	t.Helper()
	k := systest.New("", "lower/etc/conf=x\n", "lower/run/", "disk/")
	k.AddDisk(&systest.Disk{Name: "vda", Parts: []*systest.Part{{Number: 1, FS: "ext4", Files: files}}})
	e := Env{Kernel: k, Modules: allKnown{}}
	for _, m := range []Mount{API()[2], {Source: "/dev/vda1", Target: "/disk", FSType: "ext4"}} {
		if err := m.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	return k, e
}

var over = Overlay{Target: "/root", Lowers: []string{"/lower"}, Upper: Upper{Dir: "/disk/a"}}

func TestOverlayProbesWhatIsNew(t *testing.T) {
	for name, c := range map[string]struct {
		files    []string
		distrust bool
		probed   bool
	}{
		"a new upper":                {[]string{"a/upper/", "a/work/"}, false, true},
		"a settled upper":            {[]string{"a/upper/", "a/work/work/"}, false, false},
		"an upper not to be trusted": {[]string{"a/upper/", "a/work/work/"}, true, true},
	} {
		k, e := machine(t, c.files...)
		o := over
		o.Distrust = c.distrust
		if err := o.Apply(e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if probed := strings.Contains(k.Trace(), ".minos-probe"); probed != c.probed {
			t.Errorf("%s: the write probe was made: %v, want %v", name, probed, c.probed)
		}
		// All that may be left is the copied up directory, which is hidden.
		for _, left := range k.Files("/disk/a/upper") {
			if left != "run/" {
				t.Errorf("%s: the probe left %s", name, left)
			}
		}
	}
}

func TestOverlayThatCannotBeWrittenIsNoOverlay(t *testing.T) {
	for name, breakIt := range map[string]func(k *systest.Kernel){
		"the write fails":  func(k *systest.Kernel) { k.Fail("write /root/run", unix.EIO) },
		"the remove fails": func(k *systest.Kernel) { k.Fail("remove /root/run", unix.ENOSPC) },
	} {
		k, e := machine(t, "a/upper/", "a/work/")
		breakIt(k)
		if err := over.Apply(e); err == nil {
			t.Errorf("%s: Apply returned no error", name)
		}
		if k.MountedAt("/root") != "" {
			t.Errorf("%s: the overlay is still mounted", name)
		}
	}
}

func TestOverlayThatComesUpReadOnly(t *testing.T) {
	k := systest.New("", "lower/run/", "disk/")
	k.AddDisk(&systest.Disk{Name: "vda", Parts: []*systest.Part{{Number: 1, FS: "ext4", Files: []string{"a/upper/", "a/work/work/"}}}})
	e := Env{Kernel: k, Modules: allKnown{}}
	for _, m := range []Mount{API()[2], {Source: "/dev/vda1", Target: "/disk", FSType: "ext4", Flags: sys.ReadOnly}} {
		if err := m.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := over.Apply(e); !errors.Is(err, unix.EROFS) {
		t.Errorf("Apply = %v, want EROFS", err)
	}
}

func TestOverlayValidate(t *testing.T) {
	for name, o := range map[string]Overlay{
		"no lower":             {Upper: Upper{Dir: "/u"}},
		"a lower twice":        {Lowers: []string{"/l", "/m", "/l"}, Upper: Upper{Dir: "/u"}},
		"the upper in a lower": {Lowers: []string{"/l"}, Upper: Upper{Dir: "/l/u"}},
		"a lower in the upper": {Lowers: []string{"/u/l"}, Upper: Upper{Dir: "/u"}},
	} {
		if err := o.Validate(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	fine := Overlay{Lowers: []string{"/run/l", "/run/lower"}, Upper: Upper{Dir: "/run/lo"}}
	if err := fine.Validate(); err != nil {
		t.Error(err)
	}
}

// Never inherited from the kernel's configuration: layouts 6.1.
func TestOverlayOptionsAreExplicit(t *testing.T) {
	want := []string{"lowerdir+=/lower", "upperdir=/disk/a/upper", "workdir=/disk/a/work",
		"index=off", "metacopy=off", "redirect_dir=off", "xino=off"}
	if d := cmp.Diff(want, over.Options()); d != "" {
		t.Error(d)
	}
}

// over1 is an upper over a lower with this identity.
func over1(identity string, reset bool) Upper {
	return Upper{Dir: "/disk/a", Reset: reset, Identity: func() (string, error) { return identity, nil }}
}

func TestUpper(t *testing.T) {
	fresh := []string{"a/", "a/lower=new\n", "a/upper/", "a/work/"}
	used := []string{"a/lower=new\n", "a/upper/f=1", "a/work/work/"}
	for name, c := range map[string]struct {
		before []string
		reset  bool
		want   []string
		said   bool
	}{
		"nothing there":      {nil, false, fresh, false},
		"kept":               {used, false, []string{"a/", "a/lower=new\n", "a/upper/", "a/upper/f=1", "a/work/", "a/work/work/"}, false},
		"made in advance":    {[]string{"a/upper/", "a/work/"}, false, fresh, false},
		"adopted":            {[]string{"a/upper/f=1", "a/work/work/"}, false, []string{"a/", "a/lower=new\n", "a/upper/", "a/upper/f=1", "a/work/", "a/work/work/"}, false},
		"work lost in a cut": {[]string{"a/lower=new\n", "a/upper/f=1"}, false, []string{"a/", "a/lower=new\n", "a/upper/", "a/upper/f=1", "a/work/"}, false},
		"another lower": {[]string{"a/lower=old\n", "a/upper/f=1", "a/work/"}, false,
			append([]string{"a.old/", "a.old/lower=old\n", "a.old/upper/", "a.old/upper/f=1", "a.old/work/"}, fresh...), true},
		"another lower, again": {[]string{"a/lower=old\n", "a/upper/f=2", "a.old/upper/f=1", "a.trash/upper/f=0"}, false,
			append([]string{"a.old/", "a.old/lower=old\n", "a.old/upper/", "a.old/upper/f=2"}, fresh...), true},
		"reset":                     {used, true, fresh, false},
		"reset keeps what is aside": {append([]string{"a.old/upper/g=1"}, used...), true, append([]string{"a.old/", "a.old/upper/", "a.old/upper/g=1"}, fresh...), false},
		"reset of nothing":          {nil, true, fresh, false},
		"reset with a rest":         {append([]string{"a.trash/upper/g=1"}, used...), true, fresh, false},
		"cut after the rename":      {[]string{"a.trash/upper/f=1", "a.trash/work/"}, true, fresh, false},
		"cut while it was made":     {[]string{"a.new/upper/", "a.new/lower=older\n"}, false, fresh, false},
		"cut in the stamp":          {[]string{"a/lower.minos-new=", "a/upper/f=1", "a/work/"}, false, []string{"a/", "a/lower=new\n", "a/upper/", "a/upper/f=1", "a/work/"}, false},
		"a rest of an earlier boot": {append([]string{"a.trash/upper/g=1"}, used...), false, []string{"a/", "a/lower=new\n", "a/upper/", "a/upper/f=1", "a/work/", "a/work/work/"}, false},
		"the other slot stays":      {append([]string{"b/upper/g=1"}, used...), true, append(slices.Clone(fresh), "b/", "b/upper/", "b/upper/g=1"), false},
	} {
		k, e := machine(t, c.before...)
		said := 0
		e.Say = func(string) { said++ }
		for range 2 { // the second time there is nothing left to do
			if err := over1("new", c.reset).Apply(e); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if d := cmp.Diff(c.want, k.Files("/disk")); d != "" {
				t.Errorf("%s (-want +got): %s", name, d)
			}
		}
		if (said == 1) != c.said || said > 1 {
			t.Errorf("%s: told %d times, want %v", name, said, c.said)
		}
	}
}

// On a boot with nothing to do, nothing is written.
func TestUpperThatIsSettledIsLeftAlone(t *testing.T) {
	k, e := machine(t, "a/lower=same\n", "a/upper/f=1", "a/work/work/")
	before := k.Trace()
	if err := over1("same", false).Apply(e); err != nil {
		t.Fatal(err)
	}
	if did := strings.TrimPrefix(k.Trace(), before); did != "" {
		t.Errorf("it did:\n%s", did)
	}
}

// An upper in memory belongs to nothing that outlives it.
func TestUpperWithoutIdentity(t *testing.T) {
	k, e := machine(t)
	if err := (Upper{Dir: "/disk/a"}).Apply(e); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"a/", "a/upper/", "a/work/"}, k.Files("/disk")); d != "" {
		t.Error(d)
	}
}

func TestUpperWhoseLowerCannotBeRead(t *testing.T) {
	k, e := machine(t, "a/lower=old\n", "a/upper/f=1")
	u := over1("", false)
	u.Identity = func() (string, error) { return "", unix.EIO }
	if err := u.Apply(e); !errors.Is(err, unix.EIO) {
		t.Errorf("Apply = %v", err)
	}
	if got := k.Files("/disk"); !slices.Contains(got, "a/upper/f=1") {
		t.Errorf("what was written is gone: %q", got)
	}
}

// A rest that cannot be deleted holds nothing up, and the next reset throws
// away what is there all the same.
func TestUpperResetWithARestThatStays(t *testing.T) {
	k, e := machine(t, "a/upper/f=1", "a/work/", "a.trash/upper/stuck=1")
	k.Fail("remove", unix.EIO)
	for range 2 {
		if err := over1("x", true).Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	got := k.Files("/disk")
	for _, want := range []string{"a/upper/", "a.trash/more-1/upper/f=1", "a.trash/more-2/upper/", "a.trash/upper/stuck=1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}
	if slices.Contains(got, "a/upper/f=1") {
		t.Error("the upper is not empty")
	}
}

// slow is a kernel on which each look at the clock takes a second.
type slow struct {
	*systest.Kernel
	seconds time.Duration
}

func (s *slow) Now() time.Duration {
	s.seconds += time.Second
	return s.seconds
}

// Deleting what was put aside never holds up a boot: layouts 6.1.
func TestUpperResetStopsDeletingInTime(t *testing.T) {
	k, e := machine(t, "a/upper/1=", "a/upper/2=", "a/upper/3=", "a/upper/4=", "a/work/")
	e.Kernel = &slow{Kernel: k}
	if err := over1("x", true).Apply(e); err != nil {
		t.Fatal(err)
	}
	if got := k.Files("/disk/a"); !slices.Equal(got, []string{"lower=x\n", "upper/", "work/"}) {
		t.Errorf("the new upper has %q", got)
	}
	if got := k.Files("/disk/a.trash"); !slices.Contains(got, "upper/4=") {
		t.Errorf("everything was deleted, however long it took; left: %q", got)
	}
}

func TestFindInit(t *testing.T) {
	k := systest.New("", "root/usr/lib/systemd/systemd=\x7fELF", "root/sbin->usr/sbin", "root/usr/sbin/init->../lib/systemd/systemd",
		"root/etc/init=no program", "other/bin/init=#!/bin/sh", "bad/sbin/init=text", "bad/bin/")
	for _, c := range []struct{ root, wanted, path, resolved, err string }{
		{"/root", "", "/sbin/init", "/usr/lib/systemd/systemd", ""},
		{"/other", "", "/bin/init", "/bin/init", ""},
		{"/root", "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd", "/usr/lib/systemd/systemd", ""},
		{"/root", "/etc/init", "", "", "/etc/init is not an executable file (-rw-r--r--)"},
		{"/root", "/nowhere", "", "", "/nowhere: no such file or directory"},
		{"/bad", "", "", "", "/sbin/init is not an executable file (-rw-r--r--); /etc/init: no such file or directory; /bin/init: no such file or directory"},
	} {
		init, err := FindInit(k, c.root, c.wanted)
		text := ""
		if err != nil {
			text = strings.TrimPrefix(err.Error(), "the root filesystem has no init to start: ")
		}
		if init.Path != c.path || init.Resolved != c.resolved || text != c.err {
			t.Errorf("FindInit(%s, %q) = %+v, %q; want %+v", c.root, c.wanted, init, text, c)
		}
	}
}

// A link in the root filesystem leads nowhere but into that root.
func TestMkdirIn(t *testing.T) {
	k := systest.New("", "mnt/", "root/data->/mnt/data", "root/mnt/", "root/file=x", "root/boot/")
	for at, want := range map[string]string{
		"/boot/firmware": "/root/boot/firmware", "/new/deep": "/root/new/deep", "/": "/root",
	} {
		got, err := MkdirIn(k, "/root", at)
		if got != want || err != nil {
			t.Errorf("MkdirIn(%s) = %s, %v; want %s", at, got, err, want)
		}
		if got, err = MkdirIn(k, "/root", at); got != want || err != nil {
			t.Errorf("MkdirIn(%s) again = %s, %v", at, got, err)
		}
	}
	if got, err := MkdirIn(k, "/root", "/file"); err == nil {
		t.Errorf("MkdirIn of a file = %s", got)
	}
	if got, err := MkdirIn(k, "/root", "/data"); !errors.Is(err, fs.ErrExist) || len(k.Files("/mnt")) > 0 {
		t.Errorf("MkdirIn through a link to nowhere = %s, %v; the initramfs has %q", got, err, k.Files("/mnt"))
	}
}
