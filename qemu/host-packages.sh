#!/bin/sh
# Sees to the programs of the workstation that the demo uses; with the argument
# "test" also to those of the tests, with "test-all" to those of all tests, and with "bench"
# to those of the benchmark. Installs what is missing when it may, and otherwise says what to
# type.
set -eu

# PROGRAM:PACKAGE, as Debian names them. Programs and not packages are looked
# for, so that other sources of them are as good.
needed="
qemu-system-aarch64:qemu-system-arm
mmdebstrap:mmdebstrap
fakeroot:fakeroot
tar:tar
depmod:kmod
sfdisk:fdisk
mcopy:mtools
mkfs.vfat:dosfstools
mke2fs:e2fsprogs
mksquashfs:squashfs-tools
rauc:rauc
openssl:openssl
mkimage:u-boot-tools
mkenvimage:u-boot-tools
fw_setenv:libubootenv-tool
make:make
cc:gcc
aarch64-linux-gnu-gcc:gcc-aarch64-linux-gnu
patch:patch
bzip2:bzip2
xz:xz-utils
bison:bison
flex:flex
fdtput:device-tree-compiler
bc:bc
mkfs.btrfs:btrfs-progs
"
if [ "${1:-}" = test ] || [ "${1:-}" = test-all ]; then
	# The judges of our bytes: what makes each filesystem that init recognizes,
	# what reads the images that we make, and what shares U-Boot's environment.
	needed="$needed
mkfs.erofs:erofs-utils
mkfs.xfs:xfsprogs
mkfs.f2fs:f2fs-tools
mkfs.exfat:exfatprogs
mkfs.ntfs:ntfs-3g
mkfs.nilfs2:nilfs-tools
mkudffs:udftools
mkfs.minix:util-linux
cryptsetup:cryptsetup-bin
xorriso:xorriso
blkid:util-linux
mkswap:util-linux
lz4:lz4
cpio:cpio
mkenvimage:u-boot-tools
fw_printenv:libubootenv-tool
fw_setenv:libubootenv-tool
e2fsck:e2fsprogs
debugfs:e2fsprogs
sgdisk:gdisk
fsck.vfat:dosfstools
losetup:mount
man:man-db
qemu-system-x86_64:qemu-system-x86
qemu-system-i386:qemu-system-x86
"
fi
if [ "${1:-}" = test-all ]; then
	needed="$needed qemu-system-riscv64:qemu-system-misc qemu-arm:qemu-user"
fi
if [ "${1:-}" = bench ]; then
	needed="$needed e2fsck:e2fsprogs mkenvimage:u-boot-tools"
fi

# Where Debian keeps programs that are not in an ordinary user's PATH.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing=
for pair in $needed; do
	command -v "${pair%%:*}" >/dev/null || missing="$missing ${pair#*:}"
done
# mmdebstrap trusts Debian's mirrors by these keys, also on another distribution.
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] ||
	[ -e /usr/share/keyrings/debian-archive-keyring.pgp ] ||
	missing="$missing debian-archive-keyring"
# A compiler is found by its name, the C library that it links with is not.
[ "${1:-}" != bench ] || [ -e /usr/aarch64-linux-gnu/lib/libc.a ] ||
	missing="$missing libc6-dev-arm64-cross"
# So is what U-Boot's tools for signing include.
[ -e /usr/include/openssl/ssl.h ] || missing="$missing libssl-dev"
[ -e /usr/include/stdio.h ] || missing="$missing libc6-dev"
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
	as_root="sudo -n"
fi
if ! command -v apt-get >/dev/null || ! $as_root true 2>/dev/null; then
	echo "cannot go on without host packages; as root: apt-get install --no-install-recommends$missing" >&2
	exit 1
fi
echo "installing host packages:$missing"
# The lists of a fresh container are empty, those of an old machine name packages
# that the mirror no longer has. sudo drops the environment, hence env.
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086 # one word for each package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
