package main

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/u-root/u-root/pkg/cpio"
)

// archive is the content of an image, by path without a leading slash.
type archive map[string]cpio.Record

// add puts records into the archive, with the directories above them: the
// kernel makes none by itself, and drops a file without one in silence.
func (a archive) add(records ...cpio.Record) {
	for _, record := range records {
		record.Name = cpio.Normalize(record.Name)
		for dir := path.Dir(record.Name); dir != "."; dir = path.Dir(dir) {
			if _, there := a[dir]; !there {
				a[dir] = cpio.Directory(dir, 0o755)
			}
		}
		a[record.Name] = record
	}
}

// cpio writes the archive in the kernel's format (newc). Nothing of the machine
// that it is made on gets in: names are sorted, inodes counted, owner and time
// zero.
func (a archive) cpio() ([]byte, error) {
	var buffer bytes.Buffer
	w := cpio.Newc.Writer(&buffer)
	// In byte order a directory comes before what is in it.
	for i, name := range slices.Sorted(maps.Keys(a)) {
		record := cpio.MakeReproducible(a[name])
		record.Ino = uint64(i) + 1
		record.NLink = 1
		if record.Mode&cpio.S_IFMT == cpio.S_IFDIR {
			record.NLink = 2
		}
		if err := w.WriteRecord(record); err != nil {
			return nil, fmt.Errorf("cannot pack %s: %w", name, err)
		}
	}
	if err := cpio.WriteTrailer(w); err != nil {
		return nil, fmt.Errorf("cannot end the archive: %w", err)
	}
	return buffer.Bytes(), nil
}

// compressAligned compresses an archive so that another one can follow it: its
// length is a multiple of four bytes, where the kernel expects the next. What this
// takes is a last block of zeros, behind the archive's trailer, where the kernel skips
// them. They are a multiple of four as well: the next archive begins at such a
// place in what is unpacked, or the kernel takes it for garbage (init/initramfs.c, do_reset).
func compressAligned(plain []byte) []byte {
	packed := compress(plain)
	aligned := packed
	for zeros := 64; len(aligned)%4 != 0; zeros += 256 { // 256 of them are a byte more, now and then two
		aligned = appendBlock(packed[:len(packed):len(packed)], make([]byte, zeros))
	}
	return aligned
}

// file is a record for a regular file.
func file(name string, content []byte, perm uint64) cpio.Record {
	return cpio.StaticRecord(content, cpio.Info{Name: name, Mode: cpio.S_IFREG | perm})
}

// skeleton is what both images have besides init and modules.
func skeleton(variant, version string, config []byte) []cpio.Record {
	var records []cpio.Record
	for _, dir := range []string{"dev", "etc", "lib", "proc", "run", "sys", "sysroot",
		// The way out, with the places that systemd wants to mount at. It has to
		// find them: it makes the initramfs read-only before it gets there.
		"exitrd", "exitrd/dev", "exitrd/oldroot", "exitrd/proc", "exitrd/run", "exitrd/sys"} {
		records = append(records, cpio.Directory(dir, 0o755))
	}
	// os-release(5); systemd and others tell by this file's name that they are
	// in an initramfs.
	release := fmt.Sprintf("ID=minos-init\nNAME=minos-init\nPRETTY_NAME=\"minos-init %[1]s (%[2]s)\"\nVERSION_ID=%[1]s\nVARIANT_ID=%[2]s\n", version, variant)
	return append(records,
		// The kernel opens /dev/console for init's first three descriptors. Where
		// there is none, the Go runtime opens /dev/null, and dies before main
		// without it.
		cpio.CharDev("dev/console", 0o600, 5, 1),
		cpio.CharDev("dev/null", 0o666, 1, 3),
		file("etc/initrd-release", []byte(release), 0o644),
		file("etc/minos.conf", config, 0o644),
	)
}
