package systest

import (
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/sys"
)

// Luks is the content of a file of size bytes that holds a LUKS volume with this
// key, and in it an ext4 of these files.
func Luks(key string, size int64, files ...string) string {
	return luksHeader + key + "\x00" + Ext4(size, files...)
}

const luksHeader = "LUKS "

// cryptsetup is the tool of this name: it makes, opens and closes a volume in the
// file behind a loop device. What is made may be lost by a cut.
func (k *Kernel) cryptsetup(t sys.Tool) sys.Exit {
	var key []byte
	if i := slices.Index(t.Argv, "--key-file"); i >= 0 {
		p, err := k.walk(t.Root, t.Argv[i+1], true)
		if err != nil || p.node() == nil || len(p.node().data) == 0 {
			return sys.Exit{Status: 1, Output: "Nothing to read on input."}
		}
		key = p.node().data
	}
	at := slices.IndexFunc(t.Argv, func(word string) bool { return path.Dir(word) == "/dev" })
	if t.Argv[1] == "close" {
		delete(k.loops, "/dev/mapper/"+t.Argv[len(t.Argv)-1])
		return sys.Exit{}
	}
	file := k.loops[t.Argv[at]]
	switch {
	case file == nil:
		return sys.Exit{Status: 4, Output: "Device does not exist."}
	case t.Argv[1] == "luksFormat":
		file.setKey(slices.Clone(key))
		return sys.Exit{}
	case file.node.key == nil:
		return sys.Exit{Status: 1, Output: "Device is not a valid LUKS device."}
	case string(file.node.key) != string(key):
		return sys.Exit{Status: 2, Output: "No key available with this passphrase."}
	}
	// It stays until it is closed, also without the loop device's name.
	open := *file
	open.open = true
	k.loops["/dev/mapper/"+t.Argv[at+1]] = &open
	return sys.Exit{}
}

// setKey makes a volume, and of what was in the file before nothing.
func (f *loopFile) setKey(key []byte) {
	wasKey, wasInner := f.node.key, f.node.inner
	f.log.changes = append(f.log.changes, &change{of: f.node, back: func() { f.node.key, f.node.inner = wasKey, wasInner }})
	f.node.key, f.node.inner = key, nil
}
