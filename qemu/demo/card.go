package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// enlarge makes the disk's file as large as a card of that size, "8G": the image
// was written to a card that is larger. A card does not shrink.
func enlarge(disk, size string) error {
	bytes, err := parseSize(size)
	if err != nil {
		return err
	}
	info, err := os.Stat(disk)
	if err != nil {
		return fmt.Errorf("cannot make the disk larger: %w", err)
	}
	if bytes < info.Size() {
		return fmt.Errorf("cannot make the disk %s large: %s has %d bytes already; FRESH=1 makes it anew", size, disk, info.Size())
	}
	if err := os.Truncate(disk, bytes); err != nil {
		return fmt.Errorf("cannot make the disk larger: %w", err)
	}
	return nil
}

// parseSize reads a number of bytes with M, G or T behind it, powers of 1024.
func parseSize(text string) (int64, error) {
	unit := int64(1)
	for i, letter := range "MGT" {
		if rest, ok := strings.CutSuffix(text, string(letter)); ok {
			text, unit = rest, 1<<(20+10*i)
		}
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n <= 0 || unit == 1 {
		return 0, fmt.Errorf("cannot make the disk so large: SIZE is a number with M, G or T behind it, for example 8G")
	}
	return n * unit, nil
}

// inboxFiles are the files of a directory, for the directory config of the boot
// partition: what somebody with a card reader leaves for the device.
func inboxFiles(dir string) (files []qemu.File, err error) {
	const inbox = "config"
	err = filepath.WalkDir(dir, func(full string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(dir, full)
		if err != nil {
			return err
		}
		name := path.Join(inbox, filepath.ToSlash(below))
		switch {
		case entry.IsDir():
			files = append(files, qemu.Dir(name))
		case entry.Type().IsRegular():
			files = append(files, qemu.File{Name: name, Mode: 0o644, From: full})
		default:
			return fmt.Errorf("%s is neither a file nor a directory", full)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot put the files of INBOX on the boot partition: %w", err)
	}
	return files, nil
}
