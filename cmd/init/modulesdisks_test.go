package main

import (
	"path"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// onModules is the command line of the layout modules.
const onModules = "quiet minos.layout=modules"

// Where the parts of a MiniOS are seen.
const (
	dataDir    = "/run/initramfs/memory/data"
	changesDir = "/run/initramfs/memory/changes"
	bundlesDir = "/run/initramfs/memory/bundles"
	setStore   = dataDir + "/minios/changes"
)

// sbFile is a module with these files, which says in /etc/top that it is on top.
func sbFile(name string, files ...string) string {
	return name + "=" + systest.SquashFS(0, append(files, "etc/top="+path.Base(name))...)
}

// coreFile is the module with the system.
func coreFile(name string, files ...string) string {
	return sbFile(name, append(append(rootfsFiles[:len(rootfsFiles):len(rootfsFiles)], "etc/minios-release=VERSION=\"5.0\"\nEDITION=standard\n"), files...)...)
}

// stickWith is a stick with one ext4 that has these files.
func stickWith(files ...string) *systest.Disk {
	return &systest.Disk{Name: "sda", Removable: true, Parts: []*systest.Part{{Number: 1, FS: "ext4", Files: files}}}
}

// aSet is a small set of modules, and what is given besides.
func aSet(files ...string) []string {
	return append([]string{coreFile("minios/00-core.sb"), sbFile("minios/01-kernel-6.1.sb"), sbFile("minios/05-x.sb"), sbFile("minios/10-z.sb")}, files...)
}

// bootModules boots disks by the layout modules, and goes on where the real init
// would.
func bootModules(t *testing.T, words string, disks ...*systest.Disk) *systest.Kernel {
	t.Helper()
	return bootModulesWith(t, words, nil, disks...)
}

func bootModulesWith(t *testing.T, words string, break_ func(*systest.Kernel), disks ...*systest.Disk) *systest.Kernel {
	t.Helper()
	return bootImage(t, strings.TrimSpace(onModules+" "+words), break_, disks...)
}

// cutOff is a machine's disks after the power went, all that was written kept.
func cutOff(k *systest.Kernel) []*systest.Disk { return k.CutPower(func(int) bool { return true }) }

// failedWith fails unless the machine restarted, and said this.
func failedWith(t *testing.T, words, said string, disks ...*systest.Disk) {
	t.Helper()
	k := systest.New(onModules + " " + words)
	for _, d := range disks {
		k.AddDisk(d)
	}
	start(k, mount.InOrder)
	if k.Ended() != "reboot" || !strings.Contains(k.Trace(), said) {
		t.Errorf("%s: the run ends with %q, want a reboot and %q:\n%s", words, k.Ended(), said, k.Trace())
	}
}

// lowers are the names of the modules of the root, top first.
func lowers(k *systest.Kernel) (names []string) {
	for line := range strings.Lines(k.Trace()) {
		if !strings.HasPrefix(line, "mount overlay overlay /sysroot ") {
			continue
		}
		names = nil
		for option := range strings.SplitSeq(line, ",") {
			if at, ok := strings.CutPrefix(option, "lowerdir+="+bundlesDir+"/"); ok {
				names = append(names, at)
			}
		}
	}
	return names
}
