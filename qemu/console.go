package qemu

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"
)

var errEnded = errors.New("the machine has ended")

// console collects what a serial line sends.
type console struct {
	mu     sync.Mutex
	buf    []byte
	found  int // up to here expect has looked and found
	closed bool
	news   chan struct{} // closed, and made anew, whenever there is more
}

func newConsole() *console { return &console{news: make(chan struct{})} }

// Write implements io.Writer. It drops carriage returns, which the kernel's
// terminal adds.
func (c *console) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.buf = append(c.buf, bytes.ReplaceAll(p, []byte("\r"), nil)...)
	c.announce()
	return len(p), nil
}

// close says that nothing more will come.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.announce()
}

func (c *console) announce() {
	close(c.news)
	c.news = make(chan struct{})
}

func (c *console) text() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.buf)
}

// expect waits for re to match after the last match and returns the match and
// its submatches.
func (c *console) expect(re *regexp.Regexp, within time.Duration) ([]string, error) {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	for {
		match, news, closed := c.look(re)
		if match != nil {
			return match, nil
		}
		if closed {
			return nil, errEnded
		}
		select {
		case <-news:
		case <-deadline.C:
			return nil, fmt.Errorf("it did not appear within %s", within)
		}
	}
}

func (c *console) look(re *regexp.Regexp) (match []string, news <-chan struct{}, closed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rest := c.buf[c.found:]
	groups := re.FindSubmatch(rest)
	if groups == nil {
		return nil, c.news, c.closed
	}
	for _, g := range groups {
		match = append(match, string(g))
	}
	c.found += re.FindIndex(rest)[1]
	return match, nil, false
}
