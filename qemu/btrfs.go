package qemu

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Btrfs is a btrfs as large as its partition.
type Btrfs struct {
	Label      string
	Tree       Tree        // outside of the subvolumes
	Subvolumes []Subvolume // parents first
}

// Subvolume is a subvolume of a Btrfs, with its content.
type Subvolume struct {
	Name     string // its path from the top level: "@base/1.0"
	ReadOnly bool
	Tree     Tree
}

// btrfsScript mounts a new btrfs where nobody else sees it, and unpacks the
// archives that are beside the list of what belongs where. What is read-only
// becomes so when all is there.
const btrfsScript = `file=$1 work=$2
mkfs.btrfs -q -L "$3" "$file"
mkdir "$work/at"
mount -t btrfs -o loop,subvolid=5 "$file" "$work/at"
while read -r number mode name; do
	if [ "$mode" != top ]; then
		mkdir -p "$work/at/$(dirname "$name")"
		btrfs -q subvolume create "$work/at/$name"
	fi
	tar --extract --directory="$work/at/$name" --preserve-permissions --same-owner --numeric-owner --file="$work/$number.tar"
	[ "$mode" != ro ] || btrfs property set "$work/at/$name" ro true
done <"$work/list"
umount "$work/at"`

// Make implements Content. It needs root, or sudo without a password, since only a
// mounted btrfs gets subvolumes; and btrfs-progs, tar, and a kernel with btrfs.
func (b Btrfs) Make(file string, size int64) error {
	work, err := os.MkdirTemp("", "minos-btrfs-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for the btrfs %q: %w", b.Label, err)
	}
	defer os.RemoveAll(work)
	list := "0 top .\n"
	for i, s := range append([]Subvolume{{Tree: b.Tree}}, b.Subvolumes...) {
		out, err := os.Create(filepath.Join(work, strconv.Itoa(i)+".tar"))
		if err != nil {
			return fmt.Errorf("cannot make the archive of a subvolume: %w", err)
		}
		if err := errors.Join(s.Tree.WriteTar(out), out.Close()); err != nil {
			return fmt.Errorf("cannot write the archive of the subvolume %s: %w", s.Name, err)
		}
		if mode := "rw"; i > 0 {
			if s.ReadOnly {
				mode = "ro"
			}
			list += fmt.Sprintf("%d %s %s\n", i, mode, s.Name)
		}
	}
	if err := os.WriteFile(filepath.Join(work, "list"), []byte(list), 0o644); err != nil {
		return fmt.Errorf("cannot list the subvolumes: %w", err)
	}
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return fmt.Errorf("cannot make the btrfs %q: %w", b.Label, err)
	}
	if err := os.Truncate(file, size); err != nil {
		return fmt.Errorf("cannot size the btrfs %q: %w", b.Label, err)
	}
	if err := runAlone(btrfsScript, file, work, b.Label); err != nil {
		return fmt.Errorf("cannot make the btrfs %q (it takes root, and a kernel with btrfs and loop devices): %w", b.Label, err)
	}
	return nil
}

// ChangeBtrfs runs a script of the shell, which finds the top level of a btrfs in
// $at, with the first of its arguments. start and size are where the filesystem
// lies in the file, in bytes. It needs what Btrfs.Make does.
func ChangeBtrfs(file string, start, size int64, script string) error {
	at, err := os.MkdirTemp("", "minos-btrfs-")
	if err != nil {
		return fmt.Errorf("cannot make a directory for a btrfs: %w", err)
	}
	defer os.RemoveAll(at)
	err = runAlone(`at=$1
mount -t btrfs -o "loop,subvolid=5,offset=$3,sizelimit=$4" "$2" "$at"
`+script+`
umount "$at"`, at, file, strconv.FormatInt(start, 10), strconv.FormatInt(size, 10))
	if err != nil {
		return fmt.Errorf("cannot change the btrfs in %s: %w", file, err)
	}
	return nil
}

// runAlone runs a script of the shell as root, in a namespace of its own, which
// takes its mounts along when it ends.
func runAlone(script string, args ...string) error {
	argv := append([]string{"unshare", "--mount", "sh", "-euc", script, "sh"}, args...)
	if os.Geteuid() != 0 {
		argv = append([]string{"sudo", "-n", "--"}, argv...)
	}
	return run(nil, argv[0], argv[1:]...)
}
