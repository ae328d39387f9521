package modset

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

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

// trimmed are the files that Trim takes besides modules, where they are there.
var trimmed = []string{"config.conf", "authorized_keys"}

// List are the files that are copied.
func (r RAM) List(k sys.Kernel, set string, stack []Module) (files []File, err error) {
	if r == Full {
		return tree(k, set, "", maxDepth, func(name string) bool { return name == StoreDir })
	}
	if HasRootCopy(k, set) {
		if files, err = tree(k, set, RootCopyDir, maxDepth, func(string) bool { return false }); err != nil {
			return nil, err
		}
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
			files = append(files, File{name, info})
		}
	}
	return files, nil
}

// Room is what files take in memory, in bytes. A file takes whole pages, which
// have 64 KiB at most.
func Room(files []File) (size int64) {
	const page, more = 64 << 10, 1 << 20
	for _, f := range files {
		size += (f.info.Size + page - 1) / page * page
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
