package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// pieceSize bounds a line: a record of the kernel log has at most 976 bytes.
const pieceSize = 800

// output is where the stub's lines go.
type output struct {
	kernelLog bool
}

// openOutput finds out whether anybody hears what goes to standard output. A
// machine without a console leaves /dev/null there; then the lines go to the
// kernel log.
func openOutput() output {
	var out, null unix.Stat_t
	if unix.Fstat(1, &out) == nil && unix.Stat("/dev/null", &null) == nil && out.Rdev != null.Rdev {
		return output{}
	}
	// Otherwise the kernel keeps ten lines and drops the rest.
	_ = os.WriteFile("/proc/sys/kernel/printk_devkmsg", []byte("on\n"), 0)
	return output{kernelLog: true}
}

func (o output) line(format string, args ...any) {
	line := "STUB " + fmt.Sprintf(format, args...) + "\n"
	if !o.kernelLog {
		_, _ = os.Stdout.WriteString(line)
		return
	}
	// One open for each line: the rate limit is that of an open file.
	log, err := os.OpenFile("/dev/kmsg", os.O_WRONLY, 0)
	if err != nil {
		return
	}
	defer log.Close()
	_, _ = log.WriteString("<6>" + line)
}

// text prints a text of many lines between two markers. A line that is too long
// goes on in lines that begin with + instead of |.
func (o output) text(name, content string) {
	o.line("%s begin", name)
	for line := range strings.Lines(content) {
		line = strings.TrimSuffix(line, "\n")
		mark := "|"
		for len(line) > pieceSize {
			o.line("%s%s%s", name, mark, line[:pieceSize])
			line, mark = line[pieceSize:], "+"
		}
		o.line("%s%s%s", name, mark, line)
	}
	o.line("%s end", name)
}

// drain waits until the serial line has sent everything: what is still in its
// buffer when the machine ends is lost.
func (o output) drain() {
	_ = unix.IoctlSetInt(1, unix.TCSBRK, 1)
}
