package drift

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// trees are an upper and two bases in directories.
type trees struct {
	testing.TB
	dir string
}

func newTrees(t testing.TB) trees {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("marks of overlayfs take root, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: marks of overlayfs take root")
	}
	tr := trees{t, t.TempDir()}
	for _, name := range []string{"upper", "old", "new"} {
		tr.ok(os.Mkdir(tr.path(name), 0o755))
	}
	return tr
}

func (t trees) path(name string) string { return filepath.Join(t.dir, name) }

func (t trees) ok(err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// write makes a file with this content: "/" for a directory, "-" for the mark of a
// deletion, "-> TARGET" for a link, "/!" for an opaque directory, "/= TO" for one
// that shows another.
func (t trees) write(name, content string) {
	t.Helper()
	at := t.path(name)
	t.ok(os.MkdirAll(filepath.Dir(at), 0o755))
	mark, of, _ := strings.Cut(content, " ")
	switch mark {
	case "/", "/!", "/=":
		t.ok(os.MkdirAll(at, 0o755))
		if mark == "/!" {
			t.ok(unix.Setxattr(at, "trusted.overlay.opaque", []byte("y"), 0))
		} else if mark == "/=" {
			t.ok(unix.Setxattr(at, "trusted.overlay.redirect", []byte(of), 0))
		}
	case "-":
		t.ok(unix.Mknod(at, unix.S_IFCHR, 0))
	case "->":
		t.ok(os.Symlink(of, at))
	default:
		t.ok(os.WriteFile(at, []byte(content), 0o644))
	}
}

func (t trees) findings() (found []string, files int) {
	t.Helper()
	r, err := Compare(t.path("upper"), t.path("old"), t.path("new"))
	t.ok(err)
	for _, f := range r.Findings {
		found = append(found, string(f.Kind)+" "+f.Path+": "+f.Detail)
	}
	return found, r.Files
}

func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name string
		tree string // "upper/a=1 old/a=2", a blank in a content is written ~
		want string
	}{
		{"what the base does not change", "upper/a=mine old/a=1 new/a=1", ""},
		{"what it changes", "upper/a=mine old/a=1 new/a=2", "shadowed /a: the base has changed it"},
		{"of the same length and longer", "upper/a=mine old/a=1 new/a=12", "shadowed /a: the base has changed it"},
		{"what both have made alike", "upper/a=2 old/a=1 new/a=2", ""},
		{"what the base has now, too", "upper/d/a=mine old/d=/ new/d/a=2", "shadowed /d/a: the base has one now, too"},
		{"what the base drops", "upper/a=mine old/a=1 new/b=", "dropped /a: the new base has it no more"},
		{"the profile's own", "upper/d/a=mine old/b= new/b=", ""},
		{"a link", "upper/a=->~x old/a=->~1 new/a=->~2", "shadowed /a: the base has changed it"},
		{"a link that stays", "upper/a=->~x old/a=->~1 new/a=->~1", ""},
		{"deleted, and it stays", "upper/a=- old/a=1 new/a=1", ""},
		{"deleted, and changed", "upper/a=- old/a=1 new/a=2", "hidden /a: the base has changed it"},
		{"deleted, and new", "upper/a=- old/b= new/a=2", "hidden /a: the base has one now, too"},
		{"deleted, and gone", "upper/a=- old/a=1 new/b=", "stale /a: the new base has none"},
		{"a deleted directory gets a file", "upper/d=- old/d/a= new/d/a= new/d/b=", "hidden /d: the base adds b"},
		{"a deleted directory", "upper/d=- old/d/a=1 new/d/a=1", ""},
		{"an opaque directory", "upper/d=/! upper/d/a=mine old/d/a=1 new/d/a=2 new/d/b= new/d/c= new/d/e= new/d/f=", "opaque /d: hides b, c, e and 1 more"},
		{"an opaque directory of the profile's", "upper/d=/! upper/d/a=mine old/b= new/b=", ""},
		{"a redirect", "upper/e=/=~/d upper/e/a=mine old/d/a=1 new/d/a=2", "shadowed /e/a: the base has changed it"},
		{"a redirect within a directory", "upper/x/e=/=~d upper/x/e/a=mine old/x/d/a=1 new/x/d/a=2", "shadowed /x/e/a: the base has changed it"},
		{"a redirect to what stays", "upper/e=/=~/d upper/e/a=mine old/d/a=1 new/d/a=1", ""},
		{"a dangling redirect", "upper/e=/=~/d upper/e/a=mine old/d/a=1 new/b=", "redirect /e: it shows /d of the base\ndropped /e/a: the new base has it no more"},
		{"a directory over a link", "upper/lib/a=mine old/lib/a=1 new/lib=->~usr/lib new/usr/lib/a=2", "type /lib: a directory here, a symbolic link in the new base\ndropped /lib/a: the new base has it no more"},
		{"a file over a directory", "upper/a=mine old/a=1 new/a/b=", "type /a: a file here, a directory in the new base"},
		{"a directory over a file, as before", "upper/a/b=mine old/a=1 new/a=1", ""},
	} {
		tr := newTrees(t)
		for _, word := range strings.Fields(c.tree) {
			name, content, _ := strings.Cut(word, "=")
			tr.write(name, strings.ReplaceAll(content, "~", " "))
		}
		found, _ := tr.findings()
		if diff := cmp.Diff(c.want, strings.Join(found, "\n")); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// The owner and the mode of a file are a part of it: a base may mend just those.
func TestModes(t *testing.T) {
	tr := newTrees(t)
	for _, name := range []string{"upper", "old", "new"} {
		tr.write(name+"/a", "1")
		tr.write(name+"/b", "1")
		tr.write(name+"/c", "1")
	}
	tr.write("upper/c", "mine")
	tr.write("upper/a", "mine")
	tr.write("upper/b", "mine")
	tr.ok(os.Chmod(tr.path("new/a"), 0o600))
	tr.ok(os.Chown(tr.path("new/b"), 1, 0))
	tr.ok(os.Chown(tr.path("new/c"), 0, 1))
	found, files := tr.findings()
	want := []string{"shadowed /a: the base has changed it", "shadowed /b: the base has changed it", "shadowed /c: the base has changed it"}
	if diff := cmp.Diff(want, found); diff != "" || files != 3 {
		t.Errorf("%d files, %s", files, diff)
	}
}

const status = "Package: base-files\nStatus: install ok installed\nArchitecture: arm64\nVersion: %s\nConffiles:\n /etc/issue 0123 obsolete\n /etc/motd 4567\nDescription: x\n Conffiles:\n\n" +
	"Package: gone\nStatus: deinstall ok config-files\nVersion: 1\n\n" +
	"Package: ssl\nStatus: install ok installed\nArchitecture: arm64\nVersion: %s\n"

// The packages of a profile that has upgraded one of the base's, and installed
// and removed others.
func TestPackages(t *testing.T) {
	tr := newTrees(t)
	tr.write("old/var/lib/dpkg/status", fmt.Sprintf(status, "12", "1.0-1")+"\nPackage: less\nStatus: install ok installed\nVersion: 2\n\nPackage: nano\nStatus: install ok installed\nVersion: 7\n")
	tr.write("new/var/lib/dpkg/status", fmt.Sprintf(status, "13", "1.0-10")+"\nPackage: vim\nStatus: install ok installed\nVersion: 1:9\n\nPackage: tmux\nStatus: install ok installed\nVersion: 3\n\nPackage: nano\nStatus: install ok installed\nVersion: 8\n")
	if found, _ := tr.findings(); len(found) != 0 {
		t.Errorf("a profile that has changed no package: %q", found)
	}
	tr.write("upper/var/lib/dpkg/status", fmt.Sprintf(status, "12", "1.0-9")+"\nPackage: less\nStatus: install ok installed\nVersion: 2\n\nPackage: vim\nStatus: install ok installed\nVersion: 10\n\nPackage: own\nStatus: install ok installed\nVersion: 1\n")
	tr.write("upper/etc/issue", "mine")
	tr.write("old/etc/issue", "12")
	tr.write("new/etc/issue", "13")
	found, _ := tr.findings()
	want := []string{
		"conffile /etc/issue: the base has changed it",
		"shadowed /var/lib/dpkg/status: the base has changed it",
		"package base-files:arm64: the base has 13; dpkg of the profile believes in 12",
		"package less: gone from the base; dpkg of the profile believes in 2",
		"package nano: removed in the profile; the new base has 8 of it, of which new files show",
		"package ssl:arm64: upgraded in the profile to 1.0-9 covers the newer 1.0-10 of the base",
		"package tmux: new in the base, 3; dpkg of the profile does not know it",
		"package vim: the profile's own 10 covers the newer 1:9 of the base",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Error(diff)
	}
}

// dpkg itself is the judge of the order of versions.
func TestVersionsAgainstDpkg(t *testing.T) {
	versions := []string{"1", "1.0", "1.0-1", "1.0-10", "1.0-9", "1.0~rc1", "1.0~rc1-1", "1:0.1", "0:1.0", "1.0+b1", "1.0a", "1.0.1", "1.00", "2-1-1", "1.0-1~bpo12+1", "a", "~", "1.0-0", "09", "9", "1.0-1ubuntu1"}
	if _, err := exec.LookPath("dpkg"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: ", err)
	}
	script, n := "", 0
	for _, a := range versions {
		for _, b := range versions {
			script += fmt.Sprintf("dpkg --compare-versions '%s' lt '%s' 2>/dev/null && echo '%s %s'\n", a, b, a, b)
		}
	}
	out, err := exec.Command("sh", "-c", script+"true").Output()
	if err != nil {
		t.Fatal(err)
	}
	less := "\n" + string(out)
	for _, a := range versions {
		for _, b := range versions {
			want := strings.Contains(less, "\n"+a+" "+b+"\n")
			if got := CompareVersions(a, b) < 0; got != want {
				t.Errorf("%s < %s: %v, dpkg says %v", a, b, got, want)
			}
			n++
		}
	}
	if strings.Count(less, "\n") < n/3 {
		t.Errorf("dpkg says little: %s", less)
	}
}

// An upper of 100 000 files is compared in less than 10 s and 100 MB, also when
// the base has changed each of them. To make the files takes longer by far, so only
// a tenth of them is in the gate, with a tenth of the time.
func TestLargeUpper(t *testing.T) {
	if testing.Short() {
		t.Skip("makes 30 000 files")
	}
	const perDir = 500
	files, limit := 10_000, time.Second
	if os.Getenv("MINOS_TEST_ALL") != "" {
		files, limit = 100_000, 10*time.Second
	}
	if slow, err := strconv.Atoi(os.Getenv("MINOS_TEST_SLOW")); err == nil {
		limit *= time.Duration(slow)
	}
	tr := newTrees(t)
	for i := range files {
		name := fmt.Sprintf("/usr/share/%d/file-%d", i/perDir, i)
		if i%perDir == 0 {
			for _, tree := range []string{"upper", "old", "new"} {
				tr.ok(os.MkdirAll(filepath.Dir(tr.path(tree+name)), 0o755))
			}
		}
		for _, tree := range []string{"upper", "old", "new"} {
			tr.ok(os.WriteFile(tr.path(tree+name), []byte(tree), 0o644))
		}
	}
	began := time.Now()
	found, n := tr.findings()
	took := time.Since(began)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	t.Logf("%d of %d files found in %v, %d MB from the system", len(found), n, took, m.Sys>>20)
	if len(found) != files || n < files {
		t.Errorf("%d findings of %d files", len(found), n)
	}
	if took > limit || m.Sys > 100<<20 {
		t.Errorf("it took %v and %d MB", took, m.Sys>>20)
	}
}
