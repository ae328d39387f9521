package mount

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Check lets e2fsck look at an ext4 that is not mounted, and mend what it can.
type Check struct {
	Device string
	Tools  Toolbox
	Size   int64 // of the filesystem in bytes, which says how long it may take
	// Doubt is why a filesystem is looked at that could be mounted as it is, in
	// words to follow the device: then it is enough that e2fsck does not find it
	// broken, and no e2fsck at all is a reason to say so, and no more. It is ""
	// for one that the kernel has refused.
	Doubt string
	// Repair is what e2fsck may do, as its option: "-p" mends what needs no person,
	// "-y" all, "-n" nothing. "" is that of nobody's word, "-p".
	Repair string
	// Never says that there is to be no check: fsck.mode=skip.
	Never bool
}

// CheckTime is how long e2fsck may take for a filesystem of size bytes: a minute,
// and another for each 64 GiB, which is what a slow card needs to read what it
// looks at. It is 15 minutes at most: a boot without the partition that says why
// is better than one that looks dead.
func CheckTime(size int64) time.Duration {
	const each, most = 64 << 30, 15 * time.Minute
	return min(time.Minute+time.Duration(size/each)*time.Minute, most)
}

// mended is e2fsck's exit status when it has mended all it found (e2fsck(8)).
// It is 0 when it found nothing, or only what it does not count: checksums of
// the group descriptors for one. Everything above is damage that is still
// there, or a check that was not made.
const mended = 1

// errNever is why there was no check.
var errNever = errors.New("fsck.mode=skip wants no e2fsck")

// Apply implements Action.
func (c Check) Apply(env Env) error {
	exit, err := c.run(env)
	none := (*NoToolError)(nil)
	switch {
	case c.Doubt != "" && (errors.As(err, &none) || errors.Is(err, errNever)):
		env.Say(fmt.Sprintf("%s %s, and is used unchecked, ignoring: %v", c.Device, c.Doubt, err))
		return nil
	case err != nil:
		return fmt.Errorf("it is not mended: %w", err)
	case exit.Status > mended:
		return fmt.Errorf("it is not mended: e2fsck of %s ended with exit status %d: %s", c.Device, exit.Status, words(exit.Output))
	}
	env.Say(fmt.Sprintf("e2fsck has gone through %s and left no errors: %s", c.Device, words(exit.Output)))
	return nil
}

// run runs e2fsck, if it may.
func (c Check) run(env Env) (sys.Exit, error) {
	if c.Never {
		return sys.Exit{}, errNever
	}
	limit, repair := CheckTime(c.Size), cmp.Or(c.Repair, "-p")
	if limit > time.Minute && env.Tell != nil {
		// Nobody is to take the silence for the end.
		env.Tell(fmt.Sprintf("e2fsck goes through %s, for at most %v", c.Device, limit))
	}
	// -f, since a filesystem that the kernel refuses may call itself clean.
	return c.Tools.Run(env, "/mnt/tools-"+path.Base(c.Device), limit, "e2fsck", repair, "-f", c.Device)
}

// Undo implements Action. What was mended stays so.
func (c Check) Undo(Env) error { return nil }

func (c Check) String() string { return "e2fsck " + c.Device }

// wordsSize is how much of what a tool says goes into a line, in bytes. The end
// has the verdict.
const wordsSize = 400

// words is the output of a tool in one line.
func words(output string) string {
	var lines []string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "; ")
	if len(text) > wordsSize {
		text = "…" + strings.ToValidUTF8(text[len(text)-wordsSize:], "")
	}
	return text
}
