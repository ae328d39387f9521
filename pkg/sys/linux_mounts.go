package sys

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount implements Mounts. A mount is one mount(2). For options that do not fit
// into a page, and to hear why a mount failed, it uses the mount API of Linux 5.2
// (fsopen(2)), which takes options one by one and says in words what it did not
// like. Where the kernel does not have it, its overlay does not use it (before 6.5)
// or has no such option yet ("lowerdir+" is of 6.8), the errno has to do.
func (Linux) Mount(m MountRequest) error {
	err := mountByString(m)
	if err == nil {
		return nil
	}
	if why := mountByContext(m); !errors.Is(why, errTooOld) {
		err = why
	}
	if err != nil {
		return fmt.Errorf("mount %s %s on %s: %w", m.FSType, m.Source, m.Target, err)
	}
	return nil
}

// errTooOld says that this kernel needs the older call.
var errTooOld = errors.New("kernel without this part of the mount API")

// mountError is an errno with what the filesystem said of it.
type mountError struct {
	errno unix.Errno
	said  []string
}

func (e *mountError) Unwrap() error { return e.errno }

func (e *mountError) Error() string {
	if len(e.said) == 0 {
		return e.errno.Error()
	}
	return e.errno.Error() + " (" + strings.Join(e.said, "; ") + ")"
}

// mountByContext mounts by fsopen, fsconfig, fsmount and move_mount.
func mountByContext(m MountRequest) error {
	ctx, err := unix.Fsopen(m.FSType, unix.FSOPEN_CLOEXEC)
	if err == unix.ENOSYS {
		return errTooOld
	}
	if err != nil {
		return err
	}
	defer unix.Close(ctx)
	if err := configure(ctx, m); err != nil {
		return err
	}
	if err := unix.FsconfigCreate(ctx); err != nil {
		return explained(ctx, err)
	}
	mnt, err := unix.Fsmount(ctx, unix.FSMOUNT_CLOEXEC, attributes(m.Flags))
	if err != nil {
		return explained(ctx, err)
	}
	defer unix.Close(mnt)
	return unix.MoveMount(mnt, "", unix.AT_FDCWD, m.Target, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// configure gives the context its source and options.
func configure(ctx int, m MountRequest) error {
	if err := unix.FsconfigSetString(ctx, "source", m.Source); err != nil {
		return explained(ctx, err)
	}
	if m.Flags&ReadOnly != 0 {
		// The filesystem itself read-only, not only this mount of it: an ext4
		// that may write would still change its superblock.
		if err := unix.FsconfigSetFlag(ctx, "ro"); err != nil {
			return explained(ctx, err)
		}
	}
	if slices.ContainsFunc(m.Options, isLayer) && !asksForOptions(ctx) {
		return errTooOld
	}
	for _, option := range m.Options {
		key, value, hasValue := strings.Cut(option, "=")
		var err error
		if hasValue {
			err = unix.FsconfigSetString(ctx, key, value)
		} else {
			err = unix.FsconfigSetFlag(ctx, key)
		}
		if err == unix.EINVAL && key == layerOption {
			return errTooOld
		}
		if err != nil {
			return explained(ctx, err)
		}
	}
	return nil
}

// layerOption is the option of overlay with one lower layer.
const layerOption = "lowerdir+"

func isLayer(option string) bool { return strings.HasPrefix(option, layerOption+"=") }

// asksForOptions tells whether the filesystem hears of its options one by one, as
// overlay does since Linux 6.5. For one that does not, the kernel takes any
// (fs/fs_context.c, legacy_parse_param), and it is the mount that fails.
func asksForOptions(ctx int) bool {
	if unix.FsconfigSetFlag(ctx, layerOption) == nil {
		return false // a layer without a path
	}
	_ = explained(ctx, unix.EINVAL) // what it says of that belongs to no failure
	return true
}

// explained adds the messages that the filesystem left in the context.
func explained(ctx int, err error) error {
	errno, ok := err.(unix.Errno)
	if !ok {
		return err
	}
	e := &mountError{errno: errno}
	buf := make([]byte, 1024)
	for len(e.said) < 8 {
		n, err := unix.Read(ctx, buf)
		if err != nil || n == 0 {
			break // ENODATA: that was all
		}
		// Each message is "e text", "w text" or "i text".
		_, said, _ := strings.Cut(strings.TrimSpace(string(buf[:n])), " ")
		e.said = append(e.said, said)
	}
	return e
}

// attributes are the flags as fsmount(2) wants them.
func attributes(f MountFlags) (attr int) {
	for _, a := range []struct {
		flag MountFlags
		attr int
	}{
		{ReadOnly, unix.MOUNT_ATTR_RDONLY}, {NoSuid, unix.MOUNT_ATTR_NOSUID},
		{NoDev, unix.MOUNT_ATTR_NODEV}, {NoExec, unix.MOUNT_ATTR_NOEXEC},
		{NoAtime, unix.MOUNT_ATTR_NOATIME}, {StrictAtime, unix.MOUNT_ATTR_STRICTATIME},
	} {
		if f&a.flag != 0 {
			attr |= a.attr
		}
	}
	return attr
}

// mountByString mounts by mount(2).
func mountByString(m MountRequest) error {
	data, err := optionString(m.Options)
	if err != nil {
		return err
	}
	return unix.Mount(m.Source, m.Target, m.FSType, oldFlags(m.Flags), data)
}

// oldFlags are the flags as mount(2) wants them.
func oldFlags(f MountFlags) (flags uintptr) {
	for _, a := range []struct {
		flag MountFlags
		ms   uintptr
	}{
		{ReadOnly, unix.MS_RDONLY}, {NoSuid, unix.MS_NOSUID}, {NoDev, unix.MS_NODEV},
		{NoExec, unix.MS_NOEXEC}, {NoAtime, unix.MS_NOATIME}, {StrictAtime, unix.MS_STRICTATIME},
	} {
		if f&a.flag != 0 {
			flags |= a.ms
		}
	}
	return flags
}

// Remount implements Mounts.
func (Linux) Remount(path string, flags MountFlags) error {
	if err := unix.Mount("", path, "", unix.MS_REMOUNT|oldFlags(flags), ""); err != nil {
		return fmt.Errorf("remount %s %s: %w", path, strings.Join(flags.Words(), ","), err)
	}
	return nil
}

// optionString joins options as mount(2) wants them. The layers of an overlay,
// one option each for the newer call, become one list; what separates options
// and layers is escaped by a backslash, as overlay's own parser reads it.
func optionString(options []string) (string, error) {
	var words, layers []string
	for _, option := range options {
		if layer, ok := strings.CutPrefix(option, layerOption+"="); ok {
			layers = append(layers, escaped(layer, `\:,`))
			continue
		}
		key, value, hasValue := strings.Cut(option, "=")
		if hasValue {
			value = "=" + escaped(value, `\,`)
		}
		words = append(words, key+value)
	}
	if len(layers) > 0 {
		words = append([]string{"lowerdir=" + strings.Join(layers, ":")}, words...)
	}
	data := strings.Join(words, ",")
	if len(data) >= os.Getpagesize() {
		return "", fmt.Errorf("the options take %d bytes, and this kernel's mount(2) takes at most %d: %w",
			len(data), os.Getpagesize()-1, unix.E2BIG)
	}
	return data, nil
}

// escaped puts a backslash before each of these characters.
func escaped(s, special string) string {
	if !strings.ContainsAny(s, special) {
		return s
	}
	var b strings.Builder
	for _, c := range []byte(s) {
		if strings.IndexByte(special, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String()
}

// MoveMount implements Mounts.
func (Linux) MoveMount(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the mount %s to %s: %w", from, to, err)
	}
	return nil
}

// Bind implements Mounts.
func (Linux) Bind(from, to string) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s to %s: %w", from, to, err)
	}
	return nil
}

// MakePrivate implements Mounts.
func (Linux) MakePrivate(path string) error {
	if err := unix.Mount("", path, "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make the mounts below %s private: %w", path, err)
	}
	return nil
}

// Unmount implements Mounts.
func (Linux) Unmount(path string) error {
	if err := unix.Unmount(path, unix.UMOUNT_NOFOLLOW); err != nil {
		return fmt.Errorf("unmount %s: %w", path, err)
	}
	return nil
}

// DetachLoop implements Mounts.
func (Linux) DetachLoop(device string) error {
	fd, err := open(device, unix.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.IoctlSetInt(fd, unix.LOOP_CLR_FD, 0); err != nil {
		return &fs.PathError{Op: "detach", Path: device, Err: err}
	}
	return nil
}

// EnterRoot implements Mounts. pivot_root(2) does not work on the initramfs,
// whose mount has no parent; moving the new root over / and chroot does.
func (Linux) EnterRoot(newRoot string) error {
	if err := unix.Chdir(newRoot); err != nil {
		return &fs.PathError{Op: "chdir", Path: newRoot, Err: err}
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the mount %s to /: %w", newRoot, err)
	}
	if err := unix.Chroot("."); err != nil {
		return &fs.PathError{Op: "chroot", Path: newRoot, Err: err}
	}
	if err := unix.Chdir("/"); err != nil {
		return &fs.PathError{Op: "chdir", Path: "/", Err: err}
	}
	return nil
}

// PivotRoot implements Mounts.
func (Linux) PivotRoot(newRoot, putOld string) error {
	if err := unix.PivotRoot(newRoot, putOld); err != nil {
		return fmt.Errorf("make %s the root, and the old one %s: %w", newRoot, putOld, err)
	}
	if err := unix.Chdir("/"); err != nil {
		return &fs.PathError{Op: "chdir", Path: "/", Err: err}
	}
	return nil
}

// tree is an open directory.
type tree struct {
	fd   int
	keep file
}

// file is which file it is, by whatever name.
type file struct{ dev, ino uint64 }

func fileOf(st *unix.Stat_t) file { return file{uint64(st.Dev), st.Ino} }

// OpenTree implements Mounts.
func (Linux) OpenTree(path, keep string) (Tree, error) {
	fd, err := open(path, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err := unix.Stat(keep, &st); err != nil {
		return tree{fd: fd}, nil // no file has the number 0
	}
	return tree{fd, fileOf(&st)}, nil
}

func (t tree) Close() error { return unix.Close(t.fd) }

// Empty implements Tree.
func (t tree) Empty() error {
	var sfs unix.Statfs_t
	if err := unix.Fstatfs(t.fd, &sfs); err != nil {
		return fmt.Errorf("statfs of the directory to empty: %w", err)
	}
	// Nobody's disk is ever emptied: the initramfs is a ramfs or a tmpfs.
	if m := magic(&sfs); m != unix.RAMFS_MAGIC && m != unix.TMPFS_MAGIC {
		return fmt.Errorf("the directory to empty is not in memory (filesystem type %#x)", m)
	}
	var st unix.Stat_t
	if err := unix.Fstat(t.fd, &st); err != nil {
		return fmt.Errorf("stat of the directory to empty: %w", err)
	}
	return emptyDir(t.fd, uint64(st.Dev), t.keep)
}

// emptyDir removes what is in an open directory of device dev, but for the file to
// keep and for mounts, which the kernel lets nobody remove (fs/namei.c, vfs_unlink
// and vfs_rmdir: EBUSY). It goes on after an error and returns the first.
func emptyDir(fd int, dev uint64, keep file) error {
	entries, first := readEntries(fd)
	note := func(err error) {
		if err != unix.EBUSY && first == nil {
			first = err
		}
	}
	for _, e := range entries {
		if (file{dev, e.inode}) == keep {
			continue
		}
		if !e.isDir {
			note(unix.Unlinkat(fd, e.name, 0))
			continue
		}
		// Most directories of an initramfs are empty when it is given up: places for
		// mounts, which have moved.
		err := unix.Unlinkat(fd, e.name, unix.AT_REMOVEDIR)
		if err == unix.ENOTEMPTY {
			err = emptySubdir(fd, e.name, dev, keep)
		}
		note(err)
	}
	return first
}

// emptySubdir empties a directory and removes it, when nothing in it was kept.
func emptySubdir(fd int, name string, dev uint64, keep file) error {
	sub, err := unix.Openat(fd, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(sub)
	// A mount would have been EBUSY. Nobody's disk is emptied all the same.
	var st unix.Stat_t
	if err := unix.Fstat(sub, &st); err != nil || uint64(st.Dev) != dev {
		return err
	}
	if err := emptyDir(sub, dev, keep); err != nil {
		return err
	}
	if err := unix.Unlinkat(fd, name, unix.AT_REMOVEDIR); err != unix.ENOTEMPTY {
		return err // not empty: what is to be kept is below
	}
	return nil
}
