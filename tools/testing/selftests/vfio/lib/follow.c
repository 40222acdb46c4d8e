// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: following a device that writes
 *
 * Every round reads the device's own log of writes (the truth log), then
 * queries the dirty pages and copies them. A write is in the truth log only
 * after its dirty bit was set. So the query of this round reports it, or the
 * query of the round before, if it ran between the dirty bit and the log entry.
 * The device is one thread, so at most one write of a round can have been
 * delayed for longer. At the end, the memory and the copy must be equal.
 */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "follow.h"

int query_iommu(struct bench *bench, __u64 iova, __u64 length, void *bits)
{
	return __bench_query(bench, 0, iova, length, SZ_4K, bits);
}

int query_device(struct bench *bench, __u64 iova, __u64 length, void *bits)
{
	return __dma_log_report(&bench->dev, iova, length, SZ_4K, bits);
}

/* Start with tracking enabled already and before the device writes. */
void follow_start(struct __test_metadata *_metadata, struct follow *follow,
		  struct bench *bench, follow_query_t query)
{
	memset(follow, 0, sizeof(*follow));
	follow->bench = bench;
	follow->query = query;
	follow->pages = bench->mem.length / SZ_4K;
	follow->copy = malloc(bench->mem.length);
	follow->reported = calloc(follow->pages, sizeof(*follow->reported));
	CHECK(follow->copy && follow->reported, "out of memory");
	memcpy(follow->copy, bench->mem.va, bench->mem.length);
	bitmap_alloc(_metadata, &follow->bm, follow->pages, 11);
	bitmap_alloc(_metadata, &follow->truth, (follow->pages + 63) / 64 * 64,
		     0);
	CHECK_RC(0, __mock_truth_start(&bench->dev, bench->iova,
				       bench->mem.length, SZ_4K), "truth");
}

static void copy_dirty(struct follow *follow)
{
	for (size_t page = 0; page < follow->pages; page++) {
		if (!bitmap_test(&follow->bm, page))
			continue;
		follow->reported[page] = follow->round;
		memcpy(follow->copy + page * SZ_4K,
		       follow->bench->mem.va + page * SZ_4K, SZ_4K);
	}
}

static void check_truth(struct __test_metadata *_metadata,
			struct follow *follow)
{
	size_t late = 0, missed = 0;

	for (size_t page = 0; page < follow->pages; page++) {
		if (!bitmap_test(&follow->truth, page))
			continue;
		if (!follow->reported[page])
			missed++;
		else if (follow->reported[page] + 1 < follow->round)
			late++;
	}
	CHECK(!missed && late <= 1,
	      "round %u: %zu pages never reported, %zu not since they were written",
	      follow->round, missed, late);
}

void follow_round(struct __test_metadata *_metadata, struct follow *follow)
{
	struct bench *bench = follow->bench;

	follow->round++;
	mock_truth_read(_metadata, &bench->dev, follow->truth.bits,
			bitmap_bytes(&follow->truth));
	bitmap_reset(&follow->bm);
	CHECK_RC(0, follow->query(bench, bench->iova, bench->mem.length,
				  follow->bm.bits), "round %u", follow->round);
	bitmap_check_guards(_metadata, &follow->bm);
	copy_dirty(follow);
	check_truth(_metadata, follow);
}

/* Run the last round, after the device has stopped, and compare the copy. */
void follow_end(struct __test_metadata *_metadata, struct follow *follow)
{
	struct bench *bench = follow->bench;

	follow_round(_metadata, follow);
	for (size_t page = 0; page < follow->pages; page++) {
		CHECK(!memcmp(follow->copy + page * SZ_4K,
			      bench->mem.va + page * SZ_4K, SZ_4K),
		      "page %zu is stale, last reported in round %u of %u",
		      page, follow->reported[page], follow->round);
	}
	mock_set(_metadata, &bench->dev, MOCK_REG(truth_control), 0);
	bitmap_free(&follow->bm);
	bitmap_free(&follow->truth);
	free(follow->reported);
	free(follow->copy);
}
