package block

// searchOtherDisks gives the roles that may be on any disk, and that the boot
// disk does not have, to what the other disks hold. There only a name or a label
// tells: a number says nothing of a disk that has another purpose. Of several
// none is taken, and a removable one is as good as any.
func (f Facts) searchOtherDisks(r *Resolution) {
	var missing []Want
	for _, w := range r.Missing {
		found := f.onOtherDisks(r.Disk, w)
		if len(found) == 1 {
			r.Matches[w.Role] = found[0]
			continue
		}
		missing = append(missing, w)
		for _, m := range found {
			if r.Ambiguous == nil {
				r.Ambiguous = map[string][]Device{}
			}
			r.Ambiguous[w.Role] = append(r.Ambiguous[w.Role], m.Device)
		}
	}
	r.Missing = missing
}

// onOtherDisks are all that a role could mean outside of the boot disk.
func (f Facts) onOtherDisks(bootDisk string, w Want) (found []Match) {
	if !w.AnyDisk {
		return nil
	}
	for _, disk := range f.Known.Disks() {
		if disk.Name == bootDisk {
			continue
		}
		parts := f.Known.Partitions(disk.Name)
		if len(parts) == 0 {
			parts = []Device{disk} // a stick may hold a filesystem and no table
		}
		for _, p := range parts {
			switch {
			case w.Name != "" && p.PartName == w.Name:
				found = append(found, Match{p, "GPT name"})
			case w.Label != "" && f.Label(p) == w.Label:
				found = append(found, Match{p, "label"})
			}
		}
	}
	return found
}
