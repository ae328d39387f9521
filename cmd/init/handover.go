package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// prepareHandover leaves in /run what systemd looks for, and says how the real
// init is started. The handover is good without what cannot be left.
func prepareHandover(m machine, log *Log, conf config.Config, root layout.Root, init mount.Init, line *timeline) mount.Handover {
	h := mount.Handover{Root: root.Path, Init: init, Args: m.args, Env: environment(m.environ), Keep: exitrdDir}
	warnOfFstab(m.kernel, log, root.Path)
	if err := nameRootDisk(m.kernel, root); err != nil {
		log.Warn("systemd will not find the disk below the root, ignoring: %v", err)
	}
	if !init.IsSystemd() || !conf.Timestamps {
		return h
	}
	// systemd-analyze shows an initrd phase when systemd gets its time stamps
	// as a serialized state (src/core/manager-serialize.c).
	stamp := fmt.Sprintf("initrd-timestamp=%d %d\n", line.wall.UnixMicro(), line.began.Microseconds())
	fd, err := m.kernel.Memfd("minos-timestamps", []byte(stamp))
	if err != nil {
		log.Warn("systemd-analyze will show no initrd phase, ignoring: %v", err)
		return h
	}
	h.Args = append([]string{"--switched-root", "--system", fmt.Sprintf("--deserialize=%d", fd)}, m.args...)
	return h
}

// nameRootDisk tells systemd's repart, growfs and gpt-auto which partition an
// overlay root hides. They parse the link and never follow it.
func nameRootDisk(k sys.Kernel, root layout.Root) error {
	if err := mount.MkdirAll(k, "/run/systemd"); err != nil {
		return err
	}
	return k.Symlink(fmt.Sprintf("/dev/block/%d:%d", root.Lowest.Major, root.Lowest.Minor), "/run/systemd/volatile-root")
}

// warnOfFstab looks for a line that asks for / in the new root's fstab, and was
// not written for an overlay. systemd-remount-fs applies it to the overlay, and fails on
// options that are not every filesystem's, like errors=remount-ro
// (https://github.com/ostreedev/ostree/issues/3193). The file is the owner's
// and stays as it is.
func warnOfFstab(k sys.Kernel, log *Log, root string) {
	where, _, err := k.ResolveIn(root, "/etc/fstab")
	if err != nil {
		return // most images of this kind have none
	}
	text, err := k.ReadFile(path.Join(root, where))
	if err != nil {
		log.Warn("whether /etc/fstab asks for / is not known, ignoring: %v", err)
		return
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 2 && fields[1] == "/" && fields[2] != "overlay" && !strings.HasPrefix(fields[0], "#") {
			log.Warn("/etc/fstab has a line for /, which is an overlay here; systemd-remount-fs fails on options of another filesystem in it, ignoring: %s",
				strings.Join(fields, " "))
		}
	}
}

// environment is all that the real init inherits. What the kernel made of
// unknown words of its command line stays behind; systemd reads the command
// line itself.
func environment(had []string) []string {
	term := "TERM=linux"
	for _, v := range had {
		if strings.HasPrefix(v, "TERM=") {
			term = v
		}
	}
	return []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", term}
}
