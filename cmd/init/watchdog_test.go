package main

import (
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// withDog boots a card on a machine with a watchdog.
func withDog(words string, change func(*systest.Kernel), files ...string) *systest.Kernel {
	k := systest.New("rauc.slot=A " + words)
	k.AddDisk(with(card(), 6, append(slices.Clone(rootfsFiles), files...)...))
	k.PutDev("watchdog0")
	if change != nil {
		change(k)
	}
	start(k, mount.InOrder)
	return k
}

// The watchdog is opened, and runs on after the hand-over only when somebody feeds
// it then.
func TestWatchdogOverTheHandOver(t *testing.T) {
	const conf = "etc/systemd/system.conf=[Manager]\n#RuntimeWatchdogSec=off\n"
	for _, c := range []struct {
		name, words string
		files       []string
		runsOn      bool
	}{
		{"nobody feeds it", "", []string{conf}, false},
		{"systemd does", "", []string{conf + "RuntimeWatchdogSec=20s\n"}, true},
		{"of a vendor", "", []string{"usr/lib/systemd/system.conf.d/10-dog.conf=[Manager]\nRuntimeWatchdogSec = 1min\n"}, true},
		{"of a vendor, and switched off", "", []string{"usr/lib/systemd/system.conf.d/10-dog.conf=[Manager]\nRuntimeWatchdogSec=1min\n", conf + "RuntimeWatchdogSec=0\n"}, false},
		{"no file of systemd's", "", []string{"etc/systemd/system.conf.d/README=RuntimeWatchdogSec=9\n"}, false},
		{"the command line says so", "systemd.watchdog_sec=30", []string{conf}, true},
		{"the command line says no", "systemd.watchdog_sec=0", []string{conf + "RuntimeWatchdogSec=20s\n"}, false},
		{"kept", "minos.watchdog=keep", []string{conf}, true},
	} {
		k := withDog(c.words, nil, c.files...)
		trace := k.Trace()
		if k.Ended() != toInit || strings.Count(trace, "open /dev/watchdog0") != 1 {
			t.Errorf("%s: it ends with %q:\n%s", c.name, k.Ended(), trace)
		}
		if stopped := strings.Contains(trace, "watchdog0: V"); stopped == c.runsOn {
			t.Errorf("%s: stopped: %t\n%s", c.name, stopped, trace)
		}
		if c.runsOn && !strings.Contains(trace, "watchdog0: \x00") {
			t.Errorf("%s: it is not fed once more\n%s", c.name, trace)
		}
	}
	other := withDog("init=/usr/bin/other", nil, conf+"RuntimeWatchdogSec=20s\n", "usr/bin/other=#!\n")
	if !strings.Contains(other.Trace(), "watchdog0: V") {
		t.Errorf("an init that does not read systemd's configuration is left with a watchdog:\n%s", other.Trace())
	}
}

// A watchdog that nobody wants, or that could not be stopped, is left alone; one
// that cannot be opened is no reason to fail.
func TestWatchdogLeftAlone(t *testing.T) {
	fixed := func(k *systest.Kernel) { k.PutSys("class/watchdog/watchdog0/nowayout", "1\n") }
	for name, k := range map[string]*systest.Kernel{
		"off":      withDog("minos.watchdog=off", nil),
		"nowayout": withDog("", fixed),
	} {
		if strings.Contains(k.Trace(), "watchdog0") || k.Ended() != toInit {
			t.Errorf("%s: it ends with %q:\n%s", name, k.Ended(), k.Trace())
		}
	}
	if k := withDog("minos.watchdog=keep", fixed); !strings.Contains(k.Trace(), "open /dev/watchdog0") {
		t.Error("with keep it is not opened")
	}
	k := withDog("", func(k *systest.Kernel) { k.Fail("open /dev/watchdog0", unix.EBUSY) })
	if k.Ended() != toInit || !strings.Contains(k.Trace(), "the watchdog does not look after this boot, ignoring: ") {
		t.Errorf("busy: it ends with %q:\n%s", k.Ended(), k.Trace())
	}
}

// After a failure it keeps running where the machine restarts, and is stopped
// where it is to stay as it is.
func TestWatchdogAfterAFailure(t *testing.T) {
	for words, stopped := range map[string]bool{"": false, "panic=0": true, "minos.onfail=poweroff": true} {
		k := withDog("init=/none "+words, nil)
		if got := strings.Contains(k.Trace(), "watchdog0: V"); got != stopped || k.Ended() == toInit {
			t.Errorf("%q: it ends with %q, stopped %t:\n%s", words, k.Ended(), got, k.Trace())
		}
	}
}

// bowl counts what a watchdog gets.
type bowl chan string

func (b bowl) Write(p []byte) (int, error) { b <- string(p); return len(p), nil }
func (b bowl) Close() error                { close(b); return nil }

// clockKernel has a watchdog, and a clock that the test sets.
type clockKernel struct {
	sys.Kernel
	bowl bowl
	now  chan time.Duration // holds one
}

func (k clockKernel) Now() time.Duration               { n := <-k.now; k.now <- n; return n }
func (clockKernel) Lstat(string) (sys.FileInfo, error) { return sys.FileInfo{}, nil }
func (clockKernel) ReadFile(string) ([]byte, error)    { return nil, fs.ErrNotExist }
func (clockKernel) OpenReader(string) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("x")), nil
}
func (clockKernel) Fsync(string) error                          { return nil }
func (clockKernel) RunTool(sys.Tool) (sys.Exit, error)          { return sys.Exit{}, nil }
func (k clockKernel) OpenWriter(string) (io.WriteCloser, error) { return k.bowl, nil }
func (clockKernel) Sleep(time.Duration)                         {}
func (clockKernel) SyncFS(string) error                         { return nil }
func (clockKernel) Extend(string, int64) error                  { return nil }
func (clockKernel) Ask(sys.Question) (string, error)            { return "", nil }
func (clockKernel) Run(sys.Command) error                       { return nil }
func (clockKernel) GrowFilesystem(string, string, int64) error  { return nil }

// set moves the clock on.
func (k clockKernel) set(now time.Duration) { <-k.now; k.now <- now }

// A boot that goes on feeds it, and one that stands still does not, however
// long its timers run.
func TestWatchdogIsFedByProgress(t *testing.T) {
	for name, c := range map[string]struct {
		do    func(k sys.Kernel)
		lasts time.Duration
	}{
		"a step": {func(k sys.Kernel) { k.Now() }, standstill},
		"a piece of a file": {func(k sys.Kernel) {
			r, err := k.OpenReader("/x")
			if err != nil {
				panic(err)
			}
			_, _ = r.Read(nil)
		}, standstill},
		"a fsync":        {func(k sys.Kernel) { _ = k.Fsync("/x") }, writeBack},
		"a filesystem":   {func(k sys.Kernel) { _ = k.SyncFS("/x") }, writeBack},
		"growth":         {func(k sys.Kernel) { _ = k.GrowFilesystem("/x", "ext4", 1) }, writeBack},
		"a longer file":  {func(k sys.Kernel) { _ = k.Extend("/x", 1) }, writeBack},
		"a question":     {func(k sys.Kernel) { _, _ = k.Ask(sys.Question{Limit: time.Minute}) }, time.Minute + standstill},
		"a tool":         {func(k sys.Kernel) { _, _ = k.RunTool(sys.Tool{Limit: time.Minute}) }, time.Minute + standstill},
		"a pause":        {func(k sys.Kernel) { k.Sleep(30 * time.Second) }, 30*time.Second + standstill},
		"a shell's time": {func(k sys.Kernel) { _ = k.Run(sys.Command{}) }, 24 * time.Hour},
	} {
		k := clockKernel{bowl: make(bowl), now: make(chan time.Duration, 1)}
		k.now <- 0
		dog := &watchdog{every: time.Millisecond}
		seen := dog.open(k, newLog(k), config.Config{Watchdog: config.WatchdogAuto})
		<-k.bowl // it is fed while the boot has only begun
		k.set(time.Hour)
		c.do(seen)
		k.set(time.Hour + c.lasts - time.Second)
		select {
		case <-k.bowl:
		case <-time.After(10 * time.Second):
			t.Errorf("%s: not fed until %v after it", name, c.lasts)
		}
		k.set(time.Hour + c.lasts)
		// One more may be under way.
		select {
		case <-k.bowl:
		case <-time.After(20 * time.Millisecond):
		}
		select {
		case <-k.bowl:
			t.Errorf("%s: still fed %v after it", name, c.lasts)
		case <-time.After(50 * time.Millisecond):
		}
		go dog.close(false)
		if last := <-k.bowl; last != "V" {
			t.Errorf("%s: the last is %q", name, last)
		}
	}
}
