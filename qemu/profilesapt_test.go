package qemu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// profileRoot is a profile of a real Debian over its base on a real btrfs of this
// workstation, put together as init does it, with minosctl and its drop-in for apt.
type profileRoot struct {
	testing.TB
	dir      string // of this test
	minosctl string
}

// TestAptInAProfile: real apt in a real Debian. The drop-in keeps what was there
// before each change, a rollback and a restart undo it, and what would be lost by
// the restart is refused.
func TestAptInAProfile(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	tools(t, "mkfs.btrfs", "btrfs", "mmdebstrap", "dpkg-deb", "tar")
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("mounting a btrfs takes root, and with CI=true nothing is skipped")
		}
		t.Skip("SKIPPED: mounting a btrfs takes root")
	}
	p := newProfileRoot(t)
	p.start("first boot")
	p.chroot(0, "apt-get install -y /root/one.deb && test -e /usr/share/one && dpkg -s one")
	p.says("profile snapshots", "auto-")
	p.chroot(0, "apt-get remove -y one && ! test -e /usr/share/one")
	if n := strings.Count(p.chroot(0, "minosctl profile snapshots"), "auto-"); n != 2 {
		t.Errorf("two runs of apt have made %d snapshots", n)
	}
	p.says("profile rollback", "It is running: that takes effect at the next boot")
	// What dpkg did now would be lost, so it is not begun.
	p.chroot(100, "apt-get install -y /root/two.deb")
	p.chroot(1, "dpkg -s two")
	p.stop()

	p.start("second boot")
	p.chroot(0, "test -e /usr/share/one && dpkg -s one | grep -qx 'Status: install ok installed'")
	p.chroot(0, "dpkg --audit && apt-get check")
	p.chroot(0, "minosctl profile rollback")
	p.stop()

	p.start("third boot")
	p.chroot(1, "dpkg -s one")
	p.chroot(1, "test -e /usr/share/one")
	p.chroot(0, "apt-get install -y /root/two.deb && test -e /usr/share/two")
	p.stop()
	p.run("umount", p.path("top"))
	p.run("btrfs", "check", p.path("disk"))
}

func newProfileRoot(t testing.TB) *profileRoot {
	p := &profileRoot{TB: t, dir: t.TempDir()}
	p.minosctl = p.path("minosctl")
	build := exec.Command("go", "build", "-o", p.minosctl, "../cmd/minosctl")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v %s", err, out)
	}
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	root, err := cache.Get("debian-apt", "1 "+debianSuite+" "+runtime.GOARCH, func(dir string) error {
		out, err := exec.Command("mmdebstrap", "--variant=apt", debianSuite, filepath.Join(dir, "root.tar")).CombinedOutput()
		if err != nil {
			return fmt.Errorf("mmdebstrap: %w: %s", err, out)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	p.run("truncate", "-s", "2G", p.path("disk"))
	p.run("mkfs.btrfs", "-q", p.path("disk"))
	p.run("mkdir", p.path("top"), p.path("root"))
	p.run("mount", "-o", "loop,subvolid=5,noatime,commit=120", p.path("disk"), p.path("top"))
	t.Cleanup(func() {
		_ = exec.Command("umount", "-R", p.path("root")).Run()
		_ = exec.Command("umount", p.path("top")).Run()
	})
	base := p.path("top/@base/1.0")
	p.run("mkdir", p.path("top/@base"))
	p.run("btrfs", "-q", "subvolume", "create", base)
	p.run("tar", "-C", base, "--xattrs", "--numeric-owner", "-xf", filepath.Join(root, "root.tar"))
	p.run("cp", p.minosctl, base+"/usr/sbin/minosctl")
	p.run("cp", "../cmd/minosctl/dist/minos-profile-snapshot.conf", base+"/etc/apt/apt.conf.d/minos-profile-snapshot.conf")
	for _, name := range []string{"one", "two"} {
		p.deb(name, base+"/root/"+name+".deb")
	}
	p.run("btrfs", "property", "set", base, "ro", "true")
	p.run(p.minosctl, "base", "set-current", "--top", p.path("top"), "1.0")
	p.run(p.minosctl, "profile", "create", "--top", p.path("top"), "desk")
	return p
}

// deb makes a package with one file.
func (p *profileRoot) deb(name, file string) {
	p.Helper()
	tree := p.path("deb-" + name)
	p.run("mkdir", "-p", tree+"/DEBIAN", tree+"/usr/share")
	p.write(tree+"/DEBIAN/control", "Package: "+name+"\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: a test\n")
	p.write(tree+"/usr/share/"+name, name)
	p.run("dpkg-deb", "-b", tree, file)
}

func (p *profileRoot) path(name string) string { return filepath.Join(p.dir, name) }

func (p *profileRoot) write(name, content string) {
	p.Helper()
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		p.Fatal(err)
	}
}

func (p *profileRoot) run(argv ...string) string {
	p.Helper()
	out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput()
	if err != nil {
		p.Fatalf("%q: %v\n%s", argv, err, out)
	}
	return string(out)
}

// start puts the root together, and leaves the report of a boot.
func (p *profileRoot) start(boot string) {
	p.Helper()
	root, top := p.path("root"), p.path("top")
	upper := top + "/@profiles/desk/upper"
	p.run("mount", "-t", "overlay", "-o", "lowerdir="+top+"/@base/1.0,upperdir="+upper+"/root,workdir="+upper+"/work,index=off,metacopy=off,xino=off,redirect_dir=off", "overlay", root)
	p.run("mount", "-t", "proc", "proc", root+"/proc")
	p.run("mount", "-t", "tmpfs", "tmpfs", root+"/run")
	p.run("mount", "--bind", "/dev", root+"/dev")
	p.run("mkdir", "-p", root+"/run/initramfs/profiles", root+"/run/minos")
	p.run("mount", "--bind", top, root+"/run/initramfs/profiles")
	p.write(root+"/run/boot_id", boot+"\n")
	p.run("mount", "--bind", root+"/run/boot_id", root+"/proc/sys/kernel/random/boot_id")
	const at = "/run/initramfs/profiles"
	p.write(root+"/run/minos/boot.json", `{"schema": 1, "layout": "profiles", "choice": {"what": "profile", "value": "desk"}, "base": {"what": "base", "value": "1.0"},
"overlay": {"lowers": ["`+at+`/@base/1.0"], "upper": "`+at+`/@profiles/desk/upper/root"}}`)
}

func (p *profileRoot) stop() {
	p.Helper()
	p.run("umount", "-R", p.path("root"))
}

// chroot runs a script in the profile, which has to end with this status.
func (p *profileRoot) chroot(status int, script string) string {
	p.Helper()
	cmd := exec.Command("chroot", p.path("root"), "/bin/sh", "-c", script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "HOME=/root"}
	out, _ := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != status {
		p.Errorf("%s: status %d, want %d\n%s", script, got, status, out)
	}
	return string(out)
}

// says runs minosctl in the profile.
func (p *profileRoot) says(args, part string) {
	p.Helper()
	if said := strings.Join(strings.Fields(p.chroot(0, "minosctl "+args)), " "); !strings.Contains(said, part) {
		p.Errorf("minosctl %s: %s\nwant %s", args, said, part)
	}
}
