package mount

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Check lets e2fsck look at an ext4 that is not mounted, and mend what it can
// mend without asking anybody (e2fsck -p).
type Check struct {
	Device string
	Tools  Toolbox
	// Doubted says that the filesystem could be mounted as it is: then it is
	// enough that e2fsck does not find it broken, and no e2fsck at all is a
	// reason to say so, and no more.
	Doubted bool
}

// checkTime is how long e2fsck may take. The overlay partition of a board has
// some hundred megabytes, which take seconds.
const checkTime = time.Minute

// mended is e2fsck's exit status when it has mended all it found (e2fsck(8)).
// It is 0 when it found nothing, or only what it does not count: checksums of
// the group descriptors for one. Everything above is damage that is still
// there, or a check that was not made.
const mended = 1

// Apply implements Action.
func (c Check) Apply(env Env) error {
	// -f, since a filesystem that the kernel refuses may call itself clean.
	exit, err := c.Tools.Run(env, "/mnt/tools-"+path.Base(c.Device), checkTime, "e2fsck", "-p", "-f", c.Device)
	none := (*NoToolError)(nil)
	switch {
	case c.Doubted && errors.As(err, &none):
		env.Say(fmt.Sprintf("%s says that it has errors, and is used unchecked, ignoring: %v", c.Device, err))
		return nil
	case err != nil:
		return fmt.Errorf("it is not mended: %w", err)
	case exit.Status > mended:
		return fmt.Errorf("it is not mended: e2fsck of %s ended with exit status %d: %s", c.Device, exit.Status, words(exit.Output))
	}
	env.Say(fmt.Sprintf("e2fsck has gone through %s and left no errors: %s", c.Device, words(exit.Output)))
	return nil
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
