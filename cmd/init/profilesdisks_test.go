package main

import (
	"encoding/json"
	"maps"
	"path"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// onProfiles is the command line of the layout profiles.
const onProfiles = "quiet minos.layout=profiles"

// topLevel is where the btrfs of the profiles is seen.
const topLevel = "/run/initramfs/profiles"

// subvolumes of the disks of the layout profiles.
type subvolumes = map[string]sys.Subvolume

// base are the files of a base, which says which version it is, with the modules
// of these kernels.
func base(version string, kernels ...string) []string {
	var files []string
	for _, f := range append(rootfsFiles[:len(rootfsFiles):len(rootfsFiles)], "etc/version="+version) {
		files = append(files, path.Join("@base", version, f)+dirMark(f))
	}
	for _, k := range append(kernels, "6.12.0-test") {
		files = append(files, path.Join("@base", version, "usr/lib/modules", k)+"/")
	}
	return files
}

// dirMark is what path.Join takes off the name of a directory.
func dirMark(file string) string {
	if strings.HasSuffix(file, "/") {
		return "/"
	}
	return ""
}

// profile are the files of a profile that was used, with one of its own.
func profile(id string, more ...string) []string {
	dir := "@profiles/" + id + "/"
	files := []string{dir + "upper/root/etc/whose=" + id, dir + "upper/root/run/", dir + "upper/work/work/", dir + `profile.json={"name": "` + id + `"}`}
	for _, f := range more {
		files = append(files, dir+f)
	}
	return files
}

// internal is the device's own disk: two bases, of which 1.0 is current, and two
// profiles.
func internal(more ...string) *systest.Disk {
	files := append(base("1.0"), base("2.0")...)
	files = append(append(files, profile("desk")...), profile("router")...)
	return profilesDisk("mmcblk0", "flipperos", subvolumes{
		"@base/1.0": {ID: 256, ReadOnly: true}, "@base/2.0": {ID: 257, ReadOnly: true},
		"@profiles/desk/upper": {ID: 258}, "@profiles/router/upper": {ID: 259}, "@data": {ID: 260},
	}, append(append(files, "@base/current->1.0", "@data/shared=yes"), more...)...)
}

func profilesDisk(name, label string, subs subvolumes, files ...string) *systest.Disk {
	return &systest.Disk{Name: name, Parts: []*systest.Part{
		{Number: 1, FS: "vfat", Label: "boot", Files: []string{"boot.scr=x"}},
		{Number: 2, FS: "btrfs", Label: label, Files: files, Subvolumes: subs},
	}}
}

// sdCard is a second btrfs, with profiles of its own and no base.
func sdCard(files ...string) *systest.Disk {
	card := profilesDisk("sda", "flipperos-sd", subvolumes{"@profiles/desk/upper": {ID: 300}, "@profiles/lab/upper": {ID: 301}},
		append(append(profile("desk"), profile("lab")...), files...)...)
	return removable(with(card, 2, append(card.Parts[1].Files, "@profiles/desk/upper/root/etc/on=card")...))
}

// changed is the disk with other subvolumes; one without a number is none.
func changed(d *systest.Disk, subs subvolumes) *systest.Disk {
	all := d.Parts[1].Subvolumes
	maps.Copy(all, subs)
	maps.DeleteFunc(all, func(_ string, s sys.Subvolume) bool { return s.ID == 0 })
	return d
}

// dropped is the disk without the files below a path.
func dropped(d *systest.Disk, below ...string) *systest.Disk {
	var kept []string
	for _, f := range d.Parts[1].Files {
		keep := true
		for _, b := range below {
			keep = keep && !strings.HasPrefix(f, b)
		}
		if keep {
			kept = append(kept, f)
		}
	}
	for _, b := range below {
		maps.DeleteFunc(d.Parts[1].Subvolumes, func(name string, _ sys.Subvolume) bool { return strings.HasPrefix(name+"/", b) })
	}
	d.Parts[1].Files = kept
	return d
}

// bootProfiles boots disks by the layout profiles.
func bootProfiles(t *testing.T, words string, disks ...*systest.Disk) *systest.Kernel {
	t.Helper()
	return bootProfilesWith(t, words, nil, disks...)
}

func bootProfilesWith(t *testing.T, words string, break_ func(*systest.Kernel), disks ...*systest.Disk) *systest.Kernel {
	t.Helper()
	return bootImage(t, strings.TrimSpace(onProfiles+" "+words), break_, disks...)
}

// bootReport is what boot.json says of a boot of profiles.
type profilesReport struct {
	Choice, Base struct {
		Value, Source, Reason string
		Rejected              []struct{ Value, Reason string }
	}
	Overlay struct {
		Lowers, Options   []string
		Upper, Durability string
		Subvolume         uint64
	}
	Roles           []struct{ Name, State string }
	Degraded        bool
	DegradedReasons []string `json:"degraded_reasons"`
	Warnings        []string
}

func reportOf(t *testing.T, k *systest.Kernel) (r profilesReport) {
	t.Helper()
	if k.MountedAt("/") != "overlay" {
		t.Fatalf("it ended with %q:\n%s", k.Ended(), k.Trace())
	}
	if err := json.Unmarshal([]byte(readFile(k, "/run/minos/boot.json")), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// summary is a boot in one line.
func (r profilesReport) summary() string {
	s := r.Choice.Value + " by " + r.Choice.Source + " over " + r.Base.Value + " by " + r.Base.Source + ", " + r.Overlay.Durability
	if r.Degraded {
		s += ", degraded"
	}
	return s
}

// failsOnProfiles boots a disk that has to end in a restart, and returns what was
// said.
func failsOnProfiles(t *testing.T, words string, d *systest.Disk) *systest.Kernel {
	t.Helper()
	k := systest.New(onProfiles + " " + words)
	k.AddDisk(d)
	start(k, mount.InOrder)
	if k.Ended() != "reboot" || k.MountedAt(topLevel) != "" {
		t.Errorf("%s: it ends with %q:\n%s", words, k.Ended(), k.Trace())
	}
	return k
}
