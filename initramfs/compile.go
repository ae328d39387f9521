package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// compiler makes programs for one architecture from this Go module.
type compiler struct {
	arch        architecture
	root        string // of the Go module
	tmp         string // for what is not wanted afterwards
	initPackage string // seen from root
	toolPackage string // likewise, of minosctl
	version     string
	notes       io.Writer // for what the builder can do without
}

// moduleRoot is the directory of this Go module's go.mod.
func moduleRoot() (string, error) {
	out, err := outputOf(exec.Command("go", "env", "GOMOD"))
	if err != nil {
		return "", fmt.Errorf("cannot ask Go for its module: %w", err)
	}
	if out == "" || out == os.DevNull {
		return "", errors.New("cannot find go.mod here or above: run the builder inside the minos-init repository")
	}
	return filepath.Dir(out), nil
}

// gitVersion is what git calls this state of the sources, or "unversioned"
// outside of a repository.
func gitVersion(root string) string {
	command := exec.Command("git", "describe", "--tags", "--always", "--dirty")
	command.Dir = root
	version, err := outputOf(command)
	if err != nil || version == "" {
		return "unversioned"
	}
	return version
}

// linkerFlags leave out what only a debugger reads, and the build ID, which
// differs from one machine to the next.
const linkerFlags = "-s -w -buildid= -X runtime.godebugDefault=" + runtimeSettings

// runtimeSettings are what Go's runtime takes for GODEBUG at its start, and what
// a word on the kernel's command line can still change (runtime/extern.go). They
// spare a boot what only servers want: the profile of memory, of which the
// runtime otherwise takes one sample while it starts, and the limits of a
// container, looked for once and then each second. A boot takes 0.2 to 0.3 ms less
// (docs/speed.md). A runtime that does not know one ignores it.
const runtimeSettings = "memprofilerate=0,profstackdepth=0,containermaxprocs=0,updatemaxprocs=0"

// buildProgram compiles a program that runs without anything else: init, or
// the tool of the device.
func (c compiler) buildProgram(pkg string) ([]byte, error) {
	name := filepath.Join(c.tmp, "program")
	command := exec.Command("go", "build", "-o", name, "-trimpath", "-buildvcs=false",
		"-ldflags="+linkerFlags+" -X main.version="+c.version, pkg)
	command.Dir = c.root
	command.Env = c.targetEnv()
	if _, err := outputOf(command); err != nil {
		return nil, fmt.Errorf("cannot compile %s for %s: %w", pkg, c.arch.name, err)
	}
	program, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read what was compiled: %w", err)
	}
	if err := c.arch.checkStatic(program); err != nil {
		return nil, fmt.Errorf("cannot use the compiled %s: %w", pkg, err)
	}
	return program, nil
}

// targetEnv is the environment for compiling what runs in the image.
func (c compiler) targetEnv() []string {
	env := append(os.Environ(), "GOOS=linux", "GOARCH="+c.arch.name, "CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=")
	return append(env, c.arch.env...)
}

// hostEnv is the environment for compiling what runs here, whatever target the
// caller's environment names.
func hostEnv() []string {
	return append(os.Environ(), "GOOS=", "GOARCH=", "GOARM=", "GOFLAGS=")
}

// outputOf runs a command and returns what it prints, without the newline at
// its end. The error has what the command says of its failure.
func outputOf(command *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		if said := strings.TrimSpace(stderr.String()); said != "" {
			err = fmt.Errorf("%w: %s", err, said)
		}
		return "", err
	}
	return strings.TrimSpace(stdout.String()), nil
}
