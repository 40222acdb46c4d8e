// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: IOTLB flushes of VT-d
 *
 * A query that clears dirty bits flushes the IOTLB of the hardware, and no other
 * query does. The VT-d driver counts invalidations in debugfs, with
 * CONFIG_INTEL_IOMMU_DEBUGFS.
 */
#include "lib/device/edu.h"
#include "lib/sysfs.h"
#include "lib/test.h"

#define LATENCY	"/sys/kernel/debug/iommu/intel/dmar_perf_latency"

/* The file has a number of invalidations for each of these spans of time. */
#define SPANS	7

#define IOVA	0x40000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)

FIXTURE(vtd_flush)
{
	struct bench bench;
	struct guarded_bitmap bm;
};

FIXTURE_VARIANT(vtd_flush)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(vtd_flush, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(vtd_flush, compat) { .mode = MODE_COMPAT };

FIXTURE_VARIANT_ADD(vtd_flush, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(vtd_flush)
{
	ASSERT_EQ(0, sysfs_write(LATENCY, "1"));
	bench_open_edu(_metadata, &self->bench, variant->mode);
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
	bench_track(_metadata, &self->bench);
}

FIXTURE_TEARDOWN(vtd_flush)
{
	bench_close(_metadata, &self->bench);
	bitmap_free(&self->bm);
	sysfs_write(LATENCY, "0");
}

/* Return the number of IOTLB invalidations of all units. */
static long flush_count(struct __test_metadata *_metadata)
{
	long count = 0, span[SPANS];
	FILE *file = fopen(LATENCY, "r");
	int units = 0;
	char line[256];

	ASSERT_NE(NULL, file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, " inv_iotlb %ld %ld %ld %ld %ld %ld %ld",
			   &span[0], &span[1], &span[2], &span[3], &span[4],
			   &span[5], &span[6]) != SPANS)
			continue;
		for (int i = 0; i < SPANS; i++)
			count += span[i];
		units++;
	}
	fclose(file);
	CHECK(units, "no line of IOTLB invalidations in %s", LATENCY);
	return count;
}

TEST_F(vtd_flush, only_query_of_dirty_pages_flushes)
{
	struct bench *bench = &self->bench;
	long before = flush_count(_metadata);

	ASSERT_EQ(0, __edu_write(&bench->dev, IOVA + 3 * SZ_4K, 8));
	ASSERT_EQ(before, flush_count(_metadata));
	bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
	ASSERT_EQ(1, bitmap_count(&self->bm));
	ASSERT_EQ(before + 1, flush_count(_metadata));
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, __edu_read(&bench->dev, IOVA, 8));
		bench_query(_metadata, bench, &self->bm, IOVA, SZ_4K);
		ASSERT_EQ(0, bitmap_count(&self->bm));
	}
	ASSERT_EQ(before + 1, flush_count(_metadata));
}

/* Nothing is mapped in most of the windows of the bitmap. */
TEST_F(vtd_flush, clean_query_of_several_windows_flushes_nothing)
{
	struct bench *bench = &self->bench;
	const __u64 length = 3ULL << 36;
	struct guarded_bitmap bm;
	long before;

	bitmap_alloc(_metadata, &bm, length / SZ_4K, 0);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, IOVA + length / 2,
		  LENGTH);
	before = flush_count(_metadata);
	bench_query(_metadata, bench, &bm, IOVA, SZ_4K);
	bitmap_free(&bm);
	ASSERT_EQ(before, flush_count(_metadata));
}

/* Skip the tests if the machine lacks the device, or the kernel the file. */
int main(int argc, char **argv)
{
	if (!edu_has_dirty_bits() || access(LATENCY, W_OK)) {
		ksft_print_header();
		ksft_exit_skip("no edu device behind a VT-d with dirty bits, or no %s\n",
			       LATENCY);
	}
	return test_harness_run(argc, argv);
}
