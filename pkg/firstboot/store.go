package firstboot

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"

	"github.com/minos-os/minos-init/pkg/mount"
)

// stagingName is the directory on the data partition in which files wait until
// they are durable. It is there while an intake writes, and after a cut.
const stagingName = ".minos-inbox"

// flush stores what waits: all of it is written under other names and made
// durable, read back, and renamed to its targets; when that is durable, too, the
// consumed files are removed from the card. Files are taken together because to
// wait for the disk after each would take minutes for ten thousand.
func (t *intake) flush() {
	jobs := t.waiting
	t.waiting, t.bytes = nil, 0
	jobs = t.each(jobs, t.mayRemove)
	if len(jobs) == 0 {
		return
	}
	staging := path.Join(t.Data, stagingName)
	if err := t.k.Mkdir(staging, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		t.halted = err
		t.fail(jobs, err)
		return
	}
	t.staging = true
	for n := range jobs {
		jobs[n].staged = path.Join(staging, strconv.Itoa(n))
	}
	jobs = t.durable(t.each(jobs, t.write))
	jobs = t.each(t.each(jobs, t.readBack), t.rename)
	if !removesEarly() {
		jobs = t.durable(jobs)
	}
	t.stored += len(jobs)
	t.take(jobs)
}

// take removes consumed files from the card. They stay open until their names
// are durably gone: only then the FAT gives their clusters up. The other way
// round, a cut could leave the name of a file of which a part is missing, which
// the next boot would store over the whole one.
func (t *intake) take(jobs []job) {
	var held []io.Closer
	for _, j := range jobs {
		if j.rule.Policy != Consume {
			continue
		}
		name := path.Join(t.Card.At, j.from)
		file, err := t.k.OpenReader(name)
		if err == nil {
			held = append(held, file)
			err = t.k.Remove(name)
		}
		if err != nil {
			t.env.Say(fmt.Sprintf("%s was taken over and stays on the boot partition, so that it will be once more, ignoring: %v", j.from, err))
			continue
		}
		t.removed++
	}
	t.letGo(held)
}

// letGo makes it durable that the names of these files are gone, and closes
// them.
func (t *intake) letGo(held []io.Closer) {
	if len(held) == 0 {
		return
	}
	// An error is that of the sync at the end as well, which is told.
	_ = t.k.SyncFS(t.Card.At)
	for _, file := range held {
		_ = file.Close()
	}
}

// each does something to each of the jobs, and returns those for which it was
// done. Nothing is left of the others but what is on the card.
func (t *intake) each(jobs []job, do func(job) error) (done []job) {
	for _, j := range jobs {
		if err := do(j); err != nil {
			t.drop(j, err)
			continue
		}
		done = append(done, j)
	}
	return done
}

// durable waits for the data partition.
func (t *intake) durable(jobs []job) []job {
	if len(jobs) == 0 {
		return nil
	}
	if err := t.k.SyncFS(t.Data); err != nil {
		t.fail(jobs, err)
		return nil
	}
	return jobs
}

func (t *intake) fail(jobs []job, why error) {
	for _, j := range jobs {
		t.drop(j, why)
	}
}

func (t *intake) drop(j job, why error) {
	if j.staged != "" {
		// Best effort: what stays is deleted with its directory.
		_ = t.k.Remove(j.staged)
	}
	t.problem(j.from, why)
}

// mayRemove makes the card writable before the first file that is to be
// removed from it is stored: one that cannot be removed would be stored at each
// boot again, over what was made of it meanwhile.
func (t *intake) mayRemove(j job) error {
	if j.rule.Policy != Consume {
		return nil
	}
	if err := t.openCard(); err != nil {
		t.halted = err
		return fmt.Errorf("it could not be removed afterwards: %w", err)
	}
	return nil
}

// openCard makes the card writable, once.
func (t *intake) openCard() error {
	if !t.open && t.openErr == nil {
		t.openErr = t.Card.open(t.env)
		t.open = t.openErr == nil
	}
	return t.openErr
}

// pieceSize is how much of a file is in memory at once, in bytes.
const pieceSize = 128 << 10

// write makes a copy under another name.
func (t *intake) write(j job) error {
	out, err := t.k.CreateFile(j.staged, j.mode)
	if err != nil {
		return err
	}
	if j.content != nil {
		_, err = out.Write(j.content)
	} else {
		err = t.copyTo(out, path.Join(t.Card.At, j.from))
	}
	if err = errors.Join(err, out.Close()); err != nil || j.uid == 0 && j.gid == 0 {
		return err
	}
	return t.k.Chown(j.staged, j.uid, j.gid)
}

func (t *intake) copyTo(out io.Writer, file string) error {
	in, err := t.k.OpenReader(file)
	if err != nil {
		return err
	}
	defer in.Close()
	if t.buffer == nil {
		t.buffer = make([]byte, 2*pieceSize)
	}
	_, err = io.CopyBuffer(out, in, t.buffer[:pieceSize])
	return err
}

// readBack compares what was written with what was to be.
func (t *intake) readBack(j job) error {
	written, err := t.k.OpenReader(j.staged)
	if err != nil {
		return err
	}
	defer written.Close()
	source := io.NopCloser(bytes.NewReader(j.content))
	if j.content == nil {
		if source, err = t.k.OpenReader(path.Join(t.Card.At, j.from)); err != nil {
			return err
		}
	}
	defer source.Close()
	if t.buffer == nil {
		t.buffer = make([]byte, 2*pieceSize)
	}
	same, err := sameContent(source, written, t.buffer[:pieceSize], t.buffer[pieceSize:])
	if err == nil && !same {
		err = errors.New("what was read back is not what was written; the card may be failing")
	}
	return err
}

// sameContent compares two streams through two buffers of the same size.
func sameContent(a, b io.Reader, bufferA, bufferB []byte) (bool, error) {
	for {
		n, errA := io.ReadFull(a, bufferA)
		m, errB := io.ReadFull(b, bufferB)
		if !bytes.Equal(bufferA[:n], bufferB[:m]) {
			return false, nil
		}
		ended := errA == io.EOF || errA == io.ErrUnexpectedEOF
		if ended && errA == errB {
			return true, nil
		}
		if err := errors.Join(errA, errB); err != nil {
			return false, err
		}
	}
}

// rename puts a copy in its place.
func (t *intake) rename(j job) error {
	dir, err := mount.MkdirIn(t.k, t.Data, path.Join("/", path.Dir(j.to)))
	if err != nil {
		return err
	}
	if j.rule.Policy == IfAbsent {
		if _, err := t.k.Lstat(path.Join(dir, path.Base(j.to))); !errors.Is(err, fs.ErrNotExist) {
			return errors.Join(errors.New("another file of the boot partition has the same target"), err)
		}
	}
	return t.k.Rename(j.staged, path.Join(dir, path.Base(j.to)))
}

// removeEmptied removes directories of the card from which everything was
// taken, those below first. They stay open as the files did: a directory whose
// cluster is free could share it with the next file that is written.
func (t *intake) removeEmptied() {
	var held []io.Closer
	slices.SortFunc(t.emptied, func(a, b string) int { return len(b) - len(a) })
	for _, dir := range t.emptied {
		if t.openCard() == nil {
			// Best effort: what could not be taken over is still in it.
			name := path.Join(t.Card.At, dir)
			if open, err := t.k.OpenReader(name); err == nil {
				held = append(held, open)
			}
			_ = t.k.Remove(name)
		}
	}
	t.letGo(held)
	t.emptied = nil
}

// A boot tells the first of what fails one by one, and does not go through all
// the files of a large inbox each time when none of them can be stored.
const (
	maxProblems  = 5
	mostFailures = 100
)

// problem tells of a file that stays on the card.
func (t *intake) problem(name string, why error) {
	if t.failed++; t.failed >= mostFailures {
		t.halted = why
	}
	if t.failed > maxProblems {
		return
	}
	if checkName(path.Base(name)) != nil {
		name = strconv.Quote(name)
	}
	t.env.Say(fmt.Sprintf("%s of the boot partition is not taken over, ignoring: %v", name, why))
}

// end tells what was done, and leaves both partitions as they were mounted.
func (t *intake) end() error {
	var err error
	if t.open {
		err = t.Card.close(t.env)
	}
	if t.staging {
		mount.RemoveUntil(t.k, path.Join(t.Data, stagingName), t.k.Now()+deletionTime)
	}
	if t.stored > 0 {
		t.env.Made("files taken over: " + strconv.Itoa(t.stored))
		t.env.Say(fmt.Sprintf("files taken over from the boot partition to the data partition: %d; removed there afterwards: %d", t.stored, t.removed))
	}
	if t.failed > maxProblems {
		t.env.Say(fmt.Sprintf("files of the boot partition that are not taken over either: at least %d", t.failed-maxProblems))
	}
	return err
}
