package systest

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/sys"
)

// mke2fs is the tool of this name: it makes a filesystem in a sparse file, the
// last of its arguments. One that is made after another was mounted has another
// UUID.
func (k *Kernel) mke2fs(t sys.Tool) (sys.Exit, error) {
	if file := k.loops[t.Argv[len(t.Argv)-1]]; file != nil {
		return sys.Exit{}, k.makeExt4(file)
	}
	p, err := k.walk(t.Root, t.Argv[len(t.Argv)-1], true)
	if err != nil || p.node() == nil || p.node().sparse == nil {
		return sys.Exit{Status: 1, Output: "mke2fs: no such file\n"}, nil
	}
	label := ""
	if i := slices.Index(t.Argv, "-L"); i >= 0 {
		label = t.Argv[i+1]
	}
	made := 1
	for _, d := range k.disks {
		for _, p := range d.Parts {
			made += p.made
		}
	}
	for _, part := range ext4Pieces(fmt.Sprintf("made-by-mke2fs%02d", made), label, p.node().sparse.size) {
		p.node().sparse.put(part.offset, part.data)
	}
	return sys.Exit{}, nil
}

// takeNotes makes the file in which e2fsck notes what it writes over (-z).
func (k *Kernel) takeNotes(t sys.Tool) {
	i := slices.Index(t.Argv, "-z")
	if !isTool(t, "e2fsck") || i < 0 {
		return
	}
	if p, err := k.walk(t.Root, path.Dir(t.Argv[i+1]), true); err == nil && p.node() != nil {
		p.node().entries[path.Base(t.Argv[i+1])] = &node{mode: 0o600}
	}
}

// ext4Pieces are what is on a partition with an ext4 of this identity, as far
// as it has to be there: one piece too few, or one byte other than zero where
// zeros belong, and the filesystem is a damaged one. The first holds the
// superblock.
func ext4Pieces(uuid, label string, size int64) []piece {
	head := make([]byte, 4096)
	putExt4(head[1024:], label, size)
	copy(head[1024+104:], uuid)
	mark := bytes.Repeat([]byte(uuid), 64)
	return []piece{{0, head}, {4096, mark}, {64 << 10, mark}, {2 << 20, mark}, {3 << 20, make([]byte, 1024)}, {size - 8192, mark}}
}

// ext4UUID is the identity of the whole ext4 that was written to a partition
// without a filesystem; "" when there is none.
func (p *Part) ext4UUID() string {
	head := p.Bytes(1024, 1024)
	if le.Uint16(head[56:]) != 0xEF53 {
		return ""
	}
	uuid := string(head[104:120])
	for _, want := range ext4Pieces(uuid, "", int64(le.Uint32(head[4:]))*4096)[1:] {
		if !bytes.Equal(p.Bytes(want.offset, len(want.data)), want.data) {
			return ""
		}
	}
	return uuid
}

// countMount changes an ext4 as a mount does that may write.
func (p *Part) countMount() {
	sector := p.Bytes(1024, sectorSize)
	le.PutUint16(sector[52:], le.Uint16(sector[52:])+1) // s_mnt_count
	p.PutBytes(1024, sector)
}

// isTool tells whether a program is this tool.
func isTool(t sys.Tool, name string) bool { return path.Base(t.Argv[0]) == name }
