// Minosctl shows and changes which of a device's two systems is started. It is
// for people and for services, on the device, and works on the image of a disk
// on a workstation too. docs/minosctl.md is its manual.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/sys"
)

// version is set by the builder.
var version = "unversioned"

func main() {
	h := host{root: "/", lockWait: 10 * time.Second, kernel: sys.Linux{}, keygen: runKeygen, makeWritable: makeWritable, space: spaceIn, restart: restart}
	os.Exit(run(h, os.Args, os.Stdout, os.Stderr))
}

// Exit statuses; docs/minosctl.md has them for people.
const (
	statusOK       = 0
	statusFailed   = 1
	statusUsage    = 2
	statusNoState  = 3 // no boot state was found
	statusRefused  = 4 // a degraded system on trial is not marked good; a trial that is none is not committed; what is in use is not removed
	statusDiffers  = 5 // a profile would not see all of a base
	callName       = "minosctl"
	raucName       = "rauc-backend" // a link of this name is the verb: RAUC calls its backend without a word before its own
	raucVerb       = raucName
	lineWidth      = 80
	flagsOfAnyVerb = "device image env"
)

// problem is an error with the status that the program ends with.
type problem struct {
	status int
	err    error
}

func (p problem) Error() string { return p.err.Error() }
func (p problem) Unwrap() error { return p.err }

func usage(format string, args ...any) error {
	return problem{statusUsage, fmt.Errorf(format, args...)}
}

// call is one run of the program.
type call struct {
	host   host
	where  where    // the boot state is
	args   []string // behind the verb and without flags
	json   bool
	force  bool
	commit bool
	yes    bool
	dryRun bool
	reboot bool
	dir    string // of the boot partition
	svg    string
	card   string // its size
	data   string // which partition that is
	top    string // of a btrfs with profiles, mounted
	name   string // of a profile, for people
	base   string // of a profile, to which it is pinned
	from   string // the base that a new one is compared with
	keep   string // how many snapshots
	empty  bool
	stdout io.Writer
	stderr io.Writer
}

// run is the program: it returns the exit status.
func run(h host, argv []string, stdout, stderr io.Writer) int {
	c := &call{host: h, stdout: stdout, stderr: stderr}
	err := c.dispatch(argv)
	if err == nil || errors.Is(err, flag.ErrHelp) {
		return statusOK
	}
	fmt.Fprintf(stderr, "%s: %s\n", callName, oneLine(err.Error()))
	var p problem
	if errors.As(err, &p) {
		return p.status
	}
	return statusFailed
}

// dispatch finds the verb, reads its flags and does it.
func (c *call) dispatch(argv []string) error {
	args := argv[1:]
	if filepath.Base(argv[0]) == raucName {
		args = append([]string{raucVerb}, args...)
	}
	if len(args) == 0 {
		return usage("cannot tell what to do: give a verb, one of %s; see minosctl help", verbNames())
	}
	name := args[0]
	switch name {
	case "-h", "-help", "--help":
		name = "help"
	case "-version", "--version":
		name = "version"
	}
	v, ok := findVerb(name)
	if !ok {
		return usage("cannot %s: there is no such verb, but %s; see minosctl help", name, verbNames())
	}
	if err := c.parse(v, args[1:]); err != nil {
		return err
	}
	if n := len(c.args); n < v.least || n > v.most {
		return usage("cannot %s: it is called as: minosctl %s", v.name, v.synopsis())
	}
	return v.do(c)
}

// parse reads the flags of a verb. They may stand before and behind its
// arguments.
func (c *call) parse(v verb, args []string) error {
	flags := flag.NewFlagSet(v.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	for _, o := range v.options() {
		o.define(flags, c)
	}
	for {
		if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(c.stdout, v.help())
			return err
		} else if err != nil {
			return usage("cannot %s: %v; it is called as: minosctl %s", v.name, err, v.synopsis())
		}
		if flags.NArg() == 0 {
			return nil
		}
		c.args = append(c.args, flags.Arg(0))
		args = flags.Args()[1:]
	}
}

// warn is a line about something that was tolerated.
func (c *call) warn(format string, args ...any) {
	fmt.Fprintf(c.stderr, "%s: %s\n", callName, oneLine(fmt.Sprintf(format, args...)))
}

// say prints a text for people, in lines of at most 80 columns.
func (c *call) say(format string, args ...any) {
	for line := range strings.SplitSeq(strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"), "\n") {
		fmt.Fprintln(c.stdout, wrap(printable(line), lineWidth))
	}
}
