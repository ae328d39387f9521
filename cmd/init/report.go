package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/layout"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// timeline is when the parts of a boot were over.
type timeline struct {
	kernel sys.Kernel
	began  time.Duration
	wall   time.Time // the same moment by the clock on the wall
	marks  []report.Mark
}

func newTimeline(k sys.Kernel) *timeline {
	t := &timeline{kernel: k, began: k.Now(), wall: k.Realtime()}
	t.marks = []report.Mark{{Name: "init", Began: t.began, At: t.began}}
	return t
}

// Mark notes that a part is over. It began where the one before ended.
func (t *timeline) Mark(name string) {
	began := t.marks[len(t.marks)-1].At
	t.marks = append(t.marks, report.Mark{Name: name, Began: began, At: t.kernel.Now()})
}

// bootReport is the record of a boot that has come to its end.
func bootReport(log *Log, lay layout.Layout, root layout.Root, built mount.Built, mods modules, line *timeline) report.Report {
	overlay, durability, choice, subvolume := root.Overlay, root.Upper, root.Choice, root.Subvolume
	var degraded []string
	source := ""
	if root.Source != nil {
		source = root.Source(line.kernel, func(step string) bool {
			return slices.ContainsFunc(built.Outcomes, func(o mount.Outcome) bool { return o.Step == step && o.Full })
		})
	}
	for _, o := range built.Outcomes {
		line.marks = append(line.marks, report.Mark{Name: "step " + o.Step, Began: o.Began, At: o.Ended})
		if o.Step == "root" && !o.Full {
			overlay, durability, subvolume = root.StandIn, string(config.Volatile), 0
		}
		if other, is := root.Choices[o.Step]; is && !o.Full {
			choice = other
		}
		if o.Err != nil {
			degraded = append(degraded, fmt.Sprintf("%s: %v", o.Loss, o.Err))
		}
	}
	return report.Report{
		Version: version, Layout: lay.Name,
		Choice: choice, Base: root.Base, Source: source, Disk: "/dev/" + root.Disk, BootState: root.BootState, Roles: rolesAfter(root.Roles, built),
		Overlay: report.Overlay{
			Lowers: overlay.Lowers, Upper: overlay.Upper.UpperDir(), Work: overlay.Upper.WorkDir(),
			Durability: durability, Options: overlay.Options(), Subvolume: subvolume,
		},
		FirstBoot: log.setUp, Modules: mods.Loaded(), Warnings: log.Warnings(), Degraded: degraded,
		Timeline: line.marks,
	}
}

// rolesAfter are the roles as the steps of their names left them.
func rolesAfter(roles []report.Role, built mount.Built) (after []report.Role) {
	for _, role := range roles {
		i := slices.IndexFunc(built.Outcomes, func(o mount.Outcome) bool { return o.Step == role.Name })
		switch {
		case role.MountedAt == "": // read, and never mounted
		case i < 0:
			role.State, role.MountedAt = "not used", ""
		case built.Outcomes[i].Err != nil:
			role.State = built.Outcomes[i].Err.Error()
		}
		after = append(after, role)
	}
	return after
}

// leaveReport says the last line and leaves the record in /run.
func leaveReport(m machine, log *Log, r report.Report) {
	log.Say(r.OKLine())
	err := mount.MkdirAll(m.kernel, "/run/minos")
	if err == nil {
		err = m.kernel.WriteFile("/run/minos/boot.json", r.JSON(), 0o644)
	}
	if err != nil {
		log.Warn("this boot leaves no report, ignoring: %v", err)
	}
}
