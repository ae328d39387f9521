package systest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"golang.org/x/sys/unix"
)

// OpenReader implements sys.Files. What is read is what the file holds now; a
// directory can be opened, and not read.
func (k *Kernel) OpenReader(name string) (io.ReadCloser, error) {
	if info, err := k.Lstat(name); err == nil && info.Mode.IsDir() {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	data, err := k.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// CreateFile implements sys.Files. Each piece that is written is an effect of
// its own, which a cut can take back.
func (k *Kernel) CreateFile(name string, perm fs.FileMode) (io.WriteCloser, error) {
	w := &writer{k: k, name: name}
	return w, k.write("open", name, fmt.Sprintf("create %s %#o", name, perm), func(p place, dir *node, base string) error {
		if n := p.node(); n != nil && n.mode.IsDir() {
			return unix.EISDIR
		}
		w.log, w.file = p.mount.fs.log, p.node()
		if w.file == nil || dir.entries[base] != w.file {
			w.file = &node{}
			w.log.change(entry{dir, base, w.file})
		}
		w.file.mode = perm
		w.log.write(w.file, nil)
		return nil
	})
}

// writer is a file that is being written.
type writer struct {
	k    *Kernel
	name string
	log  *journal
	file *node
}

func (w *writer) Write(b []byte) (int, error) {
	w.k.mu.Lock()
	defer w.k.mu.Unlock()
	shown := fmt.Sprintf("%q", b)
	if len(b) > 60 {
		shown = fmt.Sprintf("(%d bytes)", len(b))
	}
	if err := w.k.effect("append %s %s", w.name, shown); err != nil {
		return 0, failed("write", w.name, err)
	}
	w.log.write(w.file, slices.Concat(w.file.data, b))
	return len(b), nil
}

func (w *writer) Close() error { return nil }
