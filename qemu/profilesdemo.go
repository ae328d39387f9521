package qemu

import "fmt"

// DemoProfiles are the profiles of the demo, by their IDs.
var DemoProfiles = []string{"desk", "router"}

// DemoProfilesDisk is the recipe of a card with the demo's Debian as a base, two
// profiles and what they share. minosctl is the tool for the base, "" for none.
func DemoProfilesDisk(debian Debian, minosctl string) ImageDisk {
	base := Tree{Base: debian.RootFS}.With(
		Text("usr/lib/os-release", debian.OSRelease+"IMAGE_ID=minos-demo-profiles\nIMAGE_VERSION="+DemoVersion+"\n"),
		Text("etc/minos-version", DemoVersion+"\n"),
		Text("etc/fstab", "# The initramfs mounts / and /data.\n"),
	)
	if minosctl != "" {
		base = base.With(File{Name: "usr/bin/minosctl", Mode: 0o755, From: minosctl})
	}
	content := Btrfs{
		Label:      "flipperos",
		Tree:       Tree{}.With(Dir("@base"), Link("@base/current", DemoVersion), Dir("@profiles"), Dir("@pristine")),
		Subvolumes: []Subvolume{{Name: "@base/" + DemoVersion, ReadOnly: true, Tree: base}},
	}
	for _, id := range DemoProfiles {
		content.Tree = content.Tree.With(Dir("@profiles/"+id), Text("@profiles/"+id+"/profile.json",
			fmt.Sprintf("{\n  \"name\": \"the demo's %s\",\n  \"base\": %q,\n  \"origin\": \"new\"\n}\n", id, DemoVersion)))
		content.Subvolumes = append(content.Subvolumes, Profile(id, Dir("root/etc"), Text("root/etc/motd", "This is the profile "+id+".\n")))
	}
	content.Subvolumes = append(content.Subvolumes, Subvolume{Name: "@data"})
	return ProfilesDisk(1024, content)
}
