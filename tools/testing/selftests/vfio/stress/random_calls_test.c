// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: random calls
 *
 * Processes with several threads issue every ioctl of both type1 containers, of
 * /dev/iommu, and of VFIO's groups and devices, on files and objects that they
 * partly share. Meanwhile memory is unmapped, moved and truncated, allocations
 * fail, devices write and lose their driver, and processes are killed. After
 * each epoch all files are closed and all processes have ended. Then the
 * kernel's accounting must be as before: pins, pinned and locked pages of the
 * process and the user, huge pages and their reservations. At the end slab
 * memory must not have grown. A debug kernel checks more.
 *
 * In the environment:
 *
 * RANDOM_SEED      seed of the first epoch, which is logged; each following
 *                  epoch has the next number. The numbers of a thread depend
 *                  only on the seed and the thread, but their effect depends
 *                  on the scheduler, too. With an odd seed processes are killed.
 * RANDOM_SECONDS   duration of the test (20)
 * RANDOM_EPOCH     duration of an epoch in seconds, less than 60 (3)
 * RANDOM_WITHOUT   comma-separated list of what to leave out:
 *                  hugetlb_file  IOMMU_IOAS_MAP_FILE of a hugetlb memfd, and
 *                                holes in one (the reserve of huge pages)
 *                  last_group    removing the last group of a VFIO container
 *                                during its ioctls; implies hot_unbind
 *                  compat_group  groups in the compat container
 *                  type1_group   groups in a container of /dev/vfio/vfio
 *                  hot_unbind    unbinding of drivers
 *                  kill          killing of processes
 *                  faults        failing of allocations
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/random/random.h"
#include "lib/test.h"

#define SECONDS		20
#define EPOCH_SECONDS	3

/* Slab memory in KiB that may be in use additionally, once caches are warm */
#define SLAB_NOISE	(4 * 1024)

/* A kernel with kmemleak keeps freed memory, but reports leaks by itself. */
#define KMEMLEAK	"/sys/kernel/debug/kmemleak"

/* Number of epochs until the caches of a kernel are warm */
#define WARM_EPOCHS	4

static const struct {
	const char *name;
	unsigned int bit;
} withouts[] = {
	{ "hugetlb_file", WITHOUT_HUGETLB_FILE },
	{ "last_group", WITHOUT_LAST_GROUP },
	{ "compat_group", WITHOUT_COMPAT_GROUP },
	{ "type1_group", WITHOUT_TYPE1_GROUP },
	{ "hot_unbind", WITHOUT_HOT_UNBIND },
	{ "kill", WITHOUT_KILL },
	{ "faults", WITHOUT_FAULTS },
};

static double env_number(const char *name, double otherwise)
{
	const char *text = getenv(name);

	return text ? atof(text) : otherwise;
}

static unsigned int env_without(struct __test_metadata *_metadata)
{
	const char *text = getenv("RANDOM_WITHOUT");
	char *list = strdup(text ? text : "");
	unsigned int bits = 0;

	for (char *name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		size_t i = 0;

		while (i < ARRAY_SIZE(withouts) &&
		       strcmp(withouts[i].name, name))
			i++;
		CHECK(i < ARRAY_SIZE(withouts), "RANDOM_WITHOUT: %s", name);
		bits |= withouts[i].bit;
	}
	free(list);
	return bits;
}

static long slab_kib(struct __test_metadata *_metadata)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[256];
	long kib = -1;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "SUnreclaim: %ld", &kib) == 1)
			break;
	if (file)
		fclose(file);
	CHECK(kib >= 0, "no SUnreclaim");
	return kib;
}

FIXTURE(random_calls)
{
	struct random_world *world;
};

FIXTURE_SETUP(random_calls)
{
	self->world = mmap(NULL, sizeof(*self->world), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->world);
	self->world->without = env_without(_metadata);
	random_setup(_metadata);
}

FIXTURE_TEARDOWN(random_calls)
{
	munmap(self->world, sizeof(*self->world));
}

TEST_F_TIMEOUT(random_calls, every_epoch_leaves_nothing, 24 * 3600)
{
	double end = random_now() + env_number("RANDOM_SECONDS", SECONDS);
	double epoch = env_number("RANDOM_EPOCH", EPOCH_SECONDS);
	__u64 seed = env_number("RANDOM_SEED", time(NULL) % 1000000);
	unsigned int epochs = 0;
	struct random_world *world = self->world;
	long slab, warm = 0;

	TH_LOG("RANDOM_SEED=%llu", seed);
	do {
		world->seed = seed + epochs;
		random_epoch(_metadata, world, epoch);
		slab = slab_kib(_metadata);
		TH_LOG("seed %llu passed, slab %ld KiB", world->seed, slab);
		if (++epochs <= WARM_EPOCHS)
			warm = slab;
	} while (random_now() < end);
	random_print_calls(world);
	if (access(KMEMLEAK, F_OK))
		EXPECT_LE(slab, warm + SLAB_NOISE);
}

TEST_HARNESS_MAIN
