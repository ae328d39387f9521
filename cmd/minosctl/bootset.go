package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The boot files of a set, by the names that U-Boot's script (qemu/boot.cmd)
// loads them by.
const (
	scriptFile    = "boot.scr"
	initramfsFile = "initramfs.cpio.lz4"
	treeFile      = "devicetree.dtb"
)

// bootFiles are all of them; a device tree may be missing.
func bootFiles() []string { return []string{scriptFile, initramfsFile, treeFile} }

// bootSet is the content of a set of boot files, by name.
type bootSet map[string][]byte

// setDir is the directory of a set on the boot partition, "" for its top.
func setDir(set int) string {
	if set == 0 {
		return ""
	}
	return fmt.Sprintf("boot-%d", set)
}

// setName is what people read.
func setName(set int) string {
	if set == 0 {
		return "the top"
	}
	return setDir(set)
}

// readSet reads the files that are given: those in a directory, which have to
// be all of a set, or some by name; what is missing among these is as it is in
// the directory old.
func readSet(sources []string, old string) (bootSet, error) {
	set := bootSet{}
	paths := sources
	info, err := os.Stat(sources[0])
	if err != nil {
		return nil, err
	}
	whole := len(sources) == 1 && info.IsDir()
	if whole {
		entries, err := os.ReadDir(sources[0])
		if err != nil {
			return nil, err
		}
		paths = nil
		for _, e := range entries {
			paths = append(paths, filepath.Join(sources[0], e.Name()))
		}
	}
	for _, p := range paths {
		name := filepath.Base(p)
		if !slices.Contains(bootFiles(), name) {
			return nil, fmt.Errorf("%s is no boot file; these are called %s", p, strings.Join(bootFiles(), ", "))
		}
		if _, twice := set[name]; twice {
			return nil, fmt.Errorf("%s is given twice", name)
		}
		if set[name], err = os.ReadFile(p); err != nil {
			return nil, err
		}
	}
	for _, name := range bootFiles() {
		if _, given := set[name]; given || whole {
			continue
		}
		content, err := os.ReadFile(filepath.Join(old, name))
		if err == nil {
			set[name] = content
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return set, set.check()
}

// check refuses what U-Boot or the kernel could not start. That it works is
// what the trial is for.
func (s bootSet) check() error {
	for _, name := range []string{scriptFile, initramfsFile} {
		if _, ok := s[name]; !ok {
			return fmt.Errorf("there is no %s; a set of boot files has one", name)
		}
	}
	text, err := scriptText(s[scriptFile])
	if err == nil && !bytes.Contains(text, []byte("m_files")) {
		err = errors.New("it does not look at m_files, and so would start the files at the top; take the one that was built with this minosctl, or a newer one")
	}
	if err != nil {
		return fmt.Errorf("%s cannot be used: %w", scriptFile, err)
	}
	if err := checkInitramfs(s[initramfsFile]); err != nil {
		return fmt.Errorf("%s cannot be used: %w", initramfsFile, err)
	}
	if tree, ok := s[treeFile]; ok {
		if err := checkTree(tree); err != nil {
			return fmt.Errorf("%s cannot be used: %w", treeFile, err)
		}
	}
	return nil
}

// scriptText is the commands of a script as mkimage makes it: U-Boot's legacy
// image (include/image.h) of the type script, whose data is a list of sizes
// that ends with 0, and then the text.
func scriptText(image []byte) ([]byte, error) {
	const (
		header     = 64
		magic      = 0x27051956
		typeScript = 6
	)
	big := binary.BigEndian
	if len(image) < header || big.Uint32(image) != magic {
		return nil, errors.New("it is no image of U-Boot; mkimage -T script makes one")
	}
	plain := bytes.Clone(image[:header])
	copy(plain[4:8], make([]byte, 4)) // the header's own checksum counts as 0
	if stored, is := big.Uint32(image[4:]), crc32.ChecksumIEEE(plain); stored != is {
		return nil, fmt.Errorf("its header is damaged: its CRC is %08x, and not %08x", stored, is)
	}
	size := uint64(big.Uint32(image[12:]))
	if there := uint64(len(image) - header); size > there {
		return nil, fmt.Errorf("it is cut short: %d bytes of its %d are there", there, size)
	}
	data := image[header:][:size]
	if stored, is := big.Uint32(image[24:]), crc32.ChecksumIEEE(data); stored != is {
		return nil, fmt.Errorf("it is damaged: its CRC is %08x, and not %08x", stored, is)
	}
	if image[30] != typeScript {
		return nil, fmt.Errorf("it is an image of U-Boot of the type %d, and no script (%d)", image[30], typeScript)
	}
	for len(data) >= 4 {
		last := big.Uint32(data) == 0
		if data = data[4:]; last {
			return data, nil
		}
	}
	return nil, errors.New("it has no text")
}

// checkInitramfs looks at the first bytes, as the kernel does
// (lib/decompress.c, init/initramfs.c).
func checkInitramfs(image []byte) error {
	if len(image) == 0 {
		return errors.New("it is empty")
	}
	for _, magic := range []string{"070701", "070702", "\x02\x21\x4c\x18", "\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd7zXZ\x00", "BZh", "\x5d\x00\x00", "\x89LZO"} {
		if bytes.HasPrefix(image, []byte(magic)) {
			return nil
		}
	}
	return fmt.Errorf("it begins with %q, which is neither a cpio archive nor compressed as the kernel knows it (lz4 is lz4 -l)", image[:min(8, len(image))])
}

// checkTree looks at the header of a device tree (Devicetree Specification,
// 5.2): the magic, and the size of all of it.
func checkTree(tree []byte) error {
	const magic = 0xd00dfeed
	if len(tree) < 40 || binary.BigEndian.Uint32(tree) != magic {
		return errors.New("it is no device tree; dtc makes one from its source")
	}
	if size := binary.BigEndian.Uint32(tree[4:]); uint64(size) > uint64(len(tree)) {
		return fmt.Errorf("it is cut short: %d bytes of its %d are there", len(tree), size)
	}
	return nil
}
