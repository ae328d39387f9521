package qemu

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What is put into a filesystem is there, root's, in place of what was there,
// and the filesystem stays sound.
func TestPutFiles(t *testing.T) {
	tools(t, "sfdisk", "fakeroot", "mke2fs", "debugfs", "e2fsck")
	tree := Tree{}.With(Dir("usr"), Dir("usr/bin"), Text("usr/bin/tool", "old"), Text("usr/bin/other", "other"))
	disk := Disk{ID: 1, RootFSB: Partition{MiB: 8, Content: Ext4{Label: "rootfs", Tree: tree}}, KernelA: Partition{MiB: 1}}
	image := filepath.Join(t.TempDir(), "disk.img")
	if err := disk.Write(image); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, noise(3*mib), 0o600); err != nil {
		t.Fatal(err)
	}
	err := disk.PutFiles("rootfs-b", image,
		File{Name: "usr/bin/tool", Mode: 0o755, From: program}, Text("usr/bin/note", "new"), Link("usr/bin/alias", "tool"))
	if err != nil {
		t.Fatal(err)
	}
	ranges := disk.Ranges()
	filesystem := extract(t, image, ranges[len(ranges)-1])
	if output, err := Tool("e2fsck", "-fn", filesystem); err != nil {
		t.Errorf("%v\n%s", err, output)
	}
	for path, want := range map[string][]string{
		"/usr/bin/tool":  {"Mode:  0755", "User:     0   Group:     0", "Size: 3145728"},
		"/usr/bin/note":  {"Mode:  0644", "Size: 3"},
		"/usr/bin/alias": {"Type: symlink", `Fast link dest: "tool"`},
		"/usr/bin/other": {"Size: 5"},
	} {
		output, err := Tool("debugfs", "-R", "stat "+path, filesystem)
		if err != nil {
			t.Fatalf("%v\n%s", err, output)
		}
		shows(t, string(output), want...)
	}
	for _, test := range []struct{ partition, file, says string }{
		{"rootfs-b", "nowhere/x", "nowhere/x is not there afterwards"},
		{"data", "x", "there is no such partition"},
	} {
		if err := disk.PutFiles(test.partition, image, Text(test.file, "x")); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s of %s: error %v, want %q", test.file, test.partition, err, test.says)
		}
	}
}
