package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sectors is data of one sector for each letter.
func sectors(letters string) []byte {
	var data []byte
	for _, l := range []byte(letters) {
		data = append(data, bytes.Repeat([]byte{l}, sectorSize)...)
	}
	return data
}

func wrote(sector int64, letters string) entry {
	return entry{sector: sector, sectors: int64(len(letters)), data: sectors(letters)}
}

const markAt = 90

// story is a record: two writes in one window, a mark behind the flush, a write
// and a mark in its window, a discard.
func story() record {
	return newRecord([]entry{
		wrote(1, "a"), wrote(2, "bc"), {flush: true}, wrote(markAt, "m"),
		wrote(1, "d"), wrote(markAt, "m"), wrote(4, "e"), {flush: true}, {sector: 2, sectors: 1, discard: true},
	}, markAt, 8)
}

// disk is a cut's disk of ten sectors, a letter each.
func (c cut) disk() string {
	disk := []byte(strings.Repeat("-", 10))
	for _, p := range c.pieces {
		for i := range len(p.data) / sectorSize {
			disk[int(p.sector)+i] = p.data[i*sectorSize]
			if p.data[i*sectorSize] == 0 {
				disk[int(p.sector)+i] = '0'
			}
		}
	}
	return string(disk)
}

func TestCuts(t *testing.T) {
	var got []string
	for _, c := range story().cuts() {
		got = append(got, fmt.Sprintf("%s %d %s: %s", c.disk(), c.synced, c.kind, c.name))
	}
	want := []string{
		"---------- 0 prefix: 0 of 5 writes",
		"-a-------- 0 prefix: 1 of 5 writes",
		"-abc------ 1 prefix: 2 of 5 writes",
		"-dbc------ 2 prefix: 3 of 5 writes",
		"-dbce----- 2 prefix: 4 of 5 writes",
		"-d0ce----- 2 prefix: 5 of 5 writes",
		"--bc------ 0 missing: 2 of 5 writes, number 1 missing",
		"--bc------ 0 early: 0 of 5 writes and number 2",
		"-ab------- 0 torn: 1 of 5 writes and the first 1 of 2 sectors of the next",
		"-a-c------ 0 torn: 1 of 5 writes and the last 1 of 2 sectors of the next",
		"-abce----- 2 missing: 4 of 5 writes, number 3 missing",
		"-abce----- 2 early: 2 of 5 writes and number 4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cuts (-want +got):\n%s", diff)
	}
	if n := story().boundaries(); n != 6 {
		t.Errorf("%d boundaries, want 6", n)
	}
}

// Of a part of the disk only the cuts that concern a write to it are wanted.
func TestCutsWithin(t *testing.T) {
	r := newRecord([]entry{
		wrote(1, "a"), wrote(4, "bc"), wrote(2, "d"), {flush: true}, wrote(1, "e"), wrote(2, "f"),
	}, markAt, 8)
	r.within = []span{{4, 6, true}}
	var got []string
	for _, c := range r.cuts() {
		got = append(got, fmt.Sprintf("%s %s: %s", c.disk(), c.kind, c.name))
	}
	want := []string{
		"-a-------- prefix: 1 of 5 writes",
		"-a--bc---- prefix: 2 of 5 writes",
		"----bc---- early: 0 of 5 writes and number 2",
		"-a--b----- torn: 1 of 5 writes and the first 1 of 2 sectors of the next",
		"-a---c---- torn: 1 of 5 writes and the last 1 of 2 sectors of the next",
		"-ad------- missing: 3 of 5 writes, number 2 missing",
	}
	if diff := cmp.Diff(slices.Sorted(slices.Values(want)), slices.Sorted(slices.Values(got))); diff != "" || r.boundaries() != 2 {
		t.Errorf("%d boundaries; cuts (-want +got):\n%s", r.boundaries(), diff)
	}
}

// A mark before a flush was set while the writes before it could still get lost.
func TestCutsAfterAMark(t *testing.T) {
	r := newRecord([]entry{wrote(1, "a"), wrote(2, "b"), wrote(markAt, "m"), {flush: true}, wrote(markAt, "m"), wrote(3, "c")}, markAt, 8)
	got := map[string]int{}
	for _, c := range r.cuts() {
		got[c.disk()] = max(got[c.disk()], c.synced)
	}
	want := map[string]int{"----------": 0, "-a--------": 0, "-ab-------": 2, "--b-------": 1, "-abc------": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("marks by disk (-want +got):\n%s", diff)
	}
}

// A write with FUA is durable when it is over, so nothing after it is there
// without it.
func TestCutsOfDurableWrites(t *testing.T) {
	first := wrote(1, "a")
	first.fua = true
	for _, c := range newRecord([]entry{first, wrote(2, "b"), wrote(3, "c")}, markAt, 8).cuts() {
		if c.disk()[1] != 'a' && strings.ContainsAny(c.disk(), "bc") {
			t.Errorf("%s: %s lacks the durable write", c.name, c.disk())
		}
	}
}

func TestTears(t *testing.T) {
	for n, want := range map[int][]int{
		0: nil, 1: nil, 2: {1}, 8: {1, 2, 3, 4, 5, 6, 7}, 16: {1, 8, 15}, 80: {1, 8, 16, 24, 32, 40, 48, 56, 64, 72, 79},
		240: {1, 24, 48, 72, 96, 120, 144, 168, 192, 216, 239},
	} {
		if diff := cmp.Diff(want, tears(n, false)); diff != "" {
			t.Errorf("tears of %d sectors (-want +got):\n%s", n, diff)
		}
	}
	if got := tears(32, true); len(got) != 31 || got[0] != 1 || got[30] != 31 {
		t.Errorf("all tears of 32 sectors are %d", got)
	}
}

// distinct are the images of the story on a disk that has some of it already.
func distinct(t *testing.T, before string) (all []image, base string) {
	t.Helper()
	base = filepath.Join(t.TempDir(), "base")
	if err := os.WriteFile(base, sectors(before), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if all, err = images(f, story().cuts()); err != nil {
		t.Fatal(err)
	}
	return all, base
}

// Cuts that leave the same disk are one case, which has to stand up to the
// strictest of them.
func TestImages(t *testing.T) {
	all, base := distinct(t, "-a-c------")
	var got []string
	for _, i := range all {
		file := filepath.Join(t.TempDir(), "disk")
		if err := i.build(file, base); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var disk []byte
		for at := 0; at < len(content); at += sectorSize {
			disk = append(disk, max(content[at], '-')) // a sector of zeros, which a discard leaves
		}
		got = append(got, fmt.Sprintf("%s %d, %d cuts, %s", disk, i.synced, len(i.cuts), i.plainest().name))
	}
	want := []string{
		"-a-c------ 0, 3 cuts, 0 of 5 writes",
		"-abc------ 1, 4 cuts, 2 of 5 writes",
		"-dbc------ 2, 1 cuts, 3 of 5 writes",
		"-dbce----- 2, 1 cuts, 4 of 5 writes",
		"-d-ce----- 2, 1 cuts, 5 of 5 writes",
		"-abce----- 2, 2 cuts, 4 of 5 writes, number 3 missing",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

func TestSample(t *testing.T) {
	var all []image
	for i := range 40 {
		all = append(all, image{id: fmt.Sprint(i), cuts: []cut{{kind: kinds()[i/10]}}})
	}
	for n, want := range map[int]string{
		0: "all", 40: "all", 99: "all", 1: "9", 6: "2 5 9 19 29 39",
		20: "0 1 2 3 4 5 6 7 8 9 12 15 19 22 25 29 31 34 36 39",
	} {
		var got []string
		for _, i := range sample(all, n) {
			got = append(got, i.id)
		}
		if text := strings.Join(got, " "); text != want && !(want == "all" && len(got) == len(all)) {
			t.Errorf("a sample of %d: %s, want %s", n, text, want)
		}
	}
	// Kinds that are rare leave their places to others.
	few := slices.Concat(all[:3], all[30:])
	if got := len(sample(few, 10)); got != 10 {
		t.Errorf("a sample of 10 has %d", got)
	}
}

// A write with many cuts does not crowd out the others.
func TestOverWrites(t *testing.T) {
	var all []image
	for i, writes := range []int{1, 1, 1, 1, 1, 2, 3} {
		all = append(all, image{id: fmt.Sprint(i), cuts: []cut{{kind: tornCut, writes: writes}}})
	}
	for n, want := range map[int]string{0: "", 1: "6", 2: "6 4", 3: "5 6 4", 5: "5 6 0 2 4", 7: "5 6 0 1 2 3 4"} {
		var got []string
		for _, i := range overWrites(all, n) {
			got = append(got, i.id)
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("%d of the images: %s, want %s", n, text, want)
		}
	}
}

// The smallest failure is looked for among the plain ones first.
func TestSmallest(t *testing.T) {
	var all []image
	for _, k := range kinds() {
		for n := range 20 {
			all = append(all, image{id: fmt.Sprint(k, " ", n), cuts: []cut{{kind: k, writes: n}}})
		}
	}
	for _, test := range []struct {
		failing string
		fails   func(c cut) bool
		want    string
	}{
		{"torn 12", func(c cut) bool { return c.writes >= 7 }, "prefix 7"},
		{"torn 12", func(c cut) bool { return c.kind == tornCut && c.writes >= 7 }, "torn 7"},
		{"torn 12", func(c cut) bool { return c.kind == tornCut && c.writes == 12 }, "torn 12"},
		{"prefix 0", func(c cut) bool { return true }, "prefix 0"},
	} {
		i := slices.IndexFunc(all, func(i image) bool { return i.id == test.failing })
		tries := 0
		got, err := smallest(all[i], all, func(i image) (bool, error) { tries++; return test.fails(i.plainest()), nil })
		if err != nil || got.id != test.want || tries > 16 {
			t.Errorf("%s: the smallest is %s after %d tries (%v), want %s", test.failing, got.id, tries, err, test.want)
		}
	}
}
