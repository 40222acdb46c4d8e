// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: epochs of random calls
 *
 * After all processes of an epoch have ended, every counter that the kernel
 * exports must have its value from before the epoch. This needs no model of the
 * calls.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kselftest.h"
#include "lib/bench.h"
#include "lib/check.h"
#include "lib/counts.h"
#include "random.h"
#include "lib/sysfs.h"

/* Seconds after which a call, or the end of an epoch, is considered hung. */
#define HANG_SECONDS	60

/* Lines of /proc/meminfo that an epoch must not change. */
static const char *const huge_names[] = {
	"HugePages_Total:", "HugePages_Free:", "HugePages_Rsvd:",
	"HugePages_Surp:",
};

/* Make every allocation able to fail, without a log line for each. */
void random_setup(struct __test_metadata *_metadata)
{
	static const struct {
		const char *knob, *value;
	} knobs[] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", "0" },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/min-order", "0" },
		{ "fail_page_alloc/verbose", "0" },
		{ "fail_iommufd/verbose", "0" },
	};
	char path[128];

	/* These files exist only with the options of the selftest's config. */
	for (size_t i = 0; i < ARRAY_SIZE(knobs); i++) {
		snprintf(path, sizeof(path), "/sys/kernel/debug/%s",
			 knobs[i].knob);
		sysfs_write(path, knobs[i].value);
	}
	/* Orphans of killed processes become children of this one. */
	CHECK_RC(0, prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), "subreaper");
}

/* Bind every mock device that the unbinder has left without a driver. */
static void bind_all(struct __test_metadata *_metadata)
{
	char name[64], path[128], driver[64];

	for (unsigned int i = 0; !sysfs_find(PLATFORM_DEVICES, "vfio-mock-", i,
					     name, sizeof(name)); i++) {
		snprintf(path, sizeof(path), PLATFORM_DEVICES "/%s/driver",
			 name);
		if (!sysfs_link_name(path, driver, sizeof(driver)))
			continue;
		CHECK_RC(0, sysfs_write(RANDOM_DRIVER "/bind", name),
			 "%s has no driver", name);
	}
}

static void read_huge(struct __test_metadata *_metadata, unsigned long *huge)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[256];

	CHECK(file, "no meminfo");
	while (fgets(line, sizeof(line), file))
		for (size_t i = 0; i < ARRAY_SIZE(huge_names); i++)
			if (!strncmp(line, huge_names[i],
				     strlen(huge_names[i])))
				huge[i] = strtoul(line + strlen(huge_names[i]),
						  NULL, 10);
	fclose(file);
}

/*
 * Check that the user has no pinned pages accounted: a child without privilege
 * can pin one page with a limit of one page.
 */
static void check_user(struct __test_metadata *_metadata)
{
	struct rlimit limit = { SZ_4K, SZ_4K };
	int status, rc;
	pid_t pid = fork();

	if (!pid) {
		struct bench bench;
		void *va = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		bench_open(_metadata, &bench, MODE_IOMMUFD, "4k");
		random_drop_privilege(&limit);
		rc = __iommu_map(&bench.iommu, va, 0x1000000, SZ_4K,
				 PROT_DMA_RW);
		bench_close(_metadata, &bench);
		_exit(-rc);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status),
	      "the child that pins a page");
	CHECK_RC(0, WEXITSTATUS(status), "the user still has pinned pages");
}

/* End the processes of an epoch that has failed. */
static void end_by_force(struct random_world *world)
{
	world->stop = true;
	if (world->group > 0)
		kill(-world->group, SIGKILL);
}

/* Wait for all children, but not longer than HANG_SECONDS. */
static void reap(struct __test_metadata *_metadata, struct random_world *world)
{
	double end = random_now() + HANG_SECONDS;
	pid_t pid;

	for (;;) {
		pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			return;
		if (!pid)
			usleep(5000);
		if (random_now() > end) {
			random_print_slots(world);
			end_by_force(world);
			CHECK(0, "seed %llu: a process does not end",
			      world->seed);
		}
	}
}

static pid_t start(void (*main)(struct random_world *world),
		   struct random_world *world)
{
	pid_t pid = fork();

	if (!pid) {
		setpgid(0, 0);
		main(world);
		_exit(0);
	}
	setpgid(pid, pid);
	return pid;
}

/* Check that no call has been running for HANG_SECONDS. */
static void check_progress(struct __test_metadata *_metadata,
			   struct random_world *world)
{
	unsigned long now = random_now_ms();

	for (size_t i = 0; i < RANDOM_SLOTS; i++) {
		unsigned long since = world->slots[i].since;

		if (!world->slots[i].pid || !since ||
		    now < since + HANG_SECONDS * 1000UL)
			continue;
		random_print_slots(world);
		end_by_force(world);
		CHECK(0, "seed %llu: a call does not end", world->seed);
	}
}

/* Kill a process of the group, but the first one, in the middle of a call. */
static void kill_one(struct random_world *world, unsigned int turn)
{
	struct random_slot *slot = &world->slots[turn % RANDOM_SLOTS];
	pid_t pid = slot->pid;

	if (pid > 0 && pid != world->group && getpgid(pid) == world->group)
		kill(pid, SIGKILL);
}

static void run(struct __test_metadata *_metadata, struct random_world *world,
		double time, bool kills)
{
	double end = random_now() + time;
	unsigned int turn = 0;
	pid_t unbinder = 0;

	world->group = start(random_process_main, world);
	if (!(world->without &
	      (WITHOUT_HOT_UNBIND | WITHOUT_LAST_GROUP)))
		unbinder = start(random_unbinder_main, world);
	while (random_now() < end && !world->failed) {
		usleep(20000);
		check_progress(_metadata, world);
		if (kills && turn++ % 8 == 7)
			kill_one(world, turn * 7 + world->seed);
	}
	world->stop = true;
	if (kills)
		kill(-world->group, SIGKILL);
	reap(_metadata, world);
	CHECK(!unbinder || kill(unbinder, 0), "the unbinder is still there");
	CHECK(!world->failed, "seed %llu: %s", world->seed, world->text);
}

/* Run an epoch of @time seconds; with an odd seed, kill its processes. */
void random_epoch(struct __test_metadata *_metadata, struct random_world *world,
		  double time)
{
	unsigned long before[4] = {}, after[4] = {};
	bool kills = world->seed % 2 && !(world->without & WITHOUT_KILL);
	struct counts counts;

	world->stop = false;
	memset(world->ids, 0, sizeof(world->ids));
	memset(world->slots, 0, sizeof(world->slots));
	counts_now(_metadata, &counts);
	read_huge(_metadata, before);
	run(_metadata, world, time, kills);
	bind_all(_metadata);
	counts_check(_metadata, &counts, 0, 0, 0);
	read_huge(_metadata, after);
	for (size_t i = 0; i < ARRAY_SIZE(huge_names); i++)
		CHECK(before[i] == after[i], "seed %llu: %s %lu, not %lu",
		      world->seed, huge_names[i], after[i], before[i]);
	check_user(_metadata);
}
