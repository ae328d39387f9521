package layout

import (
	"fmt"
	"slices"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
)

// making is what a partition needs before it holds a filesystem that can be
// mounted. The zero value is: nothing.
type making struct {
	claim  []mount.Action // in a step of its own, before the partition grows
	clear  []mount.Action
	format bool
}

// makeUsable looks at what is on the partitions that init may make a filesystem
// on. Where there is one that fits, which a settled boot has, nothing more is read
// for that.
func (ps partitions) makeUsable(m Machine) {
	// Only what belongs to data is ever given up.
	ps.role("overlay").judge(m, ps, firstboot.Wish{})
	ps.role("data").judge(m, ps, wishOf(m.Config))
}

func wishOf(c config.Config) firstboot.Wish {
	return firstboot.Wish{Format: c.FormatData, Build: c.Build}
}

// judge finds out what is on a partition that has no filesystem that could be
// mounted, and what is to be done about it.
func (p *partition) judge(m Machine, all partitions, wish firstboot.Wish) {
	if p.match.By == "" || p.match.Device.Disk != all.disk || all.shares(*p) {
		return
	}
	size, err := m.Disks.PartitionSize(p.match.Device)
	known := p.super.Type != "" && p.super.Type != block.ClaimType && p.super.Size <= size
	if err != nil || known {
		return
	}
	is, err := m.Disks.Span(p.match.Device)
	if err != nil {
		return
	}
	dev, err := m.Kernel.OpenDevice(p.match.Device.Path())
	if err != nil {
		p.err = err
		return
	}
	defer dev.Close()
	found := firstboot.Judge(dev, is.Size, is.Start)
	decision := firstboot.Decide(found, wish)
	device := p.match.Device.Path()
	switch {
	case decision.Err != nil:
		p.err = fmt.Errorf("%s (%s): %w", device, p.name, decision.Err)
	case decision.Clear && slices.Contains(p.holds, found.Super.Type):
		p.super, p.err = found.Super, nil
		p.clear = []mount.Action{firstboot.Unclaim{Device: device, Why: found.Reason}}
	case decision.Format:
		p.super, p.err, p.format = block.Superblock{Type: "ext4", Label: p.label}, nil, true
	}
	if decision.Claim {
		p.claim = []mount.Action{firstboot.Claim{Device: device, Why: found.Reason, Claim: block.Claim{
			Start: is.Start, Stale: found.Content == firstboot.Stale, Replaces: found.Super.UUID,
		}}}
	}
}

// shares tells whether another role has the same partition, by a mistake in the
// configuration: then nobody can say whose it is.
func (ps partitions) shares(p partition) bool {
	return slices.ContainsFunc(ps.all, func(other partition) bool {
		return other.name != p.name && other.match.By != "" && other.match.Device.Name == p.match.Device.Name
	})
}

// claimed is the step that marks a partition before a filesystem is made on it;
// none where that is not to be. The proof is of the partition as the table has
// it now, so it is written down before the partition grows.
func (p partition) claimed(loss string) []mount.Step {
	if p.claim == nil {
		return nil
	}
	return []mount.Step{{
		Name: p.name + "-claim", Title: "mark the " + p.name + " partition for a filesystem",
		Do: p.claim, Tolerated: true, Loss: loss,
	}}
}

// made is the step that mounts the partition at a place, with all that has to be
// done for it. The tools are there once the steps toolsAfter are over.
func (p partition) made(s mount.Step, at string, tools mount.Toolbox, toolsAfter []string) mount.Step {
	if !p.format {
		s.Do = slices.Concat(p.clear, s.Do)
		return p.mended(s, tools, toolsAfter)
	}
	s.After = slices.Concat(s.After, toolsAfter)
	for _, claim := range p.claimed("") {
		s.Needs = append(s.Needs, claim.Name)
	}
	s.Do = slices.Concat([]mount.Action{firstboot.Format{Device: p.match.Device.Path(), Label: p.label, Tools: tools}},
		s.Do, []mount.Action{firstboot.Prove{Dir: at}})
	return s
}
