package systest

import (
	"fmt"
	"strings"

	"github.com/minos-os/minos-init/pkg/sys"
	"golang.org/x/sys/unix"
)

// imageHeader is the length of a squashfs superblock.
const imageHeader = 96

// SquashFS is the content of a file that holds a squashfs of these files,
// written as in Part.Files, and is size bytes long, or as long as it has to be
// when that is more.
func SquashFS(size int, files ...string) string {
	content := strings.Join(files, "\x00") + "\x00"
	b := make([]byte, max(size, imageHeader+len(content)))
	putSquashfs(b)
	le.PutUint64(b[40:], uint64(len(b))) // bytes_used
	copy(b[imageHeader:], content)
	return string(b)
}

// openSquashFS returns what is in an image, if it is whole.
func openSquashFS(data []byte) (*node, error) {
	if len(data) < imageHeader || le.Uint32(data) != 0x73717368 || le.Uint64(data[40:]) > uint64(len(data)) {
		return nil, unix.EINVAL
	}
	files := strings.Split(strings.TrimRight(string(data[imageHeader:]), "\x00"), "\x00")
	return makeTree(files), nil
}

// AttachLoop implements sys.Mounts. The device is free again when it is closed
// and nothing is mounted from it.
func (k *Kernel) AttachLoop(file string) (sys.Loop, error) { return k.attach("loop", file) }

// AttachWritableLoop implements sys.Mounts.
func (k *Kernel) AttachWritableLoop(file string) (sys.Loop, error) {
	return k.attach("writable loop", file)
}

// loopFile is the file behind a loop device, and the journal of its filesystem.
type loopFile struct {
	node *node
	log  *journal
	open bool // it is not the file, but the volume in it
}

func (k *Kernel) attach(what, file string) (sys.Loop, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.effect("%s %s", what, file); err != nil {
		return nil, failed("loop", file, err)
	}
	p, err := k.find("open", file, true)
	if err != nil {
		return nil, err
	}
	for n := 0; ; n++ {
		device := fmt.Sprintf("/dev/loop%d", n)
		if k.loops[device] == nil {
			if k.loops == nil {
				k.loops = map[string]*loopFile{}
			}
			k.loops[device] = &loopFile{node: p.node(), log: p.mount.fs.log}
			return loop{k, device}, nil
		}
	}
}

// loop is an open loop device.
type loop struct {
	k      *Kernel
	device string
}

func (l loop) Path() string { return l.device }

func (l loop) Close() error {
	l.k.mu.Lock()
	defer l.k.mu.Unlock()
	l.k.freeLoop(l.device)
	return nil
}

// freeLoop forgets a loop device from which nothing is mounted.
func (k *Kernel) freeLoop(device string) {
	for _, m := range k.mounts {
		if m.source == device {
			return
		}
	}
	delete(k.loops, device)
}

// isoHeader is what tells a disk image of these machines.
const isoHeader = "CD001\x00"

// isoBetween is between its files, and in none.
const isoBetween = "\xff\xfe\xfd"

// ISO is the content of a file that holds an iso9660 of these files, written as
// in Part.Files.
func ISO(files ...string) string { return isoHeader + strings.Join(files, isoBetween) }
