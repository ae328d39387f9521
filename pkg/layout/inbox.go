package layout

import (
	"sync"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/firstboot"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
)

// cardOf is the boot partition as the steps that take something from it use it.
func cardOf(m Machine, flags sys.MountFlags) firstboot.Card {
	const at = staging + "/boot"
	return firstboot.Card{At: at, Flags: flags, Names: sync.OnceValues(func() ([]string, error) { return m.Kernel.ReadDir(at) })}
}

// overlayReset is the step that throws all writable layers away when a person
// asks for it. It comes before one of them is used.
func overlayReset(overlay partition, card firstboot.Card) mount.Step {
	return mount.Step{
		Name: "overlay-reset", Title: "reset the overlay partition",
		After: []string{"boot"}, Needs: []string{"overlay"},
		Do:        []mount.Action{firstboot.Reset{Wish: "reset-overlay", What: "the overlay partition", At: overlay.at, Card: card}},
		Tolerated: true, Loss: "a reset of the overlay partition may not be complete",
	}
}

// resets are the steps before dataSteps that write to the card.
func resets(policy config.OverlayPolicy) []string {
	if policy == config.Volatile {
		return nil // the overlay partition is not looked at
	}
	return []string{"overlay-reset"}
}

// dataSteps are what is done to the data partition before it is given away:
// it is emptied when a person asks for it, has the directories that the system
// wants, and gets what lies on the card for it. after are steps that write to
// the card, too: each makes it writable and read-only again. They come one
// after the other, so that the last is over when all are.
func dataSteps(conf config.Config, card firstboot.Card, after ...string) []mount.Step {
	const data = staging + "/data"
	steps := []mount.Step{{
		Name: "data-reset", Title: "reset the data partition",
		After: append([]string{"boot"}, after...), Needs: []string{"data"},
		Do: []mount.Action{firstboot.Reset{Wish: "reset-data", What: "the data partition", At: data,
			Keep: firstboot.KeptOnData(), Except: firstboot.GoneFromKept(), Card: card, Guarded: true, Label: conf.Build}},
		Tolerated: true, Loss: "a reset of the data partition may not be complete",
	}}
	if len(conf.DataDirs) > 0 {
		steps = append(steps, mount.Step{
			Name: "data-dirs", Title: "make the directories of minos.data-dirs=",
			After: []string{"data-reset"}, Needs: []string{"data"},
			Do:        []mount.Action{firstboot.Dirs{Data: data, Paths: conf.DataDirs}},
			Tolerated: true, Loss: "directories on the data partition are missing",
		})
	}
	rules := conf.Inbox
	if rules == nil {
		rules = config.DefaultInbox()
	}
	if len(rules) == 0 {
		return steps
	}
	inbox := firstboot.Inbox{Card: card, Data: data}
	for _, r := range rules {
		inbox.Rules = append(inbox.Rules, firstboot.Rule{Source: r.Source, Target: r.Target, Policy: firstboot.Policy(r.Policy), Mode: r.Mode})
	}
	return append(steps, mount.Step{
		Name: "inbox", Title: "take over files from the boot partition",
		After: names(steps), Needs: []string{"data", "boot"},
		Do:        []mount.Action{inbox},
		Tolerated: true, Loss: "files of the boot partition may not be taken over",
	})
}
