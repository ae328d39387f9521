// Package config turns what a machine was told into one value: the defaults,
// over them /etc/minos.conf of the initramfs, over that the kernel's command
// line. Both sources hold the same words. A wrong word never stops a boot: it
// is a warning, and what was set before it stays. Only the builder of the image
// is strict, with CheckFile.
package config

import (
	"fmt"
	"strings"
	"time"
)

// FileName is where the configuration is in the initramfs.
const FileName = "/etc/minos.conf"

// Config is what init was told. The comment at a field names the word that sets
// it and what it is without that word; docs/cmdline.md says the same to people.
type Config struct {
	Layout     string            // minos.layout=; DefaultLayout
	Timeout    time.Duration     // minos.timeout= in seconds; 0, the layout's own default
	Disk       string            // minos.disk=: the boot disk, by name, PTUUID= or bus; "", not given
	Overlay    OverlayPolicy     // minos.overlay=; Keep
	OnFail     OnFail            // minos.onfail=; "", not given
	Panic      Panic             // panic= in seconds; not set
	FormatData string            // minos.format-data=: the build for which a stale data partition is formatted; "", not given
	Init       string            // init=, an absolute path; "", not given
	Parts      map[string]string // minos.part.ROLE=, by role: a GPT name or a number; none, and then nil
	BootState  EnvPlace          // minos.bootstate=; 0x4000 bytes at 0
	Breaks     []Stage           // minos.break= and rd.break, each once, in the order given; none
	Slots      []string          // every value of rauc.slot= in order, as written, valid or not; none
	KN86Slots  []string          // every value of kn86.slot= in order, as written, valid or not; none
	Tryboot    TrybootRequest    // minos.tryboot=; TrybootFlag
	TryParts   TrybootParts      // minos.tryboot-parts=; 1 to 6, in their order
	Profiles   Profiles          // minos.profiles-label=, minos.profiles-data=, minos.redirect-dir=; DefaultProfiles
	UpperSize  string            // minos.volatile-size=, as tmpfs takes it; "25%": a runaway log must not take what the device needs to be reached
	Images     []string          // minos.images=, in the order in which they are looked for
	ImageOld   MarkPlace         // minos.image-old=; Infix
	NewImage   NewImage          // minos.newimg=; nothing of it
	ReadOnly   bool              // ro and rw, of which the last counts; false
	Files      int               // minos.files=: the set of boot files that the bootloader started; -1, not given
	GrowNow    bool              // minos.grow=now: the filesystem of data grows before the hand-over; false
	Build      string            // minos.build=: the label of this image build; "", it has none
	Inbox      []InboxRule       // minos.inbox=, in order; nil, not given: DefaultInbox
	DataDirs   []string          // minos.data-dirs=: made on the data partition where they are missing; none
	Watchdog   Watchdog          // minos.watchdog=; WatchdogAuto
	Fsck       Fsck              // fsck.mode= and fsck.repair=; FsckAuto and FsckPreen
	Root       string            // root= as the bootloader passed it: reported, not obeyed; ""
	MachineID  string            // systemd.machine_id=, the last that is not empty, as written; ""
	Timestamps bool              // minos.timestamps=: tell systemd when init ran; true
	Words      []Word            // all words, those of the file before those of the command line
	Warnings   []string          // what was ignored: where, what, and what was expected
}

// DefaultLayout is the layout of an image that names none.
const DefaultLayout = "slots"

// EnvPlace is where a U-Boot environment lies on its partition, in bytes.
type EnvPlace struct {
	Offset, Size int64
	Second       int64 // the offset of the other copy of a redundant pair; -1, there is none
}

// OverlayPolicy is what becomes of the changes that earlier boots made to the
// root.
type OverlayPolicy string

// The policies of minos.overlay=.
const (
	Keep     OverlayPolicy = "keep"     // they stay
	Reset    OverlayPolicy = "reset"    // they are removed at each boot
	Volatile OverlayPolicy = "volatile" // they are not looked at, and new ones stay in memory
)

// OnFail is what minos.onfail= wants done when the boot has failed.
type OnFail string

// The values of minos.onfail=. The zero value says that nothing was given.
const (
	Reboot   OnFail = "reboot"
	Halt     OnFail = "halt"
	PowerOff OnFail = "poweroff"
	Shell    OnFail = "shell" // a debug image only
)

// Watchdog is what becomes of the watchdog of the machine.
type Watchdog string

// The values of minos.watchdog=.
const (
	WatchdogAuto Watchdog = "auto" // it looks after the boot, and runs on when the system is known to feed it
	WatchdogKeep Watchdog = "keep" // it runs on in any case
	WatchdogOff  Watchdog = "off"  // init leaves it alone
)

// Fsck is what is said of checks of filesystems, in systemd's words
// (systemd-fsck(8)).
type Fsck struct {
	Mode   FsckMode
	Repair FsckRepair
}

// FsckMode is when a filesystem is checked before it is mounted.
type FsckMode string

// The values of fsck.mode=.
const (
	FsckAuto  FsckMode = "auto"  // when there is a reason
	FsckForce FsckMode = "force" // always
	FsckSkip  FsckMode = "skip"  // never
)

// FsckRepair is what a check may change.
type FsckRepair string

// The values of fsck.repair=.
const (
	FsckPreen FsckRepair = "preen" // what can be mended without a person
	FsckYes   FsckRepair = "yes"   // all
	FsckNo    FsckRepair = "no"    // nothing
)

// Stage is a place in the boot where a debug image can be made to stop.
type Stage string

// The stages of minos.break=, in the order of the boot.
const (
	Early        Stage = "early"    // the configuration is read
	Disk         Stage = "disk"     // the boot disk is found
	LayoutChosen Stage = "layout"   // the new root is mounted
	Handover     Stage = "handover" // the next thing is the new root's init
)

// Panic is the kernel's own word for the time from a panic to the reboot.
type Panic struct {
	Set     bool
	Seconds int // below 0 reboots at once, 0 stays
}

// Last is the value of the last word with this key, which is the one that
// counts where a key is not a list. A word without = has the value "". Keys are
// compared exactly; of the kernel's own parameters, where - and _ are the same,
// none that init reads has either.
func (c Config) Last(key string) (value string, ok bool) {
	for _, w := range c.Words {
		if w.Key == key {
			value, ok = w.Value, true
		}
	}
	return value, ok
}

// Has tells whether there is a word with this key, with or without a value.
func (c Config) Has(key string) bool {
	_, ok := c.Last(key)
	return ok
}

// Parse reads both sources. It never fails: a word that is not understood
// becomes a warning, and what was set before it stays.
func Parse(conf, cmdline []byte) Config {
	c := Config{Layout: DefaultLayout, Overlay: Keep, Timestamps: true, Files: -1, Tryboot: TrybootFlag, TryParts: TrybootParts{1, 2, 3, 4, 5, 6}, UpperSize: "25%",
		Watchdog: WatchdogAuto, Fsck: Fsck{FsckAuto, FsckPreen}, Images: []string{"root-squashfs.img", "root-squash.img"}, ImageOld: Infix, Profiles: DefaultProfiles, BootState: EnvPlace{Size: 0x4000, Second: -1}}
	keys := Keys()
	for _, line := range fileLines(conf) {
		where := fmt.Sprintf("%s, line %d", FileName, line.number)
		if line.err != nil {
			c.warn(where, line.text, line.err)
		}
		for _, w := range line.words {
			c.take(keys, where, w)
		}
	}
	words, _ := ParseWords(cmdline) // the kernel gives PID 1 what is behind --
	for _, w := range words {
		c.take(keys, "kernel command line", w)
	}
	return c
}

// take adds one word.
func (c *Config) take(keys []Key, where string, w Word) {
	c.Words = append(c.Words, w)
	if err := c.obey(keys, w); err != nil {
		c.warn(where, w.Text, err)
	}
}

// obey sets what one word says. An error says what is wrong with it.
func (c *Config) obey(keys []Key, w Word) error {
	for _, k := range keys {
		if part, ok := k.match(w.Key); ok {
			return k.set(c, part, w)
		}
	}
	if strings.HasPrefix(w.Key, ownPrefix) {
		return unknownKey(keys, w.Key)
	}
	return nil // somebody else's word
}

// warn quotes the text, since anything may be in it and warnings go to consoles.
func (c *Config) warn(where, text string, err error) {
	c.Warnings = append(c.Warnings, fmt.Sprintf("%s: %q, ignoring: %v", where, text, err))
}
