package main

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// withRootCopy is a small set whose rootcopy has these files.
func withRootCopy(files ...string) *systest.Disk {
	set := []string{coreFile("minios/00-core.sb", "bin/sh=#!", "etc/old=old", "etc/dir/", "srv->etc", "lost->/../nowhere")}
	for _, f := range files {
		set = append(set, "minios/rootcopy/"+f)
	}
	return stickWith(set...)
}

// isLike tells whether a file has this content and mode.
func isLike(k *systest.Kernel, file, content string, mode fs.FileMode) bool {
	info, err := k.Lstat(file)
	return err == nil && info.Mode == mode && readFile(k, file) == content
}

func TestRootCopy(t *testing.T) {
	disk := withRootCopy("etc/new:0600=new", "etc/old=other", "etc/.kept=dot", "etc/link->new", "srv/behind-a-link=x", "opt/deep/er=x", ".hidden=x", "run/x=x")
	k := bootModules(t, "perchdir=new", disk)
	for file, content := range map[string]string{"/etc/old": "other", "/etc/.kept": "dot", "/etc/link": "new", "/etc/behind-a-link": "x", "/opt/deep/er": "x"} {
		if got := readFile(k, file); got != content {
			t.Errorf("%s holds %q, want %q", file, got, content)
		}
	}
	if !isLike(k, "/etc/new", "new", 0o600) || strings.Contains(readFile(k, "/run/minos/boot.json"), `"degraded": true`) {
		t.Errorf("/etc/new is another, or the boot is degraded:\n%s", k.Trace())
	}
	for _, file := range []string{"/.hidden", "/run/x"} {
		if _, err := k.Lstat(file); err == nil {
			t.Errorf("%s was copied", file)
		}
	}
	// What is there already is left alone, and what was changed is not.
	if err := k.WriteFile("/etc/old", []byte("mine!"), 0o644); err != nil {
		t.Fatal(err)
	}
	k = bootModules(t, "perch", cutOff(k)...)
	if got := copied(k); got != "create /sysroot/etc/old" || readFile(k, "/etc/old") != "other" {
		t.Errorf("the second boot makes %q, /etc/old holds %q:\n%s", got, readFile(k, "/etc/old"), k.Trace())
	}
}

// copied are the lines of the trace that make files in the new root.
func copied(k *systest.Kernel) string {
	var made []string
	for line := range strings.Lines(k.Trace()) {
		if f := strings.Fields(line); len(f) > 1 && (f[0] == "create" || f[0] == "symlink" || f[0] == "mkdir") && strings.HasPrefix(f[1], "/sysroot/") {
			made = append(made, f[0]+" "+f[1])
		}
	}
	return strings.Join(made, " ")
}

// A file that cannot be copied is told of, and the others come.
func TestRootCopyFails(t *testing.T) {
	for name, c := range map[string]struct {
		file   string
		break_ func(*systest.Kernel)
		said   string
	}{
		"no write":            {"etc/a=x", func(k *systest.Kernel) { k.Fail("create /sysroot/etc/a", unix.EIO) }, "open /sysroot/etc/a: input/output error"},
		"a directory":         {"etc/dir=x", nil, "/sysroot/etc/dir is a directory"},
		"a file":              {"etc/old/x=x", nil, "/etc/old of the new root is not a directory"},
		"a link into nowhere": {"lost/x=x", nil, "file exists"},
		"no time":             {"etc/a=x", func(k *systest.Kernel) { k.Fail("date /sysroot/etc/a", unix.EPERM) }, "operation not permitted"},
	} {
		k := bootModulesWith(t, "", c.break_, withRootCopy(c.file, "usr/z=z"))
		report := readFile(k, "/run/minos/boot.json")
		if !strings.Contains(k.Trace(), "files of rootcopy are missing, ignoring: cannot copy rootcopy into the system: ") || !strings.Contains(k.Trace(), c.said) ||
			!strings.Contains(report, `"degraded": true`) || readFile(k, "/usr/z") != "z" {
			t.Errorf("%s: want %q, and the other file:\n%s", name, c.said, k.Trace())
		}
	}
}

// A system is not left without space.
func TestRootCopyThatIsTooLarge(t *testing.T) {
	stick := withRootCopy("etc/a=12345", "etc/b=123456")
	stick.Parts[0].Room = 11
	k := bootModules(t, "perchdir=new", stick)
	if _, err := k.Lstat("/etc/b"); err == nil || !strings.Contains(k.Trace(), dataDir+"/minios/rootcopy/etc/b takes 0 KiB, more than half of the 0 KiB that are free") {
		t.Errorf("a file takes the last space:\n%s", k.Trace())
	}
	if got := readFile(k, "/etc/a"); got != "12345" {
		t.Errorf("what takes less than half is not copied: %q", got)
	}
}

// The set's script runs in the system, with the system's shell.
func TestPreInit(t *testing.T) {
	const ran = "tool in /mnt/preinit: /bin/sh -c echo $1 > $1/etc/x\n preinit.sh /\n"
	// The shell of the debug image is another one.
	ofTheImage := func(k *systest.Kernel) {
		if err := errors.Join(k.Mkdir("/bin", 0o755), k.WriteFile("/bin/sh", nil, 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	k := bootModulesWith(t, "", ofTheImage, withRootCopy("run/preinit.sh=echo $1 > $1/etc/x\n"))
	if !strings.Contains(k.Trace(), ran) || strings.Contains(readFile(k, "/run/minos/boot.json"), `"degraded": true`) || k.MountedAt("/mnt/preinit") != "" {
		t.Errorf("the script does not run:\n%s", k.Trace())
	}
	for name, c := range map[string]struct {
		file   string
		break_ func(*systest.Kernel)
		said   string
	}{
		"a script that fails":   {"run/preinit.sh=x", func(k *systest.Kernel) { k.Answer("sh", sys.Exit{Status: 3, Output: "one\ntwo: no\n"}) }, "it ended with status 3: two: no"},
		"one that does not end": {"run/preinit.sh=x", func(k *systest.Kernel) { k.Fail("tool in /mnt/preinit", sys.ErrKilled) }, "was killed because it took too long"},
		"a long one":            {"run/preinit.sh=" + strings.Repeat("x", 65<<10), nil, "expected a file of at most 64 KiB"},
		"a link":                {"run/preinit.sh->../../x", nil, "expected a file of at most 64 KiB"},
	} {
		k := bootModulesWith(t, "", c.break_, withRootCopy(c.file))
		if !strings.Contains(k.Trace(), "the system is not as its preinit.sh wants it, ignoring: cannot run rootcopy/run/preinit.sh: ") || !strings.Contains(k.Trace(), c.said) {
			t.Errorf("%s: want %q:\n%s", name, c.said, k.Trace())
		}
	}
	none := stickWith(coreFile("minios/00-core.sb"), "minios/rootcopy/run/preinit.sh=x")
	if k := bootModules(t, "", none); !strings.Contains(k.Trace(), "the system has no sh in ") {
		t.Errorf("a system without a shell:\n%s", k.Trace())
	}
}
