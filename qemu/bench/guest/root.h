// What the floors share: the kernel's filesystems, and the way into the new root.
// The result of each call is checked.
#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "check.h"

#define ROOTFS "/run/initramfs/rootfs"
#define OVERLAY "/run/initramfs/overlay"
#define ROOT "/sysroot"
#define NO_FEATURES "index=off,metacopy=off,redirect_dir=off,xino=off"

static void mount_at(const char *source, const char *target, const char *type, unsigned long flags, const char *options)
{
	check(mount(source, target, type, flags, options), "mount", target);
}

static void make(const char *dir)
{
	if (mkdir(dir, 0755) < 0 && errno != EEXIST)
		failed("mkdir", dir);
}

static void mount_kernel_filesystems(void)
{
	make("/proc"), make("/sys"), make("/dev"), make("/run");
	mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NOEXEC | MS_NODEV, "");
	mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NOEXEC | MS_NODEV, "");
	mount_at("devtmpfs", "/dev", "devtmpfs", MS_NOSUID | MS_STRICTATIME, "mode=0755");
	mount_at("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV | MS_STRICTATIME, "mode=0755,size=20%,nr_inodes=800k");
}

// see_writable looks at what the kernel only logs: an overlay that came up
// read-only.
static void see_writable(void)
{
	struct statvfs st;

	check(statvfs(ROOT, &st), "statvfs", ROOT);
	if (st.f_flag & ST_RDONLY) {
		errno = EROFS;
		failed("mount", ROOT);
	}
}

// lay mounts the overlay.
static inline void lay(const char *options)
{
	mount_at("overlay", ROOT, "overlay", 0, options);
	see_writable();
}

// empty removes what is in an open directory and lives on its device, and
// closes it.
static void empty(int fd, dev_t device)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;

	if (!dir)
		failed("fdopendir", "the initramfs");
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;
		struct stat st;
		if (!strcmp(name, ".") || !strcmp(name, ".."))
			continue;
		check(fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW), "fstatat", name);
		if (st.st_dev != device)
			continue;
		if (!S_ISDIR(st.st_mode)) {
			check(unlinkat(fd, name, 0), "unlinkat", name);
			continue;
		}
		empty(check(openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), "openat", name), device);
		check(unlinkat(fd, name, AT_REMOVEDIR), "unlinkat", name);
	}
	closedir(dir);
}

static void enter_root(void)
{
	static const char *const moved[] = { "/proc", "/sys", "/dev", "/run" };
	struct stat st;
	int old = check(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "open", "/");

	check(fstat(old, &st), "fstat", "/");
	check(mount("", "/", "", MS_REC | MS_PRIVATE, ""), "make private", "/");
	for (size_t i = 0; i < sizeof moved / sizeof *moved; i++) {
		char target[32];
		snprintf(target, sizeof target, ROOT "%s", moved[i]);
		check(mount(moved[i], target, "", MS_MOVE, ""), "move", moved[i]);
	}
	check(chdir(ROOT), "chdir", ROOT);
	check(mount(".", "/", "", MS_MOVE, ""), "move", ROOT);
	check(chroot("."), "chroot", ROOT);
	check(chdir("/"), "chdir", "/");
	empty(old, st.st_dev);
}

static void become_init(void)
{
	char *const argv[] = { "/sbin/init", NULL };
	char *const env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=linux", NULL };

	execve(argv[0], argv, env);
	failed("execve", argv[0]);
}
