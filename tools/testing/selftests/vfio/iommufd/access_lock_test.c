// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: unmapping memory that an access locks
 *
 * The driver of an access that cannot unpin whenever userspace unmaps locks what
 * it has pinned. An unmap of a range with a locked mapping fails with EBUSY: all
 * of the range stays mapped, and no other driver has to unpin.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/test.h"
#include "lib/device/test_access.h"

#define IOVA	0x10000000ULL
#define AREA	(16 * SZ_4K)
#define AREAS	3
#define LENGTH	(AREAS * AREA)

#define ROUNDS	2000

/* The first IOVA of a mapping */
#define AREA_IOVA(i)	(IOVA + (i) * AREA)

FIXTURE(lock)
{
	struct bench bench;
	struct counts before;
	int access;
};

/* Map adjacent areas by one call each. */
FIXTURE_SETUP(lock)
{
	struct bench *bench = &self->bench;

	counts_now(_metadata, &self->before);
	bench_open(_metadata, bench, MODE_IOMMUFD, "4k");
	mem_alloc(_metadata, &bench->mem, LENGTH, MEM_4K);
	for (int i = 0; i < AREAS; i++)
		iommu_map(_metadata, &bench->iommu, bench->mem.va + i * AREA,
			  AREA_IOVA(i), AREA);
	self->access = __access_create(&bench->iommu,
				       MOCK_FLAGS_ACCESS_CREATE_LOCKS);
	ASSERT_LE(0, self->access);
}

/* Check that refused calls leave nothing pinned or accounted. */
FIXTURE_TEARDOWN(lock)
{
	close(self->access);
	bench_close(_metadata, &self->bench);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

static __u32 lock_page(struct __test_metadata *_metadata, struct iommu *iommu,
		       int access, __u64 iova)
{
	__u32 pin;

	ASSERT_EQ(0, __access_pin(iommu, access, 0, iova, SZ_4K, NULL, &pin));
	return pin;
}

static bool is_mapped(struct iommu *iommu, int access, __u64 iova)
{
	char byte;

	return !__access_read(iommu, access, iova, &byte, 1);
}

TEST_F(lock, locked_mapping_is_unmapped_after_the_unpin)
{
	struct iommu *iommu = &self->bench.iommu;
	__u32 first, second;

	first = lock_page(_metadata, iommu, self->access, IOVA);
	second = lock_page(_metadata, iommu, self->access, IOVA + SZ_4K);
	ASSERT_EQ(-EBUSY, __iommu_unmap(iommu, IOVA, AREA, NULL));
	ASSERT_EQ(0, __access_unpin(iommu, self->access, first));
	ASSERT_EQ(-EBUSY, __iommu_unmap(iommu, IOVA, AREA, NULL));
	ASSERT_EQ(0, __access_unpin(iommu, self->access, second));
	iommu_unmap(_metadata, iommu, IOVA, AREA);
}

TEST_F(lock, range_with_a_locked_mapping_stays_mapped)
{
	struct iommu *iommu = &self->bench.iommu;

	lock_page(_metadata, iommu, self->access, AREA_IOVA(2) + SZ_4K);
	ASSERT_EQ(-EBUSY, __iommu_unmap(iommu, IOVA, LENGTH, NULL));
	ASSERT_EQ(-EBUSY, __ioas_unmap(iommu->fd, iommu->ioas_id, 0, UINT64_MAX,
				       NULL));
	for (int i = 0; i < AREAS; i++)
		ASSERT_TRUE(is_mapped(iommu, self->access, AREA_IOVA(i)));
	iommu_unmap(_metadata, iommu, IOVA, 2 * AREA);
	ASSERT_EQ(-EBUSY, __iommu_unmap(iommu, AREA_IOVA(2), AREA, NULL));
}

TEST_F(lock, devices_write_a_locked_mapping_and_are_tracked)
{
	struct bench *bench = &self->bench;
	__u64 bits = 0;

	bench_track(_metadata, bench);
	lock_page(_metadata, &bench->iommu, self->access, IOVA);
	ASSERT_EQ(-EBUSY, __iommu_unmap(&bench->iommu, IOVA, AREA, NULL));
	mock_fill(_metadata, &bench->dev, IOVA + 3 * SZ_4K, SZ_4K, 0x77);
	ASSERT_EQ(0, __bench_query(bench, 0, IOVA, 64 * SZ_4K, SZ_4K, &bits));
	ASSERT_EQ(1 << 3, bits);
	ASSERT_EQ(0x77, bench->mem.va[3 * SZ_4K]);
}

/* Drivers that can unpin do not have to, as the unmap fails anyway. */
TEST_F(lock, other_accesses_keep_their_pins)
{
	struct iommu *iommu = &self->bench.iommu;
	__u32 pin, locked, same;
	int other;

	other = __access_create(iommu, MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, __access_pin(iommu, other, 0, IOVA, AREA, NULL, &pin));
	ASSERT_EQ(0, __access_pin(iommu, other, 0, AREA_IOVA(2), AREA, NULL,
				  &same));
	locked = lock_page(_metadata, iommu, self->access, AREA_IOVA(2));
	ASSERT_EQ(-EBUSY, __iommu_unmap(iommu, IOVA, LENGTH, NULL));
	ASSERT_EQ(0, __access_unpin(iommu, other, pin));
	ASSERT_EQ(0, __access_unpin(iommu, self->access, locked));
	/* Not locked any more: the unmap makes the other driver unpin. */
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
	ASSERT_EQ(-ENOENT, __access_unpin(iommu, other, same));
	close(other);
}

TEST_F(lock, closing_the_access_unlocks)
{
	struct iommu *iommu = &self->bench.iommu;

	lock_page(_metadata, iommu, self->access, IOVA);
	ASSERT_EQ(-EBUSY, __iommu_unmap(iommu, IOVA, LENGTH, NULL));
	close(self->access);
	self->access = -1;
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
}

TEST_F(lock, lock_stays_with_its_address_space)
{
	struct iommu *iommu = &self->bench.iommu;
	__u32 pin, other;

	ASSERT_EQ(0, __ioas_alloc(iommu->fd, &other));
	pin = lock_page(_metadata, iommu, self->access, IOVA);
	ASSERT_EQ(-EBUSY, __access_replace(iommu, self->access, other));
	ASSERT_EQ(-EBUSY, __iommu_destroy(iommu->fd, iommu->ioas_id));
	ASSERT_EQ(0, __access_unpin(iommu, self->access, pin));
	ASSERT_EQ(0, __access_replace(iommu, self->access, other));
	iommu_unmap(_metadata, iommu, IOVA, LENGTH);
}

/**
 * struct unmapper - a thread that unmaps and maps the first mapping
 * @bench: the mapping
 * @quit: end the thread
 * @unmapped: number of unmaps that succeeded
 * @locked: number of unmaps that failed with EBUSY
 * @rc: any other result
 */
struct unmapper {
	struct bench *bench;
	atomic_bool quit;
	atomic_uint unmapped;
	atomic_uint locked;
	int rc;
};

static void *unmap_and_map(void *data)
{
	struct unmapper *unmapper = data;
	struct iommu *iommu = &unmapper->bench->iommu;
	int rc;

	while (!unmapper->quit) {
		rc = __iommu_unmap(iommu, IOVA, AREA, NULL);
		if (rc == -EBUSY) {
			unmapper->locked++;
			continue;
		}
		rc = rc ?: __iommu_map(iommu, unmapper->bench->mem.va, IOVA,
				       AREA, PROT_DMA_RW);
		if (rc) {
			unmapper->rc = rc;
			break;
		}
		unmapper->unmapped++;
	}
	return NULL;
}

/* From a successful pin to the unpin, the mapping stays. */
TEST_F_TIMEOUT(lock, pin_races_with_unmap, 600)
{
	struct unmapper unmapper = { .bench = &self->bench };
	struct iommu *iommu = &self->bench.iommu;
	unsigned int pins = 0;
	pthread_t thread;
	__u32 pin;
	int rc;

	ASSERT_EQ(0, pthread_create(&thread, NULL, unmap_and_map, &unmapper));
	while (!unmapper.rc && (pins < ROUNDS || !unmapper.locked ||
				unmapper.unmapped < 2)) {
		rc = __access_pin(iommu, self->access, 0, IOVA, AREA,
				  self->bench.mem.va, &pin);
		if (rc) {
			ASSERT_TRUE(rc == -ENOENT || rc == -EINVAL) {
				TH_LOG("pin: %d", rc);
			}
			continue;
		}
		pins++;
		ASSERT_TRUE(is_mapped(iommu, self->access, IOVA));
		ASSERT_EQ(0, __access_unpin(iommu, self->access, pin));
	}
	unmapper.quit = true;
	ASSERT_EQ(0, pthread_join(thread, NULL));
	ASSERT_EQ(0, unmapper.rc);
}

TEST_HARNESS_MAIN
