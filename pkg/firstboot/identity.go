package firstboot

import (
	"fmt"
	"path"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// Where the identity is on the data partition.
const (
	identityDir = "config/system"
	idName      = "machine-id"
	asideName   = "machine-id.invalid"
	doneName    = "first-boot-complete"
)

// MachineIDFile is where the machine-id is, below the data partition's root.
const MachineIDFile = identityDir + "/" + idName

// FirstBootFile is what says that the first boot is complete, below the data
// partition's root. It holds the machine-id for which it is, and the newline:
// a machine that gets another id has another first boot.
const FirstBootFile = identityDir + "/" + doneName

// Source is where a boot's machine-id comes from.
type Source string

// The sources of a machine-id.
const (
	Kept      Source = "kept"       // it was on the data partition
	Given     Source = "given"      // the kernel command line has it
	TakenOver Source = "taken over" // a system of this device had it
	Made      Source = "made"       // from random numbers, in this boot
)

// idFacts are what the choice of a machine-id goes by.
type idFacts struct {
	stored idFile      // on the data partition
	given  string      // systemd.machine_id= of the kernel command line, "" for none
	before []MachineID // of the systems of this device, the best first
}

// idPlan is the machine-id of a boot. An id of "" with the source Made is still
// to be made.
type idPlan struct {
	id     MachineID
	source Source // "" when systemd is left to find one
	store  bool   // it is to be written to the data partition
	aside  bool   // what is there is no id and gets another name
	notes  []string
}

// choose decides. systemd obeys its word on the kernel command line before any
// file (main.c, machine-id-setup.c), so everything else has to agree with it.
func (f idFacts) choose() (p idPlan) {
	given, valid := ParseMachineID(f.given)
	switch {
	case f.given == "firmware":
		p.notes = append(p.notes, "systemd makes the machine-id of the firmware, ignoring: that of /data, because of systemd.machine_id=firmware")
		return p
	case f.given != "" && !valid:
		p.notes = append(p.notes, fmt.Sprintf("systemd.machine_id=%q is no machine-id, 32 hexadecimal digits, ignoring: systemd.machine_id=", f.given))
	}
	switch stored := f.stored.id; {
	case valid && stored != "" && stored != given:
		p.notes = append(p.notes, "the kernel command line gives another machine-id than /data has, ignoring: that of /data, which stays as it is")
		p.id, p.source = given, Given
		return p
	case stored != "":
		p.id, p.source = stored, Kept
		return p
	}
	if f.stored.there {
		p.notes = append(p.notes, fmt.Sprintf("/data/%s holds no machine-id, 32 hexadecimal digits, ignoring: what it holds, which is put aside in %s", MachineIDFile, asideName))
	}
	p.store, p.aside = true, f.stored.there
	switch {
	case valid:
		p.id, p.source = given, Given
	case len(f.before) > 0:
		p.id, p.source = f.before[0], TakenOver
	default:
		p.source = Made
	}
	return p
}

// Identity makes sure that the data partition has a machine-id. When it is
// done, ID and Source say which one this boot has.
type Identity struct {
	Data   string   // where the data partition is mounted
	Root   string   // where the new root is mounted
	Uppers []string // of the slots' overlays, the running one's first, where systemd may have left an id
	Given  string   // the last systemd.machine_id= of the kernel command line, "" for none

	ID     MachineID
	Source Source

	etc     idFile // of the new root
	etcErr  error
	settled bool // by their dates all files agree
	onData  bool // the data partition has this boot's id
}

// Apply implements mount.Action.
func (i *Identity) Apply(env mount.Env) error {
	facts, err := i.facts(env.Kernel)
	if err != nil {
		return err
	}
	plan := facts.choose()
	for _, n := range plan.notes {
		env.Say(n)
	}
	if plan.source == Made {
		random, err := env.Kernel.Random(16)
		if err != nil {
			return err
		}
		plan.id = newMachineID(random)
	}
	if plan.store {
		if err := i.store(env.Kernel, plan); err != nil {
			return err
		}
		env.Tell(fmt.Sprintf("this machine has an identity from now on: its machine-id is %s, and kept on /data", plan.source))
		env.Made("machine-id " + string(plan.source))
	}
	i.ID, i.Source, i.onData = plan.id, plan.source, plan.store || plan.source == Kept
	return nil
}

// facts reads no more than the choice needs.
func (i *Identity) facts(k sys.Kernel) (f idFacts, err error) {
	f.given = i.Given
	i.etc, i.etcErr = readID(k, i.Root, etcFile)
	if i.settled = i.etcErr == nil && i.agreed(k); i.settled {
		f.stored = i.etc
		return f, nil
	}
	if f.stored, err = readID(k, i.Data, MachineIDFile); err != nil || f.stored.id != "" {
		return f, err
	}
	for _, upper := range i.Uppers {
		// What cannot be read is no id that could be taken over.
		if found, err := readID(k, upper, "etc/machine-id"); err == nil && found.id != "" {
			f.before = append(f.before, found.id)
		}
	}
	return f, nil
}

func (i *Identity) store(k sys.Kernel, plan idPlan) error {
	if err := MakeDirs(k, i.Data, identityDir); err != nil {
		return err
	}
	dir := path.Join(i.Data, identityDir)
	if plan.aside {
		if err := k.Rename(path.Join(dir, idName), path.Join(dir, asideName)); err != nil {
			return err
		}
	}
	return mount.ReplaceFile(k, path.Join(dir, idName), plan.id.line(), 0o444)
}

// Undo implements mount.Action. The id stays: the next boot wants it as well.
func (i *Identity) Undo(mount.Env) error { return nil }

func (i *Identity) String() string { return "give the machine an identity on " + i.Data }
