// The floor of the layout image: its mounts, with all devices known beforehand,
// and an upper and a work that are made anew.
#define _GNU_SOURCE
#include <linux/loop.h>
#include <sys/ioctl.h>

#include "root.h"

#define IMG "/run/initramfs/img"

static void mount_image(void)
{
	struct loop_config config = { 0 };
	int control = check(open("/dev/loop-control", O_RDWR | O_CLOEXEC), "open", "/dev/loop-control");
	char device[32];

	config.fd = check(open(IMG "/root-squashfs.img", O_RDONLY | O_CLOEXEC), "open", "the image");
	config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	snprintf(device, sizeof device, "/dev/loop%ld", check(ioctl(control, LOOP_CTL_GET_FREE), "ioctl", "/dev/loop-control"));
	int loop = check(open(device, O_RDONLY | O_CLOEXEC), "open", device);
	check(ioctl(loop, LOOP_CONFIGURE, &config), "ioctl", device);
	mount_at(device, ROOTFS, "squashfs", MS_RDONLY | MS_NOATIME, "");
	close(loop), close(config.fd), close(control);
}

// anew makes an empty directory of what may be there.
static void anew(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd >= 0) {
		check(fstat(fd, &st), "fstat", dir);
		empty(fd, st.st_dev);
		check(rmdir(dir), "rmdir", dir);
	}
	make(dir);
}

int main(void)
{
	mount_kernel_filesystems();
	make("/run/initramfs"), make(IMG), make(ROOTFS), make(OVERLAY), make(ROOT);
	mount_at("/dev/vda2", IMG, "ext4", MS_RDONLY | MS_NOATIME, "");
	mount_image();
	mount_at("/dev/vda3", OVERLAY, "ext4", MS_NOATIME, "");
	make(OVERLAY "/persistent"), anew(OVERLAY "/upper"), anew(OVERLAY "/work");
	lay("lowerdir=" OVERLAY "/persistent:" ROOTFS ",upperdir=" OVERLAY "/upper,workdir=" OVERLAY "/work," NO_FEATURES);
	enter_root();
	become_init();
}
