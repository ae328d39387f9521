//go:build !minosdebug

package main

import (
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// linkProgram gives the running program another name, by which it knows what it
// is to do.
func linkProgram(k sys.Kernel, name string) error { return k.Link(ownProgram, name) }

// isExitrd tells whether this process was started as the way out.
func isExitrd(_ sys.Kernel, program string) bool { return path.Base(program) == exitrdName }
