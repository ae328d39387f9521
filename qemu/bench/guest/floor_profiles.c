// The floor of the layout profiles: its mounts, with all that it decides known
// beforehand, and its proof that the profile can be written to.
#define _GNU_SOURCE
#include "root.h"

#define TOP "/run/initramfs/profiles"
#define BASE TOP "/@base/1.0"
#define UPPER TOP "/@profiles/desk/upper"
#define PROBE ROOT "/run/.minos-probe"

// prove copies a directory of the base up, and makes, reads and removes a file in
// it.
static void prove(void)
{
	static const char text[] = "written to see whether this overlay can be\n";
	char back[sizeof text];
	int fd = check(open(PROBE, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), "open", PROBE);

	check(write(fd, text, sizeof text), "write", PROBE);
	close(fd);
	fd = check(open(PROBE, O_RDONLY | O_CLOEXEC), "open", PROBE);
	if (check(read(fd, back, sizeof back), "read", PROBE) != sizeof back || memcmp(back, text, sizeof text))
		failed("read", PROBE);
	close(fd);
	check(unlink(PROBE), "unlink", PROBE);
}

int main(void)
{
	mount_kernel_filesystems();
	make("/run/initramfs"), make(TOP), make(ROOT);
	mount_at("/dev/vda2", TOP, "btrfs", MS_NOATIME, "subvolid=5,commit=120");
	check(rmdir(UPPER "/root/run"), "rmdir", UPPER "/root/run");
	lay("lowerdir=" BASE ",upperdir=" UPPER "/root,workdir=" UPPER "/work," NO_FEATURES);
	prove();
	check(mount(TOP "/@data", ROOT "/data", "", MS_BIND, ""), "bind", ROOT "/data");
	enter_root();
	become_init();
}
