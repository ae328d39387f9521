package qemu

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// ubootConfig is what our U-Boot has beside qemu_arm64_defconfig: squashfs, for
// the kernel slots, and no wait for somebody to press a key. Its tools need no
// programs to sign firmware.
func ubootConfig() []string {
	return []string{
		"CONFIG_CMD_SQUASHFS=y", "CONFIG_FS_SQUASHFS=y", "CONFIG_LZ4=y", "CONFIG_CMD_SETEXPR=y", "CONFIG_CMD_SLEEP=y",
		"CONFIG_BOOTDELAY=0", "# CONFIG_TOOLS_MKEFICAPSULE is not set",
	}
}

// UBoot returns the U-Boot of QEMU's virt machine for arm64, for
// [Machine.Firmware], and makes it first where it is missing: from Debian's
// source package, unmodified, with squashfs.
func (c *Cache) UBoot() (string, error) {
	// The number at the start stands for the code of this file.
	recipe := fmt.Sprintf("1 %s %q %s", debianSuite, ubootConfig(), ubootScript)
	dir, err := c.Get("u-boot", recipe, func(dir string) error { return makeUBoot(dir, c.Progress) })
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "u-boot.bin"), nil
}

// makeUBoot fills dir with u-boot.bin.
func makeUBoot(dir string, p *Progress) error {
	work := filepath.Join(dir, "work")
	if err := os.Mkdir(work, 0o755); err != nil {
		return fmt.Errorf("cannot make a place for U-Boot's source: %w", err)
	}
	err := p.Step("downloading the source of U-Boot from Debian "+debianSuite, func() error { return fetchUBoot(work) })
	if err != nil {
		return fmt.Errorf("cannot get the source of U-Boot (is a mirror reachable?): %w", err)
	}
	err = p.Step("building U-Boot for QEMU with squashfs (about 40 s)", func() error { return buildUBoot(work) })
	if err != nil {
		return fmt.Errorf("cannot build U-Boot: %w", err)
	}
	return errors.Join(os.Rename(filepath.Join(work, "build/u-boot.bin"), filepath.Join(dir, "u-boot.bin")), os.RemoveAll(work))
}

// fetchUBoot downloads the two parts of the source package into dir. mmdebstrap
// makes a configuration of apt of its own, knows the mirror, and calls us before
// and after apt has read the lists. The parts are fetched one by one, since the
// package's description, which only dpkg-source reads, is not on every mirror;
// apt checks each against the signed list.
func fetchUBoot(dir string) error {
	cmd, err := command("fakeroot", "mmdebstrap", "--mode=chrootless", "--architectures=arm64", "--variant=custom", "--format=null",
		`--setup-hook=sed -i "s/^deb /deb-src /" "$1/etc/apt/sources.list"`,
		`--customize-hook=cd "$MINOS_SOURCE" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" &&
			apt-get source -q --tar-only u-boot && apt-get source -q --diff-only u-boot`,
		debianSuite, os.DevNull)
	if err != nil {
		return err
	}
	cmd.Env = append(cmd.Env, "MINOS_SOURCE="+dir)
	return runCommand(cmd, nil)
}

// ubootScript unpacks the source, applies Debian's patches, and builds. A line
// of the configuration that did not take is an error: U-Boot's own tools drop
// what they do not know without a word.
const ubootScript = `cd "$1"
jobs=$2
mkdir source build
tar --extract --strip-components=1 --directory=source --file u-boot_*.orig.tar.*
tar --extract --directory=source --file u-boot_*.debian.tar.*
cd source
while read -r patch; do
	case $patch in
	'' | '#'*) ;;
	*) patch --silent -p1 <"debian/patches/$patch" ;;
	esac
done <debian/patches/series
cat configs/qemu_arm64_defconfig - >configs/minos_defconfig
export CROSS_COMPILE=aarch64-linux-gnu-
make -s O=../build minos_defconfig
tail -n "$3" configs/minos_defconfig | while read -r line; do
	grep -qxF "$line" ../build/.config || { echo "this U-Boot does not take $line"; exit 1; }
done
make -s O=../build -j"$jobs" u-boot.bin
`

func buildUBoot(dir string) error {
	config := ubootConfig()
	cmd, err := command("sh", "-euc", ubootScript, "sh", dir, strconv.Itoa(runtime.NumCPU()), strconv.Itoa(len(config)))
	if err != nil {
		return err
	}
	// The time is built in.
	cmd.Env = append(cmd.Env, "SOURCE_DATE_EPOCH="+strconv.Itoa(imageTime))
	return runCommand(cmd, strings.NewReader(strings.Join(config, "\n")+"\n"))
}

//go:embed boot.cmd
var bootCommands string

//go:embed boot-profiles.cmd
var profilesCommands string

// BootScript is boot.cmd as U-Boot wants it, the content of boot.scr. It needs
// mkimage.
func BootScript() ([]byte, error) { return compileScript(bootCommands) }

// ProfilesScript is BootScript of boot-profiles.cmd.
func ProfilesScript() ([]byte, error) { return compileScript(profilesCommands) }

// compileScript makes an image of the commands of a script.
func compileScript(commands string) ([]byte, error) {
	dir, err := os.MkdirTemp("", "minos-script-")
	if err != nil {
		return nil, fmt.Errorf("cannot make a place for U-Boot's script: %w", err)
	}
	defer os.RemoveAll(dir)
	source, script := filepath.Join(dir, "boot.cmd"), filepath.Join(dir, "boot.scr")
	if err := os.WriteFile(source, []byte(commands), 0o644); err != nil {
		return nil, fmt.Errorf("cannot write U-Boot's script: %w", err)
	}
	cmd, err := command("mkimage", "-A", "arm64", "-T", "script", "-C", "none", "-n", "minos-init", "-d", source, script)
	if err == nil {
		cmd.Env = append(cmd.Env, "SOURCE_DATE_EPOCH="+strconv.Itoa(imageTime))
		err = runCommand(cmd, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot compile U-Boot's script: %w", err)
	}
	return os.ReadFile(script)
}
