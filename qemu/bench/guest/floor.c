// The floor: the mounts of a settled boot of the slots layout, with all devices
// known beforehand. Nothing is looked for, decided, told or recorded; the result
// of each call is checked.
#define _GNU_SOURCE
#include "root.h"

static void mount_root(void)
{
	make("/run/initramfs"), make(ROOTFS), make(OVERLAY), make(ROOT);
	mount_at("/dev/vda6", ROOTFS, "ext4", MS_RDONLY | MS_NOATIME, "");
	mount_at("/dev/vda3", OVERLAY, "ext4", MS_NOATIME, "");
	lay("lowerdir=" ROOTFS ",upperdir=" OVERLAY "/a/upper,workdir=" OVERLAY "/a/work," NO_FEATURES);
	mount_at("/dev/vda4", ROOT "/data", "ext4", MS_NOATIME, "");
	mount_at("/dev/vda1", ROOT "/boot/firmware", "vfat", MS_RDONLY | MS_NOATIME, "");
}

int main(void)
{
	mount_kernel_filesystems();
	mount_root();
	enter_root();
	become_init();
}
