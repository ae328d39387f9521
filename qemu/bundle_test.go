package qemu

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Each table's names of devices are those that its partitions have.
func TestRAUCConfiguration(t *testing.T) {
	const want = `[system]
compatible=minos-demo
bootloader=uboot
bundle-formats=verity
statusfile=/data/config/rauc.status

[keyring]
path=/etc/rauc/keyring.pem
use-bundle-signing-time=true

[slot.kernel.0]
device=KERNEL-A
type=raw
bootname=A

[slot.rootfs.0]
device=ROOTFS-A
type=raw
parent=kernel.0

[slot.kernel.1]
device=KERNEL-B
type=raw
bootname=B

[slot.rootfs.1]
device=ROOTFS-B
type=raw
parent=kernel.1
`
	for _, test := range []struct {
		name                               string
		gpt                                bool
		kernelA, rootfsA, kernelB, rootfsB string
		environment                        string
	}{
		{"MBR", false, "/dev/vda5", "/dev/vda6", "/dev/vda7", "/dev/vda8", "/dev/vda9 0x0000 0x4000\n"},
		{"GPT", true, "/dev/disk/by-partlabel/kernel-a", "/dev/disk/by-partlabel/rootfs-a",
			"/dev/disk/by-partlabel/kernel-b", "/dev/disk/by-partlabel/rootfs-b", "/dev/disk/by-partlabel/bootstate 0x0000 0x4000\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			disk := debianDisk(Debian{}, test.gpt)
			names := strings.NewReplacer("KERNEL-A", test.kernelA, "ROOTFS-A", test.rootfsA, "KERNEL-B", test.kernelB, "ROOTFS-B", test.rootfsB)
			for _, part := range []Partition{disk.RootFSA, disk.RootFSB} {
				files := map[string]string{}
				for _, f := range part.Content.(Ext4).Tree.Files {
					files[f.Name] = f.Data
				}
				if diff := cmp.Diff(names.Replace(want), files["etc/rauc/system.conf"]); diff != "" {
					t.Errorf("system.conf (-want +got):\n%s", diff)
				}
				if files["etc/fw_env.config"] != test.environment {
					t.Errorf("fw_env.config is %q, want %q", files["etc/fw_env.config"], test.environment)
				}
			}
		})
	}
}

// noise is bytes that cannot be compressed, always the same: a bundle has at
// least 4 KiB.
func noise(n int) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{}).Read(data)
	return data
}

// A bundle holds what it was made of, RAUC accepts it with the keyring of its
// keys, and with no other.
func TestBundle(t *testing.T) {
	tools(t, "rauc", "openssl", "mksquashfs")
	var keys [2]UpdateKeys
	for i := range keys {
		var err error
		if keys[i], err = (&Cache{Dir: t.TempDir()}).UpdateKeys(); err != nil {
			t.Fatal(err)
		}
	}
	kernel, root := noise(10_000), noise(20_000)
	bundle := filepath.Join(t.TempDir(), "test.raucb")
	recipe := Bundle{Version: "7", Kernel: Bytes(kernel), RootFS: Partition{MiB: 1, Content: Bytes(root)}}
	for range 2 { // the second takes the place of the first
		if err := recipe.Write(bundle, keys[0]); err != nil {
			t.Fatal(err)
		}
	}
	output, err := Tool("rauc", "info", "--keyring="+keys[0].Authority, "--output-format=shell", bundle)
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	shows(t, string(output), "RAUC_MF_COMPATIBLE='minos-demo'", "RAUC_MF_VERSION='7'", "RAUC_IMAGE_CLASS_0='kernel'", "RAUC_IMAGE_CLASS_1='rootfs'")
	content := filepath.Join(t.TempDir(), "content")
	if output, err := Tool("rauc", "extract", "--keyring="+keys[0].Authority, bundle, content); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	for name, want := range map[string][]byte{"kernel.img": kernel, "rootfs.img": root} {
		got, err := os.ReadFile(filepath.Join(content, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v; it has %d bytes that are not those of the recipe", name, err, len(got))
		}
	}
	output, err = Tool("rauc", "info", "--keyring="+keys[1].Authority, bundle)
	if err == nil || !strings.Contains(string(output), "signature verification failed") {
		t.Errorf("with the keyring of others: %v\n%s", err, output)
	}
}

func TestWriteUpdates(t *testing.T) {
	tools(t, "mke2fs", "debugfs", "blkid")
	bundle := filepath.Join(t.TempDir(), "a.raucb")
	content := bytes.Repeat([]byte("0123456789abcdef"), mib)
	if err := os.WriteFile(bundle, content, 0o644); err != nil {
		t.Fatal(err)
	}
	image, copied := filepath.Join(t.TempDir(), "updates.img"), filepath.Join(t.TempDir(), "copy")
	if err := WriteUpdates(image, bundle); err != nil {
		t.Fatal(err)
	}
	if output, err := Tool("blkid", "-s", "LABEL", "-o", "value", image); err != nil || string(output) != "updates\n" {
		t.Errorf("%v; the label is %q", err, output)
	}
	if output, err := Tool("debugfs", "-R", "dump /a.raucb "+copied, image); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	if got, err := os.ReadFile(copied); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%v; the bundle on the medium differs", err)
	}
	if err := WriteUpdates(image, "/nowhere.raucb"); err == nil || !strings.Contains(err.Error(), "make bundle") {
		t.Errorf("without the bundle: %v", err)
	}
}
