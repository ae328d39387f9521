// Package ubootenv reads and writes the environment of U-Boot where it lies on
// a raw partition: its bytes, and the store that writes them so that a power
// cut leaves the old variables or the new ones. It does not know what a
// variable means.
//
// The judges of the format are U-Boot itself (include/env_internal.h,
// env/common.c, lib/hashtable.c), its mkenvimage, and libubootenv's
// fw_printenv and fw_setenv (src/uboot_env.c).
package ubootenv

import (
	"fmt"
	"slices"
	"strings"
)

// Env is the variables of an environment, in the order in which they were
// found. The zero value has none. A copy of an Env is independent of it.
//
// Names and values are bytes as they are stored, in no encoding. U-Boot writes
// a backslash in a value as two and takes one off when it reads
// (lib/hashtable.c); libubootenv does neither, and so does Env.
type Env struct{ entries []entry }

// entry is one string of an environment: name=value, or with bare set only a
// name. To U-Boot a bare name is the order to delete the variable
// (himport_r in lib/hashtable.c), libubootenv passes over it. It is kept where
// it was, since it belongs to somebody.
type entry struct {
	name, value string
	bare        bool
}

// Get returns the value of a variable, and whether there is one of that name.
//
// U-Boot does not tell a variable with an empty value from none.
func (e Env) Get(name string) (value string, ok bool) {
	if i := e.index(name); i >= 0 && !e.entries[i].bare {
		return e.entries[i].value, true
	}
	return "", false
}

// Set gives a variable its value, in its place or behind all others. It
// refuses what no reader would get back: a name that is empty, has '=' or NUL
// in it or begins as U-Boot's import passes over ('#', a blank), and a value
// with NUL in it.
func (e *Env) Set(name, value string) error {
	switch {
	case name == "":
		return fmt.Errorf("a variable of the environment needs a name, not =%.40q", value)
	case strings.ContainsAny(name, "=\x00"), strings.ContainsRune("# \t", rune(name[0])):
		return fmt.Errorf("a variable of the environment cannot have the name %.40q: no = and no NUL, and neither # nor a blank in front", name)
	case strings.ContainsRune(value, 0):
		return fmt.Errorf("a value of the environment ends at a NUL, so %s cannot be %.40q", name, value)
	}
	entries := slices.Clone(e.entries)
	if i := e.index(name); i >= 0 {
		entries[i] = entry{name: name, value: value}
	} else {
		entries = append(entries, entry{name: name, value: value})
	}
	e.entries = entries
	return nil
}

// Unset removes a variable. One that is not there is no error.
func (e *Env) Unset(name string) {
	if i := e.index(name); i >= 0 {
		e.entries = slices.Delete(slices.Clone(e.entries), i, i+1)
	}
}

// Names returns the names of the variables, in their order.
func (e Env) Names() []string {
	var names []string
	for _, v := range e.entries {
		if !v.bare {
			names = append(names, v.name)
		}
	}
	return names
}

// Equal tells whether two environments have the same variables and values in
// the same order.
func (e Env) Equal(other Env) bool { return slices.Equal(e.entries, other.entries) }

func (e Env) index(name string) int {
	return slices.IndexFunc(e.entries, func(v entry) bool { return v.name == name })
}
