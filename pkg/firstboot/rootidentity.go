package firstboot

import (
	"fmt"
	"io/fs"
	"path"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// uninitialized is what /etc/machine-id says in a first boot (machine-id(5)).
const uninitialized = "uninitialized\n"

// RootIdentity gives the new root the machine-id that Identity has found. Until
// the first boot is complete, /etc/machine-id says that there is none yet, so
// that ConditionFirstBoot= is true, also in a boot that follows a power cut;
// systemd gets the id as a credential then, before it writes a line under
// another one. machine-id(5), systemd.system-credentials(7).
type RootIdentity struct {
	*Identity
	Init string // init=, "" for the usual places
	// Lasting says that what is written to the root is there in the next boot.
	Lasting bool
}

// rootFacts are what the form of the machine-id in the new root goes by.
type rootFacts struct {
	noted   bool   // the data partition says that the first boot is complete
	visible bool   // the new root has this id already
	source  Source // of the id
	systemd bool   // is the real init
	other   bool   // systemd has kept another id, because it did not take ours
	dbus    bool   // has another id, which systemd would take before ours
	lasting bool
	teller  bool // a service will tell when the first boot is complete
}

// complete decides whether the first boot is over, with the reason.
func (f rootFacts) complete() (over bool, why string) {
	switch {
	case f.noted:
		return true, "the first boot was complete"
	case f.visible:
		return true, "systemd has kept the id in /etc, which it does when the first boot is complete"
	case f.source == TakenOver:
		return true, "a system of this machine was complete under the same id"
	case !f.systemd:
		return true, "the real init is not systemd, so nobody asks"
	case f.other:
		return true, "systemd is one that does not take the id in a first boot, before 254"
	case f.dbus:
		return true, "D-Bus has another id, which systemd would take in a first boot"
	case !f.lasting && !f.teller && f.source != Made:
		return true, "nobody could ever tell that it is, so only the boot that made the id is a first one"
	}
	return false, "nobody has told yet that a first boot was complete"
}

// Apply implements mount.Action.
func (r RootIdentity) Apply(env mount.Env) error {
	if r.ID == "" {
		return nil
	}
	k, etc := env.Kernel, r.etc
	if r.etcErr != nil {
		return r.etcErr
	}
	done := etc
	if !r.settled {
		var err error
		if done, err = readID(k, r.Data, FirstBootFile); err != nil {
			return err
		}
	}
	facts := rootFacts{noted: done.id == r.ID, visible: etc.id == r.ID, source: r.Source, lasting: r.Lasting}
	if !facts.noted && !facts.visible {
		r.look(k, &facts)
	}
	over, _ := facts.complete()
	if !over {
		return r.announce(k, etc)
	}
	if err := r.show(k, etc, string(r.ID.line())); err != nil {
		return err
	}
	if !facts.noted {
		if err := NoteFirstBoot(k, r.Data, r.ID); err != nil {
			env.Say(fmt.Sprintf("the next boot may be taken for a first one, ignoring: %v", err))
			return nil
		}
	}
	if err := r.agree(k); err != nil {
		env.Say(fmt.Sprintf("the next boot will read the machine-id of /data again, ignoring: %v", err))
	}
	return nil
}

// NoteFirstBoot writes to the data partition that the first boot of the machine
// with this id is complete, durably.
func NoteFirstBoot(k sys.Kernel, data string, id MachineID) error {
	return mount.ReplaceFile(k, path.Join(data, FirstBootFile), id.line(), 0o444)
}

// tellers are where the unit may be that calls minosctl first-boot-complete.
var tellers = []string{"/etc/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"}

// look adds the facts that a settled boot does not need.
func (r RootIdentity) look(k sys.Kernel, f *rootFacts) {
	if init, err := mount.FindInit(k, r.Root, r.Init); err == nil {
		f.systemd = init.IsSystemd()
	}
	for _, upper := range r.Uppers[:min(1, len(r.Uppers))] {
		kept, err := readID(k, upper, etcFile)
		f.other = err == nil && kept.id != "" && kept.id != r.ID
	}
	for _, dir := range tellers {
		if _, _, err := k.ResolveIn(r.Root, path.Join(dir, "minos-first-boot-complete.service")); err == nil {
			f.teller = true
		}
	}
	// systemd passes over a link here, which leads to /etc/machine-id as a rule.
	if dir, _, err := k.ResolveIn(r.Root, "/var/lib/dbus"); err == nil {
		file := path.Join(dir, "machine-id")
		if info, err := k.Lstat(path.Join(r.Root, file)); err == nil && info.Mode.IsRegular() {
			dbus, err := readID(k, r.Root, file)
			f.dbus = err == nil && dbus.id != "" && dbus.id != r.ID
		}
	}
}

// announce makes this boot a first one.
func (r RootIdentity) announce(k sys.Kernel, etc idFile) error {
	// Without a newline: systemd takes all of the credential for the id.
	if err := writeCredential(k, "system.machine_id", []byte(r.ID)); err != nil {
		return err
	}
	return r.show(k, etc, uninitialized)
}

// show makes /etc/machine-id of the new root say this. It replaces a link.
func (r RootIdentity) show(k sys.Kernel, etc idFile, text string) error {
	if etc.text == text && etc.mode == fs.FileMode(0o444) {
		return nil
	}
	dir, err := mount.MkdirIn(k, r.Root, "/etc")
	if err != nil {
		return err
	}
	return mount.ReplaceFile(k, path.Join(dir, "machine-id"), []byte(text), 0o444)
}

// Undo implements mount.Action. What was written is what the next boot writes.
func (r RootIdentity) Undo(mount.Env) error { return nil }

func (r RootIdentity) String() string { return "give the machine-id to " + r.Root }

// OwnIdentity stands in for RootIdentity where the data partition does not
// serve: the new root keeps the machine-id that it has, and somebody is told.
type OwnIdentity struct{}

// Apply implements mount.Action.
func (OwnIdentity) Apply(env mount.Env) error {
	env.Say("/etc/machine-id is what the root filesystem has there, ignoring: that this machine should have an identity on /data")
	return nil
}

// Undo implements mount.Action.
func (OwnIdentity) Undo(mount.Env) error { return nil }

func (OwnIdentity) String() string { return "leave the machine-id of the new root as it is" }
