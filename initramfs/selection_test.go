package main

import (
	"bytes"
	"debug/elf"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/minos-os/minos-init/pkg/kmod"
)

func selectFrom(t *testing.T, files map[string][]byte, sets, extra []string) (selection, error) {
	t.Helper()
	arch, err := findArchitecture("arm64")
	if err != nil {
		t.Fatal(err)
	}
	return selectModules(options{arch: arch, modules: moduleDir(t, files), sets: sets, extra: extra})
}

// testKernel is a kernel with modules in every way of packing.
func testKernel(t *testing.T) map[string][]byte {
	return map[string][]byte{
		"kernel/fs/overlayfs/overlay.ko.xz":       module(t, "name=overlay", "alias=fs-overlay"),
		"kernel/fs/erofs/erofs.ko.zst":            module(t, "name=erofs", "alias=fs-erofs", "depends=libcrc32c"),
		"kernel/lib/libcrc32c.ko.gz":              module(t, "name=libcrc32c", "softdep=pre: crc32c"),
		"kernel/crypto/crc32c_generic.ko":         module(t, "name=crc32c_generic", "alias=crc32c"),
		"kernel/arch/arm64/crypto/crc32c-ce.ko":   module(t, "name=crc32c_ce", "alias=crc32c"),
		"kernel/fs/fat/vfat.ko.xz":                module(t, "name=vfat", "alias=fs-vfat", "depends=fat"),
		"kernel/fs/fat/fat.ko.xz":                 module(t, "name=fat"),
		"kernel/fs/nls/nls_cp437.ko":              module(t, "name=nls_cp437"),
		"kernel/fs/nls/nls_ascii.ko":              module(t, "name=nls_ascii"),
		"kernel/fs/isofs/isofs.ko":                module(t, "name=isofs", "alias=fs-iso9660"),
		"kernel/drivers/scsi/virtio_scsi.ko":      module(t, "name=virtio_scsi", "alias=virtio:d00000008v*", "depends=scsi_mod"),
		"kernel/drivers/scsi/sd_mod.ko":           module(t, "name=sd_mod", "depends=scsi_mod,scsi_common", "alias=scsi:t-0x00*"),
		"kernel/drivers/scsi/scsi_mod.ko":         module(t, "name=scsi_mod", "depends=scsi-common"),
		"kernel/drivers/scsi/scsi_common.ko":      module(t, "name=scsi_common"),
		"updates/scsi_common.ko":                  module(t, "name=scsi_common", "description=the update"),
		"modules.builtin":                         []byte("kernel/fs/ext4/ext4.ko\nkernel/fs/btrfs/btrfs.ko\n"),
		"modules.builtin.modinfo":                 []byte("ext4.alias=fs-ext4\x00btrfs.alias=fs-btrfs\x00fuse.alias=fs-fuseblk\x00"),
		"build/scripts/module.lds":                {},
		"kernel/drivers/hid/with-an-odd-name.txt": {},
	}
}

func TestSelectModules(t *testing.T) {
	s, err := selectFrom(t, testKernel(t), []string{"slots", "scsi"}, []string{"iso9660", "fuseblk", "btrfs"})
	if err != nil {
		t.Fatal(err)
	}
	text, err := s.index.Format()
	if err != nil {
		t.Fatal(err)
	}
	want := `overlay overlay.ko - fs-overlay
crc32c_ce crc32c_ce.ko - crc32c
crc32c_generic crc32c_generic.ko - crc32c
libcrc32c libcrc32c.ko crc32c_ce?,crc32c_generic?
erofs erofs.ko libcrc32c fs-erofs
fat fat.ko -
vfat vfat.ko fat fs-vfat
nls_cp437 nls_cp437.ko - fs-vfat
nls_ascii nls_ascii.ko - fs-vfat
scsi_common scsi_common.ko -
scsi_mod scsi_mod.ko scsi_common
virtio_scsi virtio_scsi.ko scsi_mod virtio:d00000008v*
sd_mod sd_mod.ko scsi_mod,scsi_common scsi:t-0x00*
isofs isofs.ko - fs-iso9660
`
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("index (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"btrfs", "ext4", "fuseblk"}, s.builtin); diff != "" {
		t.Errorf("built in (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"squashfs"}, s.lacking); diff != "" {
		t.Errorf("lacking (-want +got):\n%s", diff)
	}

	for _, record := range s.records {
		content := contentOf(t, record)
		switch {
		case strings.HasSuffix(record.Name, "/"+kmod.IndexFile):
			if content != want {
				t.Errorf("the index in the image is\n%s", content)
			}
		case !strings.HasPrefix(content, "\x7fELF"):
			t.Errorf("%s is packed", record.Name)
		case strings.HasSuffix(record.Name, "/scsi_common.ko") && !strings.Contains(content, "the update"):
			t.Error("the kernel's own scsi_common was taken, not its update")
		}
	}
}

// A kernel with vfat built in still needs the character sets that are modules.
func TestCompanionOfWhatIsBuiltIn(t *testing.T) {
	files := map[string][]byte{
		"nls_cp437.ko":    module(t),
		"nls_ascii.ko":    module(t),
		"modules.builtin": []byte("kernel/fs/fat/vfat.ko\n"),
	}
	s, err := selectFrom(t, files, []string{"slots"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range s.index {
		names = append(names, m.Name+" "+strings.Join(m.Aliases, " "))
	}
	if diff := cmp.Diff([]string{"nls_cp437 fs-vfat", "nls_ascii fs-vfat"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Without vfat they are of no use.
	files["modules.builtin"] = []byte("kernel/fs/ext4/ext4.ko\n")
	if s, err = selectFrom(t, files, []string{"slots"}, nil); err != nil || len(s.index) > 0 {
		t.Errorf("without vfat: %v, %v", s.index, err)
	}
}

func TestSelectModulesRefuses(t *testing.T) {
	other := elfFile(t, elf.EM_X86_64, ".modinfo", "vermagic="+testRelease+"\x00", elf.PT_NULL)
	old := elfFile(t, elf.EM_AARCH64, ".modinfo", "vermagic=5.10.1 SMP\x00", elf.PT_NULL)
	bare := elfFile(t, elf.EM_AARCH64, ".text", "", elf.PT_NULL)
	for _, test := range []struct {
		name  string
		files map[string][]byte
		extra []string
		want  []string
	}{
		{"not there", testKernel(t), []string{"r8169", "sd_mod", "qla2xxx"}, []string{"EXTRA", "r8169, qla2xxx", testRelease, "modules.builtin"}},
		{"no module at all", map[string][]byte{"modules.builtin": nil}, nil, []string{"cannot find a kernel module below", testRelease}},
		{"other architecture", map[string][]byte{"a.ko": other}, []string{"a"}, []string{"/a.ko", "EM_X86_64", "arm64"}},
		{"other release", map[string][]byte{"a.ko": old}, []string{"a"}, []string{"/a.ko", "5.10.1", testRelease}},
		{"no ELF file", map[string][]byte{"a.ko": []byte("?")}, []string{"a"}, []string{"/a.ko", "no ELF file"}},
		{"no .modinfo", map[string][]byte{"a.ko": bare}, []string{"a"}, []string{"/a.ko", ".modinfo"}},
		{"dependency not there", map[string][]byte{"b.ko": module(t, "depends=c")}, []string{"b"}, []string{"/b.ko", "needs module c"}},
		{"a circle", map[string][]byte{"a.ko": module(t, "depends=b"), "b.ko": module(t, "depends=a")}, []string{"a"}, []string{"b and a need each other"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := selectFrom(t, test.files, nil, test.extra)
			wantError(t, err, test.want...)
		})
	}
}

// A soft dependency on a module that needs this one is no circle.
func TestSoftCircle(t *testing.T) {
	files := map[string][]byte{"a.ko": module(t, "softdep=pre: b"), "b.ko": module(t, "depends=a")}
	s, err := selectFrom(t, files, nil, []string{"a", "b"})
	if err != nil {
		t.Fatal(err)
	}
	if text, err := s.index.Format(); err != nil {
		t.Errorf("%v: %s", err, text)
	}
}

// Damage is found, and named, in each kind of packing.
func TestDamagedModule(t *testing.T) {
	for _, suffix := range moduleSuffixes()[1:] {
		t.Run(suffix, func(t *testing.T) {
			content := pack(t, suffix, module(t, "description="+strings.Repeat("x", 1000)))
			cut := content[:len(content)/2]
			arch, _ := findArchitecture("arm64")
			dir := moduleDir(t, map[string][]byte{"a.ko": cut})
			tree := &kernelTree{arch: arch, files: map[string]string{"a": dir + "/a.ko" + suffix}}
			hostTool(t, nil, "mv", dir+"/a.ko", tree.files["a"])
			_, err := tree.read("a")
			wantError(t, err, "cannot read kernel module", "/a.ko"+suffix)
		})
	}
}

func TestPrintSelection(t *testing.T) {
	s, err := selectFrom(t, testKernel(t), []string{"slots"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	s.print(&text)
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if want := "built into that kernel: ext4; neither built in nor a module of it: squashfs"; lines[len(lines)-1] != want {
		t.Errorf("last line %q, want %q", lines[len(lines)-1], want)
	}
	if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasSuffix(l, "bytes  erofs.ko") }) {
		t.Errorf("no size of erofs.ko in:\n%s", text.String())
	}
}
