// The starting line of all variants: it loads the drivers, waits for the disk's
// last partition, notes the time and becomes the variant's /init, which finds
// the initramfs as if it were the first program in it.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/module.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <time.h>

#include "check.h"

// What of the layout's disk appears last, and its drivers, each after those that it
// depends on.
#if defined IMAGE || defined MODULES
#ifdef IMAGE
#define DISK "/dev/vda4"
#else
#define DISK "/dev/vda"
#endif
static const char *const drivers[] = {
	"/drivers/virtio_blk.ko.xz", "/drivers/overlay.ko.xz", "/drivers/loop.ko.xz", "/drivers/squashfs.ko.xz",
};
#elif defined PROFILES
#define DISK "/dev/vda2"
static const char *const drivers[] = {
	"/drivers/virtio_blk.ko.xz", "/drivers/overlay.ko.xz",	"/drivers/xor-neon.ko.xz", "/drivers/xor.ko.xz",
	"/drivers/raid6_pq.ko.xz",   "/drivers/libcrc32c.ko.xz", "/drivers/btrfs.ko.xz",
};
#else
#ifdef TRYBOOT
#define DISK "/dev/vda6"
#else
#define DISK "/dev/vda9"
#endif
static const char *const drivers[] = {
	"/drivers/virtio_blk.ko.xz", "/drivers/overlay.ko.xz",	 "/drivers/fat.ko.xz",
	"/drivers/vfat.ko.xz",	     "/drivers/nls_cp437.ko.xz", "/drivers/nls_ascii.ko.xz",
};
#endif

static void load(const char *file)
{
	int fd = check(open(file, O_RDONLY | O_CLOEXEC), "open", file);
	check(syscall(SYS_finit_module, fd, "", MODULE_INIT_COMPRESSED_FILE), "finit_module", file);
	close(fd);
	// A variant that empties the initramfs is to find only its own files there.
	check(unlink(file), "unlink", file);
}

static void wait_for_disk(void)
{
	const int patience_ms = 20000;
	char event[4096];
	int watch = check(inotify_init1(IN_CLOEXEC), "inotify_init", "");

	check(inotify_add_watch(watch, "/dev", IN_CREATE), "inotify_add_watch", "/dev");
	while (access(DISK, F_OK) < 0) {
		struct pollfd p = { .fd = watch, .events = POLLIN };
		if (poll(&p, 1, patience_ms) <= 0)
			failed("wait for", DISK);
		check(read(watch, event, sizeof event), "read", "inotify");
	}
	close(watch);
}

int main(void)
{
	struct timespec cpu, wall;
	struct stamp stamp;
	char *const argv[] = { "/init", NULL };
	char *const env[] = { "HOME=/", "TERM=linux", NULL }; // as the kernel sets them

	check(mount("devtmpfs", "/dev", "devtmpfs", 0, ""), "mount", "/dev");
	for (size_t i = 0; i < sizeof drivers / sizeof *drivers; i++)
		load(drivers[i]);
	wait_for_disk();
	check(umount("/dev"), "umount", "/dev");
	check(rmdir("/drivers"), "rmdir", "/drivers");
	check(unlink("/start"), "unlink", "/start");

	int fd = check(memfd_create("bench-stamp", 0), "memfd_create", "");
	if (fd != STAMP_FD)
		failed("memfd_create", "another descriptor was free");
	check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu), "clock_gettime", "cpu");
	check(clock_gettime(CLOCK_MONOTONIC, &wall), "clock_gettime", "monotonic");
	stamp.cpu_ns = cpu.tv_sec * 1000000000LL + cpu.tv_nsec;
	stamp.wall_ns = wall.tv_sec * 1000000000LL + wall.tv_nsec;
	check(pwrite(fd, &stamp, sizeof stamp, 0), "write", "stamp");
	execve(argv[0], argv, env);
	failed("execve", argv[0]);
}
