package qemu

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/pierrec/lz4/v4"
	"github.com/u-root/u-root/pkg/cpio"
)

// FaultyInitramfs makes, in dir, the given initramfs with an init that breaks
// when the kernel command line has fault=: one that is built with the build tag
// faults, which no image of the builder has. It is called from a directory of
// this module.
func FaultyInitramfs(initramfs, dir string) (string, error) {
	return arm64().faultyInitramfs(initramfs, dir)
}

func (a Architecture) faultyInitramfs(initramfs, dir string) (string, error) {
	program := filepath.Join(dir, "faulty-init")
	cmd, err := command("go", "build", "-tags", "faults", "-trimpath", "-ldflags=-s -w -X main.version=faulty", "-o", program, "github.com/minos-os/minos-init/cmd/init")
	if err == nil {
		cmd.Env = append(cmd.Env, a.target()...)
		err = runCommand(cmd, nil)
	}
	if err != nil {
		return "", fmt.Errorf("cannot build an init with faults: %w", err)
	}
	image, err := withInit(initramfs, program)
	if err != nil {
		return "", fmt.Errorf("cannot put an init with faults into %s: %w", initramfs, err)
	}
	file := filepath.Join(dir, "faulty.cpio")
	if err := os.WriteFile(file, image, 0o644); err != nil {
		return "", fmt.Errorf("cannot write an initramfs with faults: %w", err)
	}
	return file, nil
}

// withInit is an initramfs, unpacked, with another init: of two files of one
// name the later one counts.
func withInit(initramfs, program string) ([]byte, error) {
	plain, err := Unpacked(initramfs)
	if err != nil {
		return nil, err
	}
	image := bytes.NewBuffer(plain)
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	w := cpio.Newc.Writer(image)
	if err := w.WriteRecord(cpio.StaticFile("init", string(content), 0o755)); err != nil {
		return nil, err
	}
	return image.Bytes(), cpio.WriteTrailer(w)
}

// Unpacked is an initramfs without its compression, if it has one.
func Unpacked(initramfs string) ([]byte, error) {
	content, err := os.ReadFile(initramfs)
	if err != nil {
		return nil, fmt.Errorf("cannot read an initramfs: %w", err)
	}
	if bytes.HasPrefix(content, []byte(cpioMagic)) {
		return content, nil
	}
	plain, err := io.ReadAll(lz4.NewReader(bytes.NewReader(content)))
	if err != nil {
		return nil, fmt.Errorf("cannot unpack %s: %w", initramfs, err)
	}
	return plain, nil
}

// cpioMagic is how an archive in the format newc begins (cpio(5)).
const cpioMagic = "070701"
