package main

import (
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// Layouts 3.4: the way out marks the session as closed, and none as running, once
// nothing can write to it any more.
func TestSessionIsClosed(t *testing.T) {
	conf := []string{"minios/changes/2/changes/mine=of 2", "minios/changes/session.conf=default=2\nrunning=2\nsession_state[2]=dirty\n# mine\n"}
	for name, c := range map[string]struct {
		words string
		files []string
		want  []string // of the metadata
	}{
		"a directory":  {"perch", sessions("2", 2), []string{`"default": "2"`, `"state": "clean"`}},
		"an image":     {"perch", imageSession(500, ""), []string{`"default": "2"`, `"state": "clean"`}},
		"session.conf": {"perch", conf, []string{"default=2\nsession_state[2]=clean\n# mine\n"}},
		"a new one":    {"perchdir=new", nil, []string{`"default": "1"`, `"state": "clean"`}},
	} {
		k := bootModules(t, c.words, stickWith(aSetWithTools(c.files...)...))
		running := metadataOf(k)
		if !strings.Contains(running, "running") || strings.Contains(running, "clean") {
			t.Errorf("%s: while the system runs the metadata is %s", name, running)
		}
		runExitrd(machine{kernel: k, args: []string{"poweroff"}})
		ended := k.Ended()
		after := strings.Join(cutOff(k)[0].Parts[0].Now(), "\n")
		for _, want := range c.want {
			if !strings.Contains(after, want) || strings.Contains(after, "running") {
				t.Errorf("%s: the metadata lacks %q, or one is running:\n%s\n%s", name, want, after, k.Trace())
			}
		}
		if ended != "poweroff" || !strings.Contains(k.Trace(), "filesystems unmounted") || strings.Contains(k.Trace(), "does not let go") {
			t.Errorf("%s:\n%s", name, k.Trace())
		}
		trace := k.Trace()
		if strings.Index(trace, "unmount /memory/changes\n") > strings.Index(trace, "remount /memory/data") {
			t.Errorf("%s: it is marked while it can be written to:\n%s", name, trace)
		}
	}
	// What is in memory is no session.
	k := bootModules(t, "", stickWith(aSet(sessions("2", 2)...)...))
	runExitrd(machine{kernel: k, args: []string{"poweroff"}})
	if strings.Contains(k.Trace(), "remount") || strings.Contains(k.Trace(), "closed") {
		t.Errorf("without a session:\n%s", k.Trace())
	}
}

// metadataOf is what the store of a running system says.
func metadataOf(k *systest.Kernel) string {
	return readFile(k, setStore+"/session.json") + readFile(k, setStore+"/session.conf")
}

// A session that does not let go, or whose store takes nothing, stays marked as
// one in use, and the machine goes down all the same.
func TestSessionThatIsNotClosed(t *testing.T) {
	for call, said := range map[string]string{
		"unmount /memory/changes":                         "session 2 is not marked as closed, ignoring: ext4 /dev/sda1 on /run/initramfs/memory/changes does not let go: ",
		"remount /memory/data rw":                         "session 2 is not marked as closed, ignoring: remount /memory/data: ",
		"rename /memory/data/minios/changes/session.json": "session 2 is not marked as closed, ignoring: rename ",
	} {
		k := bootModules(t, "perch", stickWith(aSet(sessions("2", 2)...)...))
		k.Fail(call, unix.EBUSY)
		runExitrd(machine{kernel: k, args: []string{"poweroff"}})
		ended := k.Ended()
		after := strings.Join(cutOff(k)[0].Parts[0].Now(), "\n")
		if ended != "poweroff" || !strings.Contains(k.Trace(), said) || !strings.Contains(after, `"state": "dirty"`) && call[:3] != "ren" {
			t.Errorf("%s fails: want %q:\n%s\n%s", call, said, after, k.Trace())
		}
	}
	k := bootModulesWith(t, "perch", func(k *systest.Kernel) { k.Fail("write /run/initramfs/session", unix.ENOSPC) }, stickWith(aSet(sessions("2", 2)...)...))
	usesSession(t, k, "2")
	if !strings.Contains(k.Trace(), "session 2 will not be marked as closed, ignoring: ") {
		t.Errorf("without its note:\n%s", k.Trace())
	}
}

// Whatever a cut leaves while a session is closed: the next boot resumes it.
func TestPowerCutWhileASessionIsClosed(t *testing.T) {
	running := func() *systest.Kernel { return bootModules(t, "perch", stickWith(aSet(sessions("2", 2)...)...)) }
	whole := running()
	before := strings.Count(whole.Trace(), "\n")
	runExitrd(machine{kernel: whole, args: []string{"poweroff"}})
	effects := strings.Count(whole.Trace(), "\n") - before
	for cut := range effects {
		for variant := 0; ; variant++ {
			k := running()
			k.CutAfter(cut)
			runExitrd(machine{kernel: k, args: []string{"poweroff"}})
			keep, last := losses(variant, k.Unsynced())
			after := bootModules(t, "perchdir=resume", k.CutPower(keep)...)
			usesSession(t, after, "2")
			if got := readFile(after, "/mine"); got != "of 2" || !strings.Contains(metadataOf(after), `"name": "x"`) {
				t.Fatalf("cut after %d effects, loss %d: session 2 holds %q, %s", cut, variant, got, metadataOf(after))
			}
			if last {
				break
			}
		}
	}
	if effects < 10 {
		t.Errorf("the way out has only %d effects: this test looks at nothing", effects)
	}
}

// An image whose session was closed is not gone through again.
func TestClosedImageIsNotGoneThrough(t *testing.T) {
	k := bootModules(t, "perchdir=new perchmode=raw perchsize=300", stickWith(aSetWithTools()...))
	runExitrd(machine{kernel: k, args: []string{"reboot"}})
	k = bootModules(t, "perch", cutOff(k)...)
	usesImage(t, k, "1")
	if !strings.Contains(k.Trace(), "e2fsck -p -z /tmp/before-e2fsck /dev/loop") {
		t.Errorf("after an end in order:\n%s", k.Trace())
	}
	k = bootModules(t, "perch", cutOff(k)...)
	usesImage(t, k, "1")
	if !strings.Contains(k.Trace(), "e2fsck -p -z /tmp/before-e2fsck -f /dev/loop") {
		t.Errorf("after a cut:\n%s", k.Trace())
	}
}
