// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: page faults against changes of page tables
 *
 * A device faults while one thread responds, another one attaches the device to
 * page tables with and without fault queues, nested ones among them, a third one
 * unmaps what was mapped, and a fourth one makes and destroys queues. Each DMA
 * command ends, and when the device is detached, no fault is left and nothing
 * is pinned. A debug kernel checks more.
 *
 * RACE_SECONDS in the environment sets the duration, by default 2.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/counts.h"
#include "lib/race/race.h"
#include "lib/test.h"

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"

#define IOVA	0x10000000ULL
#define PAGES	16
#define LENGTH	(PAGES * SZ_4K)

/* Pages that are mapped on demand */
#define HOLE	(IOVA + LENGTH)

#define QUEUES	2
#define TABLES	5

/**
 * struct fault_race - what the threads share
 * @bench: the device, and its memory
 * @queue: files of fault queues
 * @queue_id: their IDs
 * @parent: page table that the last of @table has as its parent
 * @table: page tables to attach the device to; the first one has no queue
 * @dma: DMA commands that have ended
 * @responded: groups of faults that were responded by a write
 * @stop: the threads end
 */
struct fault_race {
	struct bench bench;
	int queue[QUEUES];
	__u32 queue_id[QUEUES];
	__u32 parent;
	__u32 table[TABLES];
	atomic_uint dma;
	atomic_uint responded;
	atomic_bool stop;
};

FIXTURE(fault_race)
{
	struct fault_race race;
	struct counts counts;
};

static void make_table(struct __test_metadata *_metadata,
		       struct fault_race *race, int i, __u32 pt_id, int queue,
		       __u32 type)
{
	struct iommu_hwpt_selftest data = { .iotlb = 1 };

	ASSERT_EQ(0, __hwpt_alloc_data(race->bench.iommu.fd,
				       race->bench.dev.dev_id, pt_id,
				       IOMMU_HWPT_FAULT_ID_VALID,
				       race->queue_id[queue], type, &data,
				       type ? sizeof(data) : 0,
				       &race->table[i]));
}

FIXTURE_SETUP(fault_race)
{
	struct fault_race *race = &self->race;
	struct bench *bench = &race->bench;
	int fd;

	/* DMA over the end of a page has groups of two requests. */
	ASSERT_EQ(0, sysfs_write(GROUP_REQUESTS, "2"));
	counts_now(_metadata, &self->counts);
	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	fd = bench->iommu.fd;
	for (int i = 0; i < QUEUES; i++)
		ASSERT_EQ(0, __fault_alloc(fd, &race->queue_id[i],
					   &race->queue[i]));
	ASSERT_EQ(0, __hwpt_alloc(fd, bench->dev.dev_id, bench->iommu.ioas_id,
				  IOMMU_HWPT_ALLOC_NEST_PARENT, &race->parent));
	race->table[0] = bench->dev.hwpt_id;
	make_table(_metadata, race, 1, bench->iommu.ioas_id, 0, 0);
	make_table(_metadata, race, 2, bench->iommu.ioas_id, 1, 0);
	make_table(_metadata, race, 3, bench->iommu.ioas_id, 0, 0);
	make_table(_metadata, race, 4, race->parent, 1,
		   IOMMU_HWPT_DATA_SELFTEST);
}

FIXTURE_TEARDOWN(fault_race)
{
	for (int i = 0; i < QUEUES; i++)
		close(self->race.queue[i]);
	bench_close(_metadata, &self->race.bench);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	sysfs_write(GROUP_REQUESTS, "1");
}

static void *run_dma(void *arg)
{
	struct fault_race *race = arg;
	__u64 seed = 1, page;

	while (!atomic_load(&race->stop)) {
		page = next_random(&seed) % PAGES;
		__mock_fill(&race->bench.dev, HOLE + page * SZ_4K - 8, 16,
			    page);
		atomic_fetch_add(&race->dma, 1);
	}
	return NULL;
}

/* Respond a group of faults; some remain for a detach. */
static void respond(struct fault_race *race, int fd, __u32 cookie, __u64 choice)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = choice == 1 ? IOMMUFD_PAGE_RESP_INVALID :
				      IOMMUFD_PAGE_RESP_SUCCESS,
	};

	if (choice == 0)
		return;
	if (write(fd, &response, sizeof(response)) == sizeof(response))
		atomic_fetch_add(&race->responded, 1);
	/* A second response must not reach another group. */
	if (write(fd, &response, sizeof(response)) == sizeof(response))
		atomic_store(&race->stop, true);
}

/* Read some groups of faults, map what they need or do not, and respond. */
static void read_groups(struct fault_race *race, int fd, __u64 *seed)
{
	struct iommu_hwpt_pgfault faults[4];
	ssize_t count = read(fd, faults, sizeof(faults));
	__u64 choice = next_random(seed) % 8;

	for (ssize_t i = 0; i < count / (ssize_t)sizeof(*faults); i++) {
		if (choice > 2)
			__iommu_map(&race->bench.iommu,
				    race->bench.mem.va +
					    (faults[i].addr - HOLE),
				    faults[i].addr, SZ_4K, PROT_DMA_RW);
		if (!(faults[i].flags & IOMMU_PGFAULT_FLAGS_LAST_PAGE))
			continue;
		respond(race, fd, faults[i].cookie, choice);
		choice = next_random(seed) % 8;
	}
}

static void *run_responder(void *arg)
{
	struct fault_race *race = arg;
	struct pollfd entries[QUEUES];
	__u64 seed = 2;

	for (int i = 0; i < QUEUES; i++)
		entries[i] = (struct pollfd){
			.fd = race->queue[i],
			.events = POLLIN,
		};
	while (!atomic_load(&race->stop)) {
		poll(entries, QUEUES, 10);
		for (int i = 0; i < QUEUES; i++)
			if (entries[i].revents & POLLIN)
				read_groups(race, entries[i].fd, &seed);
	}
	return NULL;
}

static void *run_attach(void *arg)
{
	struct fault_race *race = arg;
	__u64 seed = 3, choice;

	while (!atomic_load(&race->stop)) {
		choice = next_random(&seed) % (TABLES + 1);
		if (choice == TABLES)
			__vfio_dev_detach(&race->bench.dev);
		else
			__vfio_dev_attach(&race->bench.dev,
					  race->table[choice]);
		/* Let some faults be responded by the other thread. */
		usleep(next_random(&seed) % 2000);
	}
	return NULL;
}

static void *run_unmap(void *arg)
{
	struct fault_race *race = arg;
	__u64 seed = 4, page;

	while (!atomic_load(&race->stop)) {
		page = next_random(&seed) % PAGES;
		__iommu_unmap(&race->bench.iommu, HOLE + page * SZ_4K, SZ_4K,
			      NULL);
		usleep(next_random(&seed) % 500);
	}
	return NULL;
}

static void *run_alloc(void *arg)
{
	struct fault_race *race = arg;
	int fd = race->bench.iommu.fd, queue;
	__u32 id, table;

	while (!atomic_load(&race->stop)) {
		if (__fault_alloc(fd, &id, &queue))
			continue;
		if (!__hwpt_alloc_data(fd, race->bench.dev.dev_id,
				       race->bench.iommu.ioas_id,
				       IOMMU_HWPT_FAULT_ID_VALID, id, 0, NULL,
				       0, &table))
			__iommu_destroy(fd, table);
		close(queue);
		__iommu_destroy(fd, id);
	}
	return NULL;
}

TEST_F_TIMEOUT(fault_race, every_dma_ends_and_no_fault_is_left, 1200)
{
	void *(*const runs[])(void *) = { run_dma, run_responder, run_attach,
					  run_unmap, run_alloc };
	struct fault_race *race = &self->race;
	double end = race_now() + race_seconds();
	pthread_t threads[ARRAY_SIZE(runs)];
	struct iommu_hwpt_pgfault fault;

	for (size_t i = 0; i < ARRAY_SIZE(runs); i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, runs[i], race));
	while (race_now() < end && !atomic_load(&race->stop))
		usleep(10000);
	/* Set before the end by a response that reached two faults. */
	ASSERT_FALSE(atomic_exchange(&race->stop, true));
	for (size_t i = 1; i < ARRAY_SIZE(runs); i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	/* What waits for a response gets it by the detach. */
	__vfio_dev_detach(&race->bench.dev);
	ASSERT_EQ(0, pthread_join(threads[0], NULL));
	for (int i = 0; i < QUEUES; i++)
		ASSERT_EQ(0, read(race->queue[i], &fault, sizeof(fault)));
	TH_LOG("%u DMA commands, %u responses", atomic_load(&race->dma),
	       atomic_load(&race->responded));
	ASSERT_LT(0, atomic_load(&race->responded));
}

TEST_HARNESS_MAIN
