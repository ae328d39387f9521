package main

import (
	"errors"
	"strings"

	"github.com/minos-os/minos-init/pkg/kmod"
)

// modinfo is what a module says of itself.
type modinfo struct {
	release string // of the kernel that it was built for
	depends []string
	// softPre are modules that are to be loaded before when there are any: by
	// name or by alias ("crc32c").
	softPre []string
	aliases []string
}

// parseModinfo reads the .modinfo section of a module: strings of the form
// key=value, each with a NUL at its end, filled up with NULs (the kernel's
// include/linux/moduleparam.h and scripts/mod/modpost.c write it).
func parseModinfo(section []byte) (modinfo, error) {
	var info modinfo
	for entry := range strings.SplitSeq(string(section), "\x00") {
		key, value, _ := strings.Cut(entry, "=")
		switch key {
		case "vermagic":
			info.release, _, _ = strings.Cut(value, " ")
		case "depends":
			for name := range strings.SplitSeq(value, ",") {
				if name != "" {
					info.depends = append(info.depends, kmod.Normalize(name))
				}
			}
		case "softdep":
			info.softPre = append(info.softPre, parseSoftdep(value)...)
		case "alias":
			// An alias with a blank in it has never worked: modules.alias of
			// depmod has blanks between its fields, as our index has.
			if value != "" && !strings.ContainsFunc(value, isBlank) {
				info.aliases = append(info.aliases, value)
			}
		}
	}
	if info.release == "" {
		return modinfo{}, errors.New("no vermagic in its .modinfo")
	}
	return info, nil
}

// parseSoftdep returns the names after "pre:" in "pre: a b post: c".
func parseSoftdep(value string) []string {
	var names []string
	pre := false
	for word := range strings.FieldsFuncSeq(value, isBlank) {
		switch {
		case strings.HasSuffix(word, ":"):
			pre = word == "pre:"
		case pre:
			names = append(names, word)
		}
	}
	return names
}

// isBlank tells what cannot stand in a field of the index.
func isBlank(r rune) bool { return r <= ' ' || r == 0x7f }
