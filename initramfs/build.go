package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/minos-os/minos-init/pkg/config"
)

// build makes the images. It writes when everything is made, so that a fault
// leaves nothing half-done.
func build(o options, stdout io.Writer) error {
	conf, err := readConfig(o.config)
	if err != nil {
		return err
	}
	var modules selection
	if o.modules != "" {
		if modules, err = selectModules(o); err != nil {
			return err
		}
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	tmp, err := os.MkdirTemp("", "minos-initramfs-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for temporary files: %w", err)
	}
	defer os.RemoveAll(tmp)

	c := compiler{arch: o.arch, root: root, tmp: tmp, initPackage: o.initPackage, toolPackage: o.toolPackage, version: gitVersion(root), notes: stdout}
	var outputs []output
	if o.release {
		made, err := c.releaseImage(conf, modules)
		if err != nil {
			return err
		}
		outputs = append(outputs, made...)
	}
	if o.debug {
		made, err := c.debugImage(conf, modules)
		if err != nil {
			return err
		}
		outputs = append(outputs, made)
	}
	if o.modules != "" {
		made, err := modulesArchive(modules)
		if err != nil {
			return err
		}
		outputs = append(outputs, made)
	}
	if err := writeOutputs(o.out, outputs); err != nil {
		return err
	}
	printOutputs(stdout, o.out, outputs)
	modules.print(stdout)
	return nil
}

// readConfig reads the image's minos.conf and refuses what init would warn of.
func readConfig(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the configuration: %w", err)
	}
	return data, config.CheckFile(name, data)
}

// releaseImage makes init and the image for devices: init and what it needs,
// nothing else. Where there are modules it makes a second image without them,
// which the kernels of two slots can share. The tool that belongs to them is for
// the root filesystem, and is made with them so that all are of one version.
func (c compiler) releaseImage(conf []byte, modules selection) ([]output, error) {
	program, err := c.buildProgram(c.initPackage)
	if err != nil {
		return nil, err
	}
	if small, err := withoutLines(program); err == nil {
		program = small
	} else {
		fmt.Fprintf(c.notes, "cannot leave out init's line numbers, ignoring: %v\n", err)
	}
	tool, err := c.buildProgram(c.toolPackage)
	if err != nil {
		return nil, err
	}
	image := archive{}
	image.add(skeleton("release", c.version, conf)...)
	image.add(file("init", program, 0o755))
	bare, err := image.pack()
	if err != nil {
		return nil, err
	}
	if len(modules.records) == 0 {
		return []output{{"init", 0o755, program}, {"minosctl", 0o755, tool}, {"initramfs.cpio.lz4", 0o644, bare}}, nil
	}
	image.add(modules.records...)
	packed, err := image.pack()
	if err != nil {
		return nil, err
	}
	return []output{
		{"init", 0o755, program},
		{"minosctl", 0o755, tool},
		{"initramfs.cpio.lz4", 0o644, packed},
		{"initramfs-shared.cpio.lz4", 0o644, bare},
	}, nil
}

// modulesArchive makes the archive of one kernel's modules alone. A bootloader
// loads it behind an image without modules, and the kernel unpacks the one over
// the other.
func modulesArchive(modules selection) (output, error) {
	content := archive{}
	content.add(modules.records...)
	packed, err := content.pack()
	return output{"modules.cpio.lz4", 0o644, packed}, err
}

// debugImage makes the image for people: one program that is init, a shell and
// the usual commands, after the name that it is called by.
func (c compiler) debugImage(conf []byte, modules selection) (output, error) {
	commands, err := c.buildCommands()
	if err != nil {
		return output{}, err
	}
	image := archive{}
	image.add(commands...)
	image.add(skeleton("debug", c.version, conf)...)
	image.add(modules.records...)
	packed, err := image.pack()
	return output{"initramfs-debug.cpio.lz4", 0o644, packed}, err
}

// pack makes the image of an archive.
func (a archive) pack() ([]byte, error) {
	plain, err := a.cpio()
	if err != nil {
		return nil, err
	}
	return compressAligned(plain), nil
}

// output is one file that the builder writes.
type output struct {
	name    string
	perm    os.FileMode
	content []byte
}

// writeOutputs writes each file beside its place first and renames it when all
// are written: whoever reads one has the old or the new one, whole.
func writeOutputs(dir string, outputs []output) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot make the directory of the results: %w", err)
	}
	var written []string
	defer func() {
		if err != nil {
			for _, name := range written {
				os.Remove(name)
			}
		}
	}()
	for _, o := range outputs {
		name := filepath.Join(dir, "."+o.name+".new")
		written = append(written, name)
		if err := os.WriteFile(name, o.content, o.perm); err != nil {
			return fmt.Errorf("cannot write %s: %w", o.name, err)
		}
	}
	for i, o := range outputs {
		if err := os.Rename(written[i], filepath.Join(dir, o.name)); err != nil {
			return fmt.Errorf("cannot put %s in its place: %w", o.name, err)
		}
	}
	return nil
}

func printOutputs(w io.Writer, dir string, outputs []output) {
	for _, o := range outputs {
		fmt.Fprintf(w, "%10d bytes  %s\n", len(o.content), filepath.Join(dir, o.name))
	}
}
