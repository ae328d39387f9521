package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Help, man page, completion and docs/minosctl.md know the same verbs and
// flags; the files to install are what the program prints.
func TestManualsAgree(t *testing.T) {
	d := newDevice(t)
	help, man, completion := d.ok("help"), d.ok("man"), d.ok("completion", "bash")
	golden(t, "dist/minosctl.8", man)
	golden(t, "dist/minosctl.bash", completion)
	page, err := os.ReadFile("../../docs/minosctl.md")
	if err != nil {
		t.Fatal(err)
	}
	page = bytes.ReplaceAll(page, []byte(`\|`), []byte("|")) // in a table
	fits(t, help)
	for _, v := range verbs() {
		fits(t, d.ok("help", v.name))
		if d.ok("help", v.name) != v.help() {
			t.Errorf("help %s", v.name)
		}
		for where, text := range map[string]string{
			"help": help, "the completion": completion, "the man page": man, "docs/minosctl.md": string(page),
		} {
			name := v.name
			if where == "the man page" {
				name = roff(name)
			}
			if !strings.Contains(text, name) {
				t.Errorf("%s has no %s", where, v.name)
			}
		}
		if !strings.Contains(string(page), "`minosctl "+v.synopsis()+"`") {
			t.Errorf("docs/minosctl.md does not explain `minosctl %s`", v.synopsis())
		}
		for _, o := range v.options() {
			if !strings.Contains(v.help(), o.spelled()) || !strings.Contains(string(page), "--"+o.name) ||
				!strings.Contains(completion, "--"+o.name) || !strings.Contains(man, roff(o.spelled())) {
				t.Errorf("%s: --%s is missing somewhere", v.name, o.name)
			}
		}
	}
	for _, status := range statuses() {
		if !strings.Contains(string(page), status) {
			t.Errorf("docs/minosctl.md does not say %q", status)
		}
	}
	if d.ok("version") != "minosctl "+version+"\n" {
		t.Error(d.ok("version"))
	}
}

// The judges of the man page and of the completion find nothing.
func TestManualsAreWellFormed(t *testing.T) {
	complete := `source dist/minosctl.bash
COMP_WORDS=(minosctl mark-good ""); COMP_CWORD=2; _minosctl; echo "${COMPREPLY[*]}"
COMP_WORDS=(minosctl mark); COMP_CWORD=1; _minosctl; echo "${COMPREPLY[*]}"
COMP_WORDS=(minosctl boot-update); COMP_CWORD=1; _minosctl; echo "${COMPREPLY[*]}"
COMP_WORDS=(minosctl boot-update dist/rauc); COMP_CWORD=2; _minosctl; echo "${COMPREPLY[*]}"
COMP_WORDS=(minosctl boot-update --c); COMP_CWORD=2; _minosctl; echo "${COMPREPLY[*]}"`
	out, err := exec.Command("bash", "-c", complete).CombinedOutput()
	if want := "A B --device --image --env --force\nmark-good mark-bad\nboot-update\ndist/rauc-mark-good.conf\n--commit\n"; err != nil || string(out) != want {
		t.Errorf("completion: %v %s\nwant %s", err, out, want)
	}
	if _, err := exec.LookPath("man"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("man is not installed, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: man, of the package man-db, is not installed")
	}
	man := exec.Command("man", "--warnings", "-l", "dist/minosctl.8")
	man.Env = append(os.Environ(), "MANWIDTH=80", "LC_ALL=C", "PAGER=cat", "MANPAGER=cat")
	var stdout, stderr bytes.Buffer
	man.Stdout, man.Stderr = &stdout, &stderr
	if err := man.Run(); err != nil || stderr.Len() > 0 || !strings.Contains(stdout.String(), "set-primary SLOT") {
		t.Errorf("man: %v %s", err, stderr.String())
	}
}
