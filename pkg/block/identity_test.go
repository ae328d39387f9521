package block

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minos-os/minos-init/pkg/sys"
)

// fileKernel opens files in place of devices.
type fileKernel struct {
	sys.Kernel
	files map[string][]byte
}

type memDevice struct{ *bytes.Reader }

func (m memDevice) Size() (int64, error) { return m.Reader.Size(), nil }
func (memDevice) Close() error           { return nil }

func (k fileKernel) OpenDevice(path string) (sys.Device, error) {
	data, ok := k.files[path]
	if !ok {
		return nil, os.ErrNotExist
	}
	return memDevice{bytes.NewReader(data)}, nil
}

// recipe makes images as a reproducible build does: the same UUID, hash seed
// and time each time.
type recipe struct {
	fstype string
	make   func(t *testing.T, tree, image string)
}

func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin/", "/sbin/"} {
		if err != nil {
			path, err = exec.LookPath(dir + name)
		}
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s is not installed, and CI has to have it", name)
		}
		t.Skipf("SKIPPED: %s is not installed", name)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "E2FSPROGS_FAKE_TIME=1700000000")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func recipes() []recipe {
	return []recipe{
		{"ext4", func(t *testing.T, tree, image string) {
			tool(t, "mke2fs", "-q", "-t", "ext4", "-b", "4096", "-U", "6d696e6f-732d-696e-6974-000000000001",
				"-E", "hash_seed=6d696e6f-732d-696e-6974-000000000002,root_owner=0:0", "-d", tree, image, "16M")
		}},
		{"squashfs", func(t *testing.T, tree, image string) {
			tool(t, "mksquashfs", tree, image, "-quiet", "-no-progress", "-noappend", "-all-root", "-all-time", "1700000000")
		}},
		{"erofs", func(t *testing.T, tree, image string) {
			tool(t, "mkfs.erofs", "-T1700000000", "-U6d696e6f-732d-696e-6974-000000000001", "--all-root", image, tree)
		}},
	}
}

// build makes an image of a small root filesystem in which one file has this
// content, and returns its identity.
func (r recipe) build(t *testing.T, content string) string {
	t.Helper()
	dir := t.TempDir()
	tree, image := filepath.Join(dir, "tree"), filepath.Join(dir, "image")
	const release = "ID=test\n"
	for name, text := range map[string]string{"etc/os-release": release, "usr/bin/tool": content, "usr/bin/other": strings.Repeat("x", 9000)} {
		file := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.make(t, tree, image)
	data, err := os.ReadFile(image)
	if err != nil {
		t.Fatal(err)
	}
	k := fileKernel{files: map[string][]byte{"/dev/slot": data}}
	super, err := Probe(bytes.NewReader(data), int64(len(data)))
	if err != nil || super.Type != r.fstype {
		t.Fatalf("Probe = %+v, %v", super, err)
	}
	id, err := Identity(k, Device{Name: "slot"}, super, []byte(release))
	if err != nil || !strings.HasPrefix(id, r.fstype+":") {
		t.Fatalf("Identity = %q, %v", id, err)
	}
	return id
}

// Two images of one recipe: the same UUID and times; one file has grown.
func TestIdentityTellsImagesOfOneRecipeApart(t *testing.T) {
	for _, r := range recipes() {
		t.Run(r.fstype, func(t *testing.T) {
			old := r.build(t, strings.Repeat("#!/bin/sh\n", 100))
			if updated := r.build(t, strings.Repeat("#!/bin/sh\n", 1000)); updated == old {
				t.Errorf("two images have the same identity, %s", old)
			}
		})
	}
}

// An image that is written again, and one whose version alone has changed.
func TestIdentityOfTheSameBytes(t *testing.T) {
	sb := make([]byte, 128<<10)
	copy(sb[1024:], make([]byte, 1024))
	sb[1024+24], sb[1024+4], sb[1024+33] = 2, 16, 128
	k := fileKernel{files: map[string][]byte{"/dev/a": sb, "/dev/b": bytes.Clone(sb)}}
	id := func(name, extra string) string {
		got, err := Identity(k, Device{Name: name}, Superblock{Type: "ext4"}, []byte(extra))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if id("a", "v1") != id("b", "v1") {
		t.Error("the same bytes have two identities")
	}
	if id("a", "v1") == id("a", "v2") {
		t.Error("another version has the same identity")
	}
}

func TestIdentityOfGarbage(t *testing.T) {
	k := fileKernel{files: map[string][]byte{"/dev/zero": make([]byte, 8192), "/dev/short": make([]byte, 100)}}
	for _, name := range []string{"zero", "short", "missing"} {
		for _, fstype := range []string{"ext4", "squashfs"} {
			if id, err := Identity(k, Device{Name: name}, Superblock{Type: fstype}, nil); err == nil {
				t.Errorf("Identity of %s as %s = %s", name, fstype, id)
			}
		}
	}
}

//fuzz:covers identity.go
func FuzzIdentity(f *testing.F) {
	f.Add(make([]byte, 4096), 0)
	sb := make([]byte, 4096)
	sb[1024+24], sb[1024+4], sb[1024+33] = 2, 16, 128
	f.Add(sb, 0)
	squash := append([]byte("hsqs"), make([]byte, 200)...)
	squash[40], squash[64] = 200, 100
	f.Add(squash, 1)
	f.Fuzz(func(t *testing.T, data []byte, kind int) {
		k := fileKernel{files: map[string][]byte{"/dev/x": data}}
		fstype := []string{"ext4", "squashfs", "erofs"}[uint(kind)%3]
		one, err := Identity(k, Device{Name: "x"}, Superblock{Type: fstype}, nil)
		two, err2 := Identity(k, Device{Name: "x"}, Superblock{Type: fstype}, nil)
		if one != two || (err == nil) != (err2 == nil) {
			t.Errorf("two looks: %q %v, %q %v", one, err, two, err2)
		}
	})
}
