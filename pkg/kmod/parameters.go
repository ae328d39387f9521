package kmod

import "strings"

// parameters are those of each module, by its name: the words MODULE.NAME=VALUE
// and MODULE.NAME of the kernel command line, as people know them. The kernel
// obeys such a word only for what is built in; for a module modprobe(8) reads
// the command line and passes them on, and there is no modprobe here. words are
// as they were written: the kernel takes their quotes off in the same way
// (lib/cmdline.c, next_arg) when it reads a module's parameters.
func parameters(words []string) map[string]string {
	byModule := make(map[string]string)
	for _, word := range words {
		// A quote that protects all of the word now protects its rest.
		word, quoted := strings.CutPrefix(word, `"`)
		key, _, _ := strings.Cut(word, "=")
		module, _, dotted := strings.Cut(key, ".")
		if !dotted || module == "" {
			continue
		}
		parameter := word[len(module)+1:]
		if quoted {
			parameter = `"` + parameter
		}
		name := Normalize(module)
		byModule[name] = strings.TrimPrefix(byModule[name]+" "+parameter, " ")
	}
	return byModule
}
