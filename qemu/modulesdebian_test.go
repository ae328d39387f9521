package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDebianModules is the layout modules with the real thing, over two boots: a
// session keeps what is written to /, no unit fails, and the stick's filesystem is
// whole after each.
func TestDebianModules(t *testing.T) {
	if os.Getenv("MINOS_TEST_ALL") == "" {
		t.Skip("takes long: make test-all has it (MINOS_TEST_ALL=1)")
	}
	machines(t)
	tools(t, "sqfstar")
	cache, err := UserCache(NewProgress(os.Stderr))
	if err != nil {
		t.Fatal(err)
	}
	modules, err := cache.DemoModules()
	if err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "preinit.sh")
	if err := os.WriteFile(script, []byte("set -eu\ntest -e $1/dev/null\necho $(wc -l <$1/proc/mounts) mounts >$1/etc/preinit\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	modules["rootcopy/run/preinit.sh"], modules["rootcopy/usr/local/bin/copied.sh"] = script, script
	stick, disk := DemoModulesDisk(modules), filepath.Join(t.TempDir(), "disk.img")
	if err := stick.Write(disk); err != nil {
		t.Fatal(err)
	}
	common := []said{
		{"systemctl is-system-running --wait", "running"},
		{"systemctl --failed --no-legend --plain", ""},
		{"findmnt -rno FSTYPE /", "overlay"},
		{"findmnt -rno SOURCE,FSTYPE " + memoryDir + "/data", "/dev/vda2 ext4"},
		{"ls " + memoryDir + "/bundles", `00-core.sb\s+05-motd.sb\s+10-tip.sb`},
		{"cat /etc/preinit", `\d+ mounts`},
		{"stat -c %U:%a /usr/local/bin/copied.sh", "root:644"},
		{"cat /etc/motd.tip", "Put modules of your own into minios/modules."},
		{`grep -o '"degraded": [a-z]*' /run/minos/boot.json`, `"degraded": false`},
		{"dmesg -t --level=emerg,alert,crit,err,warn | grep -i -e '^minos' -e overlay -e ext4 -e squashfs", ""},
	}
	for _, boot := range [][]said{
		{{"echo kept >/root/file && cat /root/file", "kept"}},
		{{"cat /root/file", "kept"}, {"ls " + memoryDir + "/data/minios/changes", `1\s+session.json`}},
	} {
		r := bootModulesDebian(t, disk, append(common, boot...))
		shows(t, r.Console, "minos: OK layout=modules session=1 root=", " upper=keep took=")
		wholeOnDisk(t, stick, disk)
		sessionClosed(t, filepath.Join(extracted(t, stick, disk), "img"))
	}
}

// bootModulesDebian boots the stick to the login prompt, and to its end by way of
// systemd's.
func bootModulesDebian(t *testing.T, disk string, commands []said) Result {
	t.Helper()
	r := boot(t, Case{
		Image: disk, Append: []string{"minos.layout=modules", "perchdir=resume", "panic=-1", "systemd.default_device_timeout_sec=900"}, Within: loginDeadline, Change: keep,
		Drive: asked(commands),
	})
	if r.Ending != PowerOff {
		t.Errorf("the machine ended with %s, want %s", r.Ending, PowerOff)
	}
	_, after, _ := strings.Cut(r.Console, "Entering exitrd")
	lacks(t, after, "ignoring")
	return r
}
