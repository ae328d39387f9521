// The floor of the layout modules: the medium, the modules 000.sb, 001.sb and so on,
// each by a loop device, and a layer in memory over them.
#define _GNU_SOURCE
#include <linux/loop.h>
#include <linux/mount.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "root.h"

#define MEMORY "/run/initramfs/memory"
#define CHANGES MEMORY "/changes"

enum { NAME_MAX_LEN = 64 };

// mount_module mounts the module with this number; 0 when there is none.
static int mount_module(int control, int number)
{
	struct loop_config config = { 0 };
	char name[NAME_MAX_LEN], device[32];

	snprintf(name, sizeof name, MEMORY "/data/minios/%03d.sb", number);
	int file = open(name, O_RDONLY | O_CLOEXEC);
	if (file < 0 && errno == ENOENT)
		return 0;
	config.fd = check(file, "open", name);
	config.info.lo_flags = LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR | LO_FLAGS_DIRECT_IO;
	snprintf(device, sizeof device, "/dev/loop%ld", check(ioctl(control, LOOP_CTL_GET_FREE), "ioctl", "/dev/loop-control"));
	int loop = check(open(device, O_RDONLY | O_CLOEXEC), "open", device);
	check(ioctl(loop, LOOP_CONFIGURE, &config), "ioctl", device);
	snprintf(name, sizeof name, MEMORY "/bundles/%03d.sb", number);
	make(name);
	mount_at(device, name, "squashfs", MS_RDONLY | MS_NOATIME, "");
	close(loop), close(file);
	return 1;
}

// lay_layers is lay with each layer as an option of its own: a list of many does
// not fit into the page that mount(2) takes.
static void lay_layers(int count)
{
	static const char *const rest[][2] = {
		{ "upperdir", CHANGES "/changes" }, { "workdir", CHANGES "/workdir" },
		{ "index", "off" }, { "metacopy", "off" }, { "redirect_dir", "off" }, { "xino", "off" },
	};
	int fs = check(syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC), "fsopen", "overlay");

	for (int i = count - 1; i >= 0; i--) {
		char name[NAME_MAX_LEN];
		snprintf(name, sizeof name, MEMORY "/bundles/%03d.sb", i);
		check(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "lowerdir+", name, 0), "fsconfig", name);
	}
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++)
		check(syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, rest[i][0], rest[i][1], 0), "fsconfig", rest[i][0]);
	check(syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "fsconfig", "create");
	int root = check(syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0), "fsmount", "overlay");
	check(syscall(SYS_move_mount, root, "", AT_FDCWD, ROOT, MOVE_MOUNT_F_EMPTY_PATH), "move_mount", ROOT);
	close(root), close(fs);
	see_writable();
}

int main(void)
{
	int count = 0;

	mount_kernel_filesystems();
	make("/run/initramfs"), make(MEMORY), make(MEMORY "/data"), make(MEMORY "/bundles"), make(CHANGES), make(ROOT);
	mount_at("/dev/vda", MEMORY "/data", "ext4", MS_RDONLY | MS_NOATIME, "noload");
	int control = check(open("/dev/loop-control", O_RDWR | O_CLOEXEC), "open", "/dev/loop-control");
	while (mount_module(control, count))
		count++;
	close(control);
	mount_at("tmpfs", CHANGES, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=25%");
	make(CHANGES "/changes"), make(CHANGES "/workdir");
	lay_layers(count);
	enter_root();
	become_init();
}
