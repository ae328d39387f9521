package systest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// sectorSize is what a disk writes whole or not at all, in bytes.
const sectorSize = 512

// rawSize is the size of a partition, in bytes, unless it has another: that of
// the boot state.
const rawSize = 8 << 20

// Bytes is what a partition without a filesystem holds at an offset; zeros
// where nothing was written.
func (p *Part) Bytes(offset int64, size int) []byte {
	b := make([]byte, size)
	if offset < int64(len(p.Raw)) {
		copy(b, p.Raw[offset:])
	}
	for n := 0; n < size; {
		at := offset + int64(n)
		next := min(size, n+sectorSize-int(at%sectorSize))
		if s := p.sectors[at/sectorSize]; s != nil {
			copy(b[n:next], s[at%sectorSize:])
		}
		n = next
	}
	return b
}

// PutBytes changes what a partition without a filesystem holds, as some earlier
// machine did. Offset and length are whole sectors of 512 bytes.
func (p *Part) PutBytes(offset int64, b []byte) {
	if p.sectors == nil {
		p.sectors = map[int64][]byte{}
	}
	for sector := range slices.Chunk(slices.Clone(b), sectorSize) {
		p.sectors[offset/sectorSize] = sector
		offset += sectorSize
	}
}

// Bytes is what a partition without a filesystem holds now, whatever has become
// of the machine; nil when there is no such device.
func (k *Kernel) Bytes(device string, offset int64, size int) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.part(device); p != nil {
		return p.Bytes(offset, size)
	}
	return nil
}

// device is an open partition, or the whole disk.
type device struct {
	k    *Kernel
	part *Part
	path string
}

// WriteDevice implements sys.Kernel.
func (k *Kernel) WriteDevice(path string) (sys.WritableDevice, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("open %s for writing", path); err != nil {
		return nil, failed("open", path, err)
	}
	p := k.part(path)
	if p == nil {
		return nil, failed("open", path, unix.ENOENT)
	}
	return device{k, p, path}, nil
}

func (d device) ReadAt(b []byte, off int64) (int, error) {
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	if off >= d.part.Size {
		return 0, io.EOF
	}
	n := copy(b, d.part.Bytes(off, int(min(int64(len(b)), d.part.Size-off))))
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt is one line of the trace, with what is there afterwards as far as it
// is text.
func (d device) WriteAt(b []byte, off int64) (int, error) {
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	if err := d.k.effect("write %s: %#x bytes at %#x: %s", d.path, len(b), off, readable(b)); err != nil {
		return 0, failed("write", d.path, err)
	}
	if off%sectorSize != 0 || len(b)%sectorSize != 0 || off+int64(len(b)) > d.part.Size {
		return 0, fmt.Errorf("write %s: %d bytes at %d are not whole sectors of it", d.path, len(b), off)
	}
	// A cut can tear a write between two sectors; it is told in two parts here.
	first := min(sectorSize, len(b))
	d.part.log.writeRaw(d.part, off, b[:first])
	if first < len(b) {
		d.part.log.writeRaw(d.part, off+int64(first), b[first:])
	}
	return len(b), nil
}

func (d device) Sync() error {
	d.k.mu.Lock()
	defer d.k.mu.Unlock()
	if err := d.k.effect("sync %s", d.path); err != nil {
		return failed("sync", d.path, err)
	}
	d.part.log.sync(nil)
	return nil
}

func (d device) Size() (int64, error) { return d.part.Size, nil }
func (d device) Close() error         { return nil }

// readable is the text in an environment, without its checksum and padding.
func readable(b []byte) string {
	words := []string{}
	text := bytes.Trim(b[min(4, len(b)):], "\x00") // a megabyte of zeros has no words
	for _, field := range bytes.Split(text, []byte{0}) {
		if len(field) > 0 && !bytes.ContainsFunc(field, func(r rune) bool { return r < ' ' || r > '~' }) {
			words = append(words, string(field))
		}
	}
	return fmt.Sprintf("%q", words)
}
