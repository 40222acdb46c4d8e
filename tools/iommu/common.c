// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: helpers of the programs
 *
 * One pending line of failure, the clock, and the flag that SIGINT sets.
 */
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>
#include "precopy.h"

static sig_atomic_t signalled;
static char failure[512];

static void on_signal(int signal)
{
	(void)signal;
	__atomic_store_n(&signalled, 1, __ATOMIC_RELAXED);
}

/* Without SA_RESTART a signal ends a sleep at once. */
void catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

bool interrupted(void)
{
	return __atomic_load_n(&signalled, __ATOMIC_RELAXED);
}

/*
 * Keep the first line until take_failure(): a failure during the clean-up of a
 * first one must not replace its cause.
 */
int fail(int status, const char *format, ...)
{
	va_list args;

	if (!failure[0]) {
		va_start(args, format);
		vsnprintf(failure, sizeof(failure), format, args);
		va_end(args);
	}
	return status;
}

/* Valid until the next call; empty if nothing failed. */
const char *take_failure(void)
{
	static char taken[sizeof(failure)];

	memcpy(taken, failure, sizeof(taken));
	failure[0] = 0;
	return taken;
}

__u64 now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NSEC + t.tv_nsec;
}

bool read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "re");
	bool good;

	if (!file)
		return false;
	good = fgets(text, size, file);
	fclose(file);
	if (good)
		text[strcspn(text, "\n")] = 0;
	return good;
}

bool test_page(const __u64 *bitmap, __u64 page)
{
	return bitmap[page / 64] >> (page % 64) & 1;
}
