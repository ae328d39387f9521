// What cp(1) and an fsync of a new image do, as coreutils 9 copies between two
// filesystems: 256 KiB at a time. It prints what that cost, and ends the
// machine's run.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#include "check.h"

enum { PIECE = 256 << 10 };

static long long cpu_ns(void)
{
	struct timespec t;

	check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), "clock_gettime", "cpu");
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void copy(const char *from, const char *to)
{
	int in = check(open(from, O_RDONLY | O_CLOEXEC), "open", from);
	int out = check(open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644), "open", to);
	char *piece = malloc(PIECE);
	long n;

	posix_fadvise(in, 0, 0, POSIX_FADV_SEQUENTIAL);
	while ((n = check(read(in, piece, PIECE), "read", from)) > 0)
		if (check(write(out, piece, n), "write", to) != n)
			failed("write", "a part only");
	check(fsync(out), "fsync", to);
	close(in), close(out);
}

int main(void)
{
	mkdir("/dev", 0755), mkdir("/img", 0755), mkdir("/newimg", 0755);
	check(mount("devtmpfs", "/dev", "devtmpfs", 0, ""), "mount", "/dev");
	check(mount("/dev/vda2", "/img", "ext4", MS_NOATIME, ""), "mount", "img");
	check(mount("/dev/vda4", "/newimg", "ext4", MS_RDONLY | MS_NOATIME, ""), "mount", "newimg");
	long long start = cpu_ns();
	copy("/newimg/root-squashfs.img", "/img/root-squashfs-new.img");
	printf("BENCH copy_cpu_ns=%lld\n", cpu_ns() - start);
	fflush(stdout);
	check(umount("/img"), "umount", "img");
	reboot(RB_POWER_OFF);
}
