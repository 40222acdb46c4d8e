// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DMA of a PCI device against an unmap that reports dirty pages
 *
 * QEMU's edu device writes zeroed memory behind a VT-d that has second-stage
 * dirty bits: what it wrote is what is not zero. It writes a few bytes of each
 * page.
 *
 * RACE_SECONDS in the environment sets the duration of each test, by default 2.
 */
#include "lib/device/edu.h"
#include "lib/race/unmap.h"
#include "lib/test.h"

#define PAGES	16
#define BYTES	8

FIXTURE(edu_unmap)
{
	struct unmap_race race;
};

FIXTURE_VARIANT(edu_unmap)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(edu_unmap, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(edu_unmap, compat) { .mode = MODE_COMPAT };

static int write_pages(struct unmap_race *race)
{
	int rc = 0;

	for (unsigned int page = 0; page < race->pages && !rc; page++)
		rc = __edu_write(&race->bench.dev, UNMAP_IOVA + page * SZ_4K,
				 BYTES);
	return rc;
}

/* The pages are zeroed for the next round. */
static void pages_written(struct __test_metadata *_metadata,
			  struct unmap_race *race, __u8 *pages)
{
	for (unsigned int page = 0; page < race->pages; page++) {
		__u8 *va = race->bench.mem.va + page * SZ_4K;

		pages[page] = !mem_is(va, BYTES, 0);
		memset(va, 0, BYTES);
	}
}

FIXTURE_SETUP(edu_unmap)
{
	struct unmap_race *race = &self->race;
	struct bench *bench = &race->bench;

	race->pages = PAGES;
	race->leaf = 1;
	race->write = write_pages;
	race->written = pages_written;
	bench_open_edu(_metadata, bench, variant->mode);
	mem_alloc(_metadata, &bench->mem, PAGES * SZ_4K, MEM_4K);
	mem_scatter(_metadata, &bench->mem);
	/* The device's buffer gets what it writes later. */
	iommu_map(_metadata, &bench->iommu, bench->mem.va, UNMAP_IOVA, SZ_4K);
	memset(bench->mem.va, 0xa5, BYTES);
	ASSERT_EQ(0, __edu_read(&bench->dev, UNMAP_IOVA, BYTES));
	memset(bench->mem.va, 0, BYTES);
	iommu_unmap(_metadata, &bench->iommu, UNMAP_IOVA, SZ_4K);
	unmap_race_start(_metadata, race);
}

FIXTURE_TEARDOWN(edu_unmap)
{
	unmap_race_stop(_metadata, &self->race);
}

TEST_F_TIMEOUT(edu_unmap, unmap_reports_every_write, 3600)
{
	unsigned int rounds;
	unsigned int races = unmap_race_run(_metadata, &self->race, &rounds);

	TH_LOG("%u unmaps during DMA in %u rounds", races, rounds);
}

/* Skip the tests if the machine lacks the device. */
int main(int argc, char **argv)
{
	if (!edu_has_dirty_bits()) {
		ksft_print_header();
		ksft_exit_skip("no edu device behind an IOMMU with dirty bits\n");
	}
	return test_harness_run(argc, argv);
}
