package systest

import "slices"

// journal is what was changed on a disk, in order. What was not synced, a
// power cut may take back, each change for itself: a file's content without its
// name or its name without its content, a later change without an earlier one.
// A rename is there whole or not at all. That is more than any one filesystem
// does, and no less than POSIX allows.
type journal struct{ changes []*change }

// entry is a name in a directory, and what it is to stand for; nil: nothing.
type entry struct {
	dir  *node
	name string
	now  *node
}

// change is one step that a cut takes back whole.
type change struct {
	entries []entry
	before  []*node // what the entries stood for
	file    *node   // whose content was written, or which was given another date
	was     []byte
	wrote   []byte
	dated   [2]int64 // before and after
	raw     *Part    // whose bytes were written, at offset
	offset  int64
	of      *node  // whose content was changed in another way, or whose length
	back    func() // undoes that
	durable bool
}

// change changes directories.
func (j *journal) change(entries ...entry) {
	c := &change{entries: entries}
	for _, e := range entries {
		c.before = append(c.before, e.dir.entries[e.name])
		e.set(e.now)
	}
	j.changes = append(j.changes, c)
}

func (e entry) set(n *node) {
	if n == nil {
		delete(e.dir.entries, e.name)
		return
	}
	e.dir.entries[e.name] = n
}

// write replaces a file's content.
func (j *journal) write(file *node, data []byte) {
	c := &change{file: file, was: file.data, wrote: data, dated: [2]int64{file.modified, nextDate()}}
	j.changes = append(j.changes, c)
	file.data, file.modified = slices.Clone(data), c.dated[1]
}

// date says when a file was modified.
func (j *journal) date(file *node, when int64) {
	j.changes = append(j.changes, &change{file: file, was: file.data, wrote: file.data, dated: [2]int64{file.modified, when}})
	file.modified = when
}

// writeRaw replaces bytes of a partition.
func (j *journal) writeRaw(p *Part, offset int64, b []byte) {
	j.changes = append(j.changes, &change{raw: p, offset: offset, was: p.Bytes(offset, len(b)), wrote: slices.Clone(b)})
	p.PutBytes(offset, b)
}

// sync makes durable what was changed in a file or in a directory; all, for
// nil.
func (j *journal) sync(n *node) {
	for _, c := range j.changes {
		inDir := slices.ContainsFunc(c.entries, func(e entry) bool { return e.dir == n })
		if n == nil || c.file == n || c.of == n || inDir {
			c.durable = true
		}
	}
}

// open are the changes that are not durable.
func (j *journal) open() (open []*change) {
	for _, c := range j.changes {
		if !c.durable {
			open = append(open, c)
		}
	}
	return open
}

// CutAfter cuts the power after n more effects.
func (k *Kernel) CutAfter(n int) { k.left = n }

// Unsynced is how many changes on all disks a power cut now may take back.
func (k *Kernel) Unsynced() (n int) {
	for _, d := range k.disks {
		for _, p := range d.all() {
			n += len(p.log.open())
		}
	}
	return n
}

// CutPower ends the machine's run and returns its disks as the next machine
// finds them. keep says for each change that was not synced whether it has
// reached the disk; they are counted over all disks.
func (k *Kernel) CutPower(keep func(i int) bool) []*Disk {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ended = "cut"
	i := 0
	var disks []*Disk
	for _, d := range k.disks {
		after := &Disk{Name: d.Name, Driver: d.Driver, Removable: d.Removable, Size: d.Size, Whole: d.Whole}
		for _, p := range d.all() {
			var lost []*change
			for _, c := range p.log.open() {
				if !keep(i) {
					lost = append(lost, c)
				}
				i++
			}
			for _, c := range slices.Backward(lost) {
				c.takeBack()
			}
			p.log, p.fs = journal{}, nil
		}
		after.Parts = d.Parts
		disks = append(disks, after)
	}
	return disks
}

// takeBack undoes a change, where no later one stands on it.
func (c *change) takeBack() {
	if c.back != nil {
		c.back()
	}
	if c.file != nil && string(c.file.data) == string(c.wrote) {
		c.file.data = c.was
	}
	if c.file != nil && c.file.modified == c.dated[1] {
		c.file.modified = c.dated[0]
	}
	if c.raw != nil && string(c.raw.Bytes(c.offset, len(c.wrote))) == string(c.wrote) {
		c.raw.PutBytes(c.offset, c.was)
	}
	for _, e := range c.entries {
		if e.dir.entries[e.name] != e.now {
			return
		}
	}
	for i, e := range c.entries {
		e.set(c.before[i])
	}
}
