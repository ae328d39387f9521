// Package sys is every effect that init has on the machine, as one interface,
// and its implementation on Linux. It holds no policy: what to mount, when to
// sync and what an error means is decided above it. Its twin in systest keeps
// the same interface in memory and writes one readable line for each effect.
package sys

import (
	"errors"
	"io"
	"io/fs"
	"time"
)

// Kernel is what init asks of the machine. A Linux value does it; a
// systest.Kernel records it. All paths are absolute.
//
// Errors wrap the kernel's errno where there was one, so that errors.Is works
// with unix.ENOENT and its kin as well as with fs.ErrNotExist.
type Kernel interface {
	Files
	Mounts
	Processes

	// Now is the time since the kernel started (CLOCK_MONOTONIC).
	Now() time.Duration
	// Realtime is what the clock on the wall says. A board without one starts
	// in 1970.
	Realtime() time.Time
	// Sleep waits; a time longer than a year is for ever. It is for the pause
	// before a reboot; nothing else in init waits for time to pass.
	Sleep(time.Duration)
	// Random returns n bytes from the kernel's generator of random numbers, n at
	// most 256. It waits until that has been seeded, since 5.4 a second at most.
	Random(n int) ([]byte, error)
	// Uname names the running kernel.
	Uname() (Uname, error)

	// Uevents starts to listen to what the kernel says of its devices. Open it
	// before the first scan of sysfs, or a device that comes in between is
	// never seen.
	Uevents() (Uevents, error)
	// OpenDevice opens a block device for reading. It never waits for a medium.
	OpenDevice(path string) (Device, error)
	// WriteDevice opens a block device for reading and writing.
	WriteDevice(path string) (WritableDevice, error)
	// SetReadOnly makes the kernel refuse writes to a block device, whoever asks
	// for them, or allow them again. It returns what held before.
	SetReadOnly(path string, on bool) (was bool, err error)
	// LockDisk opens a whole disk to change its partition table. Until it is
	// closed, programs that ask first leave the disk alone: udev does
	// (systemd.io/BLOCK_DEVICE_LOCKING). When another one has it, that is an
	// error; nothing waits.
	LockDisk(path string) (Disk, error)
	// LoadModule loads the kernel module in a file, with parameters written as
	// on the kernel command line: "NAME=VALUE NAME=VALUE". A module that is
	// loaded already is no error, and keeps the parameters that it has. What does
	// not end in .ko is compressed, and the kernel has to unpack it.
	LoadModule(path, params string) error
}

// Files is reading and writing by path.
type Files interface {
	ReadFile(path string) ([]byte, error)
	// ReadEach reads the file of this name in each of these directories below dir:
	// dir/NAME/file. It is for what the kernel makes up, as in /sys: the way to dir is
	// gone once. What cannot be read is nil.
	ReadEach(dir string, names []string, file string) [][]byte
	// ReadDir returns the names in a directory, sorted, without . and ..
	ReadDir(path string) ([]string, error)
	// Lstat does not follow a symbolic link at the end of path.
	Lstat(path string) (FileInfo, error)
	Readlink(path string) (string, error)
	// ResolveIn follows path, and each symbolic link in it, as a process whose
	// root is root would. It returns where the path ends, seen from that root.
	ResolveIn(root, path string) (string, FileInfo, error)
	// Subvolume tells of the subvolume of a btrfs that a directory is in.
	Subvolume(dir string) (Subvolume, error)
	// Statfs tells of the filesystem that holds path.
	Statfs(path string) (Statfs, error)

	// WriteFile makes or truncates a file. It does not sync it.
	WriteFile(path string, data []byte, perm fs.FileMode) error
	// OpenReader opens a file to be read in pieces, from the medium as far as
	// the kernel allows it: what memory holds of the file and is written out
	// already is given up first. A directory is opened to be held, and not read.
	OpenReader(path string) (io.ReadCloser, error)
	// CreateFile makes or truncates a file to be written in pieces. Its mode is
	// perm then, whatever it was. It does not sync it.
	CreateFile(path string, perm fs.FileMode) (io.WriteCloser, error)
	// Chown gives a file, or a symbolic link itself, to an owner and a group.
	Chown(path string, uid, gid uint32) error
	// SetModified says when the content of a file was changed last, in nanoseconds
	// since 1970. It opens nothing and follows no symbolic link at the end of path.
	SetModified(path string, when int64) error
	// OpenWriter opens an existing file for writing, one write a record, as
	// the kernel log wants it.
	OpenWriter(path string) (io.WriteCloser, error)
	Mkdir(path string, perm fs.FileMode) error
	// MakeSparse makes a file of size bytes that are all a hole.
	MakeSparse(path string, size int64) error
	// Extend makes a file longer, to size bytes: what is new reads as zeros. One
	// that is as long already stays as it is. It does not sync it.
	Extend(path string, size int64) error
	// OpenSparse opens a file that may have holes, for reading.
	OpenSparse(path string) (SparseFile, error)
	// Rename replaces to, as rename(2) does.
	Rename(from, to string) error
	// Remove removes a file or an empty directory.
	Remove(path string) error
	Symlink(target, path string) error
	// Link gives the file that from leads to another name, on the same
	// filesystem.
	Link(from, to string) error
	// Fsync makes a file or a directory durable: its content, or its names.
	Fsync(path string) error
	// SyncFS makes durable all that was changed on the filesystem that holds
	// path. For many files it is far faster than Fsync of each.
	SyncFS(path string) error
	// Sync asks for everything to be written and waits for it.
	Sync()
}

// Mounts is the tree of mounts, and the way from one root to the next.
type Mounts interface {
	Mount(MountRequest) error
	// MoveMount takes a mount, with all below it, to another place.
	MoveMount(from, to string) error
	// Remount makes the filesystem that is mounted at path read-only or writable,
	// and its mount the same; of the flags all others are the mount's too.
	Remount(path string, flags MountFlags) error
	// Bind shows the directory from at to as well, without what is mounted below
	// it.
	Bind(from, to string) error
	// GrowFilesystem makes the mounted filesystem that a directory is in larger,
	// to size bytes, while it is in use: an ext4 or a btrfs of one device.
	GrowFilesystem(dir, fstype string, size int64) error
	// MakePrivate stops the propagation of mounts below path.
	MakePrivate(path string) error
	// AttachLoop makes a read-only block device of a file. It is free again once
	// it is closed and nothing is mounted from it.
	AttachLoop(file string) (Loop, error)
	// AttachWritableLoop is AttachLoop of a device that can be written to.
	AttachWritableLoop(file string) (Loop, error)
	// Unmount detaches a mount. A busy one is an error.
	Unmount(path string) error
	// DetachLoop takes its file from a loop device.
	DetachLoop(device string) error
	// OpenTree opens a directory, so that it can be emptied after another root
	// has taken its place. The file or directory that keep leads to will stay,
	// with all that is in it and above it; that there is none is no error.
	OpenTree(path, keep string) (Tree, error)
	// EnterRoot makes newRoot, which is a mount point, the root of this process
	// by moving the mount over /.
	EnterRoot(newRoot string) error
	// PivotRoot makes newRoot, which is a mount point, the root of this process
	// and of all that had the same, and leaves the old root at putOld in it.
	PivotRoot(newRoot, putOld string) error
}

// Processes is what becomes of this process and of others.
type Processes interface {
	// AttachConsole makes path the standard input, output and error.
	AttachConsole(path string) error
	// Ask shows a text on the console and returns the line that somebody types
	// there within limit. What is typed is hidden where it has to be. What was
	// typed before is thrown away. The error is ErrTimeout when nobody types, and
	// io.EOF when nobody can.
	Ask(q Question) (string, error)
	// Memfd returns a descriptor that survives an exec, of a file in memory
	// with this content, to be read from its start.
	Memfd(name string, content []byte) (fd int, err error)
	// Run runs a program to its end.
	Run(Command) error
	// RunTool runs a program that talks to nobody to its end, and returns how
	// it ended and what it printed. The error is not about its exit status: it
	// says that it could not be started, was killed by a signal, or, with
	// ErrKilled, that it was killed because it took too long.
	RunTool(Tool) (Exit, error)
	// Exec becomes another program. On a real machine it returns only when it
	// failed.
	Exec(path string, argv, env []string) error
	// Kill ends another process and waits, for at most limit, until it holds
	// nothing any more. That it has ended already is no error.
	Kill(pid int, limit time.Duration) error
	// RelaxTimers lets the timers of this process's other threads be late by up to
	// slack. It is advice, which not every kernel takes. /proc has to be mounted.
	RelaxTimers(slack time.Duration)
	// Reboot ends the machine's run. On a real machine it returns only when it
	// failed.
	Reboot(Ending) error
	// RestartWith restarts the machine and hands its firmware an argument:
	// "0 tryboot". On a real machine it returns only when it failed.
	RestartWith(argument string) error
}

// Uname is what uname(2) says.
type Uname struct {
	Release string // "6.12.48-cloud-arm64": the directory below /lib/modules
}

// FileInfo is what is known of a file.
type FileInfo struct {
	Mode fs.FileMode // type and permissions
	Size int64       // bytes
	Dev  uint64      // the filesystem that holds it, as st_dev
	UID  uint32      // its owner
	GID  uint32      // its group
	// Inode is its number on that filesystem.
	Inode uint64
	// Modified is when its content was changed last, in nanoseconds since 1970.
	// Some filesystems keep whole seconds only.
	Modified int64
}

// Executable tells whether anybody may execute the file.
func (i FileInfo) Executable() bool {
	return i.Mode.IsRegular() && i.Mode&0o111 != 0
}

// Statfs is what is known of a mounted filesystem.
type Statfs struct {
	Magic    int64 // the kernel's number of the type, unix.OVERLAYFS_SUPER_MAGIC
	ReadOnly bool  // writes fail with EROFS
	Free     int64 // what can still be written, in bytes
}

// Subvolume is what is known of a subvolume of a btrfs.
type Subvolume struct {
	ID       uint64 // 5: the top level
	Top      bool   // the directory that was asked about is the subvolume's own
	ReadOnly bool   // no mount makes it writable; known only when Top
}

// Device is an open block device.
type Device interface {
	io.ReaderAt
	io.Closer
	// Size is the number of bytes on it.
	Size() (int64, error)
}

// WritableDevice is a block device that can be changed.
type WritableDevice interface {
	Device
	io.WriterAt
	// Sync returns when what was written is on the medium, also after a loss
	// of power.
	Sync() error
}

// Disk is a whole disk that can be changed.
type Disk interface {
	WritableDevice
	// Blocks are the sizes of the disk's blocks in bytes: what addresses count
	// in, and what the medium writes at once.
	Blocks() (logical, physical int64, err error)
	// ResizePartition tells the kernel that a partition, which may be mounted,
	// has these bytes of the disk now. The start is the one it has already.
	ResizePartition(number int, start, size int64) error
}

// SparseFile is an open file with holes: ranges that read as zeros and that
// nobody has written.
type SparseFile interface {
	Device
	// NextData is the first range at or behind from that was written, to its end.
	// The error is io.EOF when there is none.
	NextData(from int64) (start, end int64, err error)
}

// Uevents is the stream of the kernel's device events.
type Uevents interface {
	// Next returns the next message as the kernel sent it. It waits at most
	// timeout and then returns ErrTimeout. ErrOverflow says that messages were
	// lost: what is known of the devices has to be read anew.
	Next(timeout time.Duration) ([]byte, error)
	io.Closer
}

// Errors of Uevents.Next; Ask has the first, too.
var (
	ErrTimeout  = errors.New("no event within the time given")
	ErrOverflow = errors.New("device events were lost")
)

// MountRequest is one mount.
type MountRequest struct {
	Source  string     // device or name; overlay has only a name
	Target  string     // an existing directory
	FSType  string     // "ext4"
	Flags   MountFlags // what the VFS understands
	Options []string   // what the filesystem understands, "key" or "key=value", in order
}

// MountFlags are the options of a mount that are not the filesystem's own.
type MountFlags uint

// The flags that init uses.
const (
	ReadOnly MountFlags = 1 << iota
	NoSuid
	NoDev
	NoExec
	NoAtime
	StrictAtime
)

var flagNames = []struct {
	flag MountFlags
	name string
}{
	{ReadOnly, "ro"}, {NoSuid, "nosuid"}, {NoDev, "nodev"}, {NoExec, "noexec"},
	{NoAtime, "noatime"}, {StrictAtime, "strictatime"},
}

// Words are the flags as mount(8) writes them, "ro" or "rw" first.
func (f MountFlags) Words() []string {
	words := []string{"rw"}
	if f&ReadOnly != 0 {
		words[0] = "ro"
	}
	for _, n := range flagNames[1:] {
		if f&n.flag != 0 {
			words = append(words, n.name)
		}
	}
	return words
}

// Loop is an attached loop device, kept open.
type Loop interface {
	Path() string // "/dev/loop0"
	io.Closer
}

// Tree is an open directory with all that is in it.
type Tree interface {
	// Empty removes everything below the directory that is on the same
	// filesystem, but for what is to be kept, when that filesystem lives in
	// memory; otherwise it refuses.
	Empty() error
	io.Closer
}

// Command is a program to run.
type Command struct {
	Argv []string // Argv[0] is the path
	Env  []string
	// Terminal is the device that becomes the program's controlling terminal
	// and its standard descriptors. Without one it has this process's own.
	Terminal string
}

// Question is what somebody at the console is asked.
type Question struct {
	Text   string
	Hidden bool // the answer does not show
	Limit  time.Duration
}

// Tool is a program that talks to nobody: it has no terminal, its input is
// empty, and it is in a session of its own.
type Tool struct {
	Root  string        // becomes its root and its working directory
	Argv  []string      // Argv[0] is the path, seen from Root
	Env   []string      // all of its environment
	Limit time.Duration // how long it may take
}

// ErrKilled is in the error of a tool that did not end within its limit.
var ErrKilled = errors.New("was killed because it took too long")

// Exit is how a tool ended.
type Exit struct {
	Status int
	Output string // the last 16 KiB of its standard output and error, as they came
}

// Ending is how a machine's run ends.
type Ending string

// The endings, in the words of minos.onfail= and of systemd.
const (
	Restart  Ending = "reboot"
	Halt     Ending = "halt"
	PowerOff Ending = "poweroff"
	Kexec    Ending = "kexec" // starts the kernel that was loaded for it
)
