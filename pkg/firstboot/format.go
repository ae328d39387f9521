package firstboot

import (
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/mount"
)

// Claim marks a partition as one that a filesystem is about to be made on. From
// then on a cut of power is no question of whose it is.
type Claim struct {
	Device string
	Claim  block.Claim
	Why    string // in words, to follow the device: "is blank: …"
}

// Apply implements mount.Action.
func (c Claim) Apply(env mount.Env) error {
	env.Say(fmt.Sprintf("%s %s; it becomes an ext4", c.Device, c.Why))
	return writeFirst(env, c.Device, c.Claim.Encode())
}

// Undo implements mount.Action. A claim is good until there is a filesystem.
func (c Claim) Undo(mount.Env) error { return nil }

func (c Claim) String() string { return "claim " + c.Device }

// Unclaim clears a claim under which there is a filesystem in use.
type Unclaim struct {
	Device string
	Why    string
}

// Apply implements mount.Action. The filesystem is good whatever becomes of the
// sector.
func (u Unclaim) Apply(env mount.Env) error {
	if err := writeFirst(env, u.Device, make([]byte, block.ClaimSize)); err != nil {
		env.Say(fmt.Sprintf("%s %s; the mark stays, ignoring: %v", u.Device, u.Why, err))
		return nil
	}
	env.Say(fmt.Sprintf("%s %s; the mark is cleared", u.Device, u.Why))
	return nil
}

// Undo implements mount.Action.
func (u Unclaim) Undo(mount.Env) error { return nil }

func (u Unclaim) String() string { return "clear the claim on " + u.Device }

// writeFirst makes the first sector of a partition durable.
func writeFirst(env mount.Env, device string, sector []byte) error {
	dev, err := env.Kernel.WriteDevice(device)
	if err != nil {
		return err
	}
	defer dev.Close()
	if _, err := dev.WriteAt(sector, 0); err != nil {
		return err
	}
	return dev.Sync()
}

// Format makes an ext4 on a claimed partition of whatever size it has by now. It
// is made in memory, in a file with holes, and what is written of that file is
// copied; the claim is cleared last.
type Format struct {
	Device string
	Label  string
	Tools  mount.Toolbox
}

const (
	// formatTime is how long mke2fs may take. It works in memory.
	formatTime = 2 * time.Minute
	// formatMemory is how much mke2fs may write, as tmpfs(5) has it: four times
	// what it does for 1 TB.
	formatMemory = "64m"
)

// Apply implements mount.Action.
func (f Format) Apply(env mount.Env) error {
	written, size, err := f.format(env)
	if err != nil {
		return fmt.Errorf("it is not formatted: %w", err)
	}
	env.Say(fmt.Sprintf("%s is an ext4 of %d MiB now; %.1f MiB were written", f.Device, FirstSize(size)/mib, float64(written)/mib))
	env.Made(f.Label + " formatted")
	if size > FirstSize(size) {
		env.Say(fmt.Sprintf("the rest of %s, up to %d MiB, is for minosctl grow-data, beside the running system", f.Device, size/mib))
	}
	return nil
}

// FirstSize is how many bytes of a partition a new filesystem takes. To make a
// large one takes longer and writes more, and the boot has to wait: the rest is
// given to it while it is in use, as on a card that is larger than its image.
func FirstSize(size int64) int64 { return min(size, 8*gib) }

// format returns how many bytes were written, and the size of the partition.
func (f Format) format(env mount.Env) (written, size int64, err error) {
	dev, err := env.Kernel.WriteDevice(f.Device)
	if err != nil {
		return 0, 0, err
	}
	defer dev.Close()
	if size, err = dev.Size(); err != nil {
		return 0, 0, err
	}
	room, err := f.Tools.Enter(env, "/mnt/format-"+path.Base(f.Device), formatMemory, "mke2fs")
	if err != nil {
		return 0, 0, err
	}
	defer room.Leave(env)
	room.Environ = makeEnviron
	image := path.Join(room.Tmp, "ext4")
	if err := env.Kernel.MakeSparse(image, FirstSize(size)); err != nil {
		return 0, 0, err
	}
	exit, err := room.Run(env, formatTime, Ext4Arguments(size, f.Label, room.Seen("ext4"))...)
	if err != nil {
		return 0, 0, err
	}
	if exit.Status != 0 {
		return 0, 0, fmt.Errorf("mke2fs ended with exit status %d: %s", exit.Status, strings.Join(strings.Fields(exit.Output), " "))
	}
	made, err := env.Kernel.OpenSparse(image)
	if err != nil {
		return 0, 0, err
	}
	defer made.Close()
	written, err = fill(dev, made, size)
	return written, size, err
}

// Undo implements mount.Action. What follows may fail; the filesystem stays.
func (f Format) Undo(mount.Env) error { return nil }

func (f Format) String() string { return "make an ext4 on " + f.Device }

// makeEnviron has mke2fs write zeros where it wants them, instead of punching a
// hole into the file: the partition has somebody's old bytes there, and holes
// are not copied (lib/ext2fs/unix_io.c).
var makeEnviron = []string{"UNIX_IO_NOZEROOUT=1"}

// features are those of every e2fsprogs since 1.43, whatever the mke2fs.conf of
// this slot adds to them: both slots have to be able to mount and to mend it.
var features = []string{"none", "has_journal", "ext_attr", "resize_inode", "dir_index", "filetype", "extent", "64bit",
	"flex_bg", "sparse_super", "large_file", "huge_file", "dir_nlink", "extra_isize", "metadata_csum"}

// Ext4Arguments are those of mke2fs(8) for a filesystem, in a file or on a
// device, that is to have size bytes in the end. docs/first-boot.md says why each
// of them is so.
func Ext4Arguments(size int64, label, file string) []string {
	return []string{"-q", "-F", "-t", "ext4", "-L", label, "-b", "4096", "-I", "256", "-m", "1",
		"-i", strconv.FormatInt(inodeRatio(size), 10), "-J", "size=" + strconv.FormatInt(journalSize(size)/mib, 10),
		"-O", strings.Join(features, ","), "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", file}
}

// inodeRatio is how many bytes there are for each inode: the usual 16 KiB as
// long as that makes no more than about a million of them. The kernel writes
// the tables of all of them, 256 bytes each, in the background of the first
// boots.
func inodeRatio(size int64) int64 {
	const most = 1 << 20
	ratio := int64(16 << 10)
	for size/ratio > most {
		ratio *= 2
	}
	return ratio
}

// journalSize is a thirty-second of the filesystem within the bounds of 4 MiB,
// the least that ext4 takes, and 64 MiB, which is read within seconds after a
// cut of power.
func journalSize(size int64) int64 {
	return min(max(size/32/mib*mib, 4*mib), 64*mib)
}

// Prove is a filesystem that is mounted for the first time: it counts when it
// keeps what is written to it.
type Prove struct{ Dir string }

// Apply implements mount.Action.
func (p Prove) Apply(env mount.Env) error {
	k, file := env.Kernel, path.Join(p.Dir, ".minos-probe")
	const content = "written by init to see whether this filesystem can be\n"
	err := k.WriteFile(file, []byte(content), 0o600)
	if err == nil {
		err = k.Fsync(file)
	}
	if err == nil {
		var back []byte
		if back, err = k.ReadFile(file); err == nil && string(back) != content {
			err = fmt.Errorf("%s: other bytes came back than were written", file)
		}
	}
	if err == nil {
		err = k.Remove(file)
	}
	if err == nil {
		err = k.Fsync(p.Dir)
	}
	if err != nil {
		return fmt.Errorf("the new filesystem does not take a write: %w", err)
	}
	return nil
}

// Undo implements mount.Action.
func (p Prove) Undo(mount.Env) error { return nil }

func (p Prove) String() string { return "prove that " + p.Dir + " can be written to" }
