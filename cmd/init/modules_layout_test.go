package main

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
	"golang.org/x/sys/unix"
)

// The boots of the layout modules. Each names the statements of the layouts'
// specification that its trace shows.
func moduleScenarios() []scenario {
	broken := append(aSet(), "minios/20-broken.sb=no squashfs")
	return []scenario{
		{name: "modules", cmdline: onModules, disk: stickWith(aSet()...), ends: toInit},                                                                       // 3.6.5, 3.6.9
		{name: "modules-new-session", cmdline: onModules + " perchdir=resume", disk: stickWith(aSet()...), ends: toInit},                                      // 3.6.12
		{name: "modules-resumed", cmdline: onModules + " perch", disk: stickWith(aSet(sessions("2", 2)...)...), ends: toInit},                                 // 3.6.12
		{name: "modules-nothing-to-resume", cmdline: onModules + " perch", disk: stickWith(aSet()...), ends: toInit},                                          // 3.6.13
		{name: "modules-broken", cmdline: onModules, disk: stickWith(broken...), ends: toInit},                                                                // 3.2
		{name: "modules-iso", cmdline: onModules + " from=/m.iso", disk: stickWith("m.iso=" + systest.ISO(aSet()...)), ends: toInit},                          // 3.6.3
		{name: "modules-none", cmdline: onModules, disk: stickWith("readme=x"), ends: "reboot"},                                                               // 3.6.1
		{name: "modules-image-made", cmdline: onModules + " perchdir=resume", disk: onFAT(stickWith(aSetWithTools()...)), ends: toInit},                       // 3.6.15, 3.6.16
		{name: "modules-image-grown", cmdline: onModules + " perch perchsize=700", disk: stickWith(aSetWithTools(imageSession(500, "")...)...), ends: toInit}, // 3.6.16
		{name: "modules-image-damaged", cmdline: onModules + " perch", disk: stickWith(aSetWithTools(imageSession(500, "")...)...), ends: toInit, // 3.6.17
			break_: func(k *systest.Kernel) {
				k.Answer("e2fsck", sys.Exit{Status: 4, Output: "UNEXPECTED INCONSISTENCY; RUN fsck MANUALLY."})
			}},
		{name: "modules-ask", cmdline: onModules + " perchdir=ask", disk: stickWith(aSet(aStore()...)...), ends: toInit, break_: typing("2", "yes")}, // 3.4
		{name: "modules-locked-made", cmdline: onModules + " perchdir=new perchmode=luks perchsize=300", disk: stickWith(aSetWithCryptsetup()...), ends: toInit, // 3.6.22
			break_: typing("secret", "secret")},
		{name: "modules-locked", cmdline: onModules + " perch", disk: stickWith(aSetWithCryptsetup(lockedSession()...)...), ends: toInit, // 3.6.22
			break_: typing("1", "2", "3")},
		{name: "modules-session-refused", cmdline: onModules + " perchdir=new", disk: stickWith(aSet()...), ends: toInit, // 3.6.15
			break_: func(k *systest.Kernel) { k.FailTimes("mount overlay overlay /sysroot", 1, unix.EIO) }},
	}
}

// sessions are the files of sessions with these numbers, one of them the
// default.
func sessions(def string, numbers ...int) []string {
	meta := `{"default": "` + def + `", "owner": {"name": "x"}, "sessions": {`
	var files []string
	for i, n := range numbers {
		if i > 0 {
			meta += ", "
		}
		meta += fmt.Sprintf(`"%d": {"mode": "native", "version": "5.0", "edition": "standard", "union": "overlayfs", "policy": "mine"}`, n)
		files = append(files, fmt.Sprintf("minios/changes/%d/changes/mine=of %d", n, n), fmt.Sprintf("minios/changes/%d/workdir/work/", n))
	}
	return append(files, "minios/changes/session.json="+meta+"}}")
}

// about are the lines of the trace that name a device.
func about(k *systest.Kernel, device string) (lines []string) {
	for line := range strings.Lines(k.Trace()) {
		if strings.Contains(line, " "+device+" ") || strings.HasSuffix(line, " "+device+"\n") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Layouts 3.6, statement 1.
func TestStatement3_6_1_OtherMediaStayAsTheyAre(t *testing.T) {
	stick := named(stickWith(aSet()...), "sdb")
	k := bootModules(t, "perchdir=new", stickWith("home/me=x"), stick)
	want := []string{"probe /dev/sda1", "refuse writes to /dev/sda1", "mount ext4 /dev/sda1 /mnt/look ro,nosuid,nodev,noexec,noatime,noload", "allow writes to /dev/sda1"}
	if got := about(k, "/dev/sda1"); !slices.Equal(got, want) {
		t.Errorf("with /dev/sda1 was done\n%q, want\n%q", got, want)
	}
	if k.MountedAt("/mnt/look") != "" || k.MountedAt(dataDir) != "/dev/sdb1" || k.MountedAt("/") != "overlay" {
		t.Errorf("the mounts are wrong:\n%s", k.Trace())
	}
	failedWith(t, "", "no set of modules in /minios within 45s: sda1: there is no directory minios; "+
		"sdb1: no filesystem that is known; sdb2: there is no module, *.sb, in minios\"",
		stickWith("home/me=x"), named(&systest.Disk{Parts: []*systest.Part{{Number: 1}, {Number: 2, FS: "ext4", Files: []string{"minios/readme=x"}}}}, "sdb"))
}

// Layouts 3.6, statement 2.
func TestStatement3_6_2_FirstByNameAndTheLabelBefore(t *testing.T) {
	labelled := func(d *systest.Disk, label string) *systest.Disk { d.Parts[0].Label = label; return d }
	b := func() *systest.Disk { return named(stickWith(aSet()...), "sdb") }
	for name, c := range map[string]struct {
		disks []*systest.Disk
		words string
		want  string
	}{
		"by name":             {[]*systest.Disk{b(), stickWith(aSet()...)}, "", "/dev/sda1"},
		"by label":            {[]*systest.Disk{labelled(b(), "MINIOS"), stickWith(aSet()...)}, "", "/dev/sdb1"},
		"a label without set": {[]*systest.Disk{labelled(named(stickWith("x=y"), "sdb"), "MINIOS"), stickWith(aSet()...)}, "", "/dev/sda1"},
		"minos.disk":          {[]*systest.Disk{b(), stickWith(aSet()...)}, "minos.disk=sdb", "/dev/sdb1"},
	} {
		k := bootModules(t, c.words, c.disks...)
		if got := k.MountedAt(dataDir); got != c.want {
			t.Errorf("%s: the medium is %s, want %s:\n%s", name, got, c.want, k.Trace())
		}
	}
	late := b()
	late.At = 3 * time.Second
	if k := bootModules(t, "", late); k.MountedAt(dataDir) != "/dev/sdb1" || k.Now() != 3*time.Second {
		t.Errorf("a late medium is not taken when it comes, after %v:\n%s", k.Now(), k.Trace())
	}
}

// Layouts 3.6, statement 3.
func TestStatement3_6_3_From(t *testing.T) {
	other := func(dir string) []string {
		return []string{coreFile(dir + "/00-core.sb"), sbFile(dir + "/01-other.sb")}
	}
	labelled := named(stickWith(other("foo")...), "vdb")
	labelled.Parts[0].Label = "my stick"
	for words, c := range map[string]struct{ at, medium, top string }{
		"from=/img/m.iso":                         {dataDir, "/dev/loop0", "10-z.sb"},
		"from=/dev/sda1/img/m.iso":                {dataDir, "/dev/loop0", "10-z.sb"},
		"from=/dev/vdb1/foo":                      {dataDir, "/dev/vdb1", "01-other.sb"},
		`from=/dev/disk/by-label/my\x20stick/foo`: {dataDir, "/dev/vdb1", "01-other.sb"},
		"from=/foo":                               {dataDir, "/dev/vda1", "01-other.sb"},
		"from=foo/":                               {dataDir, "/dev/vda1", "01-other.sb"},
		"from=http://x/m.iso":                     {dataDir, "/dev/sda1", "10-z.sb"},
		"from=../foo":                             {dataDir, "/dev/sda1", "10-z.sb"},
	} {
		disks := []*systest.Disk{
			stickWith(aSet("img/m.iso=" + systest.ISO(aSet()...))...),
			named(stickWith(other("foo")...), "vda"),
			labelled,
		}
		k := bootModules(t, words, disks...)
		if got := k.MountedAt(c.at); got != c.medium || readFile(k, "/etc/top") != c.top {
			t.Errorf("%s: %s is %q with %q on top, want %q with %q:\n%s", words, c.at, got, readFile(k, "/etc/top"), c.medium, c.top, k.Trace())
		}
		if strings.Contains(words, "iso") && strings.Contains(words, "/m.") && !strings.Contains(words, "http") && k.MountedAt("/run/initramfs/memory/iso") != "/dev/sda1" {
			t.Errorf("%s: the medium with the .iso is not to be seen", words)
		}
		cutOff(k)
	}
	if k := bootModules(t, "from=/only.iso", stickWith("only.iso="+systest.ISO(aSet()...))); readFile(k, "/etc/top") != "10-z.sb" {
		t.Errorf("an .iso beside which there is nothing:\n%s", k.Trace())
	}
	failedWith(t, "from=/dev/vdc/foo", "no set of modules in /dev/vdc/foo within 45s: there is no such device", stickWith(aSet()...))
	failedWith(t, "from=/no.iso", "sda1: there is no file no.iso", stickWith(aSet()...))
}

// Layouts 3.6, statement 4, and the directory of the description.
func TestStatement3_6_4_ModulesElsewhere(t *testing.T) {
	for _, file := range []string{"minios/modules/10-a.sb", "minios/modules/deep/er/10-a.sb", "minios/base/10-a.sb", "minios/10-a.sb"} {
		k := bootModules(t, "", stickWith(coreFile(file)))
		if got := readFile(k, "/etc/top"); k.MountedAt("/") != "overlay" || got != path.Base(file) {
			t.Errorf("%s: the top is %q:\n%s", file, got, k.Trace())
		}
	}
}

// Layouts 3.6, statement 5.
func TestStatement3_6_5_HighestNumberOnTop(t *testing.T) {
	k := bootModules(t, "", stickWith(append(aSet(), "minios/readme=x", "minios/boot/vmlinuz=x")...))
	if got := lowers(k); !slices.Equal(got, []string{"10-z.sb", "05-x.sb", "01-kernel-6.1.sb", "00-core.sb"}) || readFile(k, "/etc/top") != "10-z.sb" {
		t.Errorf("the layers are %q, on top is %q", got, readFile(k, "/etc/top"))
	}
	for _, name := range lowers(k) {
		if k.MountedAt(bundlesDir+"/"+name) == "" {
			t.Errorf("%s is not to be seen in %s", name, bundlesDir)
		}
	}
}

// Layouts 3.6, statement 6.
func TestStatement3_6_6_LaterOfTheSameName(t *testing.T) {
	k := bootModules(t, "", stickWith(append(aSet(), sbFile("minios/modules/a/05-x.sb", "etc/where=extra"))...))
	if got := lowers(k); len(got) != 4 || readFile(k, "/etc/where") != "extra" || strings.Contains(k.Trace(), "loop "+dataDir+"/minios/05-x.sb") {
		t.Errorf("the layers are %q:\n%s", got, k.Trace())
	}
}

// Layouts 3.6, statements 7 and 8.
func TestStatement3_6_7_And8_Filters(t *testing.T) {
	for words, want := range map[string]string{
		"load=00-02 noload=01":     "00-core.sb",
		"load=core,kernel":         "01-kernel-6.1.sb 00-core.sb",
		"noload=05|^10":            "01-kernel-6.1.sb 00-core.sb",
		"load=^0[0-1]":             "01-kernel-6.1.sb 00-core.sb",
		"load=(core)":              "10-z.sb 05-x.sb 01-kernel-6.1.sb 00-core.sb",
		"noload=minios":            "10-z.sb 05-x.sb 01-kernel-6.1.sb 00-core.sb",
		"load=00-core.sb load=0.-": "05-x.sb 01-kernel-6.1.sb 00-core.sb",
	} {
		k := bootModules(t, words, stickWith(aSet()...))
		if got := strings.Join(lowers(k), " "); got != want {
			t.Errorf("%s: the layers are %q, want %q", words, got, want)
		}
	}
	k := bootModules(t, "load=(core)", stickWith(aSet()...))
	if !strings.Contains(k.Trace(), `'(' is not understood here; put \ before it if it is part of a name, ignoring: load=(core)`) {
		t.Errorf("no warning of what is not understood:\n%s", k.Trace())
	}
	failedWith(t, "load=nothing", "load= and noload= leave none of the 4 modules in minios", stickWith(aSet()...))
	k = bootModules(t, "bext=mod", stickWith(coreFile("minios/00-core.mod"), sbFile("minios/01-x.sb")))
	if got := lowers(k); !slices.Equal(got, []string{"00-core.mod"}) {
		t.Errorf("bext=mod: the layers are %q", got)
	}
}

// Layouts 3.6, statements 9 and 10: without a word of its own nothing asks for
// persistence, and nothing is written.
func TestStatement3_6_9_And10_NothingIsWritten(t *testing.T) {
	for _, words := range []string{"", "perch=none perchdir=new", "from=/perchance/toramus", "xperch", "minos.x=perch", "init=/sbin/init -- perch"} {
		stick := stickWith(append(aSet(sessions("2", 2)...), coreFile("perchance/toramus/00-core.sb"))...)
		k := bootModules(t, words, stick)
		if k.Unsynced() != 0 || strings.Contains(k.Trace(), "mount ext4 /dev/sda1 "+dataDir+" rw") || k.MountedAt(changesDir) != "tmpfs" {
			t.Errorf("%q: the medium was written to, or could be:\n%s", words, k.Trace())
		}
		if r := readFile(k, "/run/minos/boot.json"); !strings.Contains(r, `"durability": "volatile"`) || !strings.Contains(r, `"value": "none"`) || strings.Contains(r, `"degraded": true`) {
			t.Errorf("%q: boot.json: %s", words, r)
		}
	}
}

// One broken module is missing; without the lowest, which is the system, the
// boot fails.
func TestBrokenModules(t *testing.T) {
	k := bootModules(t, "", stickWith(append(aSet(), "minios/20-broken.sb=no squashfs")...))
	if !strings.Contains(k.Trace(), "the module 20-broken.sb is missing, ignoring: cannot mount the module 20-broken.sb: 20-broken.sb: ") || readFile(k, "/etc/top") != "10-z.sb" {
		t.Errorf("a broken module:\n%s", k.Trace())
	}
	failedWith(t, "", `FAILED step=module-00-core.sb error="cannot mount the module 00-core.sb: 00-core.sb: `, stickWith("minios/00-core.sb=no squashfs", sbFile("minios/01-x.sb")))
	if k := bootModulesUntilFailure(stickWith("minios/00-core.sb=no squashfs")); k.MountedAt(dataDir) != "" {
		t.Errorf("the medium is still mounted after a failed boot:\n%s", k.Trace())
	}
}

func bootModulesUntilFailure(d *systest.Disk) *systest.Kernel {
	k := systest.New(onModules)
	k.AddDisk(d)
	start(k, mount.InOrder)
	return k
}

// Layouts 3.6, statement 21.
func TestStatement3_6_21_ManyModules(t *testing.T) {
	many := func(n int) *systest.Disk {
		files := []string{coreFile("minios/000-core.sb")}
		for i := 1; i < n; i++ {
			files = append(files, sbFile(fmt.Sprintf("minios/%03d-a b,c:d.sb", i)))
		}
		return stickWith(files...)
	}
	k := bootModules(t, "", many(150))
	if got := lowers(k); len(got) != 150 || got[0] != "149-a b" || readFile(k, "/etc/top") != "149-a b,c:d.sb" {
		t.Errorf("there are %d layers, on top is %q:\n%s", len(got), readFile(k, "/etc/top"), k.Trace())
	}
	// The older call takes only so much: the layers get short names.
	k = bootModulesWith(t, "", func(k *systest.Kernel) { k.FailTimes("mount overlay overlay /sysroot", 1, unix.E2BIG) }, many(150))
	if !strings.Contains(k.Trace(), "mount overlay overlay /sysroot rw,lowerdir+=/l/0,lowerdir+=/l/1,") || readFile(k, "/etc/top") != "149-a b,c:d.sb" {
		t.Errorf("no short names:\n%s", k.Trace())
	}
	failedWith(t, "", "501 layers are more than the kernel takes, which is 500", many(501))
}

// Layouts 3.6, statement 20.
func TestStatement3_6_20_ToRAM(t *testing.T) {
	extra := []string{"minios/config.conf=x", "minios/authorized_keys=y", "minios/boot/vmlinuz=k", "minios/link->config.conf", "minios/rootcopy/x:0600=r"}
	for words, want := range map[string]string{
		"toram=trim load=00-01":     "minios/ minios/00-core.sb minios/01-kernel-6.1.sb minios/authorized_keys minios/config.conf minios/rootcopy/ minios/rootcopy/x:0600",
		"toram":                     "minios/ minios/00-core.sb minios/01-kernel-6.1.sb minios/05-x.sb minios/10-z.sb minios/authorized_keys minios/boot/ minios/boot/vmlinuz minios/config.conf minios/link->config.conf minios/rootcopy/ minios/rootcopy/x:0600",
		"toram=full from=/dev/sda1": "minios/ minios/00-core.sb minios/01-kernel-6.1.sb minios/05-x.sb minios/10-z.sb minios/authorized_keys minios/boot/ minios/boot/vmlinuz minios/config.conf minios/link->config.conf minios/rootcopy/ minios/rootcopy/x:0600",
	} {
		k := bootModules(t, words, stickWith(aSet(append(extra, sessions("2", 2)...)...)...))
		if got := strings.Join(names(k, dataDir), " "); got != want || k.MountedAt(dataDir) != "tmpfs" || readFile(k, "/sbin/init") == "" {
			t.Errorf("%s: in memory are %q, want %q:\n%s", words, got, want, k.Trace())
		}
		if k.Unsynced() != 0 || strings.Contains(k.Trace(), "degraded") || !strings.HasPrefix(readFile(k, dataDir+"/minios/config.conf"), "x") || !isLike(k, "/x", "r", 0o600) {
			t.Errorf("%s:\n%s", words, k.Trace())
		}
		released := strings.Index(k.Trace(), "unmount "+dataDir+"\n")
		if released < 0 || strings.Contains(k.Trace()[released:], "/dev/sda1") || !strings.Contains(k.Trace()[released:], "the set is in memory, and its medium can be taken out") {
			t.Errorf("%s: the medium is not let go:\n%s", words, k.Trace())
		}
	}
	iso := bootModules(t, "toram from=/m.iso", stickWith("m.iso="+systest.ISO(aSet()...)))
	if iso.MountedAt(dataDir) != "tmpfs" || iso.MountedAt("/run/initramfs/memory/iso") != "" || readFile(iso, "/etc/top") != "10-z.sb" {
		t.Errorf("an .iso is not copied:\n%s", iso.Trace())
	}
	for name, c := range map[string]struct {
		words  string
		break_ func(*systest.Kernel)
		said   string
	}{
		"little memory":   {"toram", func(k *systest.Kernel) { k.FreeMemory(129) }, "the system runs from its medium: it takes 1 MiB, and 129 of 512 MiB of memory are free, of which a quarter of all has to stay so, ignoring: toram"},
		"a bad medium":    {"toram", func(k *systest.Kernel) { k.Fail("create /run/initramfs/memory/ram/minios/05-x.sb", unix.EIO) }, "the system runs from its medium: open /run/initramfs/memory/ram/minios/05-x.sb: input/output error, ignoring: toram"},
		"a session":       {"toram perchdir=new", nil, "the system runs from its medium: a session is wanted, and is kept on it, ignoring: toram"},
		"a wrong word":    {"toram=some", nil, "expected no value, full or trim, ignoring: toram=some"},
		"part of another": {"from=minios/ xtoram toramx=full minos.x=toram", nil, ""},
	} {
		k := bootModulesWith(t, c.words, c.break_, stickWith(aSet()...))
		if k.MountedAt(dataDir) != "/dev/sda1" || k.MountedAt("/run/initramfs/memory/ram") != "" || readFile(k, "/etc/top") != "10-z.sb" || !strings.Contains(k.Trace(), c.said) {
			t.Errorf("%s: want %q, from the medium:\n%s", name, c.said, k.Trace())
		}
	}
	k := bootModulesWith(t, "toram", func(k *systest.Kernel) { k.Fail("move /run/initramfs/memory/ram", unix.EINVAL) }, stickWith(aSet()...))
	if k.MountedAt("/run/initramfs/memory/ram") != "tmpfs" || readFile(k, "/etc/top") != "10-z.sb" {
		t.Errorf("the copy is not used where it was made:\n%s", k.Trace())
	}
}
