// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DMA of a mock device against an unmap that reports dirty pages
 *
 * The device ends its DMA at the first page that faults, and reports that page.
 *
 * RACE_SECONDS in the environment sets the duration of each test, by default 2.
 */
#include "lib/race/unmap.h"
#include "lib/test.h"

FIXTURE(unmap_race)
{
	struct unmap_race race;
};

FIXTURE_VARIANT(unmap_race)
{
	enum iommu_mode mode;
	const char *model;
	enum mem_kind kind;
	unsigned int pages;
	unsigned int leaf;
};

FIXTURE_VARIANT_ADD(unmap_race, type1_4k) {
	MODE_TYPE1, "4k", MEM_4K, 128, 1,
};

FIXTURE_VARIANT_ADD(unmap_race, compat_4k) {
	MODE_COMPAT, "4k", MEM_4K, 128, 1,
};

FIXTURE_VARIANT_ADD(unmap_race, type1_2m) {
	MODE_TYPE1, "2m", MEM_HUGETLB, 512, 512,
};

static int write_pages(struct unmap_race *race)
{
	return __mock_set(&race->bench.dev, MOCK_REG(command),
			  VFIO_MOCK_DMA_CMD_FILL);
}

static void pages_written(struct __test_metadata *_metadata,
			  struct unmap_race *race, __u8 *pages)
{
	struct vfio_dev *dev = &race->bench.dev;
	unsigned int count = race->pages;

	if (mock_get(_metadata, dev, MOCK_REG(status)) != VFIO_MOCK_DMA_OK)
		count = (mock_get(_metadata, dev, MOCK_REG(fault_iova)) -
			 UNMAP_IOVA) / SZ_4K;
	memset(pages, 1, count);
}

FIXTURE_SETUP(unmap_race)
{
	struct bench *bench = &self->race.bench;
	__u64 length = variant->pages * SZ_4K;

	self->race.pages = variant->pages;
	self->race.leaf = variant->leaf;
	self->race.write = write_pages;
	self->race.written = pages_written;
	bench_open(_metadata, bench, variant->mode, variant->model);
	mem_alloc(_metadata, &bench->mem, length, variant->kind);
	mock_set(_metadata, &bench->dev, MOCK_REG(dst), UNMAP_IOVA);
	mock_set(_metadata, &bench->dev, MOCK_REG(length), length);
	unmap_race_start(_metadata, &self->race);
}

FIXTURE_TEARDOWN(unmap_race)
{
	unmap_race_stop(_metadata, &self->race);
}

TEST_F_TIMEOUT(unmap_race, unmap_reports_every_write, 3600)
{
	unsigned int rounds;
	unsigned int races = unmap_race_run(_metadata, &self->race, &rounds);

	TH_LOG("%u unmaps during DMA in %u rounds", races, rounds);
}

TEST_HARNESS_MAIN
