package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// cardScenarios are about a card that an image was written to: it is larger
// than the image, or has no filesystem for data.
func cardScenarios() []scenario {
	do := slices.Concat(synced("/etc/mine", "1"), synced("/data/mine", "1"))
	files := []expected{
		{path: "/etc/mine", texts: []string{"1"}, where: shown, marked: 1},
		{path: "/data/mine", texts: []string{"1"}, where: shown, marked: 2},
	}
	const card = 1 << 30
	return []scenario{
		{name: "larger card", words: slotA, card: card, do: do, files: files},
		{name: "larger card, GPT", words: slotA, card: card, disk: onGPT, do: marksOnGPT(do), files: files},
		{name: "blank data", words: slotA, disk: blankData, makes: []string{"data"}, do: do, files: files},
	}
}

// onGPT is the stub disk with the other table.
func onGPT(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	d.GPT = true
	return d
}

// marksOnGPT are verbs whose marks go to where markPartition is there.
func marksOnGPT(verbs []string) []string {
	verbs = slices.Clone(verbs)
	for i, verb := range verbs {
		if verb == setMark {
			verbs[i] = "mark:" + markOnGPT
		}
	}
	return verbs
}

// blankData is the stub disk without a filesystem for data, and with the program
// in slot A that makes one.
func blankData(p parts) qemu.Disk {
	d := qemu.StubDisk(p.stub)
	root := d.RootFSA.Content.(qemu.Ext4)
	root.Tree = root.Tree.With(p.tools...)
	d.RootFSA.Content = root
	d.Data.Content = nil
	return d
}

// unmade tells whether a partition, in a file of its own, has no filesystem yet
// of those that the scenario makes: it is blank where one begins, or has a mark
// in the sector that an ext4 leaves zero. What is on it is nobody's then.
func (s scenario) unmade(name, file string) (bool, error) {
	if !slices.Contains(s.makes, name) {
		return false, nil
	}
	f, err := os.Open(file)
	if err != nil {
		return false, fmt.Errorf("cannot see whether there is a filesystem: %w", err)
	}
	defer f.Close()
	start := make([]byte, 2048) // the first sector, and the superblock
	if _, err := f.ReadAt(start, 0); err != nil {
		return false, fmt.Errorf("cannot see whether there is a filesystem: %w", err)
	}
	zeros := make([]byte, len(start))
	marked := !bytes.Equal(start[:sectorSize], zeros[:sectorSize])
	return marked || bytes.Equal(start, zeros), nil
}

// judgeTable judges the partition table of a larger card after a boot: that
// others take it for whole, that every partition is where it was, and that data
// has the space behind it.
func (b *bench) judgeTable(disk string) (verdict, error) {
	if b.scenario.card == 0 {
		return isFine, nil
	}
	wanted := b.scenario.recipe(parts{})
	checks := [][]string{{"sfdisk", "--verify", disk}}
	if d, ok := wanted.(qemu.Disk); ok && d.GPT {
		checks = append(checks, []string{"sgdisk", "--verify", disk})
	}
	for _, check := range checks {
		code, output, err := statusAndOutput(check[0], check[1:]...)
		if err != nil {
			return verdict{}, err
		}
		clean := strings.Contains(output, "No errors detected") || strings.Contains(output, "No problems found")
		if code != 0 || !clean || strings.Contains(output, "mismatch") {
			return judged(lost, "%s is not content with the partition table:\n%s", check[0], output), nil
		}
	}
	code, output, err := statusAndOutput("sfdisk", "--dump", disk)
	if err != nil || code != 0 {
		return judged(lost, "sfdisk cannot read the partition table:\n%s", output), err
	}
	return placed(output, wanted.Ranges(), b.scenario.card), nil
}

// placed compares a table, as sfdisk dumps it, with what it was on a smaller
// card, whose last partition has all the space now.
func placed(dump string, wanted []qemu.Range, card int64) verdict {
	type place struct{ start, size int64 }
	found := map[int]place{}
	for line := range strings.Lines(dump) {
		name, rest, ok := strings.Cut(line, " : start=")
		if !ok {
			continue
		}
		var number int
		var p place
		_, err := fmt.Sscanf(name[strings.LastIndexFunc(name, notDigit)+1:], "%d", &number)
		if err == nil {
			_, err = fmt.Sscanf(strings.ReplaceAll(rest, ",", " "), "%d size= %d", &p.start, &p.size)
		}
		if err != nil {
			return judged(lost, "the line %q of the partition table: %v", line, err)
		}
		found[number] = place{p.start * sectorSize, p.size * sectorSize}
	}
	// On a card a MiB at the end belongs to the table, or is not worth a write.
	const rest = 1 << 20
	for _, r := range wanted {
		p := found[r.Number]
		large := p.size > r.Size && p.start+p.size <= card && p.start+p.size >= card-rest
		if p.start != r.Start || r.Name == "data" && !large || r.Name != "data" && p.size != r.Size {
			return judged(lost, "%s is at byte %d with %d bytes, and was at %d with %d, on a card of %d now", r.Name, p.start, p.size, r.Start, r.Size, card)
		}
	}
	return isFine
}

func notDigit(r rune) bool { return r < '0' || r > '9' }
