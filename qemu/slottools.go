package qemu

import (
	"archive/tar"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// SlotTools are programs of a Debian root filesystem, those of e2fsprogs, with
// the libraries that these need: for a root filesystem that is small, and in
// which init is to find them. programs are paths as "usr/sbin/mke2fs".
func SlotTools(rootfs string, programs ...string) (files []File, err error) {
	return programsOf(rootfs, programs, []string{"ld-linux-aarch64", "libc", "libext2fs", "libcom_err", "libblkid", "libuuid", "libe2p"})
}

// Cryptsetup is Debian's program of this name with the libraries that it needs.
func (c *Cache) Cryptsetup() ([]File, error) {
	const archive, pkg = "packages.tar", "cryptsetup-bin"
	dir, err := c.Get("cryptsetup", "1 "+debianSuite, func(dir string) error {
		return c.Progress.Step("downloading and unpacking Debian's "+pkg+" for arm64 (about 5 s)", func() error {
			return run(nil, "fakeroot", unpacking("arm64", []string{pkg}, debianSuite, filepath.Join(dir, archive))...)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("cannot get Debian's %s (is a mirror reachable?): %w", pkg, err)
	}
	return programsOf(filepath.Join(dir, archive), []string{"usr/sbin/cryptsetup"}, []string{
		"ld-linux-aarch64", "libc", "libcryptsetup", "libpopt", "libuuid", "libblkid", "libdevmapper", "libcrypto", "libjson-c",
		"libselinux", "libudev", "libm", "libz", "libzstd", "libpcre2-8", "libcap",
	})
}

// programsOf are programs of an archive and the libraries of these names.
func programsOf(rootfs string, programs, needed []string) (files []File, err error) {
	const libraries, loader = "usr/lib/aarch64-linux-gnu", "usr/lib/ld-linux-aarch64.so.1"
	wanted := func(name string) bool {
		library, _, _ := strings.Cut(path.Base(name), ".so")
		return name == loader || slices.Contains(programs, name) || path.Dir(name) == libraries && slices.Contains(needed, library)
	}
	files = []File{Dir("usr/sbin"), Dir("usr/lib"), Dir(libraries), Link("lib", "usr/lib")}
	found := 0
	err = readArchive(rootfs, func(h *tar.Header, name string, content io.Reader) error {
		if !wanted(name) {
			return nil
		}
		if slices.Contains(programs, name) {
			found++
		}
		if h.Typeflag == tar.TypeSymlink {
			files = append(files, Link(name, h.Linkname))
			return nil
		}
		data, err := io.ReadAll(content)
		files = append(files, File{Name: name, Mode: 0o755, Data: string(data)})
		return err
	})
	if err == nil && found < len(programs) {
		err = fmt.Errorf("it has %d of the %d programs %s", found, len(programs), strings.Join(programs, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("cannot take programs from %s: %w", rootfs, err)
	}
	return files, nil
}
