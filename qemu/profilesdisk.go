package qemu

// ProfilesDisk is the recipe of a card of the layout profiles: a FAT, and a btrfs
// of that many MiB.
func ProfilesDisk(mebibytes int, content Btrfs) ImageDisk {
	return ImageDisk{
		ID:   0x70726f66,
		Boot: Partition{MiB: minFAT / mib, Content: FAT{Label: "boot", ID: 0x70726f66}},
		Img:  Partition{MiB: mebibytes, Content: content},
	}
}

// Profile is an empty profile.
func Profile(id string, more ...File) Subvolume {
	return Subvolume{Name: "@profiles/" + id + "/upper", Tree: Tree{}.With(Dir("root"), Dir("work")).With(more...)}
}
