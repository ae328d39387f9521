package main

import (
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"

	"github.com/minos-os/minos-init/pkg/kmod"
)

// selection is the part of a kernel's modules that goes into an image.
type selection struct {
	release string
	index   kmod.Index
	records []cpio.Record // the index and the modules, as files of the image
	builtin []string      // asked for, but part of the kernel
	lacking []string      // asked for by a set or wanted by a module, but not there
}

// selectModules picks the modules that the options ask for.
func selectModules(o options) (selection, error) {
	tree, err := openKernelTree(o.modules, o.arch)
	if err != nil {
		return selection{}, err
	}
	s := selector{tree: tree, done: make(map[string]bool), open: make(map[string]bool), aliases: make(map[string][]string)}
	s.release = tree.release
	// All that is asked for is noted first: a companion's alias has to be known
	// before its module is added.
	for _, set := range o.sets {
		s.want(sets()[set])
	}
	if err := s.wantExtra(o.extra); err != nil {
		return selection{}, err
	}
	for _, name := range s.wanted {
		if err := s.add(name); err != nil {
			return selection{}, err
		}
	}
	slices.Sort(s.builtin)
	slices.Sort(s.lacking)
	s.builtin, s.lacking = slices.Compact(s.builtin), slices.Compact(s.lacking)

	text, err := s.index.Format()
	if err != nil {
		return selection{}, fmt.Errorf("cannot list the kernel modules: %w", err)
	}
	s.records = append(s.records, file(s.path(kmod.IndexFile), text, 0o644))
	return s.selection, nil
}

// selector is a selection in the making.
type selector struct {
	selection
	tree    *kernelTree
	wanted  []string
	aliases map[string][]string // further aliases, by module
	done    map[string]bool
	open    map[string]bool // being added: its dependencies are not all there
}

func (s *selector) path(name string) string { return path.Join("lib/modules", s.release, name) }

// want notes the members of a set: to be added, built in, or lacking.
func (s *selector) want(names []string) {
	for _, name := range names {
		_, isModule := s.tree.files[name]
		builtin := s.tree.builtin[name]
		switch {
		case isModule:
			s.wanted = append(s.wanted, name)
		case builtin:
			s.builtin = append(s.builtin, name)
		default:
			s.lacking = append(s.lacking, name)
		}
		with, has := companions()[name]
		// A kernel without modules.builtin may have the module built in.
		if has && (isModule || builtin || s.tree.builtin == nil) {
			s.want(with.modules)
			for _, other := range with.modules {
				s.aliases[other] = append(s.aliases[other], with.alias)
			}
		}
	}
}

// wantExtra notes the modules that the user names: by the module's name, or by
// a filesystem's where the module has another (iso9660 is in isofs).
func (s *selector) wantExtra(names []string) error {
	var missing []string
	for _, name := range names {
		found, err := s.resolve(name, "fs-"+name)
		switch {
		case err != nil:
			return err
		case found == nil:
			missing = append(missing, name)
		default:
			s.want(found)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("cannot find kernel modules named by -extra (EXTRA=): %s: neither NAME%s below %s, nor in modules.builtin, nor a filesystem of that name",
			strings.Join(missing, ", "), strings.Join(moduleSuffixes(), " NAME"), s.tree.dir)
	}
	return nil
}

// resolve are the modules, built in or not, that have a name or, when none has,
// an alias. It is nil when there are none.
func (s *selector) resolve(name, alias string) ([]string, error) {
	module := kmod.Normalize(name)
	if _, isModule := s.tree.files[module]; isModule || s.tree.builtin[module] {
		return []string{module}, nil
	}
	if s.tree.builtinAliases[alias] {
		s.builtin = append(s.builtin, name)
		return []string{}, nil
	}
	return s.tree.byAlias(alias)
}

// add puts a module into the selection, after those that it depends on.
func (s *selector) add(name string) error {
	if s.done[name] {
		return nil
	}
	module, err := s.tree.read(name)
	if err != nil {
		return err
	}
	s.open[name] = true
	defer delete(s.open, name)
	needs, err := s.addNeeds(module)
	if err != nil {
		return err
	}
	wants, err := s.addWants(module)
	if err != nil {
		return err
	}
	s.done[name] = true

	aliases := unique(append(slices.Clone(module.info.aliases), s.aliases[name]...))
	s.index = append(s.index, kmod.Module{Name: name, File: name + ".ko", Needs: needs, Wants: wants, Aliases: aliases})
	s.records = append(s.records, file(s.path(name+".ko"), module.content, 0o644))
	return nil
}

// addNeeds adds the modules whose symbols a module uses.
func (s *selector) addNeeds(module kernelModule) ([]string, error) {
	var needs []string
	for _, dep := range module.info.depends {
		if _, isModule := s.tree.files[dep]; !isModule {
			if s.tree.builtin[dep] {
				continue
			}
			return nil, fmt.Errorf("cannot use kernel module %s: it needs module %s, of which there is no file below %s",
				s.tree.files[module.name], dep, s.tree.dir)
		}
		if s.open[dep] {
			return nil, &circleError{module.name, dep}
		}
		if err := s.add(dep); err != nil {
			return nil, err
		}
		needs = append(needs, dep)
	}
	return unique(needs), nil
}

// circleError says that two modules need each other, perhaps through others.
type circleError struct{ a, b string }

func (e *circleError) Error() string {
	return fmt.Sprintf("cannot order the kernel modules: %s and %s need each other", e.a, e.b)
}

// addWants adds the modules that a module asks for by name or alias while it
// works. init has no modprobe that the kernel could call then.
func (s *selector) addWants(module kernelModule) ([]string, error) {
	var wants []string
	for _, word := range module.info.softPre {
		names, err := s.resolve(word, word)
		if err != nil {
			return nil, err
		}
		if names == nil {
			s.lacking = append(s.lacking, word)
		}
		for _, name := range names {
			_, isModule := s.tree.files[name]
			if !isModule || s.open[name] {
				continue
			}
			err := s.add(name)
			if circle := (*circleError)(nil); errors.As(err, &circle) {
				continue // it needs this one, so it comes after it
			}
			if err != nil {
				return nil, err
			}
			wants = append(wants, name)
		}
	}
	return unique(wants), nil
}

// unique keeps the first of equal strings.
func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

// print shows what was packed, and in one line what was not.
func (s selection) print(w io.Writer) {
	if s.release == "" {
		fmt.Fprintln(w, "no kernel modules (-modules, MODULES=, names a kernel's .../lib/modules/VERSION)")
		return
	}
	var total uint64
	var lines strings.Builder
	for _, record := range s.records {
		total += record.FileSize
		fmt.Fprintf(&lines, "%10d bytes  %s\n", record.FileSize, path.Base(record.Name))
	}
	fmt.Fprintf(w, "kernel modules for %s, %d bytes unpacked:\n%s", s.release, total, lines.String())
	fmt.Fprintf(w, "built into that kernel: %s; neither built in nor a module of it: %s\n", orNone(s.builtin), orNone(s.lacking))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, " ")
}
