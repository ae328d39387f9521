package mount

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
)

// API returns the filesystems through which the kernel is spoken to, with the
// flags that systemd asks for (https://systemd.io/INITRD_INTERFACE/). /run is
// never noexec: systemd-shutdown would silently skip a program on it.
func API() []Mount {
	return []Mount{
		{Source: "proc", Target: "/proc", FSType: "proc", Flags: sys.NoSuid | sys.NoExec | sys.NoDev},
		{Source: "sysfs", Target: "/sys", FSType: "sysfs", Flags: sys.NoSuid | sys.NoExec | sys.NoDev},
		{Source: "devtmpfs", Target: "/dev", FSType: "devtmpfs", Flags: sys.NoSuid | sys.StrictAtime, Options: []string{"mode=0755"}},
		{Source: "tmpfs", Target: "/run", FSType: "tmpfs", Flags: sys.NoSuid | sys.NoDev | sys.StrictAtime,
			Options: []string{"mode=0755", "size=20%", "nr_inodes=800k"}},
	}
}

// Init is the program that the new root is given to.
type Init struct {
	Path     string // as it is called: "/sbin/init"
	Resolved string // where that leads in the new root: "/usr/lib/systemd/systemd"
}

// IsSystemd tells whether it understands systemd's own arguments.
func (i Init) IsSystemd() bool { return path.Base(i.Resolved) == "systemd" }

// FindInit finds the real init in the new root: wanted, from init=, or the
// first of the usual places. It is called while there is still a way back.
func FindInit(k sys.Kernel, root, wanted string) (Init, error) {
	// Where the kernel looks (init/main.c). It looks for /bin/sh as well, last;
	// a device that nobody reaches is not to end in a shell.
	candidates := []string{"/sbin/init", "/etc/init", "/bin/init"}
	if wanted != "" {
		// As for the kernel: who names an init gets this one or none.
		candidates = []string{wanted}
	}
	var why []string
	for _, c := range candidates {
		resolved, info, err := k.ResolveIn(root, c)
		switch {
		case err != nil:
			why = append(why, fmt.Sprintf("%s: %v", c, rootCause(err)))
		case !info.Executable():
			why = append(why, fmt.Sprintf("%s is not an executable file (%s)", c, info.Mode))
		default:
			return Init{Path: c, Resolved: resolved}, nil
		}
	}
	return Init{}, fmt.Errorf("the root filesystem has no init to start: %s", strings.Join(why, "; "))
}

// rootCause is the errno without the path, which the message has already.
func rootCause(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}

// Handover is how the new root is entered.
type Handover struct {
	Root string // where it is mounted
	Init Init
	Args []string // after the name
	Env  []string
	Keep string // what stays of the initramfs: a file or a directory
}

// SwitchRoot moves the API filesystems into the new root, makes it the root,
// frees the initramfs but for what is to be kept, and becomes its init. It
// returns only with an error. Nothing of the initramfs is given up before the
// root has been entered, and after that only the exec may fail.
func SwitchRoot(k sys.Kernel, h Handover) error {
	old, err := k.OpenTree("/", h.Keep)
	if err != nil {
		return fmt.Errorf("keep the initramfs open: %w", err)
	}
	defer old.Close()
	// MS_MOVE refuses a mount whose parent is shared.
	if err := k.MakePrivate("/"); err != nil {
		return err
	}
	// All targets first: finding one takes /proc, which is the first to go.
	targets := map[string]string{}
	for _, m := range API() {
		if targets[m.Target], err = MkdirIn(k, h.Root, m.Target); err != nil {
			return err
		}
	}
	for _, m := range API() {
		if err := k.MoveMount(m.Target, targets[m.Target]); err != nil {
			return err
		}
	}
	if err := k.EnterRoot(h.Root); err != nil {
		return err
	}
	// Memory that stays in use is no reason not to boot.
	_ = old.Empty()
	return k.Exec(h.Init.Path, append([]string{h.Init.Path}, h.Args...), h.Env)
}
