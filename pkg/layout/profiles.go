package layout

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/profiles"
	"github.com/minos-os/minos-init/pkg/report"
	"github.com/minos-os/minos-init/pkg/sys"
)

// The layout "profiles" is Flipper OS: one btrfs with read-only bases, and with
// profiles, of which each is what was written over a base. A card may have a
// second one. @data is common to all profiles.
func profilesRoles(m Machine) []role {
	conf := m.Config.Profiles
	return []role{
		{name: "profiles", label: conf.Label, holds: []string{"btrfs"}, at: profiles.TopLevel, required: true},
		{name: "sd", label: conf.CardLabel, holds: []string{"btrfs"}, at: profiles.CardTopLevel, anyDisk: true, noWait: !namesCard(m.Config)},
	}
}

// profilesRole is the role of the filesystem of a medium.
var profilesRole = map[profiles.Medium]string{profiles.Internal: "profiles", profiles.Card: "sd"}

// namesCard tells whether somebody asks for a profile of the card, which is
// waited for then.
func namesCard(conf config.Config) bool {
	return slices.ContainsFunc([]string{"flipper.profile", "minos.profile"}, func(key string) bool {
		ref, err := profiles.ParseRef(word(conf, key).Value)
		return err == nil && ref.Medium == profiles.Card
	})
}

// word is what the last word with this key says.
func word(conf config.Config, key string) profiles.Named {
	value, given := conf.Last(key)
	return profiles.Named{Value: value, Given: given}
}

// prepareProfiles finds the filesystem, decides which profile starts over which
// base, and says how the root is put together. The filesystem is mounted when it
// returns: what is on it decides.
func prepareProfiles(m Machine) (Root, error) {
	found, err := search(m, profilesRoles(m), block.Request{Final: true})
	if err != nil {
		return Root{}, err
	}
	s := &profileStore{Machine: m, partitions: found}
	root, err := s.prepare()
	if err != nil {
		s.release()
		return Root{}, err
	}
	return root, nil
}

// prepare looks at what is on the filesystem.
func (s *profileStore) prepare() (Root, error) {
	top, err := s.top(profiles.Internal)
	if err != nil {
		return Root{}, err
	}
	next := s.line(path.Join(top, profiles.NextFile))
	profile := profiles.ChooseProfile(profiles.ProfileFacts{
		CommandLine: word(s.Config, "flipper.profile"), Next: next, Default: word(s.Config, "minos.profile"),
		Find: s.find, All: func() []profiles.ID {
			names, _ := s.Kernel.ReadDir(path.Join(top, profiles.ProfilesDir))
			return profiles.IDs(names)
		},
	})
	bases, base, err := s.chooseBase(profile)
	if err != nil {
		return Root{}, err
	}
	on := s.role(profilesRole[bases])
	root := Root{
		Choice: profileReport(profile),
		Base:   report.Choice{What: "base", Value: string(base.Version), Source: base.Source, Reason: base.Reason, Rejected: rejectedReport(base.Rejected)},
		Disk:   s.disk,
		Lowest: on.match.Device,
		Path:   newRoot,
		Source: func(sys.Kernel, func(string) bool) string { return base.Version.Dir() },
	}
	root.addWish("profile", "find the profile", "another profile is started than was asked for", profile.Degraded)
	root.addWish("base", "find the base", "another base is booted than was asked for", base.Degraded)
	if next.Given && (profile.Source == "next" || slices.ContainsFunc(profile.Rejected, func(r profiles.Rejected) bool { return r.Value == next.Value })) {
		root.Steps = append(root.Steps, mount.Step{
			Name: "next", Title: "forget the profile that was asked for once", Do: []mount.Action{forget{path.Join(top, profiles.NextFile)}},
			Tolerated: true, Loss: "the profile of this boot is that of the next one too",
		})
	}
	lower := path.Join(on.at, base.Version.Dir())
	s.addProfile(&root, profile, lower)
	s.addData(&root, top)
	root.Steps = append(s.held(), root.Steps...)
	root.Roles = append(s.report(), report.Role{Name: "data", Device: s.role("profiles").match.Device.Path(), FSType: "btrfs", FoundBy: "content", MountedAt: s.Config.Profiles.Data, State: "ok"})
	root.Warnings = slices.Concat(s.warnings, s.modulesMissing(base.Version, lower), unknownRoles(s.Config.Parts, profilesRoles(s.Machine)))
	root.rejectStaleRoot(s.Config.Root)
	return root, nil
}

// addWish adds a step that fails when what was asked for is not there, so that
// the boot is degraded.
func (r *Root) addWish(name, title, loss string, degraded error) {
	if degraded != nil {
		r.Steps = append(r.Steps, mount.Step{Name: name, Title: title, Do: []mount.Action{mount.Absent{Err: degraded}}, Tolerated: true, Loss: loss})
	}
}

// addProfile adds the steps that lay what can be written over the base: the
// profile, when the system was seen to write to it, or memory.
func (s *profileStore) addProfile(root *Root, c profiles.ProfileChoice, lower string) {
	inMemory := mount.Upper{Dir: backing + "/volatile"}
	root.StandIn = mount.Overlay{Target: newRoot, Lowers: []string{lower}, Upper: inMemory, Distrust: true}
	volatile := []mount.Action{mount.Tmpfs(inMemory.Dir, s.Config.UpperSize), inMemory, root.StandIn}
	step := mount.Step{Name: "root", Title: "lay the profile over the base", Do: volatile}
	root.Overlay, root.Upper = root.StandIn, string(config.Volatile)
	if s.Config.Overlay == config.Reset {
		s.warnings = append(s.warnings, "no boot throws a profile away, minosctl profile reset does, ignoring: minos.overlay=reset")
	}
	if c.ID == profiles.None || s.Config.Overlay == config.Volatile {
		root.Steps = append(root.Steps, step)
		return
	}
	dir := path.Join(s.role(profilesRole[c.Medium]).at, c.ID.Upper())
	if in, err := s.Kernel.Subvolume(dir); err == nil { // a btrfs has no other answer
		root.Subvolume = in.ID
	}
	upper := mount.Upper{Dir: dir, Names: [2]string{profiles.RootName, profiles.WorkName}}
	root.Overlay = mount.Overlay{Target: newRoot, Lowers: []string{lower}, Upper: upper, Distrust: true, RedirectDir: s.Config.Profiles.RedirectDir}
	root.Upper = string(config.Keep)
	const loss = "what is written to / is lost at power-off"
	step.Needs, step.Do = []string{"upper"}, []mount.Action{root.Overlay}
	step.Tolerated, step.Else, step.Loss = true, volatile, loss
	none := profileReport(profiles.ProfileChoice{ID: profiles.None, Source: "default", Reason: "profile " + string(c.ID) + " cannot be used", Rejected: c.Rejected})
	root.Choices = map[string]report.Choice{"upper": none, "root": none}
	root.Steps = append(root.Steps, mount.Step{
		Name: "upper", Title: "open the profile", Do: []mount.Action{upper, provable{upper}},
		Tolerated: true, Loss: loss,
	}, step)
}

// addData adds the steps that give @data to the new root.
func (s *profileStore) addData(root *Root, top string) {
	at := s.Config.Profiles.Data
	if at == "" {
		return
	}
	data := partition{role: role{name: "data", at: at}}
	root.Steps = append(root.Steps, mount.Step{
		Name: data.name, Title: "open @data", Do: []mount.Action{mount.Bind{From: path.Join(top, profiles.DataDir), To: staging + "/" + data.name}},
		Tolerated: true, Loss: data.lost(), Else: []mount.Action{mount.StandIn(staging + "/" + data.name)},
	}, data.placed())
}

// provable makes the next write probe a whole one: it writes in a directory of
// the upper that it has to copy up again. A pair that lies in two subvolumes
// mounts and takes files in directories of its own, and fails at each copy.
type provable struct{ mount.Upper }

// Apply implements mount.Action.
func (p provable) Apply(env mount.Env) error {
	k := env.Kernel
	err := k.Remove(path.Join(p.UpperDir(), mount.ProbeDir))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// Files that somebody put there from outside stay, so the pair is looked at.
	upper, err := k.Lstat(p.UpperDir())
	if err != nil {
		return err
	}
	work, err := k.Lstat(p.WorkDir())
	if err == nil && upper.Dev != work.Dev {
		err = fmt.Errorf("%s and %s are in two subvolumes", p.UpperDir(), p.WorkDir())
	}
	return err
}

func (p provable) String() string { return "make " + p.Dir + " ready for a proof" }

// forget removes a file, durably.
type forget struct{ file string }

// Apply implements mount.Action.
func (f forget) Apply(env mount.Env) error {
	if err := env.Kernel.Remove(f.file); err != nil {
		return err
	}
	return env.Kernel.SyncFS(path.Dir(f.file))
}

// Undo implements mount.Action. What was asked for once was asked for.
func (forget) Undo(mount.Env) error { return nil }

func (f forget) String() string { return "remove " + f.file }

// profileReport is the choice for boot.json and the console.
func profileReport(c profiles.ProfileChoice) report.Choice {
	r := report.Choice{What: "profile", Value: string(c.ID), Source: c.Source, Reason: c.Reason, Rejected: rejectedReport(c.Rejected)}
	if c.Medium == profiles.Card {
		r.Value = profiles.Ref{Medium: c.Medium, ID: c.ID}.String()
	}
	return r
}

func rejectedReport(all []profiles.Rejected) (rejected []report.Rejected) {
	for _, r := range all {
		rejected = append(rejected, report.Rejected(r))
	}
	return rejected
}

// modulesMissing warns of a base for another kernel than the one that runs: that
// comes from elsewhere, so nothing else holds the two together.
func (s *profileStore) modulesMissing(base profiles.Version, lower string) []string {
	kernel, err := s.Kernel.Uname()
	if err != nil {
		return nil
	}
	dir := "/lib/modules"
	if _, _, err := s.Kernel.ResolveIn(lower, path.Join(dir, kernel.Release)); err == nil {
		return nil
	}
	has := "it has none at all"
	if at, _, err := s.Kernel.ResolveIn(lower, dir); err == nil {
		if names, err := s.Kernel.ReadDir(path.Join(lower, at)); err == nil && len(names) > 0 {
			has = "it has those of " + strings.Join(names, ", ")
		}
	}
	return []string{fmt.Sprintf("the base %s has no modules for the running kernel %s, ignoring: %s", base, kernel.Release, has)}
}
