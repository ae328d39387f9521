package main

import (
	"slices"
	"strings"

	"github.com/minos-os/minos-init/qemu"
)

// sessionScenarios are about the layout modules.
func sessionScenarios() []scenario { return slices.Concat(directorySessions(), imageSessions()) }

// sessionWords chooses the layout. Where a torn superblock leaves no medium, the
// wait for one need not be long.
func sessionWords(perch ...string) []string {
	return append([]string{"minos.layout=modules", "minos.timeout=20"}, perch...)
}

// setFile is the set's one module, on the partition that has it.
const setFile = "img/minios/00-core.sb"

// directorySessions are a session that is made, and one that becomes the default
// while another stays what it is.
func directorySessions() []scenario {
	const mark = "mark:/dev/vda1"
	words := sessionWords
	core := expected{path: setFile, texts: []string{"image 1"}, where: stored}
	two := []step{
		{words: words("perchdir=new"), do: written("/etc/mine", "1")},
		{words: words("perchdir=new"), do: written("/etc/mine", "2")},
	}
	otherKept := expected{path: "img/minios/changes/2/changes/etc/mine", texts: []string{"2"}, where: stored}
	return []scenario{
		{
			// Wherever the cut is, the next boot has a session; once the
			// system could write to it, that one.
			name: "session made", words: words("perchdir=resume"), images: stick,
			do: slices.Concat(written("/etc/mine", "1"), []string{mark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"1"}, where: shown, marked: 1}, core,
			},
		},
		{
			name: "session beside another", words: words("perchdir=new"), later: words("perchdir=resume"), images: stick,
			before: two[1:],
			do:     slices.Concat(written("/etc/mine", "3"), []string{mark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"3"}, where: shown, marked: 1}, core,
				{path: "img/minios/changes/1/changes/etc/mine", texts: []string{"2"}, where: stored},
			},
		},
		{
			// Which one perch resumes is the one or the other until the change
			// is stored, and the files of neither change.
			name: "default session changed", words: words("perchdir=1"), later: words("perch"), images: stick,
			before: two,
			do:     slices.Concat(written("/etc/more", "3"), []string{mark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"1", "2"}, where: shown},
				{path: "/etc/mine", texts: []string{"1"}, where: shown, marked: 1},
				{path: "/etc/more", texts: []string{"3"}, where: shown, marked: 1},
				{path: "img/minios/changes/1/changes/etc/mine", texts: []string{"1"}, where: stored}, otherKept, core,
			},
		},
		{
			name: "session resumed", words: words("perch"), images: stick, before: two,
			do: slices.Concat(written("/etc/more", "3"), []string{"replace:/etc/mine=4", "fsync:/etc/mine", mark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"2", "4"}, where: shown},
				{path: "/etc/mine", texts: []string{"4"}, where: shown, marked: 1},
				{path: "/etc/more", texts: []string{"3"}, where: shown, marked: 1},
				{path: "img/minios/changes/1/changes/etc/mine", texts: []string{"1"}, where: stored}, core,
			},
		},
	}
}

// imageSessions are a session in an image that is made, and one that grows.
func imageSessions() []scenario {
	const mark = "mark:/dev/vda1"
	words := func(perch, size string) []string {
		return sessionWords(perch, "perchmode=raw", "perchsize="+size, "perchreserve=16")
	}
	tooled := expected{path: setFile, texts: []string{"core"}, where: stored}
	return []scenario{
		{
			// As "session made", in an image: an ext4 in a file that gets its name when
			// it is whole.
			name: "session image made", words: words("perchdir=resume", "64"), images: rawStick,
			do: slices.Concat(written("/etc/mine", "1"), []string{mark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"1"}, where: shown, marked: 1}, tooled,
			},
		},
		{
			// The file grows, and its filesystem after it: at this boot or the next.
			name: "session image grown", words: words("perchdir=resume", "96"), images: rawStick,
			before: []step{{words: words("perchdir=new", "64"), do: written("/etc/mine", "1")}},
			do:     slices.Concat([]string{"replace:/etc/mine=2", "fsync:/etc/mine"}, written("/etc/more", "3"), []string{mark}),
			files: []expected{
				{path: "/etc/mine", texts: []string{"1", "2"}, where: shown},
				{path: "/etc/mine", texts: []string{"2"}, where: shown, marked: 1},
				{path: "/etc/more", texts: []string{"3"}, where: shown, marked: 1}, tooled,
			},
		},
	}
}

// rawStick is stick with a core that has tools for sessions in an image.
func rawStick(p parts) qemu.ImageDisk {
	p.images[0] = p.core
	return stick(p)
}

// stick is a disk with a set of one module, on the partition that has the image in
// the layout image; the two others have nothing for a boot.
func stick(p parts) qemu.ImageDisk {
	d := imageDisk("")
	tree := qemu.Tree{}.With(qemu.Dir("minios"), qemu.File{Name: "minios/00-core.sb", Mode: 0o644, From: p.images[0]})
	d.Img.Content = qemu.Ext4{Label: "MINIOS", UUID: "6d696e6f-7300-4000-8000-00000000000d", Tree: tree}
	return d
}

// lostMedium tells whether a boot failed because the superblock of the medium is
// torn, and said so: nothing can be mounted then.
func lostMedium(r result) bool {
	return failedClearly(r) && strings.Contains(lineOf(r.console, "minos: FAILED step=disk "), "vda2: no filesystem that is known")
}
