// The floor of the layout tryboot: its mounts, with all devices known beforehand,
// and a layer in memory.
#define _GNU_SOURCE
#include "root.h"

#define VOLATILE "/run/initramfs/volatile"

int main(void)
{
	mount_kernel_filesystems();
	make("/run/initramfs"), make(ROOTFS), make(VOLATILE), make(ROOT);
	mount_at("/dev/vda4", ROOTFS, "ext4", MS_RDONLY | MS_NOATIME, "");
	mount_at("tmpfs", VOLATILE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%");
	make(VOLATILE "/upper"), make(VOLATILE "/work");
	lay("lowerdir=" ROOTFS ",upperdir=" VOLATILE "/upper,workdir=" VOLATILE "/work," NO_FEATURES);
	mount_at("/dev/vda2", ROOT "/boot/firmware", "vfat", MS_RDONLY | MS_NOATIME, "");
	mount_at("/dev/vda6", ROOT "/home/shared", "ext4", MS_NOATIME, "");
	enter_root();
	become_init();
}
