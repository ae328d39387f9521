package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// replace makes a directory hold a set of boot files and nothing else. It
// returns when all of it is on the disk and was read back from there. What it
// leaves when it fails, or is cut off, is no whole set: nothing may point at the
// directory until it has returned.
func (s bootSet) replace(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = os.Mkdir(dir, 0o755)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	for _, name := range bootFiles() {
		if content, ok := s[name]; ok {
			if err := writeSynced(filepath.Join(dir, name), content); err != nil {
				return err
			}
		}
	}
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := syncDir(d); err != nil {
			return err
		}
	}
	for _, name := range bootFiles() {
		if content, ok := s[name]; ok {
			if err := readBack(filepath.Join(dir, name), content); err != nil {
				return err
			}
		}
	}
	return nil
}

func writeSynced(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDir waits for a directory, and for all else of its filesystem: on a FAT
// the table of the clusters belongs to neither file nor directory.
func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return err
	}
	return os.NewSyscallError("syncfs "+name, unix.Syncfs(int(d.Fd())))
}

// readBack compares a file with what was written, as the disk has it.
func readBack(name string, want []byte) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	// Only advice: where it is not taken, the cache is read back.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	got := bytes.NewBuffer(make([]byte, 0, len(want)+bytes.MinRead))
	if _, err := got.ReadFrom(f); err != nil {
		return err
	}
	if !bytes.Equal(got.Bytes(), want) {
		return fmt.Errorf("%s is not what was written there; the disk may be failing", name)
	}
	return nil
}

// space is what a filesystem has, in bytes.
type space struct {
	free    int64
	cluster int64 // the least that a file takes
}

func spaceIn(dir string) (space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return space{}, os.NewSyscallError("statfs "+dir, err)
	}
	return space{free: int64(st.Bavail) * int64(st.Bsize), cluster: int64(st.Bsize)}, nil
}

// takes is what files of these sizes take with their directory.
func (s space) takes(sizes []int64) int64 {
	total := s.cluster
	for _, size := range sizes {
		total += (size + s.cluster - 1) / s.cluster * s.cluster
	}
	return total
}

// fits tells what is missing for the set to take the place of what is in a
// directory. That is removed first.
func (s bootSet) fits(dir string, there space) error {
	var sizes, old []int64
	for _, name := range bootFiles() {
		if content, ok := s[name]; ok {
			sizes = append(sizes, int64(len(content)))
		}
	}
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			old = append(old, info.Size())
		}
		return err
	})
	freed := int64(0)
	if err == nil {
		freed = there.takes(old)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if needed := there.takes(sizes); needed > there.free+freed {
		return fmt.Errorf("there is too little space: the files take %d bytes, and %d are free, with %d more when the old ones in %s are removed",
			needed, there.free, freed, filepath.Base(dir))
	}
	return nil
}

// makeWritable lets the mounted boot partition be written to. restore makes it
// what it was; one that was writable stays so. What stands in for a partition
// that could not be mounted is no FAT, and refused.
func makeWritable(dir string) (restore func() error, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return nil, os.NewSyscallError("statfs "+dir, err)
	}
	if st.Type != unix.MSDOS_SUPER_MAGIC {
		return nil, fmt.Errorf("%s is not a FAT filesystem; the boot partition is not mounted there", dir)
	}
	if st.Flags&unix.ST_RDONLY == 0 {
		return func() error { return nil }, nil
	}
	if err := remount(dir, st, 0); err != nil {
		return nil, err
	}
	return func() error { return remount(dir, st, unix.MS_RDONLY) }, nil
}

// remount changes whether a filesystem is read-only, and keeps the rest: what a
// remount does not name, it takes away (mount(2)). The options of a FAT stay by
// themselves.
func remount(dir string, was unix.Statfs_t, access uintptr) error {
	flags := access | unix.MS_REMOUNT
	for _, f := range []struct {
		has int64
		set uintptr
	}{
		{unix.ST_NOSUID, unix.MS_NOSUID}, {unix.ST_NODEV, unix.MS_NODEV}, {unix.ST_NOEXEC, unix.MS_NOEXEC},
		{unix.ST_SYNCHRONOUS, unix.MS_SYNCHRONOUS}, {unix.ST_NOATIME, unix.MS_NOATIME},
		{unix.ST_NODIRATIME, unix.MS_NODIRATIME}, {unix.ST_RELATIME, unix.MS_RELATIME},
	} {
		if int64(was.Flags)&f.has != 0 {
			flags |= f.set
		}
	}
	return os.NewSyscallError("remount "+dir, unix.Mount("none", dir, "", flags, ""))
}

// lockDir keeps another update out, until the program ends or unlock is called.
func lockDir(dir string) (unlock func(), err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		d.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another update of %s is running; wait for it", dir)
		}
		return nil, os.NewSyscallError("flock "+dir, err)
	}
	return func() { d.Close() }, nil
}

// hasSets tells whether the script at the top of a boot partition starts other
// sets.
func hasSets(dir string) error {
	image, err := os.ReadFile(filepath.Join(dir, scriptFile))
	if err != nil {
		return err
	}
	text, err := scriptText(image)
	if err != nil {
		return fmt.Errorf("%s cannot be used: %w", filepath.Join(dir, scriptFile), err)
	}
	if !bytes.Contains(text, []byte("BOOT_FILES_TRY")) {
		return fmt.Errorf("%s starts no other set of boot files (it does not look at BOOT_FILES_TRY); replace it by a newer one once, by hand", filepath.Join(dir, scriptFile))
	}
	return nil
}
