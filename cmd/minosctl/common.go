package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/slots/tryboot"
	"github.com/minos-os/minos-init/pkg/sys"
)

// privateMount is where the common partition is mounted for a moment, where it
// is not mounted anyway.
const privateMount = "/run/minos/common"

// common is the partition with autoboot.txt, while it is mounted.
type common struct {
	kernel   sys.Kernel
	dir      string
	readOnly bool
	ours     bool // to unmount
	remount  func(dir string) (restore func() error, err error)
}

const commonFlags = sys.NoSuid | sys.NoDev | sys.NoExec | sys.NoAtime

// commonDevice is the device of the common partition: what init found, else the
// partition of that number on the disk that it started from.
func commonDevice(b *boot, number int) (string, error) {
	for _, role := range b.Roles {
		if role.Name == "common" && role.Device != "" {
			return role.Device, nil
		}
	}
	if b.Disk == "" {
		return "", fmt.Errorf("%s names no disk", bootFile)
	}
	return partitionName(b.Disk, number), nil
}

// partitionName is the kernel's name of a partition (block/genhd.c,
// disk_name): with a p where the disk's name ends in a digit.
func partitionName(disk string, number int) string {
	if strings.TrimRight(disk, "0123456789") != disk {
		disk += "p"
	}
	return disk + strconv.Itoa(number)
}

// openCommon mounts a device read-only, or takes the mount that is there: the
// kernel has one state for all mounts of a device, and refuses a second one
// that differs.
func (h host) openCommon(device string) (*common, error) {
	mounts, err := mount.ReadMountinfo(h.kernel)
	if err != nil && len(mounts) == 0 {
		return nil, err
	}
	// Another name of the device has the same numbers.
	numbers, _ := h.kernel.ReadFile("/sys/class/block/" + path.Base(device) + "/dev")
	c := &common{kernel: h.kernel, remount: h.makeWritable}
	for _, m := range mounts {
		if m.FSType == "vfat" && (m.Source == device || m.Device == strings.TrimSpace(string(numbers))) {
			c.dir, c.readOnly = m.At, m.ReadOnly
			return c, nil
		}
	}
	c.dir, c.readOnly, c.ours = privateMount, true, true
	if err := h.kernel.Mkdir(privateMount, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return c, h.kernel.Mount(sys.MountRequest{Source: device, Target: privateMount, FSType: "vfat", Flags: commonFlags | sys.ReadOnly})
}

// read reads autoboot.txt.
func (c *common) read() (tryboot.File, error) {
	data, err := c.kernel.ReadFile(filepath.Join(c.dir, tryboot.FileName))
	if err != nil {
		return tryboot.File{}, err
	}
	return tryboot.Parse(data)
}

// rescued tells whether init has counted that it could not boot the default
// slot.
func (c *common) rescued() bool {
	data, err := c.kernel.ReadFile(filepath.Join(c.dir, tryboot.RescueFile))
	return err == nil && len(data) == tryboot.SizeLimit && tryboot.ParseRescues(data).Times > 0
}

// overwrite puts data in the place of a file of the same length: one write of
// the one sector that it takes, so that a power cut leaves the old file or the
// new one. After a rename on a FAT there are cuts that leave neither
// (docs/reliability.md).
func (c *common) overwrite(name string, data []byte) error {
	restore := func() error { return nil }
	var err error
	switch {
	case c.readOnly && c.ours:
		err = c.kernel.Remount(c.dir, commonFlags)
	case c.readOnly:
		restore, err = c.remount(c.dir)
	}
	if err != nil {
		return err
	}
	return errors.Join(c.overwriteFile(filepath.Join(c.dir, name), data), restore())
}

func (c *common) overwriteFile(name string, data []byte) error {
	w, err := c.kernel.OpenWriter(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := c.kernel.Fsync(name); err != nil {
		return err
	}
	r, err := c.kernel.OpenReader(name)
	if err != nil {
		return err
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err == nil && !bytes.Equal(got, data) {
		err = fmt.Errorf("%s is not what was written there; the card may be failing", path.Base(name))
	}
	return err
}

// close unmounts what was mounted for this.
func (c *common) close() error {
	if !c.ours {
		return nil
	}
	return c.kernel.Unmount(c.dir)
}
