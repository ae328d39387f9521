package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// The variants, in the order in which they take their turns.
const (
	floorVariant = iota
	initVariant
	scriptVariant
	emptyVariant
	variantCount
)

// variant is one way to boot.
type variant struct {
	name      string
	initramfs string // path
	mounts    bool   // it does the job; the empty program does not
}

// drivers are the modules that the starting line loads. Their files lie in
// /drivers and are called NAME.ko.xz, as Debian packs them.
func drivers() []string {
	return []string{"virtio_blk", "overlay", "fat", "vfat", "nls_cp437", "nls_ascii"}
}

// makeVariants makes the initramfs of each variant in dir: the starting line,
// its drivers, and the variant's own files.
func makeVariants(dir, modules, release string, p programs) ([]variant, error) {
	line, err := startingLine(modules, p.start, drivers())
	if err != nil {
		return nil, err
	}
	releaseImage, err := os.ReadFile(release)
	if err != nil {
		return nil, fmt.Errorf("cannot read the release image: %w", err)
	}
	all := make([]variant, variantCount)
	for i, v := range []struct {
		name  string
		files map[string]string // by path in the initramfs
		image []byte            // instead of files
	}{
		floorVariant:  {name: "floor", files: map[string]string{"init": p.floor}},
		initVariant:   {name: "init", image: releaseImage},
		scriptVariant: {name: "script", files: map[string]string{"init": filepath.Join(dir, "src/guest/script.sh"), "bin/busybox": p.busybox}},
		emptyVariant:  {name: "empty Go", files: map[string]string{"init": p.empty, "sbin/init": p.finish, "sbin/stub": p.stub}},
	} {
		records, err := programRecords(v.files)
		if err != nil {
			return nil, err
		}
		if i == scriptVariant {
			records = append(records, appletLinks()...)
		}
		archive, err := pack(append(records, line...))
		if err != nil {
			return nil, err
		}
		all[i] = variant{name: v.name, initramfs: filepath.Join(dir, v.name+".cpio"), mounts: i != emptyVariant}
		// The kernel unpacks archives one after the other, compressed or not.
		if err := os.WriteFile(all[i].initramfs, append(archive, v.image...), 0o644); err != nil {
			return nil, fmt.Errorf("cannot write the initramfs of the variant %s: %w", v.name, err)
		}
	}
	return all, nil
}

// writeVariant makes the initramfs of a variant that does the job: the starting
// line, its files, and an image behind them.
func writeVariant(dir, name string, files map[string]string, line []cpio.Record, image []byte) (variant, error) {
	records, err := programRecords(files)
	if err != nil {
		return variant{}, err
	}
	archive, err := pack(append(records, line...))
	if err != nil {
		return variant{}, err
	}
	v := variant{name: name, initramfs: filepath.Join(dir, name+".cpio"), mounts: true}
	if err := os.WriteFile(v.initramfs, append(archive, image...), 0o644); err != nil {
		return v, fmt.Errorf("cannot write the initramfs of the variant %s: %w", name, err)
	}
	return v, nil
}

// startingLine is what the initramfs of each variant has.
func startingLine(modules, start string, drivers []string) ([]cpio.Record, error) {
	records, err := programRecords(map[string]string{"start": start})
	if err != nil {
		return nil, err
	}
	// The Go runtime needs /dev/null where there is no console.
	records = append(records, cpio.Directory("drivers", 0o755), cpio.Directory("dev", 0o755),
		cpio.CharDev("dev/console", 0o600, 5, 1), cpio.CharDev("dev/null", 0o666, 1, 3))
	for _, name := range drivers {
		content, err := findModule(modules, name+".ko.xz")
		if err != nil {
			return nil, err
		}
		records = append(records, file("drivers/"+name+".ko.xz", content, 0o644))
	}
	return records, nil
}

// findModule reads a module's file below the directory of a kernel's modules.
func findModule(modules, base string) (content []byte, err error) {
	err = filepath.WalkDir(modules, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == base {
			if content, err = os.ReadFile(path); err == nil {
				err = fs.SkipAll
			}
		}
		return err
	})
	if err == nil && content == nil {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the module %s below %s: %w", base, modules, err)
	}
	return content, nil
}

func programRecords(files map[string]string) ([]cpio.Record, error) {
	var records []cpio.Record
	for name, from := range files {
		content, err := os.ReadFile(from)
		if err != nil {
			return nil, fmt.Errorf("cannot read the program for /%s of an initramfs: %w", name, err)
		}
		if dir := filepath.Dir(name); dir != "." {
			records = append(records, cpio.Directory(dir, 0o755))
		}
		records = append(records, file(name, content, 0o755))
	}
	return records, nil
}

// appletLinks are the names by which the script calls busybox.
func appletLinks() (records []cpio.Record) {
	for _, name := range []string{"sh", "mount", "mkdir", "cat", "sleep", "switch_root", "reboot"} {
		records = append(records, cpio.Symlink("bin/"+name, "busybox"))
	}
	return records
}

func file(name string, content []byte, perm uint64) cpio.Record {
	return cpio.StaticRecord(content, cpio.Info{Name: name, Mode: cpio.S_IFREG | perm})
}

// pack makes an archive in the kernel's format, padded to the four bytes on
// which the next one has to begin.
func pack(records []cpio.Record) ([]byte, error) {
	var buffer bytes.Buffer
	w := cpio.Newc.Writer(&buffer)
	// In byte order a directory comes before what is in it.
	slices.SortFunc(records, func(a, b cpio.Record) int { return strings.Compare(a.Name, b.Name) })
	if err := cpio.WriteRecords(w, records); err != nil {
		return nil, fmt.Errorf("cannot pack an initramfs: %w", err)
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("cannot end an initramfs: %w", err)
	}
	for buffer.Len()%4 != 0 {
		buffer.WriteByte(0)
	}
	return buffer.Bytes(), nil
}
