package main

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The sources of the two builds are one commit, whose name is in the images.
const commitScript = `git init -q .
git add -A
git commit -q -m same
git bundle create -q ../sources.bundle HEAD`

// nobody is the user of the second build when the first is root's.
const nobody = 65534

// The second build has everything else: another user, a clone of his own with a
// blank in its path, old files, Go and its modules elsewhere. It has to come by
// Go's directories, which may lie where only the first user may look.
const (
	elsewhereScript = `mkdir goroot modules
mount --bind "$FROM_GOROOT" goroot
mount --bind "$FROM_MODULES" modules
umask 077
exec $AS_OTHER sh -euc "$OTHER_BUILD"`
	otherBuildScript = `git clone -q sources.bundle 'a clone'
cd 'a clone'
git ls-files -z | xargs -0 touch -d 1999-12-31T23:59:58
exec go run ./initramfs "$@"`
)

// Two builds of the same sources give the same images, to the byte, whatever
// user, umask, time zone, language, folder and Go cache they are made with. The
// second begins with an empty cache, so that nothing of the first gets into it.
// The clock of a Go program cannot be set from outside, but it does not stand
// still between the two: what has a time in it differs by seconds at least.
func TestTwoMachinesMakeTheSameImages(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIPPED with -short: compiling everything anew takes a minute")
	}
	for _, program := range []string{"git", "unshare", "setpriv", "mount", "xargs"} {
		hostTool(t, nil, "sh", "-c", "command -v "+program)
	}
	dir, err := os.MkdirTemp("", "minos-two-builds-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	one := filepath.Join(dir, "one")
	copySources(t, one)
	args := []string{"-arch", "arm64", "-modules", moduleDirFor(t, dir), "-out"}

	first := exec.Command("sh", "-euc", "umask 022\n"+commitScript+"\nexec go run ./initramfs \"$@\"", "sh")
	first.Args = append(append(first.Args, args...), filepath.Join(dir, "out one"))
	first.Dir = one
	identity := []string{"GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"}
	for _, who := range []string{"AUTHOR", "COMMITTER"} {
		identity = append(identity, "GIT_"+who+"_NAME=x", "GIT_"+who+"_EMAIL=x@example.org", "GIT_"+who+"_DATE=2001-02-03T04:05:06Z")
	}
	first.Env = append(append(os.Environ(), identity...), "TZ=UTC", "LC_ALL=C")
	runBuild(t, first)

	second := elsewhere(t, dir)
	second.Args = append(append(second.Args, args...), filepath.Join(dir, "out"))
	runBuild(t, second)

	for _, name := range []string{"init", "initramfs.cpio.lz4", "initramfs-debug.cpio.lz4"} {
		sameFile(t, filepath.Join(dir, "out one"), filepath.Join(dir, "out"), name)
	}
}

// elsewhere is the second build, still without arguments of the builder.
func elsewhere(t *testing.T, dir string) *exec.Cmd {
	t.Helper()
	goEnv := strings.Fields(string(hostTool(t, nil, "go", "env", "GOROOT", "GOMODCACHE")))
	// Root becomes nobody; anybody else takes root's place in a namespace.
	unshare, asOther := []string{"--mount"}, "setpriv --reuid="+strconv.Itoa(nobody)+" --regid="+strconv.Itoa(nobody)+" --clear-groups"
	if os.Geteuid() == 0 {
		if err := errors.Join(os.Chown(dir, nobody, nobody), os.Chmod(filepath.Join(dir, "sources.bundle"), 0o644)); err != nil {
			t.Fatal(err)
		}
	} else {
		unshare, asOther = []string{"--mount", "--user", "--map-root-user"}, ""
	}
	command := exec.Command("unshare", append(unshare, "sh", "-euc", elsewhereScript+` sh "$@"`, "sh")...)
	command.Dir = dir
	path := func(name string) string { return filepath.Join(dir, name) }
	command.Env = []string{
		"FROM_GOROOT=" + goEnv[0], "FROM_MODULES=" + goEnv[1], "AS_OTHER=" + asOther, "OTHER_BUILD=" + otherBuildScript,
		"HOME=" + path("home"), "GOCACHE=" + path("cache"), "GOMODCACHE=" + path("modules"), "TMPDIR=" + dir,
		"PATH=" + path("goroot") + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOTOOLCHAIN=local", "GOPROXY=off", "GOFLAGS=-mod=readonly",
		"TZ=Pacific/Kiritimati", "LC_ALL=C.UTF-8", "USER=somebody", "GOARM64=v8.2,lse", "GOEXPERIMENT=nogreenteagc",
	}
	return command
}

// runBuild runs a build and fails the test when the build does.
func runBuild(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
}

// copySources copies this repository's files as they are now, without its
// history.
func copySources(t *testing.T, to string) {
	t.Helper()
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	list := hostTool(t, nil, "git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		content, err := os.ReadFile(filepath.Join(root, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed, and not committed yet
		}
		target := filepath.Join(to, name)
		err = errors.Join(err, os.MkdirAll(filepath.Dir(target), 0o755), os.WriteFile(target, content, 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
}

// moduleDirFor is the directory of a test kernel's modules that both users can
// read.
func moduleDirFor(t *testing.T, dir string) string {
	t.Helper()
	modules := filepath.Join(dir, testRelease)
	if err := os.CopyFS(modules, os.DirFS(moduleDir(t, testKernel(t)))); err != nil {
		t.Fatal(err)
	}
	return modules
}
