package qemu

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// profilesTop is where the btrfs of the layout profiles is.
const profilesTop = "/run/initramfs/profiles"

// profilesInitramfs is the release image with btrfs, made once.
var profilesInitramfs = sync.OnceValues(func() (string, error) {
	s, err := shared()
	if err != nil {
		return "", err
	}
	out := filepath.Join(s.dir, "profiles")
	cmd, err := command("go", "run", "./initramfs", "-arch", "arm64", "-sets", "profiles virtio", "-modules", s.debian.Modules, "-release-only", "-out", out)
	if err != nil {
		return "", err
	}
	cmd.Dir = ".."
	return filepath.Join(out, "initramfs.cpio.lz4"), runCommand(cmd, nil)
})

// smallProfiles is a btrfs with the stub as a base, twice, and profiles of all
// kinds: two that are good, one whose upper and work are in two subvolumes, and
// one that is read-only. All have been used, as far as a boot can tell.
func smallProfiles(t *testing.T) Btrfs {
	t.Helper()
	base := func(version string) Subvolume {
		return Subvolume{Name: "@base/" + version, ReadOnly: true, Tree: StubTree(machines(t).stub).With(
			Text("etc/version", version), Dir("usr/lib"), Dir("usr/lib/modules"), Dir("usr/lib/modules/5.0"), Link("lib", "usr/lib"), Dir("etc/dir"), Text("etc/dir/file", "x"))}
	}
	used := []File{Dir("root/run"), Dir("work/work")}
	frozen := Profile("frozen", used...)
	frozen.ReadOnly = true
	return Btrfs{
		Label: "flipperos",
		Tree:  Tree{}.With(Dir("@base"), Link("@base/current", "1.0"), Dir("@profiles"), Dir("@profiles/parted"), Dir("@profiles/parted/upper")),
		Subvolumes: []Subvolume{
			base("1.0"), base("2.0"), Profile("desk"), Profile("router"), frozen,
			{Name: "@profiles/parted/upper/root", Tree: Tree{}.With(Dir("run"))}, {Name: "@profiles/parted/upper/work", Tree: Tree{}.With(Dir("work"))},
			{Name: "@data"},
		},
	}
}

// profilesCard is a disk that goes from boot to boot.
type profilesCard struct {
	file   string
	recipe ImageDisk
}

func newProfilesCard(t *testing.T, content Btrfs) profilesCard {
	t.Helper()
	machines(t)
	tools(t, "mkfs.btrfs", "btrfs", "unshare", "go")
	if os.Geteuid() != 0 {
		tools(t, "sudo")
	}
	c := profilesCard{filepath.Join(t.TempDir(), "disk.img"), ProfilesDisk(256, content)}
	if err := c.recipe.Write(c.file); err != nil {
		if strings.Contains(err.Error(), "it takes root") {
			unable(t, err.Error())
		}
		t.Fatal(err)
	}
	return c
}

// change runs a script on the btrfs, whose top level is $at.
func (c profilesCard) change(t *testing.T, script string) {
	t.Helper()
	btrfs := c.recipe.Ranges()[1]
	if err := ChangeBtrfs(c.file, btrfs.Start, btrfs.Size, script); err != nil {
		t.Fatal(err)
	}
}

// boot boots the card, with more disks.
func (c profilesCard) boot(t *testing.T, words string, do []string, more ...string) (Result, bootJSON) {
	t.Helper()
	initramfs, err := profilesInitramfs()
	if err != nil {
		t.Fatal(err)
	}
	r := boot(t, Case{Image: c.file, Append: append([]string{"minos.layout=profiles", "stub.end=exitrd:poweroff"}, strings.Fields(words)...), Do: do,
		Change: func(m *Machine) {
			keep(m)
			m.Initramfs = initramfs
			for _, file := range more {
				m.Drives = append(m.Drives, Drive{File: file})
			}
		}})
	return r, r.handedOver(t)
}

// did fails unless the stub's verbs had these results.
func did(t *testing.T, r Result, want ...string) {
	t.Helper()
	for i, w := range want {
		if i >= len(r.Stub.Done) || !regexp.MustCompile("^(?:"+w+")$").MatchString(r.Stub.Done[i]) {
			t.Errorf("the stub did %q, want in place %d: %s", r.Stub.Done, i, w)
		}
	}
}

// Layouts 4.6, statements 1, 2, 3, 11, 12, 14, 15 and 17, on one btrfs over six
// boots.
func TestStatement4_6_14_DefaultSubvolume(t *testing.T) {
	t.Parallel()
	c := newProfilesCard(t, smallProfiles(t))
	c.change(t, `btrfs subvolume show "$at/@base/1.0" | grep -i generation: >"$at/before"`)

	r, b := c.boot(t, "flipper.profile=desk", []string{"read:/etc/version", "write:/etc/x=desk", "write:/data/y=all", "rm:/etc/os-release", "rename:/etc/dir=/etc/other", "sync"})
	did(t, r, `.* "1.0"`, ".* ok", ".* ok", ".* ok", ".* EXDEV", ".* ok")
	if b.Choice.Value != "desk" || b.Base.Value != "1.0" || b.Overlay.Subvolume < 256 || b.Overlay.Upper != profilesTop+"/@profiles/desk/upper/root" || b.Degraded || b.Overlay.Durability != "keep" {
		t.Errorf("boot.json: %s", r.Stub.BootJSON)
	}
	shows(t, r.Console, "OK layout=profiles profile=desk root=@base/1.0 upper=keep took=", "the base 1.0 has no modules for the running kernel", "it has those of 5.0")
	for at, want := range map[string]string{"/": "lowerdir.*=" + profilesTop + "/@base/1.0,", "/data": "commit=120,.*subvol=/@data", profilesTop: "commit=120,.*subvolid=5,"} {
		if m, _ := r.Stub.MountAt(at); !regexp.MustCompile(want).MatchString(m.Super+",") || at != "/" && !strings.Contains(m.Options, "noatime") {
			t.Errorf("%s is mounted as %+v, want %s", at, m, want)
		}
	}

	// Another default subvolume, which a mount without a word would take.
	c.change(t, `btrfs subvolume set-default "$at/@data"`)
	r, b = c.boot(t, "flipper.profile=router minos.redirect-dir=on", []string{"read:/etc/x", "read:/data/y", "read:/etc/os-release", "rename:/etc/dir=/etc/other", "read:/etc/other/file"})
	did(t, r, ".* ENOENT", `.* "all"`, ".* \"ID=.*", ".* ok", `.* "x"`)
	if b.Choice.Value != "router" || b.Degraded {
		t.Errorf("boot.json: %s", r.Stub.BootJSON)
	}
	r, _ = c.boot(t, "flipper.profile=desk flipper.base=2.0", []string{"read:/etc/x", "read:/data/y", "read:/etc/os-release", "read:/etc/version"})
	did(t, r, `.* "desk"`, `.* "all"`, ".* ENOENT", `.* "2.0"`)

	for _, bad := range []string{"parted", "frozen"} {
		r, b = c.boot(t, "flipper.profile="+bad, []string{"rm:/etc/os-release", "write:/etc/x=y", "statfs:/"})
		did(t, r, ".* ok", ".* ok", ".* ro=false .*")
		if !b.Degraded || b.Overlay.Durability != "volatile" || b.Choice.Value != "none" || b.Overlay.Subvolume != 0 {
			t.Errorf("%s: boot.json: %s", bad, r.Stub.BootJSON)
		}
		t.Logf("%s: %q", bad, b.DegradedReasons)
	}
	c.change(t, `btrfs subvolume show "$at/@base/1.0" | grep -i generation: >"$at/after"
	cmp "$at/before" "$at/after"
	test ! -e "$at/@profiles/parted/upper/root/etc" && test ! -e "$at/@profiles/frozen/upper/root/etc"`)
	wholeBtrfs(t, c)
}

// wholeBtrfs fails unless btrfs check finds nothing.
func wholeBtrfs(t *testing.T, c profilesCard) {
	t.Helper()
	part := extract(t, c.file, c.recipe.Ranges()[1])
	if out, err := Tool("btrfs", "check", "--readonly", part); err != nil {
		t.Errorf("btrfs check: %v\n%s", err, out)
	}
}

// Layouts 4.6, statement 16: a profile of a card, which runs over the device's
// base.
func TestProfilesCard(t *testing.T) {
	t.Parallel()
	c := newProfilesCard(t, smallProfiles(t))
	card := newProfilesCard(t, Btrfs{Label: "flipperos-sd", Tree: Tree{}.With(Dir("@profiles"), Dir("@profiles/desk")), Subvolumes: []Subvolume{Profile("desk", Dir("root/etc"), Text("root/etc/where", "card"))}})
	r, b := c.boot(t, "flipper.profile=sd:desk", []string{"read:/etc/where", "read:/etc/version", "write:/data/y=z"}, card.file)
	did(t, r, `.* "card"`, `.* "1.0"`, ".* ok")
	if b.Choice.Value != "sd:desk" || b.Degraded || b.Overlay.Upper != profilesTop+"-sd/@profiles/desk/upper/root" {
		t.Errorf("boot.json: %s", r.Stub.BootJSON)
	}
}
