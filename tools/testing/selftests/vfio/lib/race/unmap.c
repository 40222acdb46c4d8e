// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DMA against an unmap that reports dirty pages
 *
 * A device writes pages while another thread unmaps them. A page that was
 * unmapped in time is not written. The bitmap of the unmap must have a bit for
 * every page that was written, and for no other.
 */
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "lib/check.h"
#include "race.h"
#include "unmap.h"

static void *write_pages(void *arg)
{
	struct unmap_race *race = arg;

	for (unsigned int round = 1;; round++) {
		/* A thread that sleeps would begin too late. */
		while (race->begun != round && !race->stop)
			sched_yield();
		if (race->stop)
			return NULL;
		race->rc = race->write(race);
		race->ended = round;
	}
}

void unmap_race_start(struct __test_metadata *_metadata,
		      struct unmap_race *race)
{
	bench_track(_metadata, &race->bench);
	CHECK_RC(0, pthread_create(&race->writer, NULL, write_pages, race),
		 "no thread");
}

void unmap_race_stop(struct __test_metadata *_metadata, struct unmap_race *race)
{
	race->stop = true;
	pthread_join(race->writer, NULL);
	bench_close(_metadata, &race->bench);
}

/*
 * Write and unmap pages once. The unmap begins after @delay iterations of a
 * loop. Return the number of pages that were written.
 */
static unsigned int run_round(struct __test_metadata *_metadata,
			      struct unmap_race *race, unsigned int delay)
{
	__u8 written[UNMAP_MAX_PAGES] = {};
	__u64 bits[UNMAP_MAX_PAGES / 64] = {};
	struct bench *bench = &race->bench;
	__u64 length = bench->mem.length;
	unsigned int count = 0;

	iommu_map(_metadata, &bench->iommu, bench->mem.va, UNMAP_IOVA, length);
	race->begun++;
	for (unsigned int i = 0; i < delay; i++)
		atomic_signal_fence(memory_order_seq_cst);
	CHECK_RC(0, __type1_unmap_bitmap(bench->iommu.fd, UNMAP_IOVA, &length,
					 SZ_4K, bits, sizeof(bits)), "unmap");
	while (race->ended != race->begun)
		sched_yield();
	CHECK_RC(0, race->rc, "writer");
	race->written(_metadata, race, written);
	for (unsigned int page = 0; page < race->pages; page++) {
		unsigned int first = page / race->leaf * race->leaf;
		bool reported = bits[page / 64] >> page % 64 & 1;
		bool dirty = memchr(written + first, 1, race->leaf);

		CHECK(reported == dirty, "page %u is %s", page,
		      dirty ? "written, not reported" :
			      "reported, not written");
		count += written[page];
	}
	return count;
}

/*
 * Run rounds for race_seconds(), and until an unmap has met DMA. Return the
 * number of those that did.
 */
unsigned int unmap_race_run(struct __test_metadata *_metadata,
			    struct unmap_race *race, unsigned int *rounds)
{
	double end = race_now() + race_seconds();
	unsigned int written, delay = 0, races = 0;

	srand(1);
	for (*rounds = 0; race_now() < end || !races; ++*rounds) {
		written = run_round(_metadata, race, delay);
		if (written && written < race->pages)
			races++;
		/* Stay where the unmap meets the writes. */
		if (!written)
			delay += rand() % 256;
		else if (written == race->pages)
			delay -= rand() % (delay / 2 + 1);
		else
			delay += rand() % 65 - (delay >= 32 ? 32 : 0);
	}
	return races;
}
