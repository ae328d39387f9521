package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/firstboot"
)

// The data partition, where nobody says otherwise: as the layout slots has it.
const dataName, dataNumber = "data", 4

// firstBoot says what the first boot of a card, or of a card that an image is
// written to, would do to its data partition, by the same judgement as init's.
// It reads, and writes nothing.
func (c *call) firstBoot() error {
	name := c.args[0]
	disk, err := openDevice(name, false)
	if err != nil {
		return cannotTell(err)
	}
	defer disk.Close()
	card := disk.size
	if c.card != "" {
		if card, err = parseSize(c.card); err != nil {
			return usage("cannot tell what the first boot does: %v", err)
		}
		if card < disk.size {
			return usage("cannot tell what the first boot does: %s has %d bytes, and a card of %s is smaller", name, disk.size, c.card)
		}
	}
	table, err := block.ReadTable(disk, disk.size)
	if err != nil {
		return cannotTell(fmt.Errorf("%s: %w", name, err))
	}
	entry, err := dataEntry(table, c.data)
	if err != nil {
		return cannotTell(fmt.Errorf("%s: %w", name, err))
	}
	if entry.Start+entry.Size > disk.size {
		return cannotTell(fmt.Errorf("%s: partition %d ends at byte %d, and the file at %d; it was cut short", name, entry.Number, entry.Start+entry.Size, disk.size))
	}
	found := firstboot.Judge(io.NewSectionReader(disk, entry.Start, entry.Size), entry.Size, entry.Start)
	// What a larger card holds behind the image is not known; a plan does not
	// depend on it.
	growth, refused := block.PlanGrowth(disk, block.Geometry{Size: card, Logical: table.Block, Physical: table.Block}, entry.Number)
	c.say("%s", outlook(table, entry, found, growth, refused))
	return nil
}

func cannotTell(err error) error {
	return fmt.Errorf("cannot tell what the first boot does: %w", err)
}

// outlook is the facts and the plan, in words.
func outlook(table block.Table, entry block.TableEntry, found firstboot.Finding, growth block.Growth, refused error) string {
	text := fmt.Sprintf("Partition     %d of the %s, %s at %s\nContent       it %s\n",
		entry.Number, tableName(table), block.SizeText(entry.Size), block.SizeText(entry.Start), found.Reason)
	var steps []string
	add := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	grows := refused == nil && len(growth.Stages) > 0
	decision := firstboot.Decide(found, firstboot.Wish{})
	if decision.Claim {
		add("mark the partition as about to be formatted, in its first sector")
	}
	if decision.Clear {
		add("clear the mark of a format in its first sector; the filesystem stays as it is")
	}
	if grows && (decision.Format || usable(found)) {
		add("give it the space behind it: %s", growth)
	}
	if decision.Format {
		add("make an ext4 in it, with the mke2fs of the slot")
		if size := max(growth.To, entry.Size); firstboot.FirstSize(size) < size {
			add("grow that beyond %s after the boot (minos-growfs.service), or before it with minos.grow=now", block.SizeText(firstboot.FirstSize(size)))
		}
	} else if usable(found) && (grows || found.Super.Size+block.MinGain <= entry.Size) {
		add("grow the %s to fill it, after the boot (minos-growfs.service), or before it with minos.grow=now", found.Super.Type)
	}
	text += "The plan      " + planned(steps)
	if refused != nil {
		text += fmt.Sprintf("Not           grow the partition: %v\n", refused)
	}
	switch {
	case found.Content == firstboot.Stale:
		text += "Not           format it: only minos.format-data= with the label of the image build does that; without it there is no data partition\n"
	case decision.Err != nil:
		text += "Not           format it: it is not proved to be nobody's; there is no data partition until a person has seen to it\n"
	case !decision.Format && !usable(found):
		text += "Not           use it: the layout slots has ext4 there; there is no data partition until a person has seen to it\n"
	}
	return text
}

// usable tells whether the layout slots takes what was found for its data.
func usable(found firstboot.Finding) bool {
	whole := found.Content == firstboot.Filesystem || found.Content == firstboot.Leftover
	return whole && found.Super.Type == "ext4"
}

// planned is a list of steps.
func planned(steps []string) string {
	if len(steps) == 0 {
		return "nothing is to do\n"
	}
	text := ""
	for i, s := range steps {
		if i > 0 {
			text += strings.Repeat(" ", 14)
		}
		text += fmt.Sprintf("%d. %s\n", i+1, s)
	}
	return text
}

func tableName(t block.Table) string {
	if t.Scheme == "gpt" {
		return "GPT"
	}
	return "MBR"
}

// dataEntry finds the partition: wanted, a GPT name or a number, or that of the
// layout.
func dataEntry(t block.Table, wanted string) (block.TableEntry, error) {
	name, number := dataName, dataNumber
	if n, err := strconv.Atoi(wanted); err == nil {
		for _, e := range t.Entries {
			if e.Number == n {
				return e, nil
			}
		}
		return block.TableEntry{}, fmt.Errorf("there is no partition %d", n)
	} else if wanted != "" {
		name, number = wanted, 0
	}
	if e, ok := t.Find(name, number); ok {
		return e, nil
	}
	if wanted != "" || t.Scheme == "gpt" {
		return block.TableEntry{}, fmt.Errorf("no partition is called %s; --data names another, or its number", name)
	}
	return block.TableEntry{}, fmt.Errorf("there is no partition %d; --data gives another number", number)
}

// parseSize reads a number of bytes, with K, M, G or T behind it for powers of
// 1024.
func parseSize(text string) (int64, error) {
	digits, shift := text, 0
	for i, letter := range "KMGT" {
		if rest, ok := strings.CutSuffix(text, string(letter)); ok {
			digits, shift = rest, 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)>>shift {
		return 0, errors.New("the size of a card is a number of bytes, or one with K, M, G or T behind it, for example 32G")
	}
	return n << shift, nil
}
