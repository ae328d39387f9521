package main

import (
	"fmt"
	"strings"
)

// man prints the man page, made from the table of verbs.
func (c *call) man() error {
	var b strings.Builder
	b.WriteString(`.TH MINOSCTL 8 "" "minos-init" "System Administration"
.SH NAME
minosctl \- show and change which of a device's two systems is started
.SH SYNOPSIS
`)
	for _, v := range verbs() {
		fmt.Fprintf(&b, ".B minosctl %s\n%s\n.br\n", roff(v.name), roff(strings.TrimPrefix(v.synopsis(), v.name)))
	}
	b.WriteString(`.SH DESCRIPTION
A device with the layout
.I slots
has two systems, A and B. The boot state, a U-Boot environment on a partition
of its own, says which is tried first and how often still.
.B minosctl
shows and changes it, so that a power cut at any moment leaves the old state
or the new one.
.SH VERBS
`)
	for _, v := range verbs() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n%s\n", roff(v.synopsis()), roff(strings.ToUpper(v.summary[:1])+v.summary[1:]), roff(v.text))
	}
	b.WriteString(".SH OPTIONS\n")
	for _, o := range options() {
		fmt.Fprintf(&b, ".TP\n.B %s\n%s.\n", roff(o.spelled()), roff(strings.ToUpper(o.help[:1])+o.help[1:]))
	}
	b.WriteString(`.PP
Without
.B \-\-device
and
.B \-\-image
the boot state is where
.I /run/minos/boot.json
says that init found it, else where
.I /etc/fw_env.config
says.
.SH EXIT STATUS
`)
	for status, meaning := range statuses() {
		fmt.Fprintf(&b, ".TP\n.B %d\n%s.\n", status, roff(strings.ToUpper(meaning[:1])+meaning[1:]))
	}
	b.WriteString(`.SH FILES
.TP
.I /run/minos/boot.json
What init left about the running boot.
.TP
.I /etc/fw_env.config
Where the environment is, for libubootenv and for minosctl.
.TP
.I /var/lock/fw_printenv.lock
Held while the boot state is written, by libubootenv too.
.SH SEE ALSO
.BR fw_printenv (8),
.BR rauc (1)
`)
	_, err := c.stdout.Write([]byte(strings.ReplaceAll(b.String(), "\n\n", "\n")))
	return err
}

// roff escapes what roff would take for its own.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + text
	}
	return text
}

// completion prints the completion of bash, made from the table of verbs.
func (c *call) completion() error {
	if c.args[0] != "bash" {
		return usage("cannot complete in %s: there is a completion for bash", c.args[0])
	}
	var names []string
	var cases strings.Builder
	for _, v := range verbs() {
		names = append(names, v.name)
	}
	for _, v := range verbs() {
		words := strings.ReplaceAll(v.complete, "VERBS", strings.Join(names, " "))
		for _, o := range v.options() {
			words += " --" + o.name
		}
		fmt.Fprintf(&cases, "\t%s) words='%s' ;;\n", v.name, strings.TrimSpace(words))
	}
	_, err := fmt.Fprintf(c.stdout, `# bash completion for minosctl
_minosctl() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
	COMPREPLY=()
	case $prev in
	--device|--image|--svg|--dir) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
	--env) return ;;
	esac
	if [ "$COMP_CWORD" = 1 ]; then
		words='%s'
	else case ${COMP_WORDS[1]} in
%s	esac; fi
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	if [ "$COMP_CWORD" != 1 ] && [ "${COMP_WORDS[1]}" = boot-update ]; then
		compopt -o filenames 2>/dev/null
		mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -f -- "$cur")
	fi
}
complete -F _minosctl minosctl
`, strings.Join(names, " "), cases.String())
	return err
}
