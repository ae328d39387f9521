package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Log speaks through the kernel log, which reaches every console and stays
// readable after the boot. Lines from before it is open are kept and follow.
type Log struct {
	kernel sys.Kernel

	mu       sync.Mutex
	to       io.WriteCloser // nil: not open yet
	written  int            // how many records to has had
	kept     []string
	warnings []string
	setUp    []string // what SetUp got
}

// Levels of the kernel log (include/linux/kern_levels.h).
const (
	levelError   = 3 // shown even with quiet
	levelWarning = 4
	levelInfo    = 6
)

// recordsAtOnce is how many records of one descriptor of /dev/kmsg the kernel keeps
// in five seconds; it drops the others (lib/ratelimit.c, kernel/printk/printk.c,
// devkmsg_write). A descriptor that has had them is opened anew, which costs less
// than to set printk_devkmsg and to set it back, and leaves nothing behind.
const recordsAtOnce = 10

func newLog(k sys.Kernel) *Log { return &Log{kernel: k} }

// Open opens the console and the kernel log, once /dev is there.
func (l *Log) Open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.to != nil {
		return
	}
	k := l.kernel
	// A machine may have no console. Then the standard descriptors are
	// /dev/null, as the Go runtime made them, and there is only the kernel log.
	// Opened once more, or the real init would keep the initramfs's node.
	if k.AttachConsole("/dev/console") != nil {
		_ = k.AttachConsole("/dev/null")
	}
	to, err := openVoice(k)
	if err != nil {
		return // nobody is there to be spoken to
	}
	l.to = to
	for _, record := range l.kept {
		l.put(record)
	}
	l.kept = nil
}

// openVoice opens the kernel log, or the console where there is none.
func openVoice(k sys.Kernel) (io.WriteCloser, error) {
	to, err := k.OpenWriter("/dev/kmsg")
	if err != nil {
		to, err = k.OpenWriter("/dev/console")
	}
	return to, err
}

// put writes a record.
func (l *Log) put(record string) {
	if l.written == recordsAtOnce {
		if to, err := openVoice(l.kernel); err == nil {
			_ = l.to.Close()
			l.to, l.written = to, 0
		}
	}
	_, _ = io.WriteString(l.to, record)
	l.written++
}

// recordSize is how much of a line is written at once, in bytes. The kernel
// cuts a record at 976 (kernel/printk/printk.c, PRINTKRB_RECORD_MAX).
const recordSize = 900

func (l *Log) write(level int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		for part := range slices.Chunk([]byte(line), recordSize) {
			record := fmt.Sprintf("<%d>minos: %s\n", level, part)
			if l.to == nil {
				l.kept = append(l.kept, record)
				continue
			}
			l.put(record)
		}
	}
}

// Say is a line for somebody who watches.
func (l *Log) Say(line string) { l.write(levelInfo, line) }

// Info is Say with a format.
func (l *Log) Info(format string, args ...any) { l.Say(fmt.Sprintf(format, args...)) }

// Warn tells of something that is not as it should be and does not stop the
// boot. It goes into the report as well.
func (l *Log) Warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	l.mu.Lock()
	l.warnings = append(l.warnings, text)
	l.mu.Unlock()
	l.write(levelWarning, text)
}

// Note is Warn for something that is as it should be, and that whoever looks
// after the device wants to find in the report.
func (l *Log) Note(line string) { l.Warn("%s", line) }

// Error is for what ends the boot.
func (l *Log) Error(format string, args ...any) {
	l.write(levelError, fmt.Sprintf(format, args...))
}

// Warnings are the lines that Warn got.
func (l *Log) Warnings() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.warnings)
}

// SetUp keeps for the report what this boot has made of the machine.
func (l *Log) SetUp(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setUp = append(l.setUp, what)
}

// Start says who speaks, and what is wrong with what it was told.
func (l *Log) Start(conf config.Config) {
	kernel, _ := l.kernel.Uname() // without its name the line is still useful
	l.Info("%s %s on Linux %s, layout %s", imageName, version, kernel.Release, conf.Layout)
	for _, w := range conf.Warnings {
		l.Warn("%s", w)
	}
}

// Found tells what will be booted, and from where.
func (l *Log) Found(root layout.Root) {
	var roles []string
	for _, r := range root.Roles {
		if r.Device != "" {
			roles = append(roles, r.Name+"="+strings.TrimPrefix(r.Device, "/dev/"))
		}
	}
	l.Info("%s %s: %s", root.Choice.What, root.Choice.Value, root.Choice.Reason)
	if root.Base.What != "" {
		l.Info("%s %s: %s", root.Base.What, root.Base.Value, root.Base.Reason)
	}
	l.Info("disk %s: %s", root.Disk, strings.Join(roles, " "))
	for _, w := range root.Warnings {
		l.Warn("%s", w)
	}
}

// Built tells of the steps that did not go as planned.
func (l *Log) Built(built mount.Built) {
	for _, o := range built.Outcomes {
		if o.Err != nil {
			l.Warn("%s, ignoring: %v", o.Loss, o.Err)
		}
	}
}
