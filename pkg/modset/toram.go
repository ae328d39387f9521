package modset

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// RAM says what of a set is copied to memory, so that its medium can be taken
// out.
type RAM string

// The values of toram=.
const (
	NoRAM RAM = ""
	Full  RAM = "full" // all of the set but its sessions
	Trim  RAM = "trim" // the modules that are taken, and what configures the system
)

// ParseRAM reads the value of toram or toram=.
func ParseRAM(value string) (RAM, error) {
	switch RAM(value) {
	case NoRAM, Full:
		return Full, nil
	case Trim:
		return Trim, nil
	}
	return NoRAM, errors.New("expected no value, full or trim")
}

// File is a file of a set.
type File struct {
	Name string // seen from the directory of the set
	Size int64  // bytes
}

// trimmed are the files that Trim takes besides modules, where they are there.
var trimmed = []string{"config.conf", "authorized_keys"}

// List are the files that are copied. Links and other things that are no
// files are not.
func (r RAM) List(k sys.Kernel, set string, stack []Module) (files []File, err error) {
	if r == Full {
		return tree(k, set, "", maxDepth)
	}
	var names []string
	for _, m := range stack {
		names = append(names, m.File)
	}
	for _, name := range append(names, trimmed...) {
		info, err := k.Lstat(path.Join(set, name))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil && info.Mode.IsRegular() {
			files = append(files, File{name, info.Size})
		}
	}
	return files, nil
}

// tree are the files below a directory of a set, but for the sessions.
func tree(k sys.Kernel, set, dir string, depth int) (files []File, err error) {
	names, err := k.ReadDir(path.Join(set, dir))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		name = path.Join(dir, name)
		info, err := k.Lstat(path.Join(set, name))
		switch {
		case err != nil:
			return nil, err
		case info.Mode.IsRegular():
			files = append(files, File{name, info.Size})
		case info.Mode.IsDir() && name != StoreDir && depth > 0:
			below, err := tree(k, set, name, depth-1)
			if err != nil {
				return nil, err
			}
			files = append(files, below...)
		}
	}
	return files, nil
}

// Room is what files take in memory, in bytes. A file takes whole pages, which
// have 64 KiB at most.
func Room(files []File) (size int64) {
	const page, more = 64 << 10, 1 << 20
	for _, f := range files {
		size += (f.Size + page - 1) / page * page
	}
	return size + more
}

// Fits says why so many bytes do not go into the memory, nil when they do. A
// quarter of all memory stays free for the system. meminfo is /proc/meminfo.
func Fits(size int64, meminfo string) error {
	total, available := memory(meminfo, "MemTotal:"), memory(meminfo, "MemAvailable:")
	if size > available-total/4 {
		const mib = 1 << 20
		return fmt.Errorf("it takes %d MiB, and %d of %d MiB of memory are free, of which a quarter of all has to stay so", size/mib, available/mib, total/mib)
	}
	return nil
}

// memory is a line of /proc/meminfo, in bytes; 0 when it is not there.
func memory(meminfo, key string) int64 {
	for line := range strings.Lines(meminfo) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == key {
			n, _ := strconv.ParseInt(fields[1], 10, 48) // 0 fits nothing
			return n << 10
		}
	}
	return 0
}

const (
	pieceSize = 64 << 10        // that is copied at once, in bytes
	tellEvery = 5 * time.Second // from one line of progress to the next
)

// Copy copies files from one directory to another.
func Copy(k sys.Kernel, files []File, from, to string, say func(line string)) error {
	piece, told := make([]byte, pieceSize), k.Now()
	for i, f := range files {
		if now := k.Now(); now-told >= tellEvery || i == 0 {
			say(fmt.Sprintf("copying the set to memory: %d of %d files", i, len(files)))
			told = now
		}
		if err := mount.MkdirAll(k, path.Dir(path.Join(to, f.Name))); err != nil {
			return err
		}
		if err := copyFile(k, path.Join(from, f.Name), path.Join(to, f.Name), piece); err != nil {
			return err
		}
	}
	return nil
}

func copyFile(k sys.Kernel, from, to string, piece []byte) error {
	r, err := k.OpenReader(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := k.CreateFile(to, 0o644)
	if err != nil {
		return err
	}
	for err == nil {
		var n int
		n, err = io.ReadFull(r, piece)
		if n > 0 {
			if _, writeErr := w.Write(piece[:n]); writeErr != nil {
				err = writeErr
			}
		}
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return errors.Join(err, w.Close())
}
