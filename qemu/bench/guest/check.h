// What the three C programs share: a call that fails ends the machine's run,
// with the call's name on the console.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>

static void failed(const char *call, const char *on)
{
	printf("BENCH failed %s %s: %s\n", call, on, strerror(errno));
	fflush(stdout);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

// check ends the run unless the result of a system call is one of success.
static long check(long result, const char *call, const char *on)
{
	if (result < 0)
		failed(call, on);
	return result;
}

// What the starting line hands to the finishing line, in a file in memory that
// every program between the two inherits as this descriptor.
enum { STAMP_FD = 3 };

struct stamp {
	long long cpu_ns;  // CPU time of the process so far, the kernel's own start included
	long long wall_ns; // CLOCK_MONOTONIC
};
