package layout

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// mediumType is how a filesystem is mounted that may be a medium.
type mediumType struct {
	driver  string
	options []string // always
	still   []string // so that nothing is written, whatever its journal holds
}

// mediumTypeOf is how a filesystem is mounted, by what is read off its device; ok
// is false for what is no medium. Names of letters in another encoding
// are UTF-8.
func mediumTypeOf(super block.Superblock) (t mediumType, ok bool) {
	t.driver = super.Type
	switch super.Type {
	case "ext2", "ext3", "ext4":
		t.driver, t.still = "ext4", []string{"noload"}
	case "vfat":
		t.options = []string{"utf8=1"}
	case "exfat":
		t.options = []string{"iocharset=utf8"}
	case "ntfs":
		t.driver, t.options = "ntfs3", []string{"iocharset=utf8"}
	case "btrfs":
		t.still = []string{"rescue=nologreplay"}
	case "xfs":
		t.still = []string{"norecovery"}
	case "iso9660", "squashfs", "erofs":
	default:
		return mediumType{}, false
	}
	return t, true
}

// mount is the mount of a device with such a filesystem. still is for who only
// looks.
func (t mediumType) mount(d block.Device, at string, flags sys.MountFlags, still bool) mount.Mount {
	m := mount.Mount{Source: d.Path(), Target: at, FSType: t.driver, Flags: flags | sys.NoAtime, Options: t.options}
	if still {
		m.Flags |= sys.ReadOnly
		m.Options = append(t.options[:len(t.options):len(t.options)], t.still...)
	}
	return m
}

const (
	mediumRole = "medium"
	lookAt     = staging + "/look" // what is only looked at
	lookAtISO  = staging + "/look-iso"
)

// medium is the filesystem with the set, mounted.
type medium struct {
	machine  Machine
	device   block.Device
	super    block.Superblock
	foundBy  string
	set      string       // the directory of the set, where it is mounted
	store    modset.Place // of the sessions; the zero value: in the set
	writable bool
	inRAM    bool
	mounts   []mount.Mount // in the order in which they were made
}

// finder looks for the set on one device after the other.
type finder struct {
	machine Machine
	words   setWords
	looked  map[string]error // what was seen, by device and what is on it
	seen    []block.Device
	found   *block.Device
}

// findMedium looks for the set: first on the filesystem with the label MINIOS,
// then on all others in the order of their names. Nothing is written on the way.
func findMedium(m Machine, words setWords) (*medium, error) {
	f := &finder{machine: m, words: words, looked: map[string]error{}}
	found, err := m.Disks.Search(block.Search{
		Find: f.find, What: "a set of modules in " + words.from.String(), By: block.SelectorOf(m.Config.Disk),
		Timeout: m.Timeout, Settle: m.Settle, Say: m.Say,
	})
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, f.whyNot()
	}
	super, err := m.Disks.Superblock(*f.found)
	if err != nil {
		return nil, err
	}
	d := &medium{machine: m, device: *f.found, super: super, foundBy: "content"}
	if super.Label == mediumLabel && words.from.Any() {
		d.foundBy = "label"
	}
	d.store = d.storePlace(words.wish)
	return d, d.mount(words)
}

// find looks at the devices that it has not seen yet.
func (f *finder) find(devices []block.Device) bool {
	f.seen = devices
	for _, first := range []bool{true, false} {
		for _, d := range devices {
			super, _ := f.machine.Disks.Superblock(d) // look tells of the error
			if first == (super.Label == mediumLabel) && f.judge(d) == nil {
				f.found = &d
				return true
			}
		}
	}
	return false
}

// isOn tells whether a place can be on a device.
func isOn(p modset.Place, d block.Device, super block.Superblock) bool {
	return (p.Device == "" || p.Device == d.Path()) && (p.Label == "" || p.Label == super.Label)
}

// errOther is why a device is not even looked at: from= names another one, or it
// is a disk of which only the partitions count.
var errOther = errors.New("another device is meant")

// judge says why a device is not the medium, nil when it can be. It looks once.
func (f *finder) judge(d block.Device) error {
	super, err := f.machine.Disks.Superblock(d)
	whole := d.Number == 0 && len(f.machine.Disks.Partitions(d.Name)) > 0
	if !isOn(f.words.from, d, super) || whole && super.Type != "iso9660" {
		return errOther
	}
	if err != nil {
		return err
	}
	key := d.Name + "/" + super.Type + "/" + super.UUID
	err, known := f.looked[key]
	if !known {
		err = f.look(d, super)
		f.looked[key] = err
	}
	return err
}

// look mounts a device so that nothing can be written to it, looks for the set,
// and lets it go.
func (f *finder) look(d block.Device, super block.Superblock) (err error) {
	t, ok := mediumTypeOf(super)
	switch {
	case super.Type == "":
		return errors.New("no filesystem that is known")
	case !ok:
		return fmt.Errorf("it holds %s", super.Type)
	}
	k, env := f.machine.Kernel, f.machine.env()
	was, err := k.SetReadOnly(d.Path(), true)
	if err != nil {
		return err
	}
	defer func() {
		if !was {
			_, allowErr := k.SetReadOnly(d.Path(), false)
			err = errors.Join(err, allowErr)
		}
	}()
	m := t.mount(d, lookAt, sys.NoSuid|sys.NoDev|sys.NoExec, true)
	if err := m.Apply(env); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.Undo(env)) }()
	at := lookAt
	if f.words.from.ISO() {
		image, err := isoImage(k, lookAt, f.words.from.Path, lookAtISO)
		if err == nil {
			err = image.Apply(env)
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, image.Undo(env)) }()
		at = lookAtISO
	}
	set, err := f.words.setIn(k, at)
	if err == nil {
		_, err = modset.Look(k, set, f.words.ending)
	}
	return err
}

// setIn is the directory of the set on a filesystem. Links on a medium do not
// lead out of it.
func (w setWords) setIn(k sys.Kernel, at string) (string, error) {
	dir := w.from.Path
	if w.from.ISO() {
		dir = modset.Dir
	}
	where, info, err := k.ResolveIn(at, "/"+dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("there is no directory %s", dir)
	case err != nil:
		return "", err
	case !info.Mode.IsDir():
		return "", fmt.Errorf("%s is no directory", dir)
	}
	return path.Join(at, where), nil
}

// isoImage is the image of a CD in a file of a filesystem.
func isoImage(k sys.Kernel, at, file, target string) (mount.Image, error) {
	where, info, err := k.ResolveIn(at, "/"+file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return mount.Image{}, fmt.Errorf("there is no file %s", file)
	case err != nil:
		return mount.Image{}, err
	case !info.Mode.IsRegular():
		return mount.Image{}, fmt.Errorf("%s is no regular file", file)
	}
	where = path.Join(at, where)
	return mount.Image{Dir: path.Dir(where), Names: []string{path.Base(where)}, Target: target, FSType: "iso9660"}, nil
}

// whyNot lists the devices, with why each of them is not the medium.
func (f *finder) whyNot() error {
	var why []string
	for _, d := range f.seen {
		if err := f.judge(d); !errors.Is(err, errOther) {
			why = append(why, fmt.Sprintf("%s: %v", d.Name, err))
		}
	}
	if len(why) == 0 {
		why = []string{"there is no such device"}
	}
	return fmt.Errorf("no set of modules in %s within %v: %s", f.words.from, f.machine.Timeout, strings.Join(why, "; "))
}

// mount mounts the medium where it stays: writable when sessions are kept on it,
// and untouched otherwise.
func (d *medium) mount(words setWords) error {
	env, at := d.machine.env(), dataAt
	t, _ := mediumTypeOf(d.super) // or it would not be the medium
	if words.from.ISO() {
		at = imageAt
	}
	m := t.mount(d.device, at, 0, false)
	if !d.hasStore(words) || m.Apply(env) != nil { // then read-only, and the store tells of it
		m = t.mount(d.device, at, 0, true)
		if err := m.Apply(env); err != nil {
			return err
		}
	}
	d.mounts = append(d.mounts, m)
	d.writable = m.Flags&sys.ReadOnly == 0
	err := d.open(words, at)
	if err != nil {
		d.release()
	}
	return err
}

// hasStore tells whether sessions are wanted, and to be kept on the medium.
func (d *medium) hasStore(words setWords) bool {
	return words.wish.Wanted() && isOn(d.store, d.device, d.super) && (d.store.Path != "" || !words.from.ISO()) &&
		modset.NoStoreOn(d.super.Type) == ""
}

// open finds the directory of the set on what is mounted.
func (d *medium) open(words setWords, at string) (err error) {
	if words.from.ISO() {
		image, err := isoImage(d.machine.Kernel, at, words.from.Path, dataAt)
		if err == nil {
			err = image.Apply(d.machine.env())
		}
		if err != nil {
			return err
		}
		d.mounts = append(d.mounts, mount.Mount{Target: dataAt})
	}
	d.set, err = words.setIn(d.machine.Kernel, dataAt)
	return err
}

// release lets the medium go, where the boot goes no further.
func (d *medium) release() {
	for i := range d.mounts {
		_ = d.mounts[len(d.mounts)-1-i].Undo(d.machine.env()) // the failure that leads here is the one to tell
	}
	d.mounts = nil
}

// held are the mounts as they are.
func (d *medium) held() (held []mount.Action) {
	for _, m := range d.mounts {
		held = append(held, mount.Held{Target: m.Target})
	}
	return held
}

// moveToRAM puts a copy of the set in the place of the medium, which is let go.
// After an error the medium is where it was.
func (d *medium) moveToRAM(words setWords, stack []modset.Module) error {
	if words.wish.Wanted() {
		return errors.New("a session is wanted, and is kept on it")
	}
	k, env := d.machine.Kernel, d.machine.env()
	files, err := words.ram.List(k, d.set, stack)
	if err != nil {
		return err
	}
	meminfo, err := k.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	room := modset.Room(files)
	if err := modset.Fits(room, string(meminfo)); err != nil {
		return err
	}
	below := strings.TrimPrefix(d.set, dataAt)
	copied := mount.Tmpfs(ramAt, strconv.FormatInt(room, 10))
	if err := copied.Apply(env); err != nil {
		return err
	}
	if err := modset.Copy(k, files, d.set, ramAt, below, d.machine.Say); err != nil {
		return errors.Join(err, copied.Undo(env))
	}
	d.release()
	at := dataAt
	if k.MoveMount(ramAt, at) != nil {
		at = ramAt // where it is as good
	}
	d.set, d.mounts, d.inRAM = path.Join(at, below), []mount.Mount{{Target: at}}, true
	d.machine.Say("the set is in memory, and its medium can be taken out")
	return nil
}

// role is the medium for boot.json.
func (d *medium) role() report.Role {
	if d.inRAM {
		return report.Role{Name: mediumRole, Device: d.device.Path(), FSType: "tmpfs", FoundBy: d.foundBy, MountedAt: d.mounts[0].Target, State: "copied to memory"}
	}
	return report.Role{Name: mediumRole, Device: d.device.Path(), FSType: d.super.Type, FoundBy: d.foundBy, MountedAt: d.mounts[0].Target, State: "ok"}
}

// name is a path of the medium as somebody knows it who has it in hand.
func (d *medium) name(file string) string { return strings.TrimPrefix(file, dataAt+"/") }

// releaseOf is what a module says of the system. What cannot be read now is told
// of when it is mounted for good.
func (d *medium) releaseOf(core modset.Module) modset.Release {
	const at = staging + "/core"
	env := d.machine.env()
	image := mount.Image{Dir: path.Join(cmp.Or(core.Set, d.set), path.Dir(core.File)), Names: []string{core.Name}, Target: at, FSType: "squashfs"}
	if image.Apply(env) != nil {
		return modset.Release{}
	}
	defer func() { _ = image.Undo(env) }() // what stays mounted is in nobody's way
	return modset.ReadRelease(d.machine.Kernel, at)
}
