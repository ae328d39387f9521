package systest

import (
	"fmt"
	"io"
	"slices"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// sparse is the content of a file with holes.
type sparse struct {
	size   int64
	pieces []piece // sorted, and none over another
}

// piece is what was written at an offset.
type piece struct {
	offset int64
	data   []byte
}

// MakeSparse implements sys.Files.
func (k *Kernel) MakeSparse(name string, size int64) error {
	return k.write("open", name, "make "+name+", all a hole", func(p place, dir *node, base string) error {
		if p.node() != nil {
			return unix.EEXIST
		}
		p.mount.fs.log.change(entry{dir, base, &node{mode: 0o600, sparse: &sparse{size: size}}})
		return nil
	})
}

// Extend implements sys.Files.
func (k *Kernel) Extend(name string, size int64) error {
	return k.write("truncate", name, fmt.Sprintf("extend %s to %#x bytes", name, size), func(p place, _ *node, _ string) error {
		file := p.node()
		if file == nil {
			return unix.ENOENT
		}
		if file.sparse == nil {
			return unix.EINVAL // nobody makes a file longer that is written as a whole
		}
		was := file.sparse.size
		p.mount.fs.log.changes = append(p.mount.fs.log.changes, &change{of: file, back: func() { file.sparse.size = was }})
		file.sparse.size = max(was, size)
		return nil
	})
}

// length is how long a file is, in bytes.
func (n *node) length() int64 {
	if n.sparse != nil {
		return n.sparse.size
	}
	return int64(len(n.data))
}

// OpenSparse implements sys.Files.
func (k *Kernel) OpenSparse(name string) (sys.SparseFile, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if p.node().sparse == nil {
		return &sparse{int64(len(p.node().data)), []piece{{0, p.node().data}}}, nil // without a hole
	}
	return p.node().sparse, nil
}

// put writes a piece; those of one file come in order.
func (s *sparse) put(offset int64, b []byte) {
	s.pieces = append(s.pieces, piece{offset, slices.Clone(b)})
}

func (s *sparse) ReadAt(b []byte, off int64) (int, error) {
	if off >= s.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(b)), s.size-off))
	clear(b[:n])
	for _, p := range s.pieces {
		for i, c := range p.data {
			if at := p.offset + int64(i) - off; at >= 0 && at < int64(n) {
				b[at] = c
			}
		}
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (s *sparse) NextData(from int64) (start, end int64, err error) {
	for _, p := range s.pieces {
		if last := p.offset + int64(len(p.data)); last > from {
			return max(p.offset, from), last, nil
		}
	}
	return 0, 0, io.EOF
}

func (s *sparse) Size() (int64, error) { return s.size, nil }
func (s *sparse) Close() error         { return nil }
