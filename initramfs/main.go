// Initramfs builds the images that a kernel starts with: init, and nothing but
// what init needs, for a device; the same with a shell and the usual commands
// for whoever looks for a fault. It runs on a workstation.
//
//	go run ./initramfs -arch arm64 -out out/arm64 -modules .../lib/modules/6.12.1
//
// The same sources give the same images, to the byte.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program: it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	o, err := parseOptions(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err == nil {
		err = build(o, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "initramfs: %v\n", err)
		return 1
	}
	return 0
}

// options are what the command line says.
type options struct {
	arch        architecture
	out         string   // directory of the results
	initPackage string   // of init, seen from the root of the Go module
	toolPackage string   // of minosctl, likewise
	modules     string   // a kernel's .../lib/modules/VERSION, "" for no modules
	config      string   // the image's minos.conf, "" for an empty one
	sets        []string // of modules
	extra       []string // modules that the user names
	release     bool     // build the release image
	debug       bool     // build the debug image
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	flags := flag.NewFlagSet("initramfs", flag.ContinueOnError)
	flags.SetOutput(stderr)
	arch := flags.String("arch", "arm64", "architecture, as Go calls it: "+strings.Join(architectureNames(), ", "))
	out := flags.String("out", "", "directory for the results (default out/ARCH)")
	initPackage := flags.String("init", "./cmd/init", "Go package of init")
	toolPackage := flags.String("minosctl", "./cmd/minosctl", "Go package of minosctl")
	modules := flags.String("modules", "", "a kernel's .../lib/modules/VERSION; without it no module is packed")
	config := flags.String("config", "", "file that becomes /etc/minos.conf of the image")
	sets := flags.String("sets", "", "sets of modules, with commas between: "+strings.Join(setNames(), ", ")+" (default all but crypt and profiles)")
	extra := flags.String("extra", "", "further modules, with commas between")
	releaseOnly := flags.Bool("release-only", false, "build no debug image")
	debugOnly := flags.Bool("debug-only", false, "build no release image")
	if err := flags.Parse(args); err != nil {
		return options{}, err
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("unknown argument %q: all is said by flags, see -h", flags.Arg(0))
	}
	if *releaseOnly && *debugOnly {
		return options{}, errors.New("-release-only and -debug-only leave nothing to build: give one of them or none")
	}
	o := options{
		out: *out, initPackage: *initPackage, toolPackage: *toolPackage, modules: *modules, config: *config,
		sets: splitList(*sets), extra: splitList(*extra),
		release: !*debugOnly, debug: !*releaseOnly,
	}
	if o.modules == "" && len(o.extra) > 0 {
		return options{}, fmt.Errorf("modules %s are asked for, but there is no kernel to take them from: give -modules (MODULES=), a kernel's .../lib/modules/VERSION",
			strings.Join(o.extra, ", "))
	}
	var err error
	if o.arch, err = findArchitecture(*arch); err != nil {
		return options{}, err
	}
	if o.out == "" {
		o.out = "out/" + o.arch.name
	}
	if len(o.sets) == 0 {
		o.sets = defaultSets()
	}
	return o, checkSets(o.sets)
}

// splitList takes a list apart that has commas or blanks between its words.
func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
