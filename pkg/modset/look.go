package modset

import (
	"errors"
	"fmt"
	"io/fs"
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// The directories of a set, below its own.
const (
	baseDir  = "base"    // more modules of the system, as the description of 2026 draws them
	extraDir = "modules" // modules that somebody has added, in it and in what is below it
)

// maxDepth is how far down modules are looked for.
const maxDepth = 16

// Look lists the modules of the set in dir, the later to come before the earlier
// of the same name: what is in dir itself, in base, and in modules with all below
// it. An error says why this is no set.
func Look(k sys.Kernel, dir, ending string) (all []Module, err error) {
	for _, tier := range []struct {
		dir   string
		depth int
	}{{"", 0}, {baseDir, 0}, {extraDir, maxDepth}} {
		found, err := list(k, dir, tier.dir, ending, tier.depth)
		if tier.dir != "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("there is no module, *.%s, in %s", ending, path.Base(dir))
	}
	return all, nil
}

// LookBeside lists the modules that somebody has added to the set in dir, which is
// beside that of the medium. That there are none is no error.
func LookBeside(k sys.Kernel, dir, ending string) (all []Module, err error) {
	all, err = list(k, dir, extraDir, ending, maxDepth)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for i := range all {
		all[i].Set = dir
	}
	return all, err
}

// list are the modules of one directory of a set, and of so many levels below.
func list(k sys.Kernel, set, dir, ending string, depth int) (found []Module, err error) {
	top, err := k.Lstat(path.Join(set, dir))
	if err != nil {
		return nil, err
	}
	if !top.Mode.IsDir() {
		return nil, nil // a link may lead out of the medium
	}
	names, err := k.ReadDir(path.Join(set, dir))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		file := path.Join(dir, name)
		if !isModule(name, ending) && depth == 0 {
			continue // most other names need no look at what they are
		}
		info, err := k.Lstat(path.Join(set, file))
		switch {
		case err != nil:
			return nil, err
		case info.Mode.IsDir() && depth > 0:
			below, err := list(k, set, file, ending, depth-1)
			if err != nil {
				return nil, err
			}
			found = append(found, below...)
		case info.Mode.IsRegular() && isModule(name, ending):
			found = append(found, Module{Name: name, File: file})
		}
	}
	return found, nil
}
