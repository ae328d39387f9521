package sys

import (
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls that tell of subvolumes (linux/btrfs.h). BTRFS_IOC_GET_SUBVOL_INFO
// would tell all at once, in a form that is not the same on all processors.
const (
	btrfsInodeLookup = 0xd0009412 // BTRFS_IOC_INO_LOOKUP
	btrfsGetFlags    = 0x80089419 // BTRFS_IOC_SUBVOL_GETFLAGS
	btrfsReadOnly    = 1 << 1     // BTRFS_SUBVOL_RDONLY
	btrfsTopInode    = 256        // BTRFS_FIRST_FREE_OBJECTID, of a subvolume's own directory
)

// btrfsLookup is struct btrfs_ioctl_ino_lookup_args.
type btrfsLookup struct {
	tree, object uint64
	_            [4080]byte
}

// Subvolume implements Files.
func (Linux) Subvolume(dir string) (s Subvolume, err error) {
	fd, err := open(dir, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return s, err
	}
	defer unix.Close(fd)
	lookup := btrfsLookup{object: btrfsTopInode}
	if err := ioctl(fd, btrfsInodeLookup, unsafe.Pointer(&lookup)); err != nil {
		return s, &fs.PathError{Op: "find the subvolume of", Path: dir, Err: err}
	}
	s.ID = lookup.tree
	var flags uint64
	switch err := ioctl(fd, btrfsGetFlags, unsafe.Pointer(&flags)); err {
	case nil:
		s.Top, s.ReadOnly = true, flags&btrfsReadOnly != 0
	case unix.EINVAL: // a directory within a subvolume
	default:
		return s, &fs.PathError{Op: "read the flags of the subvolume", Path: dir, Err: err}
	}
	return s, nil
}
