// Package report is what init leaves behind about a boot, for people and for
// services: the file boot.json, and the last line in the kernel's log.
//
// The fields of boot.json in schema 1, in this order. Fields are added without
// a new number; a field that goes or changes its meaning makes schema 2. Every
// field is always there: a list may be empty, a text too, and only choice.value
// tells whether a choice was made. Times are microseconds since the kernel
// started. No field ever holds a secret.
//
//	schema            1
//	version           of minos-init
//	layout            its name
//	choice            what ("slot"), value ("A"), source, reason, and in
//	                  rejected what was not taken: value and reason of each
//	base              what that lies over, where it is a choice of its own: as choice
//	disk              the boot disk, "/dev/mmcblk0"
//	boot_state        where the U-Boot environment is: device, empty when there
//	                  is none, and there offset, size and second, the offset of
//	                  the other copy of a redundant pair, in bytes, or -1
//	roles             of the layout, each with name, device, fstype, found_by
//	                  ("GPT name", "number", "label", "content"), mounted_at and state
//	overlay           lowers from top to bottom, upper, work, durability,
//	                  options as given to the mount, and subvolume, the number of
//	                  the btrfs subvolume of the upper, or 0
//	first_boot        what this boot has made of the machine, for good, in the order in which
//	                  it was done: "partition 4 grown to 6.8 GiB", "data formatted",
//	                  "/dev/vda4 filled", "files taken over: 3", "machine-id made" ("given",
//	                  "taken over"), "data partition reset"; none where all was kept
//	modules           of the kernel, that init loaded
//	warnings          what init tolerated
//	degraded          true when the system lacks something it should have
//	degraded_reasons  what it lacks
//	timeline          name of what happened, began_us, and at_us when it was over
//	failure           null, or the step that failed and its error
package report

import "time"

// Schema is the number of the schema that Report.JSON writes.
const Schema = 1

// Report is all that is told about a boot. The fields of boot.json with these
// names are described at the package.
type Report struct {
	Version   string
	Layout    string
	Choice    Choice
	Base      Choice // zero but in the layout profiles
	Source    string // of the lowest layer, in the layout's words; for the OK line, not in boot.json
	Disk      string
	BootState BootState
	Roles     []Role
	Overlay   Overlay
	FirstBoot []string
	Modules   []string
	Warnings  []string
	Degraded  []string // the reasons; none when the system is whole
	Timeline  []Mark
	Failure   *Failure // nil when the boot has not failed
}

// Choice is which of several systems was started, and why.
type Choice struct {
	What     string // "slot"
	Value    string // "A"
	Source   string // who chose
	Reason   string // in words
	Rejected []Rejected
}

// Rejected is something that could have been chosen.
type Rejected struct {
	Value  string
	Reason string
}

// Role is one place that the layout wanted filled.
type Role struct {
	Name      string // "rootfs-a"
	Device    string // "/dev/vda6", empty when none was found
	FSType    string
	FoundBy   string // "GPT name", "number", "label" or "content"
	MountedAt string // in the new root or below /run, empty when not mounted
	State     string // in words
}

// Overlay is how the root was put together.
type Overlay struct {
	Lowers     []string // from top to bottom
	Upper      string
	Work       string
	Durability string // what becomes of a change: "keep", "reset" or "volatile"
	Options    []string
	Subvolume  uint64 // of the upper; 0: it is in none
}

// BootState is where the boot state is, as init was told and found it.
type BootState struct {
	Device string // "/dev/vda9", empty when there is none
	Offset int64  // bytes
	Size   int64
	Second int64 // offset of the other copy of a redundant pair, -1 for none
}

// Mark is something that happened.
type Mark struct {
	Name  string
	Began time.Duration // since the kernel started
	At    time.Duration // when it was over
}

// Failure is what ended a boot.
type Failure struct {
	Step  string // one word
	Error string
}

// JSON is the report as boot.json holds it, with a newline at the end.
func (r Report) JSON() []byte {
	var e encoder
	e.object(func() {
		e.number("schema", Schema)
		e.text("version", r.Version)
		e.text("layout", r.Layout)
		e.choice("choice", r.Choice)
		e.choice("base", r.Base)
		e.text("disk", r.Disk)
		e.bootState(r.BootState)
		list(&e, "roles", r.Roles, e.role)
		e.overlay(r.Overlay)
		e.texts("first_boot", r.FirstBoot)
		e.texts("modules", r.Modules)
		e.texts("warnings", r.Warnings)
		e.truth("degraded", len(r.Degraded) > 0)
		e.texts("degraded_reasons", r.Degraded)
		list(&e, "timeline", r.Timeline, func(m Mark) {
			e.text("name", m.Name)
			e.number("began_us", m.Began.Microseconds())
			e.number("at_us", m.At.Microseconds())
		})
		e.failure(r.Failure)
	})
	return append(e.out, '\n')
}

func (e *encoder) choice(key string, c Choice) {
	e.key(key)
	e.object(func() {
		e.text("what", c.What)
		e.text("value", c.Value)
		e.text("source", c.Source)
		e.text("reason", c.Reason)
		list(e, "rejected", c.Rejected, func(r Rejected) {
			e.text("value", r.Value)
			e.text("reason", r.Reason)
		})
	})
}

func (e *encoder) bootState(b BootState) {
	e.key("boot_state")
	e.object(func() {
		e.text("device", b.Device)
		e.number("offset", b.Offset)
		e.number("size", b.Size)
		e.number("second", b.Second)
	})
}

func (e *encoder) role(r Role) {
	e.text("name", r.Name)
	e.text("device", r.Device)
	e.text("fstype", r.FSType)
	e.text("found_by", r.FoundBy)
	e.text("mounted_at", r.MountedAt)
	e.text("state", r.State)
}

func (e *encoder) overlay(o Overlay) {
	e.key("overlay")
	e.object(func() {
		e.texts("lowers", o.Lowers)
		e.text("upper", o.Upper)
		e.text("work", o.Work)
		e.text("durability", o.Durability)
		e.texts("options", o.Options)
		e.number("subvolume", int64(o.Subvolume))
	})
}

func (e *encoder) failure(f *Failure) {
	e.key("failure")
	if f == nil {
		e.raw("null")
		return
	}
	e.object(func() {
		e.text("step", f.Step)
		e.text("error", f.Error)
	})
}
