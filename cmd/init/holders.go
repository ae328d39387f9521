package main

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// holder is a process that keeps a mount in use.
type holder struct {
	pid  int
	name string
	what string // the file
	of   mount.Mounted
}

// endHolders kills the processes that keep these mounts in use. The system has
// asked every process to end and has killed it then; who is left was spared for
// the sake of the root that has just been unmounted, and does not hear anyone
// any more.
func endHolders(k sys.Kernel, log *Log, left []mount.Mounted) {
	for _, h := range findHolders(k, left) {
		log.Warn("the process %d (%s) is killed, since it holds %s of %s, ignoring: it", h.pid, h.name, h.what, describe(h.of))
		if err := k.Kill(h.pid, time.Second); err != nil {
			log.Warn("the process %d (%s) goes on, ignoring: %v", h.pid, h.name, err)
		}
	}
}

// findHolders looks at each process for its root, working directory, program
// and open files. What is only mapped is not seen.
func findHolders(k sys.Kernel, mounts []mount.Mounted) (holders []holder) {
	names, _ := k.ReadDir("/proc") // without it nobody can be named
	for _, name := range names {
		pid, err := strconv.Atoi(name)
		if err != nil || pid == 1 {
			continue
		}
		dir := path.Join("/proc", name)
		links := []string{"root", "cwd", "exe"}
		fds, _ := k.ReadDir(path.Join(dir, "fd")) // the process may have ended
		for _, fd := range fds {
			links = append(links, path.Join("fd", fd))
		}
		for _, link := range links {
			file, err := k.Readlink(path.Join(dir, link))
			if err != nil {
				continue
			}
			if m, ok := holds(mounts, file); ok {
				comm, _ := k.ReadFile(path.Join(dir, "comm"))
				holders = append(holders, holder{pid, strings.TrimSpace(string(comm)), fmt.Sprintf("%.200s", file), m})
				break
			}
		}
	}
	return holders
}

// holds finds the mount that a file lies on.
func holds(mounts []mount.Mounted, file string) (on mount.Mounted, ok bool) {
	for _, m := range mounts {
		if file == m.At || strings.HasPrefix(file, strings.TrimSuffix(m.At, "/")+"/") {
			if !ok || len(m.At) > len(on.At) {
				on, ok = m, true
			}
		}
	}
	return on, ok
}
