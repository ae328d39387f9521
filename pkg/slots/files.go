package slots

import "strconv"

// Files says which set of boot files (script, initramfs, device tree) the
// bootloader starts from the boot partition. Set 0 lies at its top, where a
// bootloader finds it by itself, and is never replaced by an update; 1 and 2 are
// whole sets in the directories boot-1 and boot-2. Only U-Boot's script obeys
// it (qemu/boot.cmd).
type Files struct {
	Current int // the set that is started
	Try     int // the set that is started once, before that; 0 for none
}

// Choose is the set that an update writes to: one that is neither started now
// nor at the next boots, so that it can be replaced whole. running is the set
// of this boot, -1 when nobody knows: then the current one is taken for it.
func (f Files) Choose(running int) int {
	for _, set := range []int{1, 2} {
		if set != f.Current && set != running {
			return set
		}
	}
	return 0
}

// TryFiles is the state in which a set of boot files is tried once; with 0,
// none is.
func (s State) TryFiles(set int) State {
	s = s.clone()
	s.Files.Try = set
	return s
}

// CommitFiles is the state in which a set of boot files is the current one. A
// trial of another that is still to come stays.
func (s State) CommitFiles(set int) State {
	s = s.clone()
	s.Files.Current = set
	if s.Files.Try == set {
		s.Files.Try = 0
	}
	return s
}

// readFiles takes what U-Boot's script takes: 1 and 2 as they are written, and
// anything else for nothing.
func readFiles(vars Variables) Files {
	number := func(name string) int {
		switch value, _ := vars.Get(name); value {
		case "1":
			return 1
		case "2":
			return 2
		}
		return 0
	}
	return Files{Current: number(filesVariable), Try: number(filesTryVariable)}
}

// write leaves variables alone that say the same already, nonsense too.
func (f Files) write(vars Variables) error {
	was := readFiles(vars)
	for _, v := range []struct {
		name     string
		was, now int
	}{{filesVariable, was.Current, f.Current}, {filesTryVariable, was.Try, f.Try}} {
		if v.was == v.now {
			continue
		}
		if v.now == 0 {
			vars.Unset(v.name)
		} else if err := vars.Set(v.name, strconv.Itoa(v.now)); err != nil {
			return err
		}
	}
	return nil
}
