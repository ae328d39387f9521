package systest

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// inner is an ext4 in a file.
type inner struct {
	spans int64 // bytes
	root  *node
}

// ext4Header is what tells a file with an ext4 of these machines.
const ext4Header = "ext4 in a file of "

// Ext4 is the content of a file of size bytes that holds an ext4 of as many and
// of these files, written as in Part.Files.
func Ext4(size int64, files ...string) string {
	return fmt.Sprintf("%s%d\x00", ext4Header, size) + strings.Join(files, isoBetween)
}

// readExt4 makes a file what its content says.
func (n *node) readExt4() {
	var size int64
	content, isLuks := strings.CutPrefix(string(n.data), luksHeader)
	if isLuks {
		key, rest, _ := strings.Cut(content, "\x00")
		n.key, content = []byte(key), rest
	}
	text, files, ok := strings.Cut(content, "\x00")
	if _, err := fmt.Sscanf(text, ext4Header+"%d", &size); !ok || err != nil {
		return
	}
	n.sparse = &sparse{size: size}
	n.inner = &inner{size, newDir(0o755)}
	if files != "" {
		n.inner.root = makeTree(strings.Split(files, isoBetween))
	}
}

// makeExt4 is mke2fs on a loop device.
func (k *Kernel) makeExt4(file *loopFile) error {
	was := file.node.inner
	file.node.inner = &inner{file.node.length(), newDir(0o755)}
	file.log.changes = append(file.log.changes, &change{of: file.node, back: func() { file.node.inner = was }})
	return nil
}

// openExt4 is the mount of a loop device. A file that is shorter than its
// filesystem cannot be mounted.
func (k *Kernel) openExt4(file *loopFile) (*filesystem, error) {
	in := file.node.inner
	if in == nil || file.node.key != nil && !file.open || in.spans > file.node.length() {
		return nil, unix.EINVAL
	}
	f := k.newFilesystem("ext4", in.root)
	f.log = file.log
	return f, nil
}

// grow makes the ext4 larger.
func (in *inner) grow(file *loopFile, size int64) {
	was := in.spans
	file.log.changes = append(file.log.changes, &change{of: file.node, back: func() { in.spans = was }})
	in.spans = size
}

// superblock is what a probe of the device reads.
func (f *loopFile) superblock() []byte {
	b := make([]byte, 128<<10)
	if f.node.inner != nil {
		putExt4(b[1024:], "", f.node.inner.spans)
	}
	return b
}
