package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/minos-os/minos-init/qemu"
)

// builtImages are what the image builder makes of this tree.
type builtImages struct {
	release     string // path of the release image without modules
	sizes       map[string]int64
	modulesFrom string // the kernel's release, of whose modules the last has some
}

// The images whose sizes are told, in the order of the table.
const (
	releasePlain   = "release image, no modules"
	debugPlain     = "debug image, no modules"
	releaseModules = "release image, demo's modules"
)

// imagesDir has the images of the benchmark: those in out/arm64 belong to
// whoever made them.
const imagesDir = "out/bench"

func buildImages(progress *qemu.Progress, modules string) (builtImages, error) {
	plain, loaded := filepath.Join(imagesDir, "plain"), filepath.Join(imagesDir, "modules")
	err := progress.Step("building the images, without modules and with (about 45 s)", func() error {
		for _, args := range [][]string{
			{"-out", plain},
			{"-out", loaded, "-modules", modules, "-release-only"},
		} {
			if _, err := output("go", nil, append([]string{"run", "./initramfs", "-arch", "arm64"}, args...)...); err != nil {
				return fmt.Errorf("cannot build the images: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return builtImages{}, err
	}
	b := builtImages{
		release:     filepath.Join(plain, "initramfs.cpio.lz4"),
		sizes:       map[string]int64{},
		modulesFrom: filepath.Base(modules),
	}
	for name, file := range map[string]string{
		releasePlain:   b.release,
		debugPlain:     filepath.Join(plain, "initramfs-debug.cpio.lz4"),
		releaseModules: filepath.Join(loaded, "initramfs.cpio.lz4"),
	} {
		info, err := os.Stat(file)
		if err != nil {
			return b, fmt.Errorf("cannot size the %s: %w", name, err)
		}
		b.sizes[name] = info.Size()
	}
	return b, nil
}
