// The finishing line: the real init of the benchmark's disk. It reads the clocks
// first of all, prints what the variant used since the starting line, and
// becomes the stub real init, which shows what the variant left behind.
#define _GNU_SOURCE
#include <sys/resource.h>
#include <time.h>

#include "check.h"

static long long microseconds(struct timeval t)
{
	return t.tv_sec * 1000000LL + t.tv_usec;
}

int main(int argc, char *argv[])
{
	struct timespec cpu, wall;
	struct rusage children, self;
	struct stamp start;
	(void)argc;

	check(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu), "clock_gettime", "cpu");
	check(getrusage(RUSAGE_CHILDREN, &children), "getrusage", "children");
	check(clock_gettime(CLOCK_MONOTONIC, &wall), "clock_gettime", "monotonic");
	// The most memory that this process has had, also before an exec.
	check(getrusage(RUSAGE_SELF, &self), "getrusage", "self");

	if (pread(STAMP_FD, &start, sizeof start, 0) != sizeof start)
		failed("read", "the stamp of the starting line");
	close(STAMP_FD);
	long long own = cpu.tv_sec * 1000000000LL + cpu.tv_nsec - start.cpu_ns;
	long long took = wall.tv_sec * 1000000000LL + wall.tv_nsec - start.wall_ns;
	printf("BENCH cpu_ns=%lld wall_ns=%lld memory_kib=%ld start_cpu_ns=%lld\n",
	       own + 1000 * (microseconds(children.ru_utime) + microseconds(children.ru_stime)), took, self.ru_maxrss, start.cpu_ns);
	fflush(stdout);
	execv("/sbin/stub", argv);
	failed("execv", "/sbin/stub");
}
