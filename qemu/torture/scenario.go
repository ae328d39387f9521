package main

import (
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// scenario is a boot whose disk is cut at each of its writes, and what has to
// hold afterwards. The list of them is in scenarios.go.
type scenario struct {
	name string
	disk func(parts) qemu.Disk // but for the sizes; nil for qemu.StubDisk
	// images is the disk of the layout image, in the place of disk.
	images func(parts) qemu.ImageDisk
	card   int64    // the size of the disk in bytes, when it is larger than the image
	words  []string // of the kernel command line, in the recorded boot and after each cut
	// later are the words after a cut, where they are others; nil for the same.
	later []string
	// machine changes the machine of the recorded boot and of those after it, for
	// one that starts from its disk: a bootloader in the place of kernel and words,
	// and so of do. Such a machine reads its disk from the first moment, so it
	// always boots from the very start.
	machine func(parts, *qemu.Machine)
	// before is what happened to the disk earlier; a boot of it is not that of
	// machine.
	before []step
	do     []string // verbs for the stub in the recorded boot; syncs are told by setMark
	// fails tells that init gives up the recorded boot, and the stub does nothing.
	fails bool
	// within are the partitions whose writes are cut: the others are those of
	// another scenario. Without any all are.
	within []string
	// makes are the partitions on which the recorded boot makes a filesystem.
	makes []string
	files []expected
	// otherwise are the words with which the bootloader starts the machine after a
	// boot that failed; nil for the same.
	otherwise []string
	// environment is judged when the scenario has one.
	environment *environment
	// writing are the files of the boot partition that the recorded boot
	// replaces or removes: each has to be the old one, or the new one or gone.
	writing []string
	// started is the variable of the environment, "NAME=value", by which new ones
	// of these files come into use: until it is stored they may be there in part.
	started string
}

// step is a boot to the end of the stub, or a change of the disk by somebody
// else. All of it is durable.
type step struct {
	words   []string // of the kernel command line; nil for those of the scenario
	do      []string // verbs for the stub
	install string   // the name of a partition, whose content becomes that of from
	from    func(parts) qemu.Disk
}

// expected is what has to become of a file.
type expected struct {
	path   string   // "/etc/mine"
	texts  []string // what it may hold: one, or an old and a new content
	where  where
	marked int // from this mark of the recorded boot on; 0 for any cut
}

// where a file has to be.
type where string

const (
	shown  where = "shown"  // in the new root, at path
	hidden where = "hidden" // not in the new root
	stored where = "stored" // on the partition that is the first part of path
	// removed is not on the partition that is the first part of path.
	removed where = "removed"
)

// parts are what disks and machines are made of, files but for boot. The zero
// value is enough for the places on a disk.
type parts struct {
	stub string // the real init
	// images are the stub in two versions of a squashfs, whose /etc/version says
	// which. known says "image 1" and "image 2" of their contents in a tree.
	images   [2]string
	core     string // the stub and what makes and checks an ext4, in a squashfs: "core" of known
	known    map[string]string
	minosctl string
	tools    []qemu.File // mke2fs, for a root filesystem
	firmware string      // U-Boot
	kernel   string      // content of a kernel slot: the kernel and its modules
	boot     []qemu.File // what U-Boot finds on the boot partition
}

// markPartition is blank on the disks of the scenarios, but for those of the
// layout image.
const markPartition, markDevice, markOnGPT = "kernel-b", "/dev/vda7", "/dev/vda4"

// marks is the name of the blank partition, and of its device.
func (s scenario) marks() (partition, device string) {
	if s.images != nil {
		return "boot", "/dev/vda1"
	}
	if d, ok := s.recipe(parts{}).(qemu.Disk); ok && d.GPT {
		return markPartition, markOnGPT
	}
	return markPartition, markDevice
}

// ext4Partitions are those that the scenario's boots write to.
func (s scenario) ext4Partitions() []string {
	if s.images != nil {
		return []string{"img", "overlay", "newimg"}
	}
	return []string{"overlay", "data"}
}

// setMark is the verb that ends "all above is synced".
const setMark = "mark:" + markDevice

// synced are the verbs that write a file, make it durable, and set a mark.
func synced(path, text string) []string {
	return []string{"write:" + path + "=" + text, "fsync:" + path, setMark}
}

// recipe is how a disk is made.
type recipe interface {
	Ranges() []qemu.Range
	Size() int64
	Write(file string) error
}

// recipe is the disk of the scenario.
func (s scenario) recipe(p parts) recipe {
	if s.images != nil {
		return s.images(p)
	}
	d := qemu.StubDisk(p.stub)
	if s.disk != nil {
		d = s.disk(p)
	}
	// An ext4 of less than 128 MiB has no second superblock, with which e2fsck
	// could repair the first; those of devices have one.
	d.Overlay.MiB, d.Data.MiB = 160, 160
	return d
}

// looks are the verbs with which the stub looks for files after a cut. They are
// the same for all scenarios, so that these can share a saved machine.
func looks(all []scenario) (verbs []string) {
	for _, s := range all {
		for _, f := range s.files {
			if verb := "read:" + f.path; f.where != stored && f.where != removed && !slices.Contains(verbs, verb) {
				verbs = append(verbs, verb)
			}
		}
	}
	return verbs
}

// afterCut are the words of the kernel command line of a boot after a cut; then
// the bootloader has seen a boot fail.
func (s scenario) afterCut(failed bool) []string {
	words := s.words
	if s.later != nil {
		words = s.later
	}
	if failed && s.otherwise != nil {
		words = s.otherwise
	}
	return withVerbs(words, looks(scenarios()))
}

// withVerbs are words of the kernel command line and the stub's verbs.
func withVerbs(words, verbs []string) []string {
	return append(append([]string(nil), words...), "panic=-1", "stub.do="+strings.Join(verbs, ","))
}
