package layout

import (
	"slices"
	"testing"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Whatever has a journal is mounted without it by who only looks, and as the kernel
// calls its driver.
func TestMediumTypes(t *testing.T) {
	for name, want := range map[string]struct {
		driver      string
		keep, still []string
	}{
		"ext2":     {"ext4", nil, []string{"noload"}},
		"ext3":     {"ext4", nil, []string{"noload"}},
		"ext4":     {"ext4", nil, []string{"noload"}},
		"vfat":     {"vfat", []string{"utf8=1"}, []string{"utf8=1"}},
		"exfat":    {"exfat", []string{"iocharset=utf8"}, []string{"iocharset=utf8"}},
		"ntfs":     {"ntfs3", []string{"iocharset=utf8"}, []string{"iocharset=utf8"}},
		"btrfs":    {"btrfs", nil, []string{"rescue=nologreplay"}},
		"xfs":      {"xfs", nil, []string{"norecovery"}},
		"iso9660":  {"iso9660", nil, nil},
		"squashfs": {"squashfs", nil, nil},
		"erofs":    {"erofs", nil, nil},
	} {
		kind, ok := mediumTypeOf(block.Superblock{Type: name})
		keep, still := kind.mount(block.Device{Name: "sda1"}, "/x", 0, false), kind.mount(block.Device{Name: "sda1"}, "/x", 0, true)
		if !ok || keep.FSType != want.driver || !slices.Equal(keep.Options, want.keep) || !slices.Equal(still.Options, want.still) ||
			keep.Flags&sys.ReadOnly != 0 || still.Flags&sys.ReadOnly == 0 {
			t.Errorf("%s: %v is mounted to keep something, %v to look", name, keep, still)
		}
	}
	for _, name := range []string{"", "swap", "crypto_LUKS", "jbd", "f2fs"} {
		if _, ok := mediumTypeOf(block.Superblock{Type: name}); ok {
			t.Errorf("%q is taken for a medium", name)
		}
	}
}
