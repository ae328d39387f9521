package main

import (
	"io"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// typing is a machine at whose console somebody types these lines.
func typing(lines ...string) func(*systest.Kernel) {
	return func(k *systest.Kernel) { k.Type(lines...) }
}

// aStore are sessions 2, the default one, 7 of another version, and 10 in a mode
// that is not there.
func aStore() []string {
	files := sessions("2", 2, 7, 10)
	meta := files[len(files)-1]
	meta = strings.Replace(meta, `"7": {"mode": "native", "version": "5.0"`, `"7": {"mode": "native", "version": "4.0"`, 1)
	meta = strings.Replace(meta, `"10": {"mode": "native"`, `"10": {"mode": "dynfilefs"`, 1)
	return append(files[:len(files)-1], meta)
}

// Layouts 3.4: perchdir=ask. The list has what there is, and a session that does
// not fit only with a confirmation.
func TestMenuOfSessions(t *testing.T) {
	const waited = 30 * time.Second
	for name, c := range map[string]struct {
		typed   []string
		session string
		took    time.Duration
		reason  string
	}{
		"the default one":            {[]string{"1"}, "2", 0, "it was chosen at the console"},
		"only Enter":                 {[]string{""}, "2", 0, "it was chosen at the console"},
		"one that does not fit":      {[]string{"2", "yes"}, "7", 0, "it was chosen at the console"},
		"not confirmed":              {[]string{"2", "no", "1"}, "2", 0, "it was chosen at the console"},
		"not confirmed, silence":     {[]string{"2"}, "2", 2 * waited, "nobody at the console has chosen another"},
		"a new one":                  {[]string{" 4 "}, "11", 0, "it was chosen at the console"},
		"none":                       {[]string{"5"}, "none", 0, "it was chosen at the console"},
		"one that cannot be used":    {[]string{"3", "1"}, "2", 0, "it was chosen at the console"},
		"what is no number":          {[]string{"x", "0", "6", "-1", "4"}, "11", 0, "it was chosen at the console"},
		"nothing that can be used":   {[]string{"x", "0", "6", "-1", "7", "4"}, "2", 0, "nothing that can be used was chosen at the console"},
		"silence":                    {nil, "2", waited, "nobody at the console has chosen another"},
		"something and then silence": {[]string{"9"}, "2", waited, "nobody at the console has chosen another"},
	} {
		k := bootModulesWith(t, "perchdir=ask", typing(c.typed...), stickWith(aSet(aStore()...)...))
		report := readFile(k, "/run/minos/boot.json")
		if !strings.Contains(report, `"value": "`+c.session+`"`) || !strings.Contains(report, c.reason) || k.Now() != c.took {
			t.Errorf("%s: after %v, want session %s after %v:\n%s\n%s", name, k.Now(), c.session, c.took, k.Trace(), report)
		}
		if c.session == "none" && (strings.Contains(report, `"degraded": true`) || k.MountedAt(changesDir) != "tmpfs") {
			t.Errorf("%s: %s", name, report)
		}
		const want = "ask, 30s: Which session? /   1  session 2, native, 5.0, standard, the default /   2  session 7, native, 4.0, standard (session 7 is of the version 4.0, and this is 5.0)" +
			" /   -  session 10, dynfilefs, 5.0, standard: session 10: dynfilefs needs a program that is not in the image /   4  a new session /   5  none, what is written stays in memory / a number and Enter, 1 in 30 s:\n"
		if !strings.Contains(k.Trace(), want) {
			t.Errorf("%s: the question is not\n%s\n%s", name, want, k.Trace())
		}
	}
	// Without a session a new one is the usual choice, as with perchdir=resume.
	k := bootModules(t, "perchdir=ask", stickWith(aSet()...))
	usesSession(t, k, "1")
	if !strings.Contains(k.Trace(), "/   1  a new session /   2  none") || k.Now() != waited {
		t.Errorf("without a session, after %v:\n%s", k.Now(), k.Trace())
	}
	// Where there can be none, nobody is asked.
	k = bootModules(t, "perchdir=ask", stickWith(aSet("minios/changes/session.json={")...))
	usesSession(t, k, "none")
	if strings.Contains(k.Trace(), "ask") && k.Now() != 0 {
		t.Errorf("a store that cannot be read:\n%s", k.Trace())
	}
}

// A console that is closed, or none at all, costs no time.
func TestMenuWithoutAConsole(t *testing.T) {
	for _, err := range []error{io.EOF, unix.ENODEV} {
		k := bootModulesWith(t, "perchdir=ask", func(k *systest.Kernel) { k.Fail("ask, ", err); k.Type("2") }, stickWith(aSet(aStore()...)...))
		usesSession(t, k, "2")
		if k.Now() != 0 {
			t.Errorf("%v: it took %v:\n%s", err, k.Now(), k.Trace())
		}
	}
}

// Layouts 3.2: askdisk. The list has each disk that can have sessions, the
// medium is the usual one.
func TestMenuOfDisks(t *testing.T) {
	disks := func() []*systest.Disk {
		keep := named(stickWith("x=y"), "vdb")
		keep.Parts[0].Label = "KEEP"
		image := named(stickWith("x=y"), "vdc")
		image.Parts[0].FS = "iso9660"
		return []*systest.Disk{stickWith(aSet()...), keep, image}
	}
	const store = "/run/initramfs/memory/store/"
	for name, c := range map[string]struct {
		words string
		typed []string
		at    string // of the metadata; "": none
	}{
		"the medium":         {"perch=askdisk", []string{"1"}, setStore},
		"another":            {"perch=askdisk", []string{"2"}, store + "minios/changes"},
		"another, a path":    {"perchdir=askdisk:my:store", []string{"2"}, store + "my/store"},
		"the medium, a path": {"perchdir=askdisk:my:store", []string{"1"}, dataDir + "/my/store"},
		"none":               {"perchdir=askdisk", []string{"3"}, ""},
		"silence":            {"perchdir=askdisk", nil, setStore},
	} {
		k := bootModulesWith(t, c.words, typing(c.typed...), disks()...)
		if c.at == "" {
			if k.MountedAt(changesDir) != "tmpfs" || strings.Contains(k.Trace(), "session.json") {
				t.Errorf("%s: a session is used:\n%s", name, k.Trace())
			}
		} else if !strings.Contains(readFile(k, c.at+"/session.json"), `"default": "1"`) || k.MountedAt(changesDir) == "tmpfs" {
			t.Errorf("%s: no session in %s:\n%s", name, c.at, k.Trace())
		}
		const want = "ask, 30s: Which disk has the sessions? /   1  sda1, ext4, the medium of the system /   2  vdb1, ext4, KEEP /   3  none, what is written stays in memory / a number and Enter, 1 in 30 s:\n"
		if !strings.Contains(k.Trace(), want) {
			t.Errorf("%s: the question is not\n%s\n%s", name, want, k.Trace())
		}
	}
	// From a CD nothing is the usual choice, and no disk is written to.
	cd := disks()
	cd[0].Parts[0].FS = "iso9660"
	k := bootModules(t, "perch=askdisk", cd...)
	if !strings.Contains(k.Trace(), "/   1  vdb1, ext4, KEEP /   2  none, what is written stays in memory / a number and Enter, 2 in 30 s:") || k.MountedAt(changesDir) != "tmpfs" || k.Unsynced() != 0 {
		t.Errorf("from a CD:\n%s", k.Trace())
	}
}
