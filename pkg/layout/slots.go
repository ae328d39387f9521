package layout

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/slots"
	"github.com/minos-os/minos-init/pkg/sys"
)

// The layout "slots" is MinOS: two root filesystems, A and B, each with a
// directory of its own on the overlay partition, data that they share, and the
// boot state that says which is tried. The numbers are those of its MBR, where
// partition 2 is the extended one.
func slotsRoles(rootfs ...role) []role {
	return append(rootfs,
		role{name: "bootstate", number: 9},
		role{name: "overlay", label: "overlay", number: 3, holds: []string{"ext4"}, at: backing + "/overlay"},
		role{name: "data", label: "data", number: 4, holds: []string{"ext4"}, at: "/data"},
		role{name: "boot", label: "bootfs", number: 1, holds: []string{"vfat"}, at: "/boot/firmware"},
	)
}

// rootfsRole is the root filesystem of a slot.
func rootfsRole(slot slots.Slot) role {
	number := map[slots.Slot]int{slots.A: 6, slots.B: 8}[slot]
	name := rootfsName(slot)
	return role{name: name, label: name, number: number, holds: []string{"ext4", "squashfs", "erofs"},
		at: backing + "/rootfs", required: true, perSlot: true}
}

func rootfsName(slot slots.Slot) string { return "rootfs-" + slot.Lower() }

// findSlots finds the partitions. Who was told the slot needs its root
// filesystem, and looks at that of the other only to know whether a restart
// could help; who has to pick one needs either.
func findSlots(m Machine) (partitions, error) {
	if slot, named := slots.Named(m.Config.Slots); named {
		return find(m, slotsRoles(rootfsRole(slot)), []role{rootfsRole(slot.Other())})
	}
	a, b := rootfsRole(slots.A), rootfsRole(slots.B)
	a.otherwise, b.otherwise = b.name, a.name
	return find(m, slotsRoles(a, b), nil)
}

// prepareSlots finds the partitions, decides which slot is tried, and says how
// its root is put together.
func prepareSlots(m Machine) (Root, error) {
	found, err := findSlots(m)
	if err != nil {
		return Root{}, err
	}
	found.makeUsable(m)
	state := readBootState(m, found.role("bootstate"))
	choice := slots.Choose(m.Config.Slots, state.known)
	rootfs := found.role(rootfsName(choice.Slot))
	root := Root{
		Choice:    choiceReport(choice),
		OnTrial:   choice.OnTrial,
		Evidence:  state.evidence(choice.Slot),
		Disk:      found.disk,
		BootState: state.report(),
		Roles:     found.report(),
		Lowest:    rootfs.match.Device,
		Path:      newRoot,
		Warnings:  choice.Warnings,
		Steps:     state.steps(choice),
	}
	root.Steps = append(root.Steps, mount.Step{
		Name: rootfs.name, Title: "mount the root filesystem of slot " + string(choice.Slot),
		After: names(root.Steps),
		Do:    []mount.Action{rootfs.mount(rootfs.at, sys.ReadOnly|sys.NoAtime)},
	})
	policy := m.Config.Overlay
	if choice.LastAttempt && policy == config.Keep {
		policy = config.Volatile
		root.Warnings = append(root.Warnings, fmt.Sprintf(
			"this is the last attempt of slot %s, so it is made without what was written to / before, ignoring: minos.overlay=keep", choice.Slot))
	}
	tools := mount.Toolbox{Name: "slot " + string(choice.Slot), Root: rootfs.at}
	data, boot := found.role("data"), found.role("boot")
	const bootFlags = sys.ReadOnly | sys.NoAtime
	card := cardOf(m, bootFlags)
	root.Steps = append(root.Steps, boot.staged(bootFlags))
	root.addUpper(m.Config, policy, *found.role("overlay"), lowerLayer{
		step: rootfs.name, at: rootfs.at, dir: choice.Slot.Lower(), identity: rootfs.identity(m.Kernel), tools: tools,
	}, card)
	claim := data.claimed(data.lost())
	grow := growth(m, *data, names(claim)...)
	root.Steps = slices.Concat(root.Steps, claim, grow)
	root.Steps = append(root.Steps, data.made(data.staged(sys.NoAtime, names(grow)...), staging+"/data", tools, []string{rootfs.name}))
	fill := filling(m, *data)
	root.Steps = append(root.Steps, fill...)
	root.Steps = append(root.Steps, dataSteps(m.Config, card, resets(policy)...)...)
	last := root.Steps[len(root.Steps)-1].Name
	root.Steps = append(root.Steps, identitySteps(m.Config, choice.Slot, *found.role("overlay"), policy, last)...)
	root.Steps = append(root.Steps, data.placed(append(names(fill), "root-identity")...), boot.placed("credentials", last))
	root.Warnings = append(root.Warnings, found.warnings...)
	root.Warnings = append(root.Warnings, unknownRoles(m.Config.Parts, slotsRoles(rootfsRole(slots.A), rootfsRole(slots.B)))...)
	root.rejectStaleRoot(m.Config.Root)
	return root, nil
}

func choiceReport(c slots.Choice) report.Choice {
	r := report.Choice{What: "slot", Value: string(c.Slot), Source: c.Source, Reason: c.Reason}
	for _, rejected := range c.Rejected {
		r.Rejected = append(r.Rejected, report.Rejected(rejected))
	}
	return r
}

// rejectStaleRoot reports a root= that names another partition than the slot:
// bootloader scripts write it, and forget it.
func (r *Root) rejectStaleRoot(stale string) {
	if stale == "" || stale == r.Lowest.Path() {
		return
	}
	r.Choice.Rejected = append(r.Choice.Rejected, report.Rejected{Value: "root=" + stale, Reason: "the " + r.Choice.What + " decides"})
	if strings.HasPrefix(stale, "/dev/") {
		r.Warnings = append(r.Warnings, fmt.Sprintf("root=%s is not %s %s, which is %s, ignoring: root=",
			stale, r.Choice.What, r.Choice.Value, r.Lowest.Path()))
	}
}

// lowerLayer is a root filesystem that gets a writable layer.
type lowerLayer struct {
	step     string // that mounts it
	at       string
	dir      string // its own on the overlay partition
	identity func() (string, error)
	tools    mount.Toolbox // to mend that partition
}

// addUpper adds the steps that lay the writable layer over the lower: on the
// overlay partition as the policy wants it, and in memory when it asks for that
// or when the partition fails, since both slots share it and no restart would
// mend it.
func (r *Root) addUpper(conf config.Config, policy config.OverlayPolicy, overlay partition, lower lowerLayer, card firstboot.Card) {
	inMemory := mount.Upper{Dir: backing + "/volatile"}
	r.StandIn = mount.Overlay{Target: newRoot, Lowers: []string{lower.at}, Upper: inMemory, Distrust: true}
	volatile := []mount.Action{mount.Tmpfs(inMemory.Dir, conf.UpperSize), inMemory, r.StandIn}

	r.Upper = string(policy)
	root := mount.Step{Name: "root", Title: "lay the writable layer over the root filesystem", After: []string{lower.step}}
	if policy == config.Volatile {
		r.Overlay, root.Do = r.StandIn, volatile
		r.Steps = append(r.Steps, root)
		return
	}
	upper := mount.Upper{Dir: path.Join(overlay.at, lower.dir), Reset: policy == config.Reset, Identity: lower.identity}
	r.Overlay = mount.Overlay{Target: newRoot, Lowers: []string{lower.at}, Upper: upper}
	const loss = "what is written to / is lost at power-off"
	root.Needs, root.Do = []string{"upper"}, []mount.Action{r.Overlay}
	root.Tolerated, root.Else, root.Loss = true, volatile, loss
	r.Steps = append(r.Steps, overlay.claimed(loss)...)
	r.Steps = append(r.Steps, overlay.made(mount.Step{
		Name: "overlay", Title: "mount the overlay partition",
		Do:        []mount.Action{overlay.mount(overlay.at, sys.NoAtime)},
		Tolerated: true, Loss: loss,
	}, overlay.at, lower.tools, root.After), overlayReset(overlay, card), mount.Step{
		Name: "upper", Title: "prepare the writable layer",
		After:     []string{lower.step, "overlay-reset"}, // the identity of the lower is read
		Needs:     []string{"overlay"},
		Do:        []mount.Action{upper},
		Tolerated: true, Loss: loss,
	}, root)
}
