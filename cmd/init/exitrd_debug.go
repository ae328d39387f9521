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

// isExitrd tells whether this process was started as the way out. The name does
// not say so here; but no initramfs has the link.
func isExitrd(k sys.Kernel, _ string) bool {
	_, err := k.Lstat("/" + exitrdName)
	return err == nil
}
