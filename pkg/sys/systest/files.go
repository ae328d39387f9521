package systest

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// find is walk for calls that need something to be there.
func (k *Kernel) find(op, name string, follow bool) (place, error) {
	p, err := k.walk("/", name, follow)
	if err == nil && p.node() == nil {
		err = unix.ENOENT
	}
	return p, failed(op, name, err)
}

// ReadFile implements sys.Files.
func (k *Kernel) ReadFile(name string) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if name == "/proc/self/mountinfo" && k.mountAt("/proc") != nil {
		return k.mountinfo(), nil
	}
	p, err := k.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if p.node().mode.IsDir() {
		return nil, failed("read", name, unix.EISDIR)
	}
	k.reads = append(k.reads, name)
	return append([]byte(nil), p.node().data...), nil
}

// ReadEach implements sys.Files.
func (k *Kernel) ReadEach(dir string, names []string, file string) [][]byte {
	contents := make([][]byte, len(names))
	for i, name := range names {
		contents[i], _ = k.ReadFile(path.Join(dir, name, file))
	}
	return contents
}

// ReadDir implements sys.Files.
func (k *Kernel) ReadDir(name string) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if !p.node().mode.IsDir() {
		return nil, failed("readdir", name, unix.ENOTDIR)
	}
	return p.names(), nil
}

// Lstat implements sys.Files.
func (k *Kernel) Lstat(name string) (sys.FileInfo, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("lstat", name, false)
	if err != nil {
		return sys.FileInfo{}, err
	}
	return p.info(), nil
}

func (p place) info() sys.FileInfo {
	n := p.node()
	if n.inode == 0 {
		n.inode = uint64(inodes.Add(1))
	}
	return sys.FileInfo{Mode: n.mode, Size: n.length(), Dev: p.mount.fs.dev<<32 + p.mount.fs.subvolume(p.rel).ID, Inode: n.inode, Modified: n.modified}
}

// Readlink implements sys.Files.
func (k *Kernel) Readlink(name string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if p.node().mode&fs.ModeSymlink == 0 {
		return "", failed("readlink", name, unix.EINVAL)
	}
	return p.node().target, nil
}

// ResolveIn implements sys.Files.
func (k *Kernel) ResolveIn(root, name string) (string, sys.FileInfo, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.walk(root, name, true)
	if err == nil && p.node() == nil {
		err = unix.ENOENT
	}
	if err != nil {
		return "", sys.FileInfo{}, failed("open", path.Join(root, name), err)
	}
	return path.Join("/", strings.TrimPrefix(p.full, strings.TrimSuffix(root, "/"))), p.info(), nil
}

// Subvolume implements sys.Files.
func (k *Kernel) Subvolume(dir string) (sys.Subvolume, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("open", dir, true)
	if err != nil {
		return sys.Subvolume{}, err
	}
	if p.mount.fs.kind != "btrfs" {
		return sys.Subvolume{}, failed("find the subvolume of", dir, unix.ENOTTY)
	}
	return p.mount.fs.subvolume(p.rel), nil
}

// Statfs implements sys.Files.
func (k *Kernel) Statfs(name string) (sys.Statfs, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, err := k.find("statfs", name, true)
	if err != nil {
		return sys.Statfs{}, err
	}
	f := p.mount.fs
	if f.room > 0 {
		f.free = f.room - f.layers[0].size()
	}
	return sys.Statfs{Magic: f.magic, ReadOnly: p.mount.readOnly || !f.writable, Free: f.free}, nil
}

// write makes one change to the tree: it writes the trace, finds the place and
// hands over its directory.
func (k *Kernel) write(op, name, line string, change func(p place, dir *node, base string) error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("%s", line); err != nil {
		return failed(op, name, err)
	}
	p, err := k.walk("/", name, false)
	if err != nil {
		return failed(op, name, err)
	}
	if p.rel == "" {
		return failed(op, name, unix.EBUSY) // the root of a mount
	}
	dir, base, err := k.parent(p)
	if err != nil {
		return failed(op, name, err)
	}
	return failed(op, name, change(p, dir, base))
}

// WriteFile implements sys.Files.
func (k *Kernel) WriteFile(name string, data []byte, perm fs.FileMode) error {
	shown := fmt.Sprintf("%q", data)
	if len(data) > 60 {
		shown = "(a longer text)"
	}
	line := "write " + name + " " + shown
	if perm != 0o644 {
		line += fmt.Sprintf(" %#o", perm)
	}
	return k.write("open", name, line, func(p place, dir *node, base string) error {
		if n := p.node(); n != nil && n.mode.IsDir() {
			return unix.EISDIR
		}
		log := p.mount.fs.log
		file := p.node()
		if file == nil || dir.entries[base] != file {
			file = &node{mode: perm}
			log.change(entry{dir, base, file})
		}
		log.write(file, data)
		return nil
	})
}

// Chown implements sys.Files. Everything is root's here, and stays so.
func (k *Kernel) Chown(name string, uid, gid uint32) error {
	return k.write("chown", name, fmt.Sprintf("chown %d:%d %s", uid, gid, name), func(place, *node, string) error { return nil })
}

// SetModified implements sys.Files.
func (k *Kernel) SetModified(name string, when int64) error {
	return k.write("utimensat", name, "date "+name, func(p place, dir *node, base string) error {
		file := p.node()
		if file == nil {
			return unix.ENOENT
		}
		log := p.mount.fs.log
		if dir.entries[base] != file {
			file = &node{mode: file.mode, data: file.data, target: file.target} // copied up
			log.change(entry{dir, base, file})
		}
		log.date(file, when)
		return nil
	})
}

// Mkdir implements sys.Files.
func (k *Kernel) Mkdir(name string, perm fs.FileMode) error {
	line := "mkdir " + name
	if perm != 0o755 {
		line += fmt.Sprintf(" %#o", perm)
	}
	return k.write("mkdir", name, line, func(p place, dir *node, base string) error {
		if p.node() != nil {
			return unix.EEXIST
		}
		p.mount.fs.log.change(entry{dir, base, newDir(perm)})
		return nil
	})
}

// Remove implements sys.Files.
func (k *Kernel) Remove(name string) error {
	return k.write("remove", name, "remove "+name, func(p place, dir *node, base string) error {
		if p.node() == nil {
			return unix.ENOENT
		}
		if len(p.names()) > 0 {
			return unix.ENOTEMPTY
		}
		if len(p.layers) > 1 || dir.entries[base] == nil {
			return unix.ENOTSUP // would need a whiteout
		}
		p.mount.fs.log.change(entry{dir, base, nil})
		return nil
	})
}

// Link implements sys.Files. The file that a process was started from is none of
// this machine; a link to it is an empty program.
func (k *Kernel) Link(from, to string) error {
	return k.write("link", to, "link "+from+" "+to, func(p place, dir *node, base string) error {
		if p.node() != nil {
			return unix.EEXIST
		}
		file := &node{mode: 0o755}
		if from != "/proc/self/exe" {
			source, err := k.walk("/", from, true)
			if err != nil || source.node() == nil {
				return unix.ENOENT
			}
			file = source.node()
		}
		p.mount.fs.log.change(entry{dir, base, file})
		return nil
	})
}

// Symlink implements sys.Files.
func (k *Kernel) Symlink(target, name string) error {
	return k.write("symlink", name, "symlink "+name+" -> "+target, func(p place, dir *node, base string) error {
		if p.node() != nil {
			return unix.EEXIST
		}
		p.mount.fs.log.change(entry{dir, base, &node{mode: fs.ModeSymlink | 0o777, target: target}})
		return nil
	})
}

// Rename implements sys.Files.
func (k *Kernel) Rename(from, to string) error {
	return k.write("rename", from, "rename "+from+" "+to, func(p place, dir *node, base string) error {
		moved := p.node()
		if moved == nil {
			return unix.ENOENT
		}
		target, err := k.walk("/", to, false)
		if err != nil {
			return err
		}
		if target.mount != p.mount {
			return unix.EXDEV
		}
		if len(target.names()) > 0 {
			return unix.ENOTEMPTY
		}
		toDir, toBase, err := k.parent(target)
		if err != nil {
			return err
		}
		p.mount.fs.log.change(entry{dir, base, nil}, entry{toDir, toBase, moved})
		return nil
	})
}

// Fsync implements sys.Files.
func (k *Kernel) Fsync(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("fsync %s", name); err != nil {
		return failed("fsync", name, err)
	}
	p, err := k.find("open", name, true)
	if err == nil {
		p.mount.fs.log.sync(p.node())
	}
	return err
}

// SyncFS implements sys.Files.
func (k *Kernel) SyncFS(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("syncfs %s", name); err != nil {
		return failed("syncfs", name, err)
	}
	p, err := k.find("open", name, true)
	if err == nil {
		p.mount.fs.log.sync(nil)
	}
	return err
}

// Sync implements sys.Files.
func (k *Kernel) Sync() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.effect("sync") != nil {
		return
	}
	for _, d := range k.disks {
		for _, p := range d.Parts {
			p.log.sync(nil)
		}
	}
}

// recorder puts each record written to a file into the trace. What is written
// to a file of a disk takes the place of as many bytes there.
type recorder struct {
	k    *Kernel
	name string
	log  *journal // nil for a file that is no disk's
	file *node
	at   int // bytes from its start

	records int // that were written
}

// kmsgRecords is how many records the kernel log takes from one descriptor in five
// seconds; it drops the others without a word.
const kmsgRecords = 10

// OpenWriter implements sys.Files.
func (k *Kernel) OpenWriter(name string) (io.WriteCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("open %s", name); err != nil {
		return nil, failed("open", name, err)
	}
	p, err := k.find("open", name, true)
	if err != nil {
		return nil, err
	}
	r := &recorder{k: k, name: path.Base(name)}
	if k.part(p.mount.source) != nil {
		if _, _, err := k.parent(p); err != nil {
			return nil, failed("open", name, err)
		}
		r.log, r.file = p.mount.fs.log, p.node()
	}
	return r, nil
}

func (r *recorder) Write(p []byte) (int, error) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	if r.records++; r.name == "kmsg" && r.records > kmsgRecords {
		return len(p), nil
	}
	if err := r.k.effect("%s: %s", r.name, strings.ReplaceAll(strings.TrimSuffix(string(p), "\n"), "\n", `\n`)); err != nil {
		return 0, err
	}
	if r.log != nil {
		end := min(len(r.file.data), r.at+len(p))
		r.log.write(r.file, slices.Concat(r.file.data[:r.at], p, r.file.data[end:]))
		r.at += len(p)
	}
	return len(p), nil
}

func (r *recorder) Close() error { return nil }
