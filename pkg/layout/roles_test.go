package layout

import (
	"strings"
	"testing"
	"time"

	"github.com/minos-os/minos-init/pkg/block"
	"github.com/minos-os/minos-init/pkg/config"
	"github.com/minos-os/minos-init/pkg/mount"
	"github.com/minos-os/minos-init/pkg/sys/systest"
)

// builtIn is a kernel that needs no modules.
type builtIn struct{}

func (builtIn) Filesystem(string) error { return nil }
func (builtIn) Unknown(string) error    { return nil }

// A role that may be on any disk, as a layout declares it.
func TestAnyDiskRole(t *testing.T) {
	roles := []role{
		{name: "rootfs-a", label: "rootfs-a", number: 6, holds: []string{"ext4"}, required: true, perSlot: true},
		{name: "newimg", label: "newimg", anyDisk: true, holds: []string{"ext4"}},
	}
	card := func() *systest.Disk {
		return &systest.Disk{Name: "mmcblk0", Parts: []*systest.Part{{Number: 6, FS: "ext4"}}}
	}
	stick := func(name, label string) *systest.Disk {
		return &systest.Disk{Name: name, Removable: true, Parts: []*systest.Part{{Number: 1, FS: "ext4", Label: label}}}
	}
	for _, test := range []struct {
		name    string
		cmdline string
		disks   []*systest.Disk
		device  string
		reason  string // why it cannot be used
	}{
		{"on a stick", "", []*systest.Disk{card(), stick("sda", "newimg")}, "/dev/sda1", ""},
		{"nowhere", "", []*systest.Disk{card(), stick("sda", "photos")}, "",
			"there is no newimg (GPT name newimg, else label newimg, on any disk)"},
		{"on two sticks", "", []*systest.Disk{card(), stick("sda", "newimg"), stick("sdb", "newimg")}, "",
			"/dev/sda1, /dev/sdb1 could each be newimg (GPT name newimg, else label newimg, on any disk); leave one of them in, or give it a GPT name of its own for minos.part.newimg="},
		{"named", "minos.part.newimg=mine", []*systest.Disk{card(), stick("sda", "newimg"),
			{Name: "sdb", Parts: []*systest.Part{{Number: 2, Name: "mine", FS: "ext4"}}}}, "/dev/sdb2", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := systest.New(test.cmdline)
			for _, d := range test.disks {
				k.AddDisk(d)
			}
			for _, m := range mount.API() {
				if err := m.Apply(mount.Env{Kernel: k, Modules: builtIn{}}); err != nil {
					t.Fatal(err)
				}
			}
			disks, err := block.Watch(k, "/sys", func(string) {})
			if err != nil {
				t.Fatal(err)
			}
			found, err := find(Machine{Kernel: k, Config: config.Parse(nil, []byte(test.cmdline)), Disks: disks, Timeout: time.Second, Say: func(string) {}}, roles, nil)
			if err != nil {
				t.Fatal(err)
			}
			p := found.role("newimg")
			reason := ""
			if p.err != nil {
				reason = p.err.Error()
			}
			device := ""
			if p.match.By != "" {
				device = p.match.Device.Path()
			}
			if device != test.device || reason != test.reason {
				t.Errorf("newimg is %q, %q; want %q, %q", device, reason, test.device, test.reason)
			}
			if len(found.warnings) != 0 || !strings.HasPrefix(found.disk, "mmcblk0") {
				t.Errorf("the boot disk is %s, warnings %q", found.disk, found.warnings)
			}
		})
	}
}
