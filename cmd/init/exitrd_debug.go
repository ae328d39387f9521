//go:build minosdebug

package main

import (
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// linkProgram gives the program of the debug image, which is many commands in
// one, a name by which it becomes init: it goes by the name of the last link
// that leads to it.
func linkProgram(k sys.Kernel, name string) error {
	program, init := path.Join(path.Dir(name), "bb"), path.Join(path.Dir(name), "init")
	if err := k.Link(ownProgram, program); err != nil {
		return err
	}
	if err := k.Symlink("bb", init); err != nil {
		return err
	}
	return k.Symlink("init", name)
}

// isExitrd tells whether this process was started as the way out. Its name does
// not say so here; but beside it there is the link, which no initramfs has.
func isExitrd(k sys.Kernel, program string) bool {
	_, err := k.Lstat(path.Join(path.Dir(program), exitrdName))
	return err == nil
}
