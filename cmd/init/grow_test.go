package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

var le = binary.LittleEndian

// larger is the card, MBR or GPT, after it was written to one with 200 MiB of
// space behind data, which is the last partition on it.
func larger(d *systest.Disk) *systest.Disk {
	const partSize, last = 8 << 20, 64 << 20
	at := int64(1 << 20)
	for _, p := range d.Parts {
		if p.Label != "data" {
			p.Start, p.Size = at, partSize
			at += partSize
		}
	}
	for _, p := range d.Parts {
		if p.Label == "data" {
			p.Start, p.Size = at, last
		}
	}
	d.Size = at + last + 200<<20
	d.Whole = &systest.Part{}
	if d.Parts[0].Name != "" {
		putGPT(d, at+last)
	} else {
		putMBR(d)
	}
	return d
}

// putMBR writes the table of a card with three primary partitions and an
// extended one, as its first boot finds it.
func putMBR(d *systest.Disk) {
	mbr := make([]byte, 512)
	mbr[510], mbr[511] = 0x55, 0xaa
	for _, p := range d.Parts {
		if p.Number > 4 {
			continue
		}
		entry := mbr[446+16*(p.Number-1):]
		start, size, kind := p.Start, p.Size, byte(0x83)
		if p.Number == 2 {
			start, size, kind = d.Parts[4].Start, d.Parts[8].Start+d.Parts[8].Size-d.Parts[4].Start, 0x0f
		}
		entry[4] = kind
		le.PutUint32(entry[8:], uint32(start/512))
		le.PutUint32(entry[12:], uint32(size/512))
	}
	d.Whole.PutBytes(0, mbr)
}

// putGPT writes both copies of a table for a disk that ended, but for the
// second copy, with its last partition.
func putGPT(d *systest.Disk, end int64) {
	mbr := make([]byte, 512)
	mbr[510], mbr[511], mbr[446+4], mbr[446+8] = 0x55, 0xaa, 0xee, 1
	blocks := uint64(end/512 + 34)
	le.PutUint32(mbr[446+12:], uint32(blocks-1))
	array := make([]byte, 128*128)
	for _, p := range d.Parts {
		entry := array[128*(p.Number-1):]
		entry[0], entry[16] = 0xaf, byte(p.Number)
		le.PutUint64(entry[32:], uint64(p.Start/512))
		le.PutUint64(entry[40:], uint64((p.Start+p.Size)/512-1))
		for i, c := range p.Name {
			entry[56+2*i] = byte(c)
		}
	}
	header := func(at, other, arrayAt uint64) []byte {
		h := make([]byte, 512)
		copy(h, "EFI PART\x00\x00\x01\x00")
		h[12], h[56] = 92, 1
		for offset, value := range map[int]uint64{24: at, 32: other, 40: 34, 48: blocks - 34, 72: arrayAt} {
			le.PutUint64(h[offset:], value)
		}
		le.PutUint32(h[80:], 128)
		le.PutUint32(h[84:], 128)
		le.PutUint32(h[88:], crc32.ChecksumIEEE(array))
		le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:92]))
		return h
	}
	d.Whole.PutBytes(0, mbr)
	d.Whole.PutBytes(512, header(1, blocks-1, 2))
	d.Whole.PutBytes(1024, array)
	d.Whole.PutBytes(int64(blocks-33)*512, array)
	d.Whole.PutBytes(int64(blocks-1)*512, header(blocks-1, 1, blocks-33))
}

// whole reads the bytes of a disk outside of its partitions.
type whole struct{ d *systest.Disk }

func (w whole) ReadAt(b []byte, off int64) (int, error) {
	return copy(b, w.d.Whole.Bytes(off, len(b))), nil
}

// rescan gives the partitions the sizes that the table has, as a kernel does
// when it starts. It fails when that has no table, or another start.
func rescan(t *testing.T, where string, d *systest.Disk) {
	t.Helper()
	table, err := block.ReadTable(whole{d}, d.Size)
	if err != nil && table.Scheme == "" || table.Backup {
		t.Fatalf("%s: the kernel finds no table: %v", where, err)
	}
	for _, p := range d.Parts {
		i := slices.IndexFunc(table.Entries, func(e block.TableEntry) bool { return e.Number == p.Number })
		switch {
		case table.Scheme == "dos" && (p.Number > 4 || p.Number == 2):
		case i < 0 || table.Entries[i].Start != p.Start:
			t.Fatalf("%s: partition %d is not where it was: %+v", where, p.Number, table.Entries)
		case p.Label != "data" && table.Entries[i].Size != p.Size:
			t.Fatalf("%s: partition %d has another size: %+v", where, p.Number, table.Entries[i])
		default:
			p.Size = table.Entries[i].Size
		}
	}
}

func dataOf(d *systest.Disk) *systest.Part {
	return d.Parts[slices.IndexFunc(d.Parts, func(p *systest.Part) bool { return p.Label == "data" })]
}

// Data is the last partition of a card that is larger than its image: it gets
// the space in the first boot, before it is mounted, and the second does
// nothing.
func TestDataGrowsOnALargerCard(t *testing.T) {
	for name, d := range map[string]*systest.Disk{"mbr": larger(card()), "gpt": larger(gpt())} {
		t.Run(name, func(t *testing.T) {
			k := systest.New("rauc.slot=A")
			k.AddDisk(d)
			start(k, mount.InOrder)
			golden(t, "grow-"+name, k.Trace())
			if end := dataOf(d).Start + dataOf(d).Size; k.Ended() != toInit || d.Size-end > 33*512+4096 {
				t.Errorf("ended with %q, data up to %d of %d", k.Ended(), end, d.Size)
			}
			grown, mounted := strings.Index(k.Trace(), "resize partition"), strings.Index(k.Trace(), " /mnt/data")
			if grown < 0 || mounted < grown {
				t.Error("data is mounted before it has grown")
			}
			second := systest.New("rauc.slot=A")
			for _, d := range k.CutPower(func(int) bool { return true }) {
				rescan(t, "second boot", d)
				second.AddDisk(d)
			}
			start(second, mount.InOrder)
			for _, no := range []string{"lock /dev/vda", "write /dev/vda:", "sync /dev/vda\n"} {
				if strings.Contains(second.Trace(), no) {
					t.Errorf("the second boot does: %s", no)
				}
			}
		})
	}
}

// Whatever fails: a line that says so, a boot that is not degraded, a table
// that is the old one or the new one.
func TestGrowingFails(t *testing.T) {
	const stays = "the space behind /dev/vda4 stays unused, ignoring: "
	for name, c := range map[string]struct {
		break_ func(k *systest.Kernel, d *systest.Disk)
		says   string
	}{
		"locked": {func(k *systest.Kernel, _ *systest.Disk) { k.Fail("lock /dev/vda", unix.EAGAIN) }, stays + "lock /dev/vda: "},
		"write protected": {func(k *systest.Kernel, _ *systest.Disk) { k.Fail("write /dev/vda:", unix.EPERM) },
			stays + "zeros over what is left in the gained space: write /dev/vda: "},
		"sync": {func(k *systest.Kernel, _ *systest.Disk) { k.Fail("sync /dev/vda", unix.EIO) },
			stays + "zeros over what is left in the gained space: sync /dev/vda: "},
		"told": {func(k *systest.Kernel, _ *systest.Disk) { k.Fail("resize partition 4", unix.EBUSY) },
			stays + "the table is written and counts from the next boot on: "},
		"table changed": {func(_ *systest.Kernel, d *systest.Disk) { dataOf(d).Size -= 4096 }, stays + "the table has it at byte "},
		"not the last": {func(_ *systest.Kernel, d *systest.Disk) {
			d.Parts[0].Start = dataOf(d).Start + dataOf(d).Size
			putMBR(d)
		}, stays + "partition 1 lies behind it, and only the last one can grow"},
	} {
		t.Run(name, func(t *testing.T) {
			k, d := systest.New("rauc.slot=A"), larger(card())
			c.break_(k, d)
			k.AddDisk(d)
			start(k, mount.InOrder)
			if k.Ended() != toInit || strings.Contains(k.Trace(), "degraded=") || !strings.Contains(k.Trace(), c.says) {
				t.Errorf("ended with %q; want the line %q in:\n%s", k.Ended(), c.says, k.Trace())
			}
			rescan(t, "after it", d)
		})
	}
}

// What is no space of data's is left alone, without a look at the disk.
func TestNothingToGrow(t *testing.T) {
	for name, d := range map[string]*systest.Disk{
		"data in the middle of a full disk": card(),
		"less than 8 MiB": func() *systest.Disk {
			d := larger(card())
			d.Size = dataOf(d).Start + dataOf(d).Size + block.MinGain - 512
			return d
		}(),
		"no filesystem that is known": func() *systest.Disk {
			d := larger(card())
			dataOf(d).FS, dataOf(d).Raw = "", []byte("somebody's")
			return d
		}(),
	} {
		k := systest.New("rauc.slot=A")
		k.AddDisk(d)
		start(k, mount.InOrder)
		if strings.Contains(k.Trace(), "lock /dev/vda") || strings.Contains(k.Trace(), "stays unused") {
			t.Errorf("%s: the disk is looked at:\n%s", name, k.Trace())
		}
	}
}

// Power cut at every call of a boot that grows data: the kernel finds a table,
// the next boot comes up and comes to the same end.
func TestPowerCutWhileGrowing(t *testing.T) {
	for name, fresh := range map[string]func() *systest.Disk{
		"mbr": func() *systest.Disk { return larger(card()) }, "gpt": func() *systest.Disk { return larger(gpt()) },
	} {
		t.Run(name, func(t *testing.T) { cutWhileGrowing(t, fresh) })
	}
}

func cutWhileGrowing(t *testing.T, fresh func() *systest.Disk) {
	boot := func(d *systest.Disk, cut int) *systest.Kernel {
		k := systest.New("rauc.slot=A")
		k.AddDisk(d)
		if cut >= 0 {
			k.CutAfter(cut)
		}
		start(k, mount.InOrder)
		return k
	}
	uncut := fresh()
	lines := strings.Split(boot(uncut, -1).Trace(), "\n")
	first := slices.Index(lines, "lock /dev/vda")
	last := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "resize partition") })
	if first < 0 || last < first {
		t.Fatal("the boot does not grow anything")
	}
	cases := 0
	for cut := first; cut <= last+1; cut++ {
		for variant := 0; ; variant++ {
			k := boot(fresh(), cut)
			keep, done := losses(variant, k.Unsynced())
			where := fmt.Sprintf("cut after %d effects, loss %d", cut, variant)
			d := k.CutPower(keep)[0]
			rescan(t, where, d)
			next := boot(d, -1)
			if next.Ended() != toInit || strings.Contains(next.Trace(), "degraded=") || strings.Contains(next.Trace(), "stays unused") {
				t.Fatalf("%s: the next boot ended with %q:\n%s", where, next.Ended(), next.Trace())
			}
			for _, at := range []int64{0, d.Size - 33*512} {
				if !bytes.Equal(uncut.Whole.Bytes(at, 33*512), d.Whole.Bytes(at, 33*512)) {
					t.Fatalf("%s: the table at %d differs from that of a boot without a cut", where, at)
				}
			}
			if dataOf(d).Size != dataOf(uncut).Size {
				t.Fatalf("%s: data has %d bytes", where, dataOf(d).Size)
			}
			if cases++; done {
				break
			}
		}
	}
	t.Logf("%d cases", cases)
}

// minos.grow=now: the filesystem follows before the hand-over; what cannot be
// done is a line, and the boot is not degraded.
func TestFilesystemGrowsBeforeTheHandOver(t *testing.T) {
	for name, c := range map[string]struct {
		fails error
		says  string
	}{
		"done":    {nil, "the filesystem of /dev/vda4 has grown to 264 MiB"},
		"refused": {unix.EPERM, "the filesystem of /dev/vda4 does not fill its partition, ignoring: "},
	} {
		t.Run(name, func(t *testing.T) {
			k := systest.New("rauc.slot=A minos.grow=now")
			k.AddDisk(larger(card()))
			if c.fails != nil {
				k.Fail("grow ext4", c.fails)
			}
			start(k, mount.InOrder)
			if k.Ended() != toInit || strings.Contains(k.Trace(), "degraded=") || !strings.Contains(k.Trace(), c.says) {
				t.Errorf("ended with %q; want %q in:\n%s", k.Ended(), c.says, k.Trace())
			}
			last := -1
			for _, line := range []string{"resize partition 4", "mount ext4 /dev/vda4", "grow ext4 /mnt/data to 0x10800000 bytes", "move /mnt/data"} {
				at := strings.Index(k.Trace(), line)
				if at <= last {
					t.Errorf("%q is not there, or too early:\n%s", line, k.Trace())
				}
				last = at
			}
		})
	}
	k := systest.New("rauc.slot=A")
	k.AddDisk(larger(card()))
	start(k, mount.InOrder)
	if strings.Contains(k.Trace(), "grow ext4") {
		t.Error("the filesystem grows in a boot that was not asked to")
	}
}
