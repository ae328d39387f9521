package main

import (
	"bytes"
	"compress/gzip"
	"debug/elf"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/u-root/u-root/pkg/cpio"
	"github.com/ulikunitz/xz"
)

// elfFile is the smallest ELF file of 64 bits with a section of a name, and
// with a program segment of a type unless it is PT_NULL.
func elfFile(t *testing.T, machine elf.Machine, section, content string, segment elf.ProgType) []byte {
	t.Helper()
	const headerSize, segmentSize, sectionSize = 64, 56, 64
	names := "\x00" + section + "\x00.shstrtab\x00"
	header := elf.Header64{
		Ident: [elf.EI_NIDENT]byte{0x7f, 'E', 'L', 'F', byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB), byte(elf.EV_CURRENT)},
		Type:  uint16(elf.ET_REL), Machine: uint16(machine), Version: uint32(elf.EV_CURRENT),
		Phoff: headerSize, Phentsize: segmentSize, Phnum: 1,
		Shoff: headerSize + segmentSize, Shentsize: sectionSize, Shnum: 3, Shstrndx: 2,
		Ehsize: headerSize,
	}
	start := uint64(headerSize + segmentSize + 3*sectionSize)
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: start, Size: uint64(len(content)), Addralign: 1},
		{Name: uint32(len(section)) + 2, Type: uint32(elf.SHT_STRTAB), Off: start + uint64(len(content)), Size: uint64(len(names)), Addralign: 1},
	}
	var buffer bytes.Buffer
	for _, part := range []any{header, elf.Prog64{Type: uint32(segment)}, sections, []byte(content), []byte(names)} {
		if err := binary.Write(&buffer, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return buffer.Bytes()
}

// testRelease is the kernel release of all modules in these tests.
const testRelease = "6.12.1-test"

// module is an arm64 kernel module with these lines in its .modinfo.
func module(t *testing.T, lines ...string) []byte {
	lines = append(lines, "vermagic="+testRelease+" SMP aarch64", "")
	return elfFile(t, elf.EM_AARCH64, ".modinfo", strings.Join(lines, "\x00"), elf.PT_NULL)
}

// moduleDir makes a kernel's directory with these files, packed after their
// names, and returns its path.
func moduleDir(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), testRelease)
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, pack(t, name, content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func pack(t *testing.T, name string, content []byte) []byte {
	t.Helper()
	var buffer bytes.Buffer
	var w interface {
		Write([]byte) (int, error)
		Close() error
	}
	var err error
	switch filepath.Ext(name) {
	case ".xz":
		// As the kernel's own make writes them: its unpacker knows no CRC64.
		w, err = xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(&buffer)
	case ".zst":
		w, err = zstd.NewWriter(&buffer)
	case ".gz":
		w = gzip.NewWriter(&buffer)
	default:
		return content
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// hostTool runs a program of the host with this input.
func hostTool(t *testing.T, input []byte, argv ...string) []byte {
	t.Helper()
	path, err := exec.LookPath(argv[0])
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed: our bytes cannot be judged by it", argv[0])
		}
		t.Skipf("NOT TESTED: %s is not installed (apt-get install %[1]s): our bytes are not judged by it", argv[0])
	}
	command := exec.Command(path, argv[1:]...)
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%v: %v: %s", argv, err, stderr.String())
	}
	return output
}

// recordsOf reads a cpio archive.
func recordsOf(t *testing.T, plain []byte) []cpio.Record {
	t.Helper()
	records, err := cpio.ReadAllRecords(cpio.Newc.Reader(bytes.NewReader(plain)))
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func contentOf(t *testing.T, record cpio.Record) string {
	t.Helper()
	content := make([]byte, record.FileSize)
	if len(content) == 0 {
		return ""
	}
	if _, err := record.ReadAt(content, 0); err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func wantError(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q lacks %q", err, word)
		}
	}
}
