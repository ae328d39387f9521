package qemu

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

// adminPath is where Debian keeps programs that are not in an ordinary user's
// PATH, sfdisk and mke2fs among them.
func adminPath() []string { return []string{"/usr/local/sbin", "/usr/sbin", "/sbin"} }

// ErrMissingProgram is what an error is when the workstation lacks a program. It
// ends in what to do about it.
var ErrMissingProgram = errors.New("no such program (qemu/host-packages.sh installs what is missing)")

// program finds an executable in PATH or in the directories of adminPath.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range adminPath() {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", name, ErrMissingProgram)
}

// command prepares a program. It runs in the C locale, in which its messages
// can be searched, and with the administrator's directories in PATH.
func command(name string, args ...string) (*exec.Cmd, error) {
	path, err := program(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PATH="+os.Getenv("PATH")+":"+strings.Join(adminPath(), ":"))
	return cmd, nil
}

// run runs a program to its end; what it printed is in the error.
func run(stdin io.Reader, name string, args ...string) error {
	cmd, err := command(name, args...)
	if err != nil {
		return err
	}
	return runCommand(cmd, stdin)
}

func runCommand(cmd *exec.Cmd, stdin io.Reader) error {
	var output bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &output, &output
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(cmd.Path), err, bytes.TrimSpace(output.Bytes()))
	}
	return nil
}

// Tool runs a program of the workstation and returns all that it printed, also
// when it failed; then the error is an *exec.ExitError, or is ErrMissingProgram.
func Tool(name string, args ...string) ([]byte, error) {
	cmd, err := command(name, args...)
	if err != nil {
		return nil, err
	}
	return cmd.CombinedOutput()
}
