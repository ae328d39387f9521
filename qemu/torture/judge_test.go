package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/minos-os/minos-init/qemu"
)

// madeExt4 is a filesystem with a file, a link and a device.
func madeExt4(t *testing.T) string {
	t.Helper()
	tools(t, "mke2fs", "fakeroot", "e2fsck", "debugfs")
	file := filepath.Join(t.TempDir(), "ext4")
	tree := qemu.Tree{}.With(qemu.Dir("a"), qemu.Dir("a/a b"), qemu.Text("a/a b/mine", "one\ntwo"), qemu.Link("a/link", "to/there"),
		qemu.File{Name: "a/su", Mode: 0o4711 &^ 0o4000, UID: 7, GID: 42, Data: "x"})
	content := qemu.Ext4{Label: "test", UUID: "6d696e6f-7300-4000-8000-00000000ffff", Tree: tree}
	if err := content.Make(file, 160<<20); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestReadExt4(t *testing.T) {
	found, err := readExt4(madeExt4(t))
	if err != nil {
		t.Fatal(err)
	}
	delete(found, "lost+found")
	want := `a 040755 0 0  ""
a/a b 040755 0 0  ""
a/a b/mine 100644 0 0 7 "one\ntwo"
a/link 120777 0 0 8 "to/there"
a/su 100711 7 42 1 "x"
`
	if diff := cmp.Diff(want, found.String()); diff != "" {
		t.Errorf("tree (-want +got):\n%s", diff)
	}
}

func TestCheckExt4(t *testing.T) {
	whole := madeExt4(t)
	for _, test := range []struct {
		name   string
		damage map[int64]int // bytes from here on are overwritten
		want   class
		why    string
	}{
		{"whole", nil, fine, ""},
		{"torn superblock", map[int64]int{1024 + 512: 512}, repaired, "superblock is torn"},
		{"torn superblock and a journal", map[int64]int{1024 + 512: 512}, repaired, "superblock is torn"},
		{"bitmap", map[int64]int{4096 * 18: 8192}, repaired, "e2fsck -fn is not content"},
		{"all superblocks", map[int64]int{0: 4096, 32768 * 4096: 4096}, lost, "cannot repair"},
	} {
		file := filepath.Join(t.TempDir(), "ext4")
		if err := qemu.CopyImage(file, whole); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(test.name, "journal") {
			fillJournal(t, file)
		}
		f, err := os.OpenFile(file, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for at, n := range test.damage {
			if _, err := f.WriteAt([]byte(strings.Repeat("x", n)), at); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
		got, err := checkExt4(file)
		if err != nil || got.Class != test.want || !strings.Contains(got.Why, test.why) {
			t.Errorf("%s: %v, %v; want %s: %s", test.name, got, err, test.want, test.why)
		}
	}
}

// fillJournal leaves a block in the journal that is not in its place yet.
func fillJournal(t *testing.T, file string) {
	t.Helper()
	block, script := filepath.Join(t.TempDir(), "block"), filepath.Join(t.TempDir(), "script")
	for name, content := range map[string]string{block: strings.Repeat("j", 4096), script: "jo\njw -b 20000 " + block + "\njc\n"} {
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if code, output, err := statusAndOutput("debugfs", "-w", "-f", script, file); code != 0 || err != nil {
		t.Fatal(code, output, err)
	}
}

// fatDisk is a disk that begins with a FAT partition, and where that is.
func fatDisk(t *testing.T, files map[string]string) (string, qemu.Range) {
	t.Helper()
	tools(t, "mkfs.vfat", "fsck.vfat", "mcopy")
	r := qemu.Range{Name: "boot", Size: 33 << 20}
	content := qemu.FAT{Label: "boot"}
	for name, text := range files {
		content.Files = append(content.Files, qemu.Text(name, text))
	}
	file := filepath.Join(t.TempDir(), "disk")
	if err := content.Make(file, r.Size); err != nil {
		t.Fatal(err)
	}
	return file, r
}

func TestFATOf(t *testing.T) {
	files := map[string]string{"a.txt": "one", "b.txt": strings.Repeat("b", 5000)}
	disk, r := fatDisk(t, files)
	got, v, err := fatOf(disk, r)
	if err != nil || v.Class != fine || !maps.Equal(got, files) {
		t.Errorf("the files are %q, %v, %v; want %q", got, v, err, files)
	}
	if err := os.WriteFile(disk, make([]byte, r.Size), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, v, err = fatOf(disk, r); err != nil || v.Class != lost {
		t.Errorf("a partition of zeros is judged %v, %v; want lost", v, err)
	}
}

// A directory is cut off between the FAT and its own name when the power goes
// while it is removed.
func TestFATOfAHalfRemovedDirectory(t *testing.T) {
	tools(t, "mkfs.vfat", "fsck.vfat", "mcopy")
	r := qemu.Range{Name: "boot", Size: 33 << 20}
	disk := filepath.Join(t.TempDir(), "disk")
	content := qemu.FAT{Label: "boot", Files: []qemu.File{qemu.Dir("config"), qemu.Text("a.txt", "one")}}
	if err := content.Make(disk, r.Size); err != nil {
		t.Fatal(err)
	}
	// Behind the root directory's cluster, 2, comes that of the directory. The
	// first FAT lies behind the 32 reserved sectors that mkfs.vfat makes.
	const entry = 32*512 + 3*4
	file, err := os.OpenFile(disk, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteAt(make([]byte, 4), entry); err != nil {
		t.Fatal(err)
	}
	got, v, err := fatOf(disk, r)
	if want := map[string]string{"a.txt": "one"}; err != nil || v.Class != fine || !maps.Equal(got, want) {
		t.Errorf("the files are %q, %v, %v; want %q", got, v, err, want)
	}
}

func TestJudgeFiles(t *testing.T) {
	before := map[string]string{"kernel": "k1", "other": "o", "third": "1"}
	after := map[string]string{"kernel": "k2", "other": "o", "third": "2", "new": "n"}
	for name, test := range map[string]struct {
		now  map[string]string
		want class
	}{
		"taken along":  {map[string]string{"kernel": "k2", "other": "o", "third": "2"}, lost},
		"before":       {before, fine},
		"after":        {map[string]string{"kernel": "k2", "other": "o", "third": "1", "new": "n"}, fine},
		"between":      {map[string]string{"kernel": "k1", "other": "o", "new": "n", "third": "1"}, fine},
		"half":         {map[string]string{"kernel": "k", "other": "o", "third": "1"}, lost},
		"half new":     {map[string]string{"kernel": "k1", "other": "o", "new": "", "third": "1"}, lost},
		"gone":         {map[string]string{"other": "o", "third": "1"}, lost},
		"bystander":    {map[string]string{"kernel": "k2", "other": "x", "third": "1"}, lost},
		"no bystander": {map[string]string{"kernel": "k2", "third": "1"}, lost},
	} {
		if got := judgeFiles(before, after, test.now, []string{"kernel", "new"}, always); got.Class != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
	consumed := map[string]string{"other": "o", "third": "1"}
	for name, test := range map[string]struct {
		now  map[string]string
		want class
	}{
		"still there": {map[string]string{"kernel": "k1", "other": "o", "third": "1"}, fine},
		"gone":        {consumed, fine},
		"by half":     {map[string]string{"kernel": "k", "other": "o", "third": "1"}, lost},
		"and another": {map[string]string{"other": "o"}, lost},
	} {
		if got := judgeFiles(before, consumed, test.now, []string{"kernel"}, always); got.Class != test.want {
			t.Errorf("a file that is removed, %s: %v, want %s", name, got, test.want)
		}
	}
	for started, want := range map[use]class{always: lost, already: lost, notYet: fine} {
		part := map[string]string{"kernel": "k1", "other": "o", "third": "1", "new": "hal"}
		if got := judgeFiles(before, after, part, []string{"kernel", "new"}, started); got.Class != want {
			t.Errorf("a part of a new file, in use %s: %v, want %s", started, got, want)
		}
	}
	if got := judgeFiles(before, after, before, []string{"kernel", "new"}, already); got.Class != lost {
		t.Errorf("no new file, and it is in use: %v", got)
	}
}

// The environment is made and read by the tools of others.
func TestEnvironment(t *testing.T) {
	tools(t, "mkenvimage", "fw_printenv")
	dir := t.TempDir()
	text, file, partition := filepath.Join(dir, "text"), filepath.Join(dir, "env"), filepath.Join(dir, "bootstate")
	if err := os.WriteFile(text, []byte("BOOT_ORDER=A B\nBOOT_A_LEFT=3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if code, output, err := statusAndOutput("mkenvimage", "-s", "0x4000", "-o", file, text); code != 0 || err != nil {
		t.Fatal(code, output, err)
	}
	block, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	torn := append(append([]byte(nil), block[:512]...), make([]byte, len(block)-512)...)
	torn[100]++
	for _, test := range []struct {
		name            string
		primary, shadow []byte
		want            bool
	}{
		{"both", block, block, true}, {"primary", block, torn, true}, {"shadow", torn, block, true},
		{"none", torn, torn, false}, {"blank", nil, nil, false},
	} {
		content := make([]byte, 8<<20)
		copy(content[bootState.offset:], test.primary)
		copy(content[bootState.shadowOffset:], test.shadow)
		if err := os.WriteFile(partition, content, 0o644); err != nil {
			t.Fatal(err)
		}
		var want variables
		if test.want {
			want = variables{"BOOT_ORDER": "A B", "BOOT_A_LEFT": "3"}
		}
		got, err := bootState.read(partition, bootState.offset, bootState.shadowOffset)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", test.name, err, diff)
		}
	}
}

func TestJudgeCut(t *testing.T) {
	one, two := variables{"x": "1"}, variables{"x": "2"}
	for name, test := range map[string]struct {
		before, now variables
		stored      bool
		want        class
	}{
		"before": {one, one, false, fine}, "after": {one, two, false, fine}, "none": {one, nil, false, lost},
		"empty": {one, variables{}, false, lost}, "other": {one, variables{"x": "3"}, false, lost},
		"stored":                     {one, two, true, fine},
		"stored, and still before":   {one, one, true, lost},
		"stored, and damaged":        {nil, nil, true, lost},
		"damaged, and empty before":  {variables{}, nil, false, lost},
		"damaged, as before":         {nil, nil, false, fine},
		"empty, and damaged before":  {nil, variables{}, false, lost},
		"restored from what was not": {nil, one, false, lost},
	} {
		if got := judgeCut(test.before, two, test.now, test.stored); got.Class != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
}

// That nothing can be read is told otherwise than that something else is there.
func TestJudgeCutTellsDamage(t *testing.T) {
	if got := judgeCut(variables{"x": "1"}, variables{"x": "2"}, nil, false); !strings.Contains(got.Why, "accepts neither the environment nor its shadow") {
		t.Errorf("a damaged environment is told as %q", got.Why)
	}
}

// What a boot makes of the boot state, and what is no attempt of its.
func TestAttempt(t *testing.T) {
	for _, test := range []struct{ was, want variables }{
		{nil, variables{"BOOT_ORDER": "A B", "BOOT_A_LEFT": "2", "BOOT_B_LEFT": "3", "BOOT_A_FROM": "3", "BOOT_A_NOW": "2"}},
		{
			variables{"BOOT_ORDER": "B A", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "10", "BOOT_B_FROM": "11", "BOOT_B_NOW": "10", "X": "y"},
			variables{"BOOT_ORDER": "B A", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "f", "BOOT_B_FROM": "11", "BOOT_B_NOW": "f", "X": "y"},
		},
		{
			variables{"BOOT_ORDER": "B A", "BOOT_A_LEFT": "3", "BOOT_B_LEFT": "0", "BOOT_A_FROM": "3", "BOOT_A_NOW": "0", "BOOT_EXHAUSTED": "1"},
			variables{"BOOT_ORDER": "B A", "BOOT_A_LEFT": "2", "BOOT_B_LEFT": "0", "BOOT_A_FROM": "3", "BOOT_A_NOW": "2"},
		},
	} {
		if diff := cmp.Diff(test.want, test.was.attempt()); diff != "" {
			t.Errorf("after an attempt of %q (-want +got):\n%s", test.was, diff)
		}
	}
	one, two := variables{"x": "1"}, variables{"x": "2"}
	if judgeBoots(one, maps.Clone(one), "shadow").Class != fine || judgeBoots(one, two, "shadow").Class != lost || judgeBoots(one, nil, "shadow").Class != lost {
		t.Error("another environment than the attempts make is not lost, or the same is")
	}
}

func TestReached(t *testing.T) {
	stub := qemu.Stub{Started: true, Complete: true, BootJSON: `{"degraded":false}`}
	weak := stub
	weak.BootJSON = `{"degraded":true,"degraded_reasons":["no data"]}`
	mute := stub
	mute.BootJSON = ""
	for name, test := range map[string]struct {
		r    result
		want class
	}{
		"real init":    {result{qemu.PowerOff, "", stub}, fine},
		"degraded":     {result{qemu.PowerOff, "", weak}, degraded},
		"no report":    {result{qemu.PowerOff, "", mute}, deadEnd},
		"half a stub":  {result{qemu.PowerOff, "", qemu.Stub{Started: true, BootJSON: stub.BootJSON}}, deadEnd},
		"hangs":        {result{qemu.Timeout, "", qemu.Stub{}}, deadEnd},
		"mute restart": {result{qemu.Reset, "Kernel panic", qemu.Stub{}}, deadEnd},
		"fails again":  {result{qemu.Reset, "[1] minos: FAILED step=disk error=\"cannot\"\n", qemu.Stub{}}, deadEnd},
	} {
		if got := reached(test.r); got.Class != test.want {
			t.Errorf("%s: %v, want %s", name, got, test.want)
		}
	}
	if v := reached(result{qemu.Reset, "minos: FAILED step=disk\n", qemu.Stub{}}); !strings.Contains(v.Why, "failed again") {
		t.Errorf("a second clear failure is told as %q", v.Why)
	}
	if !failedClearly(result{qemu.Reset, "[1] minos: FAILED step=disk error=\"cannot\"\n", qemu.Stub{}}) {
		t.Error("a failure with its line and a restart is none")
	}
}

func TestFiles(t *testing.T) {
	s := scenario{files: []expected{
		{path: "/etc/mine", texts: []string{"1", "3"}, where: shown},
		{path: "/etc/mine", texts: []string{"3"}, where: shown, marked: 1},
		{path: "/etc/gone", where: hidden},
		{path: "overlay/b/upper/x", texts: []string{"1"}, where: stored},
	}}
	if diff := cmp.Diff([]string{"read:/etc/mine", "read:/etc/gone"}, looks([]scenario{s, s})); diff != "" {
		t.Errorf("verbs (-want +got):\n%s", diff)
	}
	for _, test := range []struct {
		mine, gone string
		marks      int
		want       class
	}{
		{`"1"`, "ENOENT", 0, fine}, {`"3"`, "ENOENT", 0, fine}, {`"3"`, "ENOENT", 1, fine},
		{`"1"`, "ENOENT", 1, lost}, {`""`, "ENOENT", 0, lost}, {"ENOENT", "ENOENT", 0, lost}, {`"1"`, `"1"`, 0, lost},
	} {
		r := result{stub: qemu.Stub{Done: []string{"read:/etc/mine " + test.mine, "read:/etc/gone " + test.gone}}}
		if got := s.filesShown(r, test.marks); got.Class != test.want {
			t.Errorf("%s and %s after %d marks: %v, want %s", test.mine, test.gone, test.marks, got, test.want)
		}
	}
	if got := s.filesShown(result{}, 0); got.Class != lost {
		t.Errorf("a stub that looked at nothing is judged %v", got)
	}
	for content, want := range map[string]class{"1": fine, "2": lost} {
		if got := s.filesStored(trees{"overlay": {"b/upper/x": {content: content}}}, 0); got.Class != want {
			t.Errorf("%s: %v, want %s", content, got, want)
		}
	}
	if got := s.filesStored(trees{"overlay": {}}, 0); got.Class != lost {
		t.Errorf("a partition without the file is judged %v", got)
	}
}
