package main

import (
	"io"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

const (
	watchdogDevice = "/dev/watchdog0"
	// feedEvery is well below what a board's watchdog waits at most: 15 s on a
	// Raspberry Pi.
	feedEvery = 4 * time.Second
	// standstill is how long the boot may come to no new step, or to no next piece of one,
	// before the machine is left to its watchdog. A person who is asked for
	// something has less time than that.
	standstill = 2 * time.Minute
	// writeBack is the same while the card takes what was written to it, which is
	// one call: 600 MB at a megabyte a second.
	writeBack = 10 * time.Minute
)

// watchdog restarts the machine when the boot stands still. It is fed as long
// as there is progress: not by whoever can still run a timer.
type watchdog struct {
	every  time.Duration // from one time that it is fed to the next
	kernel sys.Kernel

	mu    sync.Mutex
	to    io.WriteCloser // nil: none is open
	until time.Duration  // it is fed until then, since the kernel started
}

// open opens the watchdog, when there is one that can be stopped again, and
// returns the kernel through which progress is seen. From then on it runs.
func (w *watchdog) open(k sys.Kernel, log *Log, conf config.Config) sys.Kernel {
	if w.to != nil || conf.Watchdog == config.WatchdogOff {
		return k
	}
	if _, err := k.Lstat(watchdogDevice); err != nil {
		return k
	}
	// What cannot be stopped is for a system that is known to feed it.
	if fixed, err := k.ReadFile("/sys/class/watchdog/watchdog0/nowayout"); conf.Watchdog != config.WatchdogKeep && err == nil && strings.TrimSpace(string(fixed)) == "1" {
		return k
	}
	to, err := k.OpenWriter(watchdogDevice)
	if err != nil {
		log.Warn("the watchdog does not look after this boot, ignoring: %v", err)
		return k
	}
	log.Info("the watchdog looks after this boot")
	w.kernel, w.to = k, to
	w.progress(standstill)
	sys.Go(w.feed)
	return watched{k, w}
}

// feed feeds the watchdog until it is closed.
func (w *watchdog) feed() error {
	for {
		<-time.After(w.every) // to open it has fed it
		if !w.feedOnce() {
			return nil
		}
	}
}

// feedOnce feeds the watchdog if the boot goes on, and is false when it is closed.
func (w *watchdog) feedOnce() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to != nil && w.kernel.Now() < w.until {
		_, _ = w.to.Write([]byte{0}) // what does not work any more restarts the machine
	}
	return w.to != nil
}

// progress says that the boot goes on, and how long what begins now may take.
func (w *watchdog) progress(limit time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		return
	}
	w.until = max(w.until, w.kernel.Now()+limit)
}

// handOver leaves the watchdog to the system in root.
func (w *watchdog) handOver(root string, init mount.Init, conf config.Config) {
	if w.to != nil {
		w.close(feedsWatchdog(w.kernel, root, init, conf))
	}
}

// close ends init's part. A watchdog that somebody feeds from now on keeps running, and has
// just been fed; any other is stopped (the driver's "magic close",
// Documentation/watchdog/watchdog-api.rst), or the machine would restart.
func (w *watchdog) close(goesOn bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.to == nil {
		return
	}
	last := []byte{'V'}
	if goesOn {
		last = []byte{0}
	}
	_, _ = w.to.Write(last)
	w.to.Close()
	w.to = nil
}

// watched is the kernel as a boot sees it that has a watchdog. Now is what every
// step asks at its beginning and its end, a copy for each piece, and a wait
// each time it looks; the rest are calls that may take long.
type watched struct {
	sys.Kernel
	dog *watchdog
}

func (k watched) Now() time.Duration {
	k.dog.progress(standstill)
	return k.Kernel.Now()
}

func (k watched) Sleep(d time.Duration) {
	k.dog.progress(min(d, writeBack) + standstill)
	k.Kernel.Sleep(d)
}

// OpenReader implements sys.Files. One file may take minutes from a slow medium,
// and each piece of it is progress.
func (k watched) OpenReader(name string) (io.ReadCloser, error) {
	r, err := k.Kernel.OpenReader(name)
	if err != nil {
		return nil, err
	}
	return watchedReader{r, k.dog}, nil
}

type watchedReader struct {
	io.ReadCloser
	dog *watchdog
}

func (r watchedReader) Read(p []byte) (int, error) {
	r.dog.progress(standstill)
	return r.ReadCloser.Read(p)
}

func (k watched) Fsync(name string) error {
	k.dog.progress(writeBack)
	return k.Kernel.Fsync(name)
}

func (k watched) SyncFS(name string) error {
	k.dog.progress(writeBack)
	return k.Kernel.SyncFS(name)
}

func (k watched) RunTool(t sys.Tool) (sys.Exit, error) {
	k.dog.progress(t.Limit + standstill)
	return k.Kernel.RunTool(t)
}

// Extend writes all of the file on a FAT.
func (k watched) Extend(name string, size int64) error {
	k.dog.progress(writeBack)
	return k.Kernel.Extend(name, size)
}

func (k watched) Ask(q sys.Question) (string, error) {
	k.dog.progress(q.Limit + standstill)
	return k.Kernel.Ask(q)
}

// Run is the shell of a debug image, from which a person comes back some time.
func (k watched) Run(c sys.Command) error {
	k.dog.progress(24 * time.Hour)
	return k.Kernel.Run(c)
}

func (k watched) GrowFilesystem(dir, fstype string, size int64) error {
	k.dog.progress(writeBack)
	return k.Kernel.GrowFilesystem(dir, fstype, size)
}

// feedsWatchdog tells whether the system in root goes on feeding the watchdog: whether
// systemd is told to, by the command line or by its own configuration
// (systemd-system.conf(5), RuntimeWatchdogSec=).
func feedsWatchdog(k sys.Kernel, root string, init mount.Init, conf config.Config) bool {
	if conf.Watchdog == config.WatchdogKeep || !init.IsSystemd() {
		return conf.Watchdog == config.WatchdogKeep
	}
	if value, ok := conf.Last("systemd.watchdog_sec"); ok {
		return isOn(value)
	}
	// Of files with the same name the first directory's counts, and of all the last by name; here
	// each may switch it on or off for those that it comes after, which is
	// the same as long as nobody hides a file behind another.
	on := false
	for _, dir := range []string{"/usr/lib/systemd/system.conf.d", "/usr/local/lib/systemd/system.conf.d", "/etc/systemd", "/etc/systemd/system.conf.d"} {
		names := []string{"system.conf"}
		if strings.HasSuffix(dir, ".d") {
			names, _ = k.ReadDir(path.Join(root, dir)) // most systems have none
		}
		for _, name := range names {
			text, err := k.ReadFile(path.Join(root, dir, name))
			if value, ok := watchdogSec(string(text)); err == nil && ok && strings.HasSuffix(name, ".conf") {
				on = isOn(value)
			}
		}
	}
	return on
}

// watchdogSec is the last value of RuntimeWatchdogSec= in a file of systemd.
func watchdogSec(text string) (value string, ok bool) {
	for line := range strings.Lines(text) {
		if key, v, found := strings.Cut(strings.TrimSpace(line), "="); found && strings.TrimSpace(key) == "RuntimeWatchdogSec" {
			value, ok = strings.TrimSpace(v), true
		}
	}
	return value, ok
}

// isOn tells whether a time of systemd switches a watchdog on.
func isOn(value string) bool {
	switch value {
	case "", "0", "off", "infinity":
		return false
	}
	return true
}
