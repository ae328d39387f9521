package store

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/minos-os/minos-init/pkg/profiles"
)

// Files that make one system differ from another, seen from its root.
const (
	machineIDFile = "etc/machine-id"
	dbusIDFile    = "var/lib/dbus/machine-id"
	seedFile      = "var/lib/systemd/random-seed"
)

// freshIdentity takes from an upper what no two systems may share. The machine-id
// becomes an empty file: systemd then makes one and writes it down, and does not
// take the boot for a first one, in which it would switch services on and off as a
// new system has them (machine-id(5)). A missing file would be a first boot, and
// over a base with an id show that one. One that waits for its first boot
// ("uninitialized") goes on to do so.
//
// D-Bus's copy would be taken for the machine-id while that is empty
// (systemd, src/libsystemd/sd-id128 and src/shared/machine-id-setup.c), so it
// becomes a link. The SSH host keys stay: it is the same device, at the same
// address, and its owner's.
func (s *Store) freshIdentity(upper string) error {
	if err := s.step("fresh identity in %s", upper); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.path(path.Join(upper, profiles.RootName)))
	if err != nil {
		return err
	}
	defer root.Close()
	if id, err := readIfThere(root, machineIDFile); err != nil {
		return err
	} else if isMachineID(id) {
		// Not truncated in place: the file is the source's own data, and a reflink.
		if err := errors.Join(root.Remove(machineIDFile), root.WriteFile(machineIDFile, nil, 0o444)); err != nil {
			return err
		}
	}
	if info, err := root.Lstat(dbusIDFile); err == nil && info.Mode().IsRegular() {
		if err := errors.Join(root.Remove(dbusIDFile), root.Symlink("/"+machineIDFile, dbusIDFile)); err != nil {
			return err
		}
	}
	if info, err := root.Lstat(seedFile); err == nil && info.Mode().IsRegular() {
		return root.Remove(seedFile)
	}
	return nil
}

// unlikeBase sees to it that a new upper does not show the machine-id of its base.
// A base should have none ("uninitialized"); one that has would give all profiles
// the same. Without a base on this filesystem, "", nothing is known of it.
func (s *Store) unlikeBase(upper string, base profiles.Version) error {
	if base == "" {
		return nil
	}
	from, err := os.OpenRoot(s.path(base.Dir()))
	if err != nil {
		return err
	}
	defer from.Close()
	id, err := readIfThere(from, machineIDFile)
	if err != nil || !isMachineID(id) {
		return err
	}
	if err := s.step("machine-id in %s", upper); err != nil {
		return err
	}
	root, err := os.OpenRoot(s.path(path.Join(upper, profiles.RootName)))
	if err != nil {
		return err
	}
	defer root.Close()
	if _, err := root.Lstat(machineIDFile); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := likeIn(from, root, path.Dir(machineIDFile)); err != nil {
		return err
	}
	return root.WriteFile(machineIDFile, []byte("uninitialized\n"), 0o444)
}

// likeIn makes a directory at the top, where it is missing, with the owner and
// the mode that it has elsewhere.
func likeIn(from, to *os.Root, name string) error {
	if err := to.Mkdir(name, 0o700); errors.Is(err, fs.ErrExist) {
		return nil
	} else if err != nil {
		return err
	}
	info, err := from.Stat(name)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := to.Chown(name, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return to.Chmod(name, info.Mode().Perm())
}

// readIfThere reads a small regular file below root; "" for anything else.
func readIfThere(root *os.Root, name string) (string, error) {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || err == nil && (!info.Mode().IsRegular() || info.Size() > 4096) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	data, err := root.ReadFile(name)
	return string(data), err
}

// isMachineID tells a machine-id from "uninitialized" and from an empty file.
func isMachineID(text string) bool {
	text = strings.TrimSpace(text)
	return len(text) == 32 && strings.Trim(text, "0123456789abcdefABCDEF") == ""
}
