package adopt

import (
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Adopt is the action: it finishes an adoption that was cut, and takes a new
// image when there is one. Both filesystems are mounted read-only, and made
// writable only while something is changed on them.
type Adopt struct {
	Dir   string // where the partition of the images is mounted, read-only
	Names Names
	// Medium is the filesystem with the new image, mounted for this action only.
	// The zero value: there is none.
	Medium   mount.Mount
	Stranger bool              // Facts.Stranger
	Say      func(line string) // one line for somebody who watches the console
}

// Apply implements mount.Action. After an error the current image is what it
// was, or a complete new one.
func (a Adopt) Apply(env mount.Env) error {
	var noMedium error
	if a.Medium.Source != "" {
		if noMedium = a.Medium.Apply(env); noMedium != nil {
			a.Medium = mount.Mount{}
		} else {
			// What stays mounted is in nobody's way.
			defer func() { _ = a.Medium.Undo(env) }()
		}
	}
	facts, settled, err := a.look(env.Kernel)
	if settled || err != nil {
		return errors.Join(noMedium, err)
	}
	plan := Decide(facts)
	if len(plan.Ops) > 0 {
		err = a.perform(env.Kernel, facts, plan)
	}
	return errors.Join(noMedium, plan.Refused, err)
}

// Undo implements mount.Action. What is current stays so.
func (Adopt) Undo(mount.Env) error { return nil }

func (a Adopt) String() string { return "adopt a new image to " + a.Dir }

// Flags of the two filesystems while they are changed, and before and after.
const (
	changing = sys.NoAtime
	atRest   = sys.NoAtime | sys.ReadOnly
)

// perform does what the plan says, up to what fails.
func (a Adopt) perform(k sys.Kernel, f Facts, p Plan) (err error) {
	if err := k.Remount(a.Dir, changing); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.Remount(a.Dir, atRest)) }()
	for _, op := range p.Ops {
		if err := a.do(k, f, op); err != nil {
			return err
		}
	}
	return nil
}

// do does one thing, durably.
func (a Adopt) do(k sys.Kernel, f Facts, op Op) error {
	from, to := path.Join(a.Dir, op.From), path.Join(a.Dir, op.To)
	switch op.Do {
	case Check:
		return a.read(k, f, "checking", func([]byte) error { return nil })
	case Copy:
		if err := a.copy(k, f, to); err != nil {
			// Whatever is left of it is in the way of the next try only.
			return errors.Join(err, k.Remove(to), k.Fsync(a.Dir))
		}
		return nil
	case Rename:
		if err := k.Rename(from, to); err != nil {
			return err
		}
	case Remove:
		if err := k.Remove(from); err != nil {
			return err
		}
	case Drop:
		return a.drop(k, f)
	}
	return k.Fsync(a.Dir)
}

// drop removes the source and its checksum. The new image is current already.
func (a Adopt) drop(k sys.Kernel, f Facts) error {
	source := path.Join(a.Medium.Target, f.Source.Name)
	err := k.Remount(a.Medium.Target, changing)
	if err == nil {
		err = k.Remove(source)
	}
	if err == nil {
		err = k.Fsync(a.Medium.Target)
	}
	if err == nil && f.Sum != "" {
		// Only now: with the source there and its checksum gone, the next boot
		// would refuse it.
		err = k.Remove(source + sumEnding)
	}
	if err != nil {
		return fmt.Errorf("%s is the current image, and stays on its medium as well: %w", f.Source.Name, err)
	}
	a.Say(f.Source.Name + " is the current image now, and gone from its medium")
	return nil
}

// copy makes a copy of the source, which is durable when it returns.
func (a Adopt) copy(k sys.Kernel, f Facts, to string) error {
	w, err := k.CreateFile(to, 0o644)
	if err != nil {
		return err
	}
	err = a.read(k, f, "copying", func(piece []byte) error {
		_, err := w.Write(piece)
		return err
	})
	if err = errors.Join(err, w.Close()); err != nil {
		return err
	}
	if err := k.Fsync(to); err != nil {
		return err
	}
	return k.Fsync(a.Dir)
}

// pieceSize is how much of an image is in memory at a time, in bytes. Go hands
// the processor on in each call that takes long, so there should be few of them.
const pieceSize = 1 << 20

// tellEvery is the time from one line of progress to the next.
const tellEvery = 5 * time.Second

// read hands on the source piece by piece, and compares it with its size and
// its checksum.
func (a Adopt) read(k sys.Kernel, f Facts, doing string, piece func([]byte) error) error {
	r, err := k.OpenReader(path.Join(a.Medium.Target, f.Source.Name))
	if err != nil {
		return err
	}
	defer r.Close()
	tell := func(done int64) {
		a.Say(fmt.Sprintf("%s %s: %d %% of %d bytes", doing, f.Source.Name, done*100/f.Source.Size, f.Source.Size))
	}
	tell(0)
	hash, buf, done, told := newSHA256(), make([]byte, pieceSize), int64(0), k.Now()
	for err == nil {
		var n int
		if n, err = io.ReadFull(r, buf); n == 0 {
			break
		}
		if f.Sum != "" {
			hash.Write(buf[:n])
		}
		if err := piece(buf[:n]); err != nil {
			return err
		}
		done += int64(n)
		if now := k.Now(); now-told >= tellEvery {
			tell(done)
			told = now
		}
	}
	switch {
	case err != io.EOF && err != io.ErrUnexpectedEOF:
		return err
	case done != f.Source.Size:
		return fmt.Errorf("%s is not taken: %d of its %d bytes came", f.Source.Name, done, f.Source.Size)
	case f.Sum != "" && hash.Sum() != f.Sum:
		return fmt.Errorf("%s is not taken: %w", f.Source.Name, errSum)
	}
	tell(done)
	return nil
}
