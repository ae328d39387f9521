package firstboot

import (
	"path"

	"github.com/minos-os/minos-init/pkg/sys"
)

// A settled boot opens no file of the data partition: the first file that is
// opened on a writable ext4 makes the kernel write to it (fs/ext4/file.c,
// ext4_sample_last_mounted). The machine-id is read in the new root, which shows
// a copy of that of the data partition, and dates tell whether it still is one.
// A boot that has read all three files and found the same id in them gives the
// copy, and the word that the first boot is complete, a date that is made of the
// original's. Whoever changes one of the three changes its date.

// etcFile is where programs look for the machine-id.
const etcFile = "/etc/machine-id"

// idSize is the size of a file that holds an id and nothing else, in bytes.
const idSize = 32 + 1

// copyDate is the date that says of a file that it was made of this one. The
// number of the original is in it, for machines that begin each boot in the year
// 1970: there a file that replaced another may have its date, to the tick of the
// clock, but never its number, which was taken while the other was there.
// A filesystem that keeps whole seconds could not tell enough of them apart.
func copyDate(original sys.FileInfo) (date int64, ok bool) {
	date = original.Modified + int64(original.Inode)
	return date, original.Mode.IsRegular() && original.Size == idSize && keepsDates(original.Modified)
}

// keepsDates tells from a date whether the filesystem has more than its seconds.
func keepsDates(date int64) bool { return date%1e9 != 0 }

// agreed tells whether the data partition has the id that the new root shows,
// with the first boot complete.
func (i *Identity) agreed(k sys.Kernel) bool {
	if i.etc.id == "" || i.etc.text != string(i.etc.id.line()) || i.etc.mode != 0o444 {
		return false
	}
	original, err := k.Lstat(path.Join(i.Data, MachineIDFile))
	if err != nil {
		return false
	}
	complete, err := k.Lstat(path.Join(i.Data, FirstBootFile))
	if err != nil || !complete.Mode.IsRegular() || complete.Size != idSize {
		return false
	}
	date, ok := copyDate(original)
	return ok && i.etc.dated == date && complete.Modified == date
}

// agree gives the files their dates. It comes after all that they say is durable:
// a cut leaves dates that differ, and the next boot reads the files again.
func (r RootIdentity) agree(k sys.Kernel) error {
	if r.settled || !r.onData {
		return nil
	}
	original, err := k.Lstat(path.Join(r.Data, MachineIDFile))
	if err != nil {
		return err
	}
	date, ok := copyDate(original)
	if !ok {
		return nil
	}
	where, _, err := k.ResolveIn(r.Root, etcFile)
	if err != nil {
		return err
	}
	for _, file := range []string{path.Join(r.Data, FirstBootFile), path.Join(r.Root, where)} {
		info, err := k.Lstat(file)
		if err != nil {
			return err
		}
		if info.Modified == date || !keepsDates(info.Modified) {
			continue
		}
		if err := k.SetModified(file, date); err != nil {
			return err
		}
	}
	return nil
}
