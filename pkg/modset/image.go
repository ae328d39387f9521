package modset

import (
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// imageNames are the files of sessions in an image.
var imageNames = map[Mode]string{Raw: "changes.img", Luks: "changes.luks"}

// unfinished ends the name of an image that is being made.
const unfinished = ".minos-new"

// OpenImage is the action that mounts a session that is an ext4 in a file, or in a
// LUKS volume in a file, and makes it first where it is to be a new one. An old one is checked before, and
// made larger where that is asked for.
type OpenImage struct {
	Store   string // the directory of the store
	FSType  string // of the store's filesystem
	Number  string
	Mode    Mode // Raw or Luks
	Create  bool
	Clean   bool  // it was closed when the machine went down
	Size    int64 // that was asked for, in MiB; 0: none was
	Reserve int64 // what an image that is made or grows leaves free, in MiB
	Target  string
	Tools   mount.Toolbox
	// Key reads the key of an encrypted session where it is kept; nil: somebody at
	// the console is asked for the passphrase.
	Key func() ([]byte, error)
}

// File is the image.
func (o OpenImage) File() string { return path.Join(o.Store, o.Number, imageNames[o.Mode]) }

// Apply implements mount.Action. A cut leaves an image that is not finished and
// has another name, or one that is whole: that it is known is what Record is for.
func (o OpenImage) Apply(env mount.Env) error {
	lock := &lock{image: o}
	mount := func(device string) error { return o.mount(env, device) }
	if o.Create {
		if err := o.make(env, lock); err != nil {
			return err
		}
		return attached(env, o.File(), lock, mount)
	}
	info, err := env.Kernel.Lstat(o.File())
	if err != nil {
		return err
	}
	if !info.Mode.IsRegular() {
		return fmt.Errorf("%s is no regular file", o.File())
	}
	if err := attached(env, o.File(), lock, func(device string) error { return o.check(env, device, info.Size) }); err != nil {
		return err
	}
	if err := o.extend(env, info.Size/mib); err != nil {
		env.Say(fmt.Sprintf("session %s stays as large as it is, ignoring: %v", o.Number, err))
	}
	return attached(env, o.File(), lock, mount)
}

// Undo implements mount.Action. The loop device goes with its mount.
func (o OpenImage) Undo(env mount.Env) error { return env.Kernel.Unmount(o.Target) }

func (o OpenImage) String() string { return "open the session " + o.Number + " in " + o.File() }

// attached makes a device of a file for as long as use needs it, or what use has
// mounted. What is encrypted is unlocked.
func attached(env mount.Env, file string, lock *lock, use func(device string) error) error {
	if err := env.Modules.Filesystem(mount.LoopModule); err != nil {
		return err
	}
	device, err := env.Kernel.AttachWritableLoop(file)
	if err != nil {
		return err
	}
	if lock.image.Mode == Luks {
		err = lock.opened(env, device.Path(), use)
	} else {
		err = use(device.Path())
	}
	return errors.Join(err, device.Close())
}

// make makes the image of a new session. It gets its name when it is whole.
func (o OpenImage) make(env mount.Env, lock *lock) error {
	k, dir := env.Kernel, path.Join(o.Store, o.Number)
	if err := mount.MkdirAll(k, o.Store); err != nil {
		return err
	}
	o.removeUnfinished(k)
	size, err := o.size(k, 0, 0)
	if err != nil {
		return err
	}
	if size < leastSize {
		return fmt.Errorf("there is room for an image of %d MiB, and it takes %d", size, leastSize)
	}
	if err := lock.choose(env); err != nil {
		return err
	}
	// Never into one that is there, whoever made it.
	if err := k.Mkdir(dir, 0o755); err != nil {
		return err
	}
	file := o.File() + unfinished
	err = k.MakeSparse(file, 0)
	if err == nil {
		err = o.lengthen(env, file, 0, size)
	}
	if err == nil {
		err = attached(env, file, lock, func(device string) error { return o.format(env, device, size*mib) })
	}
	if err == nil {
		err = k.Fsync(file)
	}
	if err == nil {
		err = k.Rename(file, o.File())
	}
	if err != nil {
		_, _ = k.Remove(file), k.Remove(dir) // what is left is found by the next boot
		return err
	}
	return errors.Join(k.Fsync(dir), k.Fsync(o.Store))
}

// removeUnfinished removes what a cut has left of an image that was being made:
// a directory that holds that and nothing else. It may be all that is free.
func (o OpenImage) removeUnfinished(k sys.Kernel) {
	numbers, _ := k.ReadDir(o.Store) // what cannot be read now cannot be used later
	for _, number := range numbers {
		dir := path.Join(o.Store, number)
		names, err := k.ReadDir(dir)
		if err != nil || !isNumber(number) || len(names) != 1 || names[0] != imageNames[Raw]+unfinished && names[0] != imageNames[Luks]+unfinished {
			continue
		}
		_, _ = k.Remove(path.Join(dir, names[0])), k.Remove(dir) // it is only about space
	}
}

// size is how large the image becomes, in MiB; it has some, and fills so many of
// them.
func (o OpenImage) size(k sys.Kernel, has, fills int64) (int64, error) {
	st, err := k.Statfs(o.Store)
	return imageSize(o.Size, o.Reserve, st.Free/mib+fills, has, o.FSType), err
}

// lengthen gives a file its size. A FAT has no holes: all of the file is written
// then, which takes its time and is told of.
func (o OpenImage) lengthen(env mount.Env, file string, from, to int64) error {
	const step = 256
	for o.FSType == "vfat" && from+step < to {
		from += step
		if err := env.Kernel.Extend(file, from*mib); err != nil {
			return err
		}
		env.Tell(fmt.Sprintf("making room for session %s: %d of %d MiB", o.Number, from, to))
	}
	return env.Kernel.Extend(file, to*mib)
}

// formatTime is how long mke2fs may take.
const formatTime = 5 * time.Minute

// format makes the filesystem.
func (o OpenImage) format(env mount.Env, device string, size int64) error {
	exit, err := o.Tools.Run(env, toolsAt, formatTime, "mke2fs", firstboot.Ext4Arguments(size, "session", device)...)
	if err != nil {
		return err
	}
	return failure("mke2fs", exit, 0)
}

// toolsAt is where tools run.
const toolsAt = "/mnt/tools-session"

// failure says how a tool ended that should have ended with a status of at most
// good.
func failure(tool string, exit sys.Exit, good int) error {
	if exit.Status <= good {
		return nil
	}
	return fmt.Errorf("%s ended with exit status %d: %s", tool, exit.Status, strings.Join(strings.Fields(exit.Output), " "))
}

// mended is e2fsck's exit status when it has mended all that it found.
const mended = 1

// check lets e2fsck look at the filesystem, all of it when nobody has closed it.
// What it cannot mend is left byte by byte as it was: it notes what it writes
// over, and e2undo writes that back.
func (o OpenImage) check(env mount.Env, device string, size int64) error {
	room, err := o.Tools.Enter(env, toolsAt, "25%", "e2fsck")
	if none := (*mount.NoToolError)(nil); errors.As(err, &none) {
		env.Say(fmt.Sprintf("session %s is used unchecked, ignoring: %v", o.Number, err))
		return nil
	}
	if err != nil {
		return err
	}
	defer room.Leave(env)
	undo, err := room.Other(env, "e2undo")
	if err != nil {
		return err
	}
	const notes = "before-e2fsck"
	arguments := []string{"-p", "-z", room.Seen(notes)}
	if !o.Clean {
		arguments = append(arguments, "-f")
	}
	limit := mount.CheckTime(size)
	exit, err := room.Run(env, limit, append(arguments, device)...)
	if err == nil {
		if err = failure("e2fsck", exit, mended); err == nil {
			return nil
		}
	}
	if _, none := env.Kernel.Lstat(path.Join(room.Tmp, notes)); none == nil {
		exit, undoErr := undo.Run(env, limit, room.Seen(notes), device)
		if undoErr == nil {
			undoErr = failure("e2undo", exit, 0)
		}
		if undoErr != nil {
			return fmt.Errorf("it is damaged, and e2fsck has changed it: %w; %w", err, undoErr)
		}
	}
	return fmt.Errorf("it is damaged, and stays as it is: %w", err)
}

// extend makes the file larger where that is asked for. The filesystem follows
// when it is mounted, at this boot or after a cut at the next.
func (o OpenImage) extend(env mount.Env, has int64) error {
	if o.Size <= has {
		return nil // never smaller
	}
	fills, err := filled(env.Kernel, o.File())
	if err != nil {
		return err
	}
	size, err := o.size(env.Kernel, has, fills/mib)
	if err == nil && size > has {
		err = o.lengthen(env, o.File(), has, size)
	}
	if err == nil {
		err = env.Kernel.Fsync(o.File())
	}
	return err
}

// filled is how many bytes of a file are no holes.
func filled(k sys.Kernel, file string) (bytes int64, err error) {
	f, err := k.OpenSparse(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for at := int64(0); ; {
		start, end, err := f.NextData(at)
		if errors.Is(err, io.EOF) {
			return bytes, nil
		}
		if err != nil {
			return 0, err
		}
		bytes, at = bytes+end-start, end
	}
}

// mount mounts the filesystem, fills the file with it and sees to the directories
// of the session in it.
func (o OpenImage) mount(env mount.Env, device string) error {
	m := mount.Mount{Source: device, Target: o.Target, FSType: "ext4", Flags: sys.NoAtime}
	if err := m.Apply(env); err != nil {
		return err
	}
	grown := int64(0)
	if err := firstboot.GrowFilesystem(env.Kernel, device, o.Target, func(now, _ int64) { grown = now }); err != nil {
		env.Say(fmt.Sprintf("session %s does not fill its image, ignoring: %v", o.Number, err))
	}
	if grown > 0 {
		env.Say(fmt.Sprintf("session %s has grown to %d MiB", o.Number, grown/mib))
	}
	for _, name := range []string{UpperName, WorkName} {
		if err := ensureDir(env.Kernel, path.Join(o.Target, name)); err != nil {
			return errors.Join(err, m.Undo(env))
		}
	}
	return nil
}
