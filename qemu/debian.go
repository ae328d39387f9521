package qemu

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

const debianSuite = "trixie"

// debianPackages are what Debian calls essential and the demo needs, and what
// stands on top of it. The extract variant takes dependencies along, but not
// the essential packages, on which nothing need depend.
func debianPackages() []string {
	return []string{
		"base-files", "base-passwd", "bash", "coreutils", "dash", "debianutils", "diffutils", "findutils",
		"grep", "hostname", "init-system-helpers", "libc-bin", "libpam-modules", "libpam-runtime", "login",
		"mount", "ncurses-base", "passwd", "procps", "sed", "util-linux",

		"dbus", "libpam-systemd", "systemd", "systemd-sysv", "udev",
		"e2fsprogs", "iproute2", "kmod", "less", "openssh-server",
		"libubootenv-tool", "rauc", "rauc-service",
		"linux-image-cloud-arm64",
	}
}

// debianUnneeded is what the demo leaves out of the packages: the kernel is not
// in the root filesystem, devtmpfs covers /dev, and the rest is for reading or
// is this workstation's own (mmdebstrap copies resolv.conf and hostname).
func debianUnneeded() []string {
	return []string{
		"boot", "dev", "etc/resolv.conf", "etc/hostname", "usr/share/doc", "usr/share/info", "usr/share/lintian",
		"usr/share/locale", "usr/share/man", "var/cache/apt", "var/lib/apt",
	}
}

// debianFiles configure by hand what the packages' scripts would have
// configured; those cannot run here, since they are for another processor.
func debianFiles() []File {
	const units, off = "etc/systemd/system/", "/dev/null"
	return []File{
		Dir("boot"), Dir("boot/firmware"), Dir("data"), Dir("dev"), Dir("media"), Dir("mnt"),
		Text("etc/fstab", "# The initramfs mounts /, /data and /boot/firmware.\n"),
		Text("etc/hostname", "minos\n"),
		Text("etc/hosts", "127.0.0.1 localhost minos\n::1 localhost\n"),
		// Empty: without init, systemd makes an identity and does not take this for
		// a first boot. With it there is one, and then systemd enables what presets
		// do not disable, which is all that the packages have.
		Text("etc/machine-id", ""),
		Text("etc/systemd/system-preset/00-demo.preset", "disable *\n"),
		Text("etc/locale.conf", "LANG=C.UTF-8\n"),
		Text("etc/nsswitch.conf", "passwd: files systemd\ngroup: files systemd\nshadow: files systemd\nhosts: files dns\n"),
		Text("etc/profile", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\nexport PATH\n"),
		Text("etc/pam.d/common-auth", "auth required pam_unix.so nullok\n"),
		Text("etc/pam.d/common-account", "account required pam_unix.so\n"),
		Text("etc/pam.d/common-password", "password required pam_unix.so\n"),
		Text("etc/pam.d/common-session", "session required pam_unix.so\nsession optional pam_systemd.so\n"),
		Text("etc/pam.d/common-session-noninteractive", "session required pam_unix.so\n"),
		Link(units+"default.target", "/usr/lib/systemd/system/multi-user.target"),
		// It fails without a configured ld.so.conf, and the loader finds all without it.
		Link(units+"ldconfig.service", off),
		// It asks on the console, and nobody may be there.
		Link(units+"systemd-firstboot.service", off),
		// It takes 12 emulated seconds, for hardware that a virtual machine has not.
		Link(units+"systemd-hwdb-update.service", off),
	}
}

// debianRecipe is all that the Debian asset follows from. The number at its
// start stands for the code of this file.
func debianRecipe() string {
	return fmt.Sprintf("3 %s %q %q %+v", debianSuite, debianPackages(), debianUnneeded(), debianFiles())
}

// makeDebian fills dir with rootfs.tar, Image, kernel.squashfs and
// lib/modules/VERSION.
func makeDebian(dir string, p *Progress) error {
	archive := filepath.Join(dir, "packages.tar")
	err := p.Step("downloading and unpacking Debian "+debianSuite+" for arm64 (about 25 s)", func() error {
		return run(nil, "fakeroot", unpacking("arm64", debianPackages(), debianSuite, archive)...)
	})
	if err != nil {
		return fmt.Errorf("cannot make the Debian root filesystem (is a mirror reachable?): %w", err)
	}
	return p.Step("preparing the root filesystem and the kernel (about 5 s)", func() error {
		return prepareDebian(dir, archive)
	})
}

// unpacking is the command that makes an archive of Debian packages and what they
// depend on, below fakeroot.
//
// mmdebstrap chooses its ways by who it runs as. Below fakeroot and without a
// chroot, which unpacking does not need, it is the same for root, for others
// and in a container without privileges.
func unpacking(architecture string, packages []string, rest ...string) []string {
	return append([]string{
		"mmdebstrap", "--mode=chrootless", "--architectures=" + architecture, "--variant=extract",
		"--include=" + strings.Join(packages, ","),
	}, rest...)
}

// mainOnly leaves the archives of updates out. A mirror copies them at times of
// their own, and those of the rarer architectures do not always fit together.
const mainOnly = `--setup-hook=find "$1/etc/apt" -name "*.list" -exec sed -i -e /-updates/d -e /-security/d {} +`

// makeKernel fills dir with Image and lib/modules/VERSION of a kernel.
func makeKernel(dir string, from kernelPackage, p *Progress) error {
	what := "Debian's " + from.name + " for " + from.debian
	return p.Step("downloading and unpacking "+what+" (about 30 s)", func() error {
		archive := filepath.Join(dir, "packages.tar")
		if err := run(nil, "fakeroot", unpacking(from.debian, []string{from.name}, mainOnly, from.suite, archive)...); err != nil {
			return fmt.Errorf("cannot get %s (is a mirror reachable?): %w", what, err)
		}
		if _, err := unpackKernel(archive, dir); err != nil {
			return err
		}
		return os.Remove(archive)
	})
}

func prepareDebian(dir, archive string) error {
	masters, err := unpackKernel(archive, dir)
	if err != nil {
		return err
	}
	if masters["passwd.master"] == "" || masters["group.master"] == "" {
		return fmt.Errorf("cannot use the Debian packages: they hold no %s{passwd,group}.master", accountMasters)
	}
	index, err := moduleIndex(dir)
	if err != nil {
		return err
	}
	tree := Tree{Base: archive, Remove: debianUnneeded()}.With(debianFiles()...).With(accounts(masters)...).With(index...)
	out, err := os.Create(filepath.Join(dir, "rootfs.tar"))
	if err != nil {
		return fmt.Errorf("cannot make the root filesystem's archive: %w", err)
	}
	if err := errors.Join(tree.WriteTar(out), out.Close()); err != nil {
		return fmt.Errorf("cannot write the root filesystem's archive: %w", err)
	}
	if err := (KernelSquashFS{Image: filepath.Join(dir, "Image")}).Make(filepath.Join(dir, "kernel.squashfs"), 0); err != nil {
		return err
	}
	if err := os.Remove(archive); err != nil {
		return fmt.Errorf("cannot remove the unpacked packages: %w", err)
	}
	return nil
}

const accountMasters = "usr/share/base-passwd/"

// unpackKernel puts the kernel and its modules into dir and returns the
// templates of passwd and group, by their names; none when there are none.
func unpackKernel(archive, dir string) (masters map[string]string, err error) {
	masters = map[string]string{}
	err = readArchive(archive, func(h *tar.Header, name string, content io.Reader) error {
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		if modules, found := strings.CutPrefix(name, "usr/lib/modules/"); found { // trixie
			name = "lib/modules/" + modules
		}
		switch {
		case strings.HasPrefix(name, accountMasters):
			data, err := io.ReadAll(content)
			masters[strings.TrimPrefix(name, accountMasters)] = string(data)
			return err
		case strings.HasPrefix(name, "boot/vmlinuz-"), strings.HasPrefix(name, "boot/vmlinux-"): // not compressed on riscv64
			return writeFile(filepath.Join(dir, "Image"), content)
		case strings.HasPrefix(name, "lib/modules/"):
			return writeFile(filepath.Join(dir, name), content)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !exists(filepath.Join(dir, "Image")) {
		return nil, errors.New("cannot use the Debian packages: they hold no boot/vmlinuz-* and no boot/vmlinux-*")
	}
	return masters, nil
}

func writeFile(name string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	out, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, content)
	return errors.Join(err, out.Close())
}

// moduleIndex is modules.dep and its kin, which depmod makes when the kernel
// package is installed and without which udev finds no driver. They go into the
// root filesystem only: the directory in the cache stays as Debian packs it.
func moduleIndex(dir string) ([]File, error) {
	version, err := moduleVersion(dir)
	if err != nil {
		return nil, err
	}
	modules := filepath.Join("lib/modules", version)
	packed, err := filepath.Glob(filepath.Join(dir, modules, "modules.*"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the kernel modules: %w", err)
	}
	if err := run(nil, "depmod", "-b", dir, version); err != nil {
		return nil, fmt.Errorf("cannot index the kernel modules: %w", err)
	}
	all, err := filepath.Glob(filepath.Join(dir, modules, "modules.*"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the index of the kernel modules: %w", err)
	}
	var files []File
	for _, made := range all {
		if slices.Contains(packed, made) {
			continue
		}
		data, err := os.ReadFile(made)
		if err = errors.Join(err, os.Remove(made)); err != nil {
			return nil, fmt.Errorf("cannot take the index of the kernel modules: %w", err)
		}
		files = append(files, Text(path.Join("usr", modules, filepath.Base(made)), string(data)))
	}
	return files, nil
}

// moduleVersion is the one kernel release whose modules are below dir.
func moduleVersion(dir string) (string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "lib/modules"))
	if err != nil {
		return "", fmt.Errorf("cannot find the kernel modules: %w", err)
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("cannot choose a kernel release: lib/modules below %s holds %d of them, want one", dir, len(entries))
	}
	return entries[0].Name(), nil
}

// accounts are the files that base-passwd would have made. Root has no
// password, everybody else has none that fits.
func accounts(masters map[string]string) []File {
	var passwd, shadow strings.Builder
	for line := range strings.Lines(masters["passwd.master"]) {
		name, rest, _ := strings.Cut(line, ":")
		_, rest, _ = strings.Cut(rest, ":")
		secret := "*"
		if name == "root" {
			secret = ""
		}
		fmt.Fprintf(&passwd, "%s:x:%s", name, rest)
		fmt.Fprintf(&shadow, "%s:%s:19675:0:99999:7:::\n", name, secret)
	}
	const shadowGroup = 42
	return []File{
		Text("etc/passwd", passwd.String()),
		Text("etc/group", masters["group.master"]),
		{Name: "etc/shadow", Mode: 0o640, GID: shadowGroup, Data: shadow.String()},
	}
}
