package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"

	"github.com/u-root/u-root/pkg/cpio"
)

// debugTools is the file that lists the commands of the debug image.
//
//go:embed debugtools.go
var debugTools string

// debugCommands are the import paths of the commands of the debug image.
func debugCommands() ([]string, error) {
	list, err := parser.ParseFile(token.NewFileSet(), "debugtools.go", debugTools, parser.ImportsOnly)
	if err != nil {
		return nil, fmt.Errorf("cannot read the list of debug commands: %w", err)
	}
	var commands []string
	for _, imported := range list.Imports {
		command, err := strconv.Unquote(imported.Path.Value)
		if err != nil {
			return nil, fmt.Errorf("cannot read the list of debug commands: %w", err)
		}
		commands = append(commands, command)
	}
	return commands, nil
}

// buildCommands lets u-root make one program of init and the debug commands,
// and returns it with the links that give it its names.
func (c compiler) buildCommands() ([]cpio.Record, error) {
	commands, err := debugCommands()
	if err != nil {
		return nil, err
	}
	tool := filepath.Join(c.tmp, "u-root")
	build := exec.Command("go", "build", "-o", tool, "github.com/u-root/u-root")
	build.Dir, build.Env = c.root, hostEnv()
	if _, err := outputOf(build); err != nil {
		return nil, fmt.Errorf("cannot compile the u-root tool: %w", err)
	}
	// u-root makes a library of each command's package main, so the variable is
	// in the package of that path.
	initPath, err := c.importPath()
	if err != nil {
		return nil, err
	}
	result := filepath.Join(c.tmp, "debug.cpio")
	args := []string{
		"-o", result, "-build=bb", "-base=" + os.DevNull,
		"-initcmd=" + path.Base(c.initPackage), "-defaultsh=gosh",
		// Without goshsmall the shell has a line editor that asks the terminal
		// for its colours, and a serial line never answers.
		"-tags=minosdebug,goshsmall", "-go-extra-args=-buildvcs=false",
		"-go-extra-args=-ldflags=" + linkerFlags + " -X " + initPath + ".version=" + c.version,
		c.initPackage,
	}
	uroot := exec.Command(tool, append(args, commands...)...)
	uroot.Dir, uroot.Env = c.root, c.targetEnv()
	if _, err := outputOf(uroot); err != nil {
		return nil, fmt.Errorf("cannot build the debug commands for %s with u-root: %w", c.arch.name, err)
	}
	content, err := os.ReadFile(result)
	if err != nil {
		return nil, fmt.Errorf("cannot read what u-root built: %w", err)
	}
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(content)))
	if err != nil {
		return nil, fmt.Errorf("cannot read what u-root built: %w", err)
	}
	for i, record := range records {
		// u-root takes over what the umask of whoever builds left of it.
		if record.Mode&cpio.S_IFMT == cpio.S_IFREG {
			records[i].Mode = cpio.S_IFREG | 0o755
		}
	}
	return records, c.checkCommands(records)
}

// importPath is the full name of init's package.
func (c compiler) importPath() (string, error) {
	list := exec.Command("go", "list", "-f", "{{.ImportPath}}", c.initPackage)
	list.Dir, list.Env = c.root, c.targetEnv()
	name, err := outputOf(list)
	if err != nil {
		return "", fmt.Errorf("cannot find package %s: %w", c.initPackage, err)
	}
	return name, nil
}

// checkCommands makes sure that the program of all commands starts by itself.
func (c compiler) checkCommands(records []cpio.Record) error {
	for _, record := range records {
		if record.Name != "bbin/bb" {
			continue
		}
		program := make([]byte, record.FileSize)
		if _, err := record.ReadAt(program, 0); err != nil {
			return fmt.Errorf("cannot read bbin/bb that u-root built: %w", err)
		}
		if err := c.arch.checkStatic(program); err != nil {
			return fmt.Errorf("cannot use bbin/bb that u-root built: %w", err)
		}
		return nil
	}
	return errors.New("cannot find bbin/bb in what u-root built: its archive has another shape than that of u-root 0.16")
}
