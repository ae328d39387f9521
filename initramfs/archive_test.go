package main

import (
	"bytes"
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"
)

// sampleArchive is bigger than one lz4 block of 8 MiB.
func sampleArchive() archive {
	image := archive{}
	image.add(skeleton("release", "v1", []byte("quiet\n"))...)
	image.add(
		file("init", bytes.Repeat([]byte("0123456789abcdef"), 600_000), 0o755),
		file("lib/modules/6.1/a.ko", []byte("abc"), 0o644),
		cpio.Symlink("bin/sh", "../bbin/gosh"),
	)
	return image
}

func TestArchiveIsWhatTheHostReads(t *testing.T) {
	plain, err := sampleArchive().cpio()
	if err != nil {
		t.Fatal(err)
	}
	packed := compress(plain)
	if !bytes.HasPrefix(packed, []byte{0x02, 0x21, 0x4c, 0x18}) {
		t.Errorf("the image begins with % x, not with a legacy frame's magic", packed[:4])
	}
	if unpacked := hostTool(t, packed, "lz4", "-dc"); !bytes.Equal(unpacked, plain) {
		t.Errorf("lz4 -d gives %d bytes, not the %d of the archive", len(unpacked), len(plain))
	}
	want := `bin
bin/sh
dev
dev/console
dev/null
etc
etc/initrd-release
etc/minos.conf
exitrd
exitrd/dev
exitrd/oldroot
exitrd/proc
exitrd/run
exitrd/sys
init
lib
lib/modules
lib/modules/6.1
lib/modules/6.1/a.ko
proc
run
sys
sysroot
`
	if diff := cmp.Diff(want, string(hostTool(t, plain, "cpio", "-t", "--quiet"))); diff != "" {
		t.Errorf("cpio -t (-want +got):\n%s", diff)
	}
	list := string(hostTool(t, plain, "cpio", "-tvn", "--quiet"))
	for _, want := range []string{"crw-rw-rw-   1 0        0          1,   3 Jan  1  1970 dev/null", "crw-------   1 0        0          5,   1 Jan  1  1970 dev/console"} {
		if !strings.Contains(list, want) {
			t.Errorf("no line %q in\n%s", want, list)
		}
	}
}

// The order in which things are added, and what a record brings with it from
// the machine it was made on, leave no trace.
func TestArchiveIsReproducible(t *testing.T) {
	record := file("a/b", []byte("x"), 0o644)
	one, two := archive{}, archive{}
	one.add(record, file("c", nil, 0o600))
	record.MTime, record.UID, record.Ino, record.Major = 1700000000, 1000, 4711, 8
	two.add(file("/c", nil, 0o600), record)
	first, err := one.cpio()
	if err != nil {
		t.Fatal(err)
	}
	second, err := two.cpio()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, second) {
		t.Errorf("the archives differ:\n%q\n%q", first, second)
	}
	for i, r := range recordsOf(t, first) {
		if r.Ino != uint64(i)+1 {
			t.Errorf("%s has inode %d, want %d", r.Name, r.Ino, i+1)
		}
	}
}

func TestInitrdRelease(t *testing.T) {
	image := archive{}
	image.add(skeleton("debug", "v1.2-3-gabc", nil)...)
	want := `ID=minos-init
NAME=minos-init
PRETTY_NAME="minos-init v1.2-3-gabc (debug)"
VERSION_ID=v1.2-3-gabc
VARIANT_ID=debug
`
	if diff := cmp.Diff(want, contentOf(t, image["etc/initrd-release"])); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckStatic(t *testing.T) {
	arch, err := findArchitecture("arm64")
	if err != nil {
		t.Fatal(err)
	}
	if err := arch.checkStatic(elfFile(t, elf.EM_AARCH64, ".text", "", elf.PT_LOAD)); err != nil {
		t.Errorf("a static program: %v", err)
	}
	wantError(t, arch.checkStatic(elfFile(t, elf.EM_AARCH64, ".text", "", elf.PT_INTERP)), "not static", "PT_INTERP")
	wantError(t, arch.checkStatic(elfFile(t, elf.EM_AARCH64, ".text", "", elf.PT_DYNAMIC)), "not static", "PT_DYNAMIC")
	wantError(t, arch.checkStatic(elfFile(t, elf.EM_RISCV, ".text", "", elf.PT_LOAD)), "EM_RISCV", "arm64")
	wantError(t, arch.checkStatic([]byte("#!/bin/sh")), "no ELF file")
}

// A write that fails leaves the old results as they were, and nothing else.
func TestWriteOutputsAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	if err := writeOutputs(dir, []output{{"init", 0o755, []byte("old")}}); err != nil {
		t.Fatal(err)
	}
	// The second cannot be written: its directory is not there.
	err := writeOutputs(dir, []output{{"init", 0o755, []byte("new")}, {"not/there", 0o644, nil}})
	wantError(t, err, "cannot write not/there")

	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "init" {
		t.Errorf("the directory has %v, want init only", entries)
	}
	content, err := os.ReadFile(filepath.Join(dir, "init"))
	if err != nil || string(content) != "old" {
		t.Errorf("init is %q, %v; want the old one", content, err)
	}
}
