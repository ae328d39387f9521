package modset

import (
	"path"
	"strings"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// InUse is the session that the system writes to, for who takes the system down.
type InUse struct {
	Store  string // the directory of the store
	Number string
}

// Leave writes it to a file, and ReadInUse reads it there.
func (u InUse) Leave(k sys.Kernel, file string) error {
	return k.WriteFile(file, []byte(u.Number+" "+u.Store), 0o600)
}

// ReadInUse reads what Leave has written; ok is false when there is no session.
func ReadInUse(k sys.Kernel, file string) (u InUse, ok bool) {
	text, err := k.ReadFile(file)
	u.Number, u.Store, ok = strings.Cut(string(text), " ")
	return u, ok && err == nil
}

// Close marks the session as one that was closed. It comes when nothing can write
// to it any more, and leaves the old metadata or the new.
func (u InUse) Close(k sys.Kernel) error {
	name, m, err := readMetadata(k, u.Store)
	if err != nil {
		return err
	}
	m.close(u.Number)
	return mount.ReplaceFile(k, path.Join(u.Store, name), m.bytes(), 0o644)
}
