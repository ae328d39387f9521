package qemu

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// updatable is a card whose slot A has minosctl, and new boot files in /new.
type updatable struct {
	*Card
	files map[string][]byte // in /new
}

func newUpdatable(t *testing.T) updatable {
	t.Helper()
	tool := initramfs(t, "minosctl")
	image, err := os.ReadFile(initramfs(t, "initramfs.cpio.lz4")) // with modules, so it is another than the one at the top
	if err != nil {
		t.Fatal(err)
	}
	u := updatable{files: map[string][]byte{"boot.scr": []byte(script(t, "# new\n"+bootCommands)), "initramfs.cpio.lz4": image}}
	u.Card = newCard(t, func(d *Disk) {
		root := d.RootFSA.Content.(Ext4)
		root.Tree = root.Tree.With(File{Name: "sbin/minosctl", Mode: 0o755, From: tool}, Dir("var"), Dir("var/lock"), Dir("new"))
		for name, content := range u.files {
			root.Tree = root.Tree.With(Text("new/"+name, string(content)))
		}
		d.RootFSA.Content = root
	})
	return u
}

// prepare has the stub do this at the next boot.
func (u updatable) prepare(verbs ...string) {
	u.t.Helper()
	args := "extraargs=panic=-1 stub.do=" + strings.Join(verbs, ",") + "\n"
	if err := u.disk.PutBootFiles(u.image, []File{Text("uEnv.txt", args)}); err != nil {
		u.t.Fatal(err)
	}
}

const (
	doUpdate   = "run:/sbin/minosctl%20boot-update%20/new"
	doMarkGood = "run:/sbin/minosctl%20mark-good"
	doStatus   = "run:/sbin/minosctl%20status"
)

// minosctl puts new boot files on a real FAT and has them tried, they are kept by
// the boot that they made, and the partition is read-only again.
func TestBootUpdate(t *testing.T) {
	t.Parallel()
	card := newUpdatable(t)
	does := func(files int, verbs ...string) Result {
		t.Helper()
		card.prepare(verbs...)
		r := card.PowerOn()
		r.handedOver(t)
		if line := r.Line("Kernel command line: "); !strings.HasSuffix(line, fmt.Sprintf(" minos.files=%d rauc.slot=A", files)) {
			t.Errorf("the kernel has %q, want the boot files %d", line, files)
		}
		return r
	}
	const list, probe = "ls:/boot/firmware/boot-1", "write:/boot/firmware/probe=x"
	r := does(0, doUpdate, list, probe)
	if said := r.result(t, doUpdate); !strings.HasPrefix(said, `status=0 "boot-1 holds the new boot files.`) {
		t.Errorf("boot-update: %s", said)
	}
	if files := r.result(t, list); files != `"boot.scr initramfs.cpio.lz4"` {
		t.Errorf("boot-1 holds %s", files)
	}
	if is := r.result(t, probe); is != "EROFS" {
		t.Errorf("after the update a write to the boot partition is %s", is)
	}
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=2", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=2", "BOOT_FILES_TRY=1")

	r = does(1, doStatus, doMarkGood)
	if said := r.result(t, doStatus); !strings.Contains(said, `Boot files    the top is current; boot-1 is running, on trial\n`) {
		t.Errorf("status: %s", said)
	}
	if said := r.result(t, doMarkGood); said != `status=0 ""` {
		t.Errorf("mark-good: %s", said)
	}
	card.has("BOOT_ORDER=A B", "BOOT_A_LEFT=3", "BOOT_B_LEFT=3", "BOOT_A_FROM=3", "BOOT_A_NOW=1", "BOOT_GOOD=A", "BOOT_FILES=1")
	card.starts(1)
}

// request is one that changed a disk, or asked for those before it to be durable.
type request struct {
	at    int64 // bytes
	data  []byte
	flush bool
}

// readRequests reads the record of [Drive.Log]: the kernel's dm-log-writes,
// version 1 (drivers/md/dm-log-writes.c).
func readRequests(t *testing.T, file string) (all []request) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sector := make([]byte, sectorSize)
	next := func(into []byte) {
		if _, err := io.ReadFull(f, into); err != nil {
			t.Fatalf("the record of the writes: %v", err)
		}
	}
	le := binary.LittleEndian
	next(sector)
	for range le.Uint64(sector[16:]) {
		next(sector)
		const flush, discard = 1, 4
		flags := le.Uint64(sector[16:])
		r := request{at: int64(le.Uint64(sector)) * sectorSize, flush: flags&flush != 0}
		if flags&discard == 0 {
			r.data = make([]byte, le.Uint64(sector[8:])*sectorSize)
			next(r.data)
		}
		all = append(all, r)
	}
	return all
}

// The power is cut at each write of a boot-update: what was not flushed is there,
// or only its last, or all but that, or half of that. The files of before are whole, there is a
// boot state, and where it has the new files tried, these are whole.
func TestBootUpdatePowerCuts(t *testing.T) {
	t.Parallel()
	card := newUpdatable(t)
	tools(t, "mcopy")
	card.prepare(doUpdate)
	before := filepath.Join(t.TempDir(), "before.img")
	if err := CopyImage(before, card.image); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "writes.log")
	if err := os.WriteFile(log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(log, 256*mib); err != nil {
		t.Fatal(err)
	}
	m := card.machine()
	m.Drives = []Drive{{File: card.image, Keep: true, Log: log}}
	r := runMachine(t, m, nil, stubDeadline)
	if said := r.result(t, doUpdate); !strings.HasPrefix(said, "status=0 ") {
		t.Fatalf("boot-update: %s", said)
	}
	replay := replayedCard{updatable: updatable{Card: &Card{t: t, image: before, disk: card.disk}, files: card.files}}
	replay.old = map[string][]byte{"boot.scr": replay.file("boot.scr"), "initramfs.cpio.lz4": replay.file("initramfs.cpio.lz4")}
	var pending []request
	cuts, tried := 0, 0
	for _, w := range readRequests(t, log) {
		if w.flush {
			replay.write(pending)
			pending = nil
		}
		if len(w.data) == 0 {
			continue
		}
		pending = append(pending, w)
		if !replay.matters(w) {
			continue
		}
		half := len(w.data) / 2 / sectorSize * sectorSize
		earlier := pending[:len(pending)-1]
		for _, there := range [][]request{
			pending, {w}, earlier,
			append(slices.Clip(earlier), request{at: w.at, data: w.data[:half]}),
			append(slices.Clip(earlier), request{at: w.at + int64(half), data: w.data[half:]}),
		} {
			undo := replay.write(there)
			if replay.judge(cuts) {
				tried++
			}
			replay.write(undo)
			cuts++
		}
	}
	replay.write(pending)
	if !replay.judge(cuts) {
		t.Error("at the end the new files are not tried")
	}
	t.Logf("%d cuts; after %d of them the new boot files are tried", cuts, tried)
	if cuts < 60 || tried == 0 || tried == cuts {
		t.Errorf("%d cuts and %d trials show nothing", cuts, tried)
	}
}

// replayedCard is a card that is written to request by request.
type replayedCard struct {
	updatable
	old map[string][]byte // at the top of the boot partition
}

// matters tells whether a write is to the boot partition or the boot state.
func (c replayedCard) matters(w request) bool {
	for _, name := range []string{"boot", "bootstate"} {
		if r := c.partition(name); w.at >= r.Start && w.at < r.Start+r.Size {
			return true
		}
	}
	return false
}

// write performs requests, and returns those that undo them.
func (c replayedCard) write(all []request) (undo []request) {
	c.t.Helper()
	f, err := os.OpenFile(c.image, os.O_RDWR, 0)
	if err != nil {
		c.t.Fatal(err)
	}
	defer f.Close()
	for _, w := range all {
		was := request{at: w.at, data: make([]byte, len(w.data))}
		if _, err := f.ReadAt(was.data, w.at); err != nil {
			c.t.Fatal(err)
		}
		if _, err := f.WriteAt(w.data, w.at); err != nil {
			c.t.Fatal(err)
		}
		undo = append(undo, was)
	}
	slices.Reverse(undo)
	return undo
}

// file is the content of a file of the boot partition, nil when it cannot be
// read.
func (c replayedCard) file(name string) []byte {
	content, err := Tool("mcopy", "-n", "-i", fmt.Sprintf("%s@@%d", c.image, c.partition("boot").Start), "::"+name, "-")
	if err != nil {
		return nil
	}
	return content
}

// judge looks at what a cut has left, and tells whether the new files are tried.
func (c replayedCard) judge(cut int) (tried bool) {
	c.t.Helper()
	for name, want := range c.old {
		if !bytes.Equal(c.file(name), want) {
			c.t.Errorf("cut %d: %s at the top is not what it was", cut, name)
		}
	}
	state := c.Variables(atPrimary)
	if state == nil {
		state = c.Variables(atShadow)
	}
	if state == nil {
		c.t.Errorf("cut %d: there is no boot state", cut)
	}
	if !slices.Contains(state, "BOOT_FILES_TRY=1") {
		return false
	}
	for name, want := range c.files {
		if !bytes.Equal(c.file("boot-1/"+name), want) {
			c.t.Errorf("cut %d: boot-1/%s is tried and not whole", cut, name)
		}
	}
	return true
}
