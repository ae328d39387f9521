package modset

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// The directories of a native session.
const (
	UpperName = "changes"
	WorkName  = "workdir"
)

// Open is the action that makes a session's directories ready, after it has seen
// that their filesystem can keep what a system writes.
type Open struct {
	Store  string // the directory of the store
	Number string
	Create bool
}

// NoStoreOn says why a filesystem cannot have sessions; "" when it can.
func NoStoreOn(fstype string) string {
	switch fstype {
	case "iso9660", "squashfs", "erofs":
		return fstype + " cannot be written to"
	}
	return ""
}

// NoNativeOn says why a filesystem cannot have native sessions; "" when it can.
func NoNativeOn(fstype string) string {
	switch fstype {
	case "vfat", "exfat", "ntfs", "ntfs3":
		return fstype + " keeps no owners and no links, so a session of the mode native cannot be on it"
	}
	return ""
}

// Apply implements mount.Action. A cut leaves no session, or an empty one that
// nothing tells of: that is what Record is for.
func (o Open) Apply(env mount.Env) error {
	k, dir := env.Kernel, path.Join(o.Store, o.Number)
	if o.Create {
		if err := mount.MkdirAll(k, o.Store); err != nil {
			return err
		}
	}
	if err := probe(k, o.Store); err != nil {
		return fmt.Errorf("the store %s is not fit for sessions: %w", o.Store, err)
	}
	if o.Create {
		// Never into one that is there, whoever made it.
		if err := k.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	for _, name := range []string{UpperName, WorkName} {
		if err := ensureDir(k, path.Join(dir, name)); err != nil {
			return err
		}
	}
	if !o.Create {
		return nil
	}
	return errors.Join(k.Fsync(dir), k.Fsync(o.Store))
}

// ensureDir makes a directory where there is none. A link would lead out of the
// session.
func ensureDir(k sys.Kernel, dir string) error {
	info, err := k.Lstat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k.Mkdir(dir, 0o755)
	case err == nil && !info.Mode.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	}
	return err
}

// Undo implements mount.Action. What is there stays.
func (Open) Undo(mount.Env) error { return nil }

func (o Open) String() string { return "open the session " + o.Number }

// The names of the probe's files.
const (
	probeFile = ".minos-probe"
	probeLink = ".minos-probe.link"
)

// probe sees whether a filesystem has links, and modes that stay.
func probe(k sys.Kernel, dir string) error {
	file, link := path.Join(dir, probeFile), path.Join(dir, probeLink)
	for _, name := range []string{file, link} {
		if err := k.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := tryModes(k, file)
	if err == nil {
		err = k.Symlink(probeFile, link)
	}
	for _, name := range []string{file, link} {
		if removeErr := k.Remove(name); err == nil && removeErr != nil {
			err = removeErr
		}
	}
	return err
}

// tryModes makes a file that can be executed, and then not any more.
func tryModes(k sys.Kernel, file string) error {
	for _, perm := range []fs.FileMode{0o700, 0o600} {
		w, err := k.CreateFile(file, perm)
		if err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		info, err := k.Lstat(file)
		if err != nil {
			return err
		}
		if info.Mode.Perm() != perm {
			return errors.New("the modes of files do not stay")
		}
	}
	return nil
}

// Record is the action that makes the session the one that is resumed. It comes
// after the proof that the system can write to it.
type Record struct {
	Store   string
	Number  string
	Session Session // what is recorded; an empty field leaves what was there
	Image   string  // the file of the session, whose size is recorded; "": it has none
	Note    string  // the file that tells the way out of the session
}

// NewSession is what is recorded of a session of this boot.
func NewSession(c Choice, now Release) Session {
	if !c.Create {
		return Session{}
	}
	return Session{Mode: c.Mode, Union: ourUnion, Release: now}
}

// Apply implements mount.Action. A cut leaves the old metadata, or the new.
func (r Record) Apply(env mount.Env) error {
	k := env.Kernel
	if err := (InUse{Store: r.Store, Number: r.Number}).Leave(k, r.Note); err != nil {
		env.Say(fmt.Sprintf("session %s will not be marked as closed, ignoring: %v", r.Number, err))
	}
	name, m, err := readMetadata(k, r.Store)
	if err != nil {
		return err
	}
	before := string(m.bytes())
	m.record(r.Number, append(r.Session.fields(), field{"state", dirty}, r.size(k)))
	data := m.bytes()
	if string(data) == before {
		return nil // a boot that changes nothing writes nothing
	}
	return mount.ReplaceFile(k, path.Join(r.Store, name), data, 0o644)
}

// size is the field with the size of an image in MiB.
func (r Record) size(k sys.Kernel) (f field) {
	if r.Image == "" {
		return f
	}
	// It was opened a moment ago; without its size the record has to do.
	if info, err := k.Lstat(r.Image); err == nil {
		f = field{"size", strconv.FormatInt(info.Size/mib, 10)}
	}
	return f
}

// Undo implements mount.Action.
func (Record) Undo(mount.Env) error { return nil }

func (r Record) String() string { return "record the session " + r.Number }

// releaseFile is where a MiniOS says what it is.
const releaseFile = "/etc/minios-release"

// ReadRelease reads what the system below root says of itself. One that says
// nothing has an empty release.
func ReadRelease(k sys.Kernel, root string) (r Release) {
	file, _, err := k.ResolveIn(root, releaseFile)
	if err != nil {
		return r
	}
	data, err := k.ReadFile(path.Join(root, file))
	if err != nil {
		return r
	}
	for line := range strings.Lines(string(data)) {
		key, text, _ := strings.Cut(strings.TrimSpace(line), "=")
		text = strings.Trim(text, `"'`)
		switch key {
		case "VERSION":
			r.Version = text
		case "EDITION":
			r.Edition = text
		}
	}
	return r
}
