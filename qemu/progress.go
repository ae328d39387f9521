package qemu

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Progress tells a person what a long step does and how long it took. A nil one
// says nothing.
type Progress struct {
	out      io.Writer
	terminal bool
}

// NewProgress reports to f: with a running clock when f is a terminal, with
// plain lines otherwise.
func NewProgress(f *os.File) *Progress {
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return &Progress{out: f, terminal: err == nil}
}

// Step runs f and says what it does. It returns the error of f.
func (p *Progress) Step(what string, f func() error) error {
	if p == nil {
		return f()
	}
	start := time.Now()
	stop := p.announce(what, start)
	err := f()
	stop()
	verdict := "done"
	if err != nil {
		verdict = "failed"
	}
	fmt.Fprintf(p.out, "%s: %s after %s\n", what, verdict, time.Since(start).Round(100*time.Millisecond))
	return err
}

// announce says that a step has begun. On a terminal it rewrites that line every
// second until stop is called.
func (p *Progress) announce(what string, start time.Time) (stop func()) {
	if !p.terminal {
		fmt.Fprintf(p.out, "%s ...\n", what)
		return func() {}
	}
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			fmt.Fprintf(p.out, "\r%s ... %.0f s\033[K", what, time.Since(start).Seconds())
			select {
			case <-tick.C:
			case <-done:
				fmt.Fprint(p.out, "\r\033[K")
				return
			}
		}
	})
	return func() {
		close(done)
		running.Wait()
	}
}
