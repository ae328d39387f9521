package layout

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// role is what a layout uses a partition for.
type role struct {
	name   string // also the partition's name in a GPT
	label  string // of its filesystem
	number int    // on an MBR, which has no names
	// numberOnly says that name and label tell nothing, on a GPT either.
	numberOnly bool
	// perSlot marks what there is one of for each slot: an updater writes its
	// label into both, so the number comes first.
	perSlot bool
	// anyDisk marks what may be on another disk than the boot disk, by name or
	// label only; not for what is required.
	anyDisk  bool
	noWait   bool     // most boots do without it
	holds    []string // the filesystems it may hold; none for raw bytes
	at       string   // where it ends up
	required bool
	// otherwise is the role that does as well where this one is required.
	otherwise string
}

// partition is a role's partition with what is on it.
type partition struct {
	role
	disk  string
	match block.Match
	super block.Superblock
	err   error // why it cannot be used; nil when it can
	fsck  config.Fsck
	making
	// several says that more than one partition could be it.
	several bool
}

// partitions are a layout's roles on the boot disk.
type partitions struct {
	disk     string
	all      []partition
	warnings []string
}

// wants says how the roles are looked for, as far as somebody has not
// configured another way.
func wants(m Machine, roles []role) (wants []block.Want) {
	for _, r := range roles {
		w := block.Want{Role: r.name, Name: r.name, Label: r.label, Number: r.number, Required: r.required, Else: r.otherwise,
			LabelLast: r.perSlot, AnyDisk: r.anyDisk, NoWait: r.noWait}
		if r.numberOnly {
			w.Name = ""
			wants = append(wants, w)
			continue
		}
		if m.without(r) {
			w = block.Want{Role: r.name, NoWait: true} // which nothing matches
		} else {
			w = w.WithPart(m.Config.Parts[r.name])
		}
		wants = append(wants, w)
	}
	return wants
}

// without tells whether somebody has said that there is no partition for a role
// (minos.part.ROLE=none), which the layout has to be able to do without.
func (m Machine) without(r role) bool { return !r.required && m.Config.Parts[r.name] == "none" }

// unknownRoles warns of minos.part.ROLE= for a role that the layout, in any of
// its variants, does not have.
func unknownRoles(parts map[string]string, variants ...[]role) (warnings []string) {
	names := map[string]bool{}
	for _, r := range slices.Concat(variants...) {
		names[r.name] = true
	}
	known := strings.Join(slices.Sorted(maps.Keys(names)), ", ")
	if known == "" {
		known = "by number only"
	}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if !names[name] {
			warnings = append(warnings, fmt.Sprintf("this layout has the roles %s, ignoring: minos.part.%s=%s", known, name, parts[name]))
		}
	}
	return warnings
}

// find waits for the boot disk and looks at what is on its partitions. twin
// are the roles of a system that a restart could choose instead.
func find(m Machine, roles, twin []role) (partitions, error) {
	return search(m, roles, block.Request{Twin: wants(m, twin)})
}

// search is find with what a layout says of the waiting itself.
func search(m Machine, roles []role, q block.Request) (partitions, error) {
	wanted := wants(m, roles)
	q.Wants, q.By, q.Timeout, q.Settle, q.Say = wanted, block.SelectorOf(m.Config.Disk), m.Timeout, m.Settle, m.Say
	resolution, err := m.Disks.WaitFor(q)
	if err != nil {
		return partitions{}, err
	}
	found := partitions{disk: resolution.Disk, warnings: disksLeft(resolution)}
	for i, r := range roles {
		p := partition{role: r, disk: found.disk, fsck: m.Config.Fsck}
		if match, ok := resolution.Matches[r.name]; ok {
			p.match = match
			if r.holds != nil {
				p.identify(m.Disks)
			}
		} else if m.without(r) {
			p.err = fmt.Errorf("minos.part.%s=none says that there is no such partition", r.name)
		} else {
			p.err = notFound(resolution, wanted[i])
			p.several = len(resolution.Ambiguous[r.name]) > 0
		}
		found.all = append(found.all, p)
	}
	return found, nil
}

// notFound says that there is no partition for a role, or more than one.
func notFound(r block.Resolution, w block.Want) error {
	var could []string
	for _, d := range r.Ambiguous[w.Role] {
		could = append(could, d.Path())
	}
	switch {
	case len(could) > 0:
		return fmt.Errorf("%s could each be %s; leave one of them in, or give it a GPT name of its own for minos.part.%s=",
			strings.Join(could, ", "), w, w.Role)
	case w.AnyDisk:
		return fmt.Errorf("there is no %s", w)
	}
	return fmt.Errorf("the disk %s has no %s", r.Disk, w)
}

// disksLeft names the disks that could have been the boot disk too.
func disksLeft(r block.Resolution) (warnings []string) {
	for _, d := range r.Rejected {
		warnings = append(warnings, fmt.Sprintf("the disk %s could be the boot disk too, but %s is, because it is not removable, ignoring: %s", d.Name, r.Disk, d.Name))
	}
	return warnings
}

// identify looks at the superblock.
func (p *partition) identify(disks *block.Watcher) {
	p.super, p.err = disks.Superblock(p.match.Device)
	if p.err == nil && !slices.Contains(p.holds, p.super.Type) {
		holds := p.super.Type
		if holds == "" {
			holds = "no filesystem that is known, or a damaged one"
		}
		p.err = fmt.Errorf("%s (%s) holds %s; it has to hold %s",
			p.match.Device.Path(), p.name, holds, strings.Join(p.holds, ", "))
	}
}

// identity is what tells the root filesystem on this partition from another,
// once it is mounted: its tables, and the version that it gives itself.
func (p partition) identity(k sys.Kernel) func() (string, error) {
	return func() (string, error) {
		var release []byte
		// Best effort: an image without one has its tables.
		if where, _, err := k.ResolveIn(p.at, "/etc/os-release"); err == nil {
			release, _ = k.ReadFile(path.Join(p.at, where))
		}
		return block.Identity(k, p.match.Device, p.super, release)
	}
}

// role returns the partition with this role.
func (ps partitions) role(name string) *partition {
	i := slices.IndexFunc(ps.all, func(p partition) bool { return p.name == name })
	return &ps.all[i]
}

// mount mounts the partition, or says why it cannot be.
func (p partition) mount(target string, flags sys.MountFlags) mount.Action {
	if p.err != nil {
		return mount.Absent{Err: p.err}
	}
	return mount.Mount{Source: p.match.Device.Path(), Target: target, FSType: p.super.Type, Flags: flags}
}

// mended is the step that mounts an ext4, with e2fsck where that is of use:
// before it, when there is a doubt, or after the kernel has refused it. A settled
// boot does not wait for the tools, which are there once the steps toolsAfter are
// over.
func (p partition) mended(s mount.Step, tools mount.Toolbox, toolsAfter []string) mount.Step {
	if p.err != nil {
		return s // what is not there, or something else, is not e2fsck's to write to
	}
	repair := map[config.FsckRepair]string{config.FsckYes: "-y", config.FsckNo: "-n"}[p.fsck.Repair]
	check := mount.Check{Device: p.match.Device.Path(), Tools: tools, Size: p.super.Size, Doubt: p.doubt(),
		Repair: repair, Never: p.fsck.Mode == config.FsckSkip}
	if check.Doubt != "" {
		s.After = slices.Concat(s.After, toolsAfter)
		s.Do = append([]mount.Action{check}, s.Do...)
		return s
	}
	s.Mend, s.MendAfter = []mount.Action{check}, toolsAfter
	return s
}

// doubt is why an ext4 is to be checked before it is mounted, in words to follow
// its device; "" for no reason.
func (p partition) doubt() string {
	switch {
	case p.super.Errors:
		return "says that it has errors"
	case p.super.Unclean:
		return "was not unmounted, and has no journal that would make it whole"
	case p.fsck.Mode == config.FsckForce:
		return "is to be checked, as fsck.mode=force has it"
	}
	return ""
}

// staged is the step that mounts a partition beside the new root, while that is
// being put together. before are the steps that change the partition first.
func (p partition) staged(flags sys.MountFlags, before ...string) mount.Step {
	at := staging + "/" + p.name
	return mount.Step{
		Name: p.name, Title: "mount the " + p.name + " partition",
		After:     before,
		Do:        []mount.Action{p.mount(at, flags)},
		Tolerated: true, Loss: p.lost(),
		Else: []mount.Action{mount.StandIn(at)},
	}
}

// placed is the step that moves it into the new root. users are the steps that
// work with it where it is staged.
func (p partition) placed(users ...string) mount.Step {
	return mount.Step{
		Name: p.name + "-place", Title: "give " + p.at + " to the new root",
		After:     append([]string{p.name, "root"}, users...),
		Do:        []mount.Action{mount.Place{From: staging + "/" + p.name, Root: newRoot, At: p.at}},
		Tolerated: true, Loss: p.lost(),
		Else: []mount.Action{mount.Drop{Target: staging + "/" + p.name}, mount.Shield{Root: newRoot, At: p.at}},
	}
}

func (p partition) lost() string { return p.at + " is empty and read-only" }

// report lists the roles for boot.json.
func (ps partitions) report() (roles []report.Role) {
	for _, p := range ps.all {
		r := report.Role{Name: p.name, FSType: p.super.Type, FoundBy: p.match.By, MountedAt: p.at, State: "ok"}
		if p.match.By != "" {
			r.Device = p.match.Device.Path()
		}
		if p.err != nil {
			r.State = p.err.Error()
		}
		roles = append(roles, r)
	}
	return roles
}
