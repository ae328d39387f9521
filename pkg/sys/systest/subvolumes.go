package systest

import (
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// topLevel is the subvolume that every btrfs has (BTRFS_FS_TREE_OBJECTID).
const topLevel = 5

// addSubvolumes makes directories of the tree subvolumes.
func (n *node) addSubvolumes(all map[string]sys.Subvolume) {
	for name, s := range all {
		at := n
		for _, part := range split(name) {
			if at.entries[part] == nil {
				at.entries[part] = newDir(0o755)
			}
			at = at.entries[part]
		}
		s.Top = true
		at.subvolume = &s
	}
}

// subvolume is that which a path inside the filesystem is in.
func (f *filesystem) subvolume(rel string) (in sys.Subvolume) {
	if f.kind != "btrfs" {
		return in
	}
	in.ID, in.Top = topLevel, rel == "" || rel == "."
	at := f.layers[0]
	for _, part := range split(path.Clean("/" + rel)) {
		if at = at.entries[part]; at == nil {
			break
		}
		if in.Top = at.subvolume != nil; in.Top {
			in = *at.subvolume
		}
	}
	return in
}
