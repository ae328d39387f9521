package layout

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/modset"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/report"
)

// The layout "modules" is MiniOS: the system is a stack of squashfs files in a
// directory of any filesystem, and what is written goes to memory, or to a
// session, which is a directory of its own.
const (
	memory      = backing + "/memory" // where the tools of MiniOS look for all of it
	dataAt      = memory + "/data"    // the medium
	imageAt     = memory + "/iso"     // the medium that has the .iso that is at dataAt
	ramAt       = memory + "/ram"     // a copy of the set that is being made
	bundlesAt   = memory + "/bundles" // the modules, each in a directory of its name
	changesAt   = memory + "/changes" // the session
	storeAt     = memory + "/store"   // the medium of the sessions, when it is another one
	mediumLabel = "MINIOS"            // of the filesystem that is looked at first
)

// lanes is how many modules are mounted side by side.
const lanes = 4

// setWords are what the command line says of the set.
type setWords struct {
	from         modset.Place
	ending       string
	load, noload modset.Filter
	wish         modset.Wish
	ram          modset.RAM
	warnings     []string
}

// readSetWords reads the words of MiniOS. One that is not understood is passed
// over with a warning.
func readSetWords(conf config.Config) setWords {
	w := setWords{from: modset.Place{Path: modset.Dir}, ending: modset.Ending}
	w.wish, w.warnings = modset.ParseWish(conf.Last)
	take := func(key string, read func(value string) error) {
		if value, ok := conf.Last(key); ok {
			if err := read(value); err != nil {
				w.warnings = append(w.warnings, fmt.Sprintf("%v, ignoring: %s=%s", err, key, value))
			}
		}
	}
	into := func(f *modset.Filter) func(string) error {
		return func(value string) (err error) {
			*f, err = modset.ParseFilter(value)
			return err
		}
	}
	take("from", func(value string) error {
		place, err := modset.ParseFrom(value)
		if err == nil {
			w.from = place
		}
		return err
	})
	take("bext", func(value string) error {
		ending, err := modset.ParseEnding(value)
		if err == nil {
			w.ending = ending
		}
		return err
	})
	take("toram", func(value string) (err error) {
		w.ram, err = modset.ParseRAM(value)
		return err
	})
	take("load", into(&w.load))
	take("noload", into(&w.noload))
	return w
}

// prepareModules finds the medium, decides which modules and which session make
// the system, and says how it is put together. The medium is mounted when it
// returns: a journal that was not played back would make a liar of what is read
// off it.
func prepareModules(m Machine) (Root, error) {
	words := readSetWords(m.Config)
	medium, err := findMedium(m, words)
	if err != nil {
		return Root{}, err
	}
	root, err := medium.prepare(words)
	if err != nil {
		medium.release()
		return Root{}, err
	}
	return root, nil
}

// prepare reads the set on the medium.
func (d *medium) prepare(words setWords) (Root, error) {
	all, err := modset.Look(d.machine.Kernel, d.set, words.ending)
	if err != nil {
		return Root{}, err
	}
	words.wish = d.askDisk(words.wish)
	store := d.openStore(words)
	beside, err := store.modules(words.ending)
	if err != nil {
		words.warnings = append(words.warnings, fmt.Sprintf("the modules beside the sessions are not taken, ignoring: %v", err))
	}
	all = append(all, beside...)
	stack := modset.Select(all, words.load, words.noload)
	if len(stack) == 0 {
		store.release(d.machine.env())
		return Root{}, fmt.Errorf("load= and noload= leave none of the %d modules in %s", len(all), d.name(d.set))
	}
	if words.ram != modset.NoRAM {
		if err := d.moveToRAM(words, stack); err != nil {
			words.warnings = append(words.warnings, fmt.Sprintf("the system runs from its medium: %v, ignoring: toram", err))
		}
	}
	var now modset.Release
	if words.wish.Wanted() {
		now = d.releaseOf(stack[0])
	}
	choice := store.choose(words.wish, now)
	root := Root{
		Choice:   sessionReport(choice, words.wish.Selector != modset.NoSession),
		Choices:  map[string]report.Choice{},
		Disk:     d.device.Disk,
		Roles:    append([]report.Role{d.role()}, store.roles...),
		Lowest:   d.device,
		Path:     newRoot,
		Warnings: words.warnings,
	}
	root.Steps = append(store.steps, mount.Step{Name: mediumRole, Title: "mount the medium", Do: d.held()})
	lowers := root.addModules(d.set, stack)
	root.addSession(store, choice, words.wish, now, lowers, d.machine.Config.UpperSize)
	if modset.HasRootCopy(d.machine.Kernel, d.set) {
		root.addRootCopy(d.set)
	}
	return root, nil
}

// addModules adds the steps that mount the modules, and returns where, the top
// one first. The lowest is the system itself; any other may be missing.
func (r *Root) addModules(set string, stack []modset.Module) (lowers []string) {
	var before []string
	for i, module := range stack {
		at := path.Join(bundlesAt, module.Name)
		step := mount.Step{
			Name: "module-" + module.Name, Title: "mount the module " + module.Name, After: []string{mediumRole},
			Do: []mount.Action{mount.Image{Dir: path.Join(cmp.Or(module.Set, set), path.Dir(module.File)), Names: []string{module.Name}, Target: at, FSType: "squashfs"}},
		}
		if i >= lanes {
			step.After = []string{before[i-lanes]}
		}
		if i > 0 {
			step.Tolerated, step.Loss = true, "the module "+module.Name+" is missing"
			step.Else = []mount.Action{mount.MakeDir{Dir: at}}
		}
		before = append(before, step.Name)
		lowers = append(lowers, at)
		r.Steps = append(r.Steps, step)
	}
	slices.Reverse(lowers)
	return lowers
}

// addRootCopy adds the steps that change the system as its set wants it: they come
// when it is proved that it can be written to.
func (r *Root) addRootCopy(set string) {
	r.Steps = append(r.Steps, mount.Step{
		Name: "rootcopy", Title: "copy rootcopy into the system", After: []string{"root"},
		Do:        []mount.Action{modset.RootCopy{Set: set, Root: newRoot}},
		Tolerated: true, Loss: "files of rootcopy are missing",
	}, mount.Step{
		Name: "preinit", Title: "run rootcopy/run/preinit.sh", After: []string{"rootcopy"},
		Do:        []mount.Action{modset.PreInit{Set: set, Root: newRoot}},
		Tolerated: true, Loss: "the system is not as its preinit.sh wants it",
	})
}

// env is what actions work with while the medium is looked for.
func (m Machine) env() mount.Env {
	return mount.Env{Kernel: m.Kernel, Modules: m.Modules, Say: m.Say, Tell: m.Say}
}
