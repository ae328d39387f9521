package block

import (
	"bytes"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// seedMBR is the table of the layout slots, as a script for sfdisk.
const seedMBR = `label: dos
label-id: 0x6d696e6f
start=2048,size=2048,type=c,bootable
start=4096,size=24576,type=f
start=28672,size=2048,type=83
start=30720,size=2048,type=83
start=6144,size=2048,type=83
start=10240,size=2048,type=83
start=14336,size=2048,type=83
start=18432,size=2048,type=83
start=22528,size=2048,type=83
`

const namedGPT = `label: gpt
label-id: 01234567-89AB-CDEF-0123-456789ABCDEF
start=2048,size=2048,type=C12A7328-F81F-11D2-BA4B-00A0C93EC93B,name="boot"
start=4096,size=4096,name="bootstate"
start=8192,size=2048,name="ümlaut \ odd"
`

// partitioned is an empty disk with a table that sfdisk wrote, and what sfdisk
// reads of it.
func partitioned(t testing.TB, script string) ([]byte, Table) {
	t.Helper()
	if _, err := exec.LookPath("sfdisk"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("sfdisk is not installed, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: sfdisk, of the package fdisk, is not installed")
	}
	name := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(name, make([]byte, 20<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(stdin string, args ...string) []byte {
		cmd := exec.Command("sfdisk", append(args, name)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("sfdisk %q: %v", args, err)
		}
		return out
	}
	run(script, "--quiet", "--no-reread", "--no-tell-kernel")
	var judge struct {
		PartitionTable struct {
			Label, ID  string
			Partitions []struct {
				Node, Type, Name string
				Start, Size      int64
			}
		}
	}
	if err := json.Unmarshal(run("", "--json"), &judge); err != nil {
		t.Fatal(err)
	}
	p := judge.PartitionTable
	want := Table{Scheme: p.Label, ID: strings.ToLower(strings.TrimPrefix(p.ID, "0x")), Block: 512}
	for _, e := range p.Partitions {
		number, err := strconv.Atoi(strings.TrimLeft(strings.TrimPrefix(e.Node, name), "p"))
		if err != nil {
			t.Fatal(err)
		}
		if len(e.Type) == 1 {
			e.Type = "0" + e.Type
		}
		want.Entries = append(want.Entries, TableEntry{
			Number: number, Start: e.Start * 512, Size: e.Size * 512,
			Type: strings.ToLower(e.Type), Name: strings.ReplaceAll(e.Name, `\`, `\x5c`),
		})
	}
	slices.SortFunc(want.Entries, func(a, b TableEntry) int { return a.Number - b.Number })
	disk, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return disk, want
}

// What sfdisk reads of a table is what we read.
func TestTableAgreesWithSfdisk(t *testing.T) {
	for _, c := range []struct {
		name, script string
		partitions   int
	}{
		{"the seed's MBR", seedMBR, 9},
		{"primaries only", "label: dos\nstart=2048,size=2048,type=83\nstart=8192,size=2048,type=da\n", 2},
		{"one logical", "label: dos\nstart=2048,size=8192,type=5\nstart=4096,size=2048,type=83\n", 2},
		{"GPT with names", namedGPT, 3},
		{"GPT with a hole", "label: gpt\n5: start=4096,size=2048,name=\"five\"\n2: start=8192,size=2048\n", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, want := partitioned(t, c.script)
			got, err := ReadTable(bytes.NewReader(disk), int64(len(disk)))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("-sfdisk +ours:\n%s", diff)
			}
			if len(got.Entries) != c.partitions {
				t.Errorf("%d partitions, want %d", len(got.Entries), c.partitions)
			}
		})
	}
}

// A disk of 4 KiB blocks has the same GPT in other places: sfdisk cannot make
// one in a file, so its tables are moved.
func TestTableOfLargeBlocks(t *testing.T) {
	disk, want := partitioned(t, namedGPT)
	moved := make([]byte, 4*len(disk))
	copy(moved, disk[:512])
	copy(moved[4096:], disk[512:1024])
	copy(moved[8192:], disk[1024:][:128*128])
	want.Block = 4096
	for i := range want.Entries {
		want.Entries[i].Start *= 8
		want.Entries[i].Size *= 8
	}
	got, err := ReadTable(bytes.NewReader(moved), int64(len(moved)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The first copy of a GPT may be damaged in any byte that a checksum covers:
// the backup at the end is read. Without it there is no table.
func TestTableFromTheBackup(t *testing.T) {
	disk, want := partitioned(t, namedGPT)
	want.Backup = true
	for _, at := range []int{512, 512 + 20, 512 + 40, 512 + 91, 1024 + 56, 1024 + 127*128} {
		damaged := slices.Clone(disk)
		damaged[at] ^= 1
		got, err := ReadTable(bytes.NewReader(damaged), int64(len(damaged)))
		if err != nil {
			t.Errorf("byte %d damaged: %v", at, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("byte %d damaged, -want +got:\n%s", at, diff)
		}
		damaged[len(damaged)-512] ^= 1
		if got, err := ReadTable(bytes.NewReader(damaged), int64(len(damaged))); err == nil || errors.Is(err, ErrNoTable) {
			t.Errorf("byte %d damaged, and the backup too: %+v, %v", at, got, err)
		}
	}
}

// What is no table is not taken for one, and a chain that has no end ends.
func TestNoTable(t *testing.T) {
	disk, _ := partitioned(t, seedMBR)
	fat := golden(t, "fat16")
	loop := slices.Clone(disk)
	link := 4096*512 + mbrTable + mbrEntrySize
	copy(loop[link+8:], []byte{0, 0, 0, 0}) // the second table is the first again
	backwards, _ := partitioned(t, namedGPT)
	le.PutUint64(backwards[1024+128+40:], 4095) // the second partition ends before it starts
	le.PutUint32(backwards[512+88:], crc32.ChecksumIEEE(backwards[1024:][:128*128]))
	clear(backwards[512+16:][:4])
	le.PutUint32(backwards[512+16:], crc32.ChecksumIEEE(backwards[512:][:92]))
	clear(backwards[len(backwards)-512:])
	cut := slices.Clone(disk)
	clear(cut[4096*512+510 : 4096*512+512])
	for _, c := range []struct {
		name  string
		disk  []byte
		none  bool
		holds string
	}{
		{"blank", make([]byte, 1<<20), true, ""},
		{"nothing", nil, true, ""},
		{"a FAT", fat, true, ""},
		{"a partition that ends before it starts", backwards, false, "from block 4096 to 4095"},
		{"a chain without end", loop, false, "no end"},
		{"a logical partition without signature", cut, false, "no signature"},
	} {
		got, err := ReadTable(bytes.NewReader(c.disk), int64(len(c.disk)))
		if err == nil || errors.Is(err, ErrNoTable) != c.none || !strings.Contains(err.Error(), c.holds) {
			t.Errorf("%s: %+v, %v", c.name, got, err)
		}
	}
}

func TestTableFind(t *testing.T) {
	gpt := Table{Scheme: "gpt", Entries: []TableEntry{{Number: 9, Name: "data"}, {Number: 2, Name: "bootstate"}}}
	dos := Table{Scheme: "dos", Entries: []TableEntry{{Number: 1}, {Number: 9}}}
	if e, ok := gpt.Find("bootstate", 9); !ok || e.Number != 2 {
		t.Errorf("GPT: %+v, %t; a name counts, and no number", e, ok)
	}
	if e, ok := dos.Find("bootstate", 9); !ok || e.Number != 9 {
		t.Errorf("MBR: %+v, %t", e, ok)
	}
	if e, ok := (Table{Scheme: "dos", Entries: dos.Entries[:1]}).Find("", 9); ok {
		t.Errorf("found %+v", e)
	}
}

// For any content of a disk: no panic, an end, and partitions that can be.
//
//fuzz:covers table.go table_dos.go
func FuzzTable(f *testing.F) {
	const small = "label: dos\nstart=16,size=64,type=5\nstart=18,size=2,type=83\nstart=24,size=2,type=83\n"
	for script, want := range map[string]int{small: 3, namedGPT: 3} {
		disk, _ := partitioned(f, script)
		seed := slices.Clone(disk[:34*512])
		table, err := ReadTable(bytes.NewReader(seed), int64(len(seed)))
		if err != nil || len(table.Entries) != want {
			f.Fatalf("a seed with %d partitions, %v", len(table.Entries), err)
		}
		f.Add(seed)
		for _, spoil := range []func(b []byte){
			func(b []byte) { b[510] = 0 },                     // no signature
			func(b []byte) { b[0x1be] = 7 },                   // a boot sector
			func(b []byte) { b[0x1c2] = typeProtective },      // a GPT that is not there
			func(b []byte) { copy(b[512:], gptMagic) },        // one without a length
			func(b []byte) { b[1024+130]++ },                  // the entries
			func(b []byte) { b[16*512+510] = 0 },              // the table of a logical partition
			func(b []byte) { clear(b[16*512 : 17*512]) },      // an extended partition in which nothing was made
			func(b []byte) { b[512+80]++; resealHeader(b) },   // more entries than there are
			func(b []byte) { b[512+84] = 1; resealHeader(b) }, // too short ones
			func(b []byte) { // a partition that ends before it begins
				clear(b[1024+40 : 1024+48])
				le.PutUint32(b[512+88:], crc32.ChecksumIEEE(b[1024:1024+128*128]))
				resealHeader(b)
			},
			func(b []byte) { // a chain that comes back to itself
				copy(b[16*512+0x1ce:], []byte{0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0})
			},
		} {
			spoiled := slices.Clone(seed)
			spoil(spoiled)
			f.Add(spoiled)
		}
	}
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, disk []byte) {
		table, err := ReadTable(bytes.NewReader(disk), int64(len(disk)))
		if err != nil {
			return
		}
		last := 0
		for _, e := range table.Entries {
			if e.Number <= last || e.Start < 0 || e.Size <= 0 || e.Start > e.Start+e.Size {
				t.Errorf("partition %+v after %d", e, last)
			}
			last = e.Number
			for _, char := range e.Name {
				if !strconv.IsPrint(char) {
					t.Errorf("the name %q does not print", e.Name)
				}
			}
		}
	})
}

// resealHeader makes the checksum of the header in the second sector right.
func resealHeader(disk []byte) {
	header := disk[512:1024]
	if length := le.Uint32(header[12:]); length >= gptHeaderMin && length <= 512 {
		le.PutUint32(header[16:], headerSum(header))
	}
}
