// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: BARs that are mapped for devices
 *
 * Map the BAR of QEMU's edu device, through the VMA of vfio-pci, behind VT-d. A
 * BAR has no pages to pin or account. A device that reads the BAR reads
 * registers, which edu can do to itself. Ordinary memory is mapped too, by the
 * same call or by another one. A result has every page of a BAR. It has every
 * page of memory as well where VT-d lacks dirty bits, as that of QEMU does.
 */
#include <stdint.h>
#include <sys/mman.h>

#include "lib/counts.h"
#include "lib/device/edu.h"
#include "lib/test.h"

#define RAM_IOVA	0x800000ULL
#define BAR_IOVA	0x2000000ULL
#define MIX_IOVA	0x4000000ULL
#define RAM_PAGES	64
#define RAM_LENGTH	(RAM_PAGES * SZ_4K)

/* Value of the device's first register, which identifies it */
#define EDU_ID		0x010000edU

/* Maximum number of pages of a query */
#define MOST_PAGES	1024

/* Ends a list of pages */
#define LAST		SIZE_MAX

FIXTURE(pfnmap)
{
	struct iommu iommu;
	struct vfio_dev dev;
	struct vfio_region_info bar;
	struct mem mem;
	struct counts counts;
	__u8 *va;
	long pages;
	bool tracks;
};

FIXTURE_VARIANT(pfnmap)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(pfnmap, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(pfnmap, compat) { .mode = MODE_COMPAT };

static void *map_bar(struct vfio_dev *dev, const struct vfio_region_info *bar,
		     void *at, int prot)
{
	return mmap(at, bar->size, prot, MAP_SHARED | (at ? MAP_FIXED : 0),
		    dev->fd, bar->offset);
}

FIXTURE_SETUP(pfnmap)
{
	char path[128];

	ASSERT_EQ(0, edu_find(path, sizeof(path)));
	ASSERT_EQ(0, __edu_bind(path));
	ASSERT_EQ(0, __edu_can_track(path, &self->tracks));
	ASSERT_EQ(0, iommu_allow_pfnmap(true));
	iommu_open(_metadata, &self->iommu, variant->mode);
	ASSERT_EQ(0, __vfio_dev_open(&self->dev, &self->iommu, path));
	ASSERT_EQ(0, __edu_enable(&self->dev));
	ASSERT_EQ(0, __vfio_dev_region(&self->dev, VFIO_PCI_BAR0_REGION_INDEX,
				       &self->bar));
	ASSERT_TRUE(self->bar.flags & VFIO_REGION_INFO_FLAG_MMAP);
	self->pages = self->bar.size / SZ_4K;
	ASSERT_LT(2 * RAM_PAGES + self->pages, MOST_PAGES);
	/* Not touched: it is mapped for the device before it is for a CPU. */
	self->va = map_bar(&self->dev, &self->bar, NULL,
			   PROT_READ | PROT_WRITE);
	ASSERT_NE(MAP_FAILED, (void *)self->va);
	mem_alloc(_metadata, &self->mem, RAM_LENGTH, MEM_4K);
	mem_pattern(self->mem.va, RAM_LENGTH, 3);
	counts_now(_metadata, &self->counts);
}

FIXTURE_TEARDOWN(pfnmap)
{
	munmap(self->va, self->bar.size);
	vfio_dev_close(&self->dev);
	iommu_close(&self->iommu);
	iommu_allow_pfnmap(false);
	mem_free(&self->mem);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Check the pins of ordinary memory; type1 also accounts them as locked. */
static void check_pinned(struct __test_metadata *_metadata,
			 const struct counts *counts,
			 const struct iommu *iommu, long pages)
{
	counts_check(_metadata, counts, pages, pages,
		     iommu_locked(iommu, pages));
}

/* Make edu copy from one IOVA to another. */
static void edu_copies(struct __test_metadata *_metadata, struct vfio_dev *dev,
		       __u64 from, __u64 to, __u32 length)
{
	ASSERT_EQ(0, __edu_read(dev, from, length));
	ASSERT_EQ(0, __edu_write(dev, to, length));
}

/*
 * Check two results for [@iova, @iova + @pages * 4 KiB): both have the @always
 * pages from page @first on, the first one also those of the @writes.
 */
static void check_dirty(struct __test_metadata *_metadata, struct iommu *iommu,
			__u64 iova, size_t pages, size_t first, size_t always,
			const size_t *writes)
{
	struct guarded_bitmap bm;

	bitmap_alloc(_metadata, &bm, (pages + 63) / 64 * 64, 0);
	for (int i = 0; i < 2; i++) {
		size_t count = always;

		bitmap_reset(&bm);
		ASSERT_EQ(0, __type1_dirty_get(iommu->fd, iova, pages * SZ_4K,
					       SZ_4K, bm.bits,
					       bitmap_bytes(&bm)));
		bitmap_check_guards(_metadata, &bm);
		for (size_t page = first; page < first + always; page++)
			ASSERT_TRUE(bitmap_test(&bm, page));
		for (; !i && *writes != LAST; writes++, count++)
			ASSERT_TRUE(bitmap_test(&bm, *writes));
		ASSERT_EQ(count, bitmap_count(&bm));
	}
	bitmap_free(&bm);
}

/* Map the BAR, read it by DMA, query it and unmap it, twice. */
TEST_F_TIMEOUT(pfnmap, mapped_bar_is_read_by_dma, 120)
{
	const size_t always = self->tracks ? 0 : RAM_PAGES;
	const size_t writes[] = { self->tracks ? 0 : LAST, 20, LAST };
	struct iommu *iommu = &self->iommu;
	__u8 *ram = self->mem.va;
	__u32 id;

	iommu_map(_metadata, iommu, ram, RAM_IOVA, RAM_LENGTH);
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd,
					VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	for (int i = 0; i < 2; i++) {
		iommu_map(_metadata, iommu, self->va, BAR_IOVA,
			  self->bar.size);
		check_pinned(_metadata, &self->counts, &self->iommu,
			     RAM_PAGES);
		memset(ram, 0, SZ_4K);
		edu_copies(_metadata, &self->dev, BAR_IOVA, RAM_IOVA + 64, 4);
		memcpy(&id, ram + 64, sizeof(id));
		ASSERT_EQ(EDU_ID, id);
		edu_copies(_metadata, &self->dev, RAM_IOVA + 9 * SZ_4K,
			   RAM_IOVA + 20 * SZ_4K, EDU_MAX);
		ASSERT_EQ(0, memcmp(ram + 9 * SZ_4K, ram + 20 * SZ_4K,
				    EDU_MAX));
		check_dirty(_metadata, iommu, BAR_IOVA, self->pages, 0,
			    self->pages, writes + 2);
		check_dirty(_metadata, iommu, RAM_IOVA, RAM_PAGES, 0, always,
			    writes);
		iommu_unmap(_metadata, iommu, BAR_IOVA, self->bar.size);
		check_pinned(_metadata, &self->counts, &self->iommu,
			     RAM_PAGES);
		/* The unmapped BAR is out of reach, and memory is unchanged. */
		memset(ram + SZ_4K, 0x77, SZ_4K);
		ASSERT_EQ(0, __edu_write(&self->dev, BAR_IOVA + SZ_4K, 4));
		ASSERT_TRUE(mem_is(ram + SZ_4K, SZ_4K, 0x77));
	}
	/* A CPU reads the same value. */
	ASSERT_EQ(EDU_ID, *(__u32 *)self->va);
}

/* Map @ram bytes of memory, the BAR, and @ram bytes again in one call. */
static void map_mix(struct __test_metadata *_metadata, struct iommu *iommu,
		    struct vfio_dev *dev, const struct vfio_region_info *bar,
		    size_t ram, struct mem *mix)
{
	size_t length = 2 * ram + bar->size;

	mem_alloc(_metadata, mix, length, MEM_4K);
	ASSERT_NE(MAP_FAILED, map_bar(dev, bar, mix->va + ram,
				      PROT_READ | PROT_WRITE));
	iommu_map(_metadata, iommu, mix->va, MIX_IOVA, length);
}

TEST_F_TIMEOUT(pfnmap, bar_among_memory_is_one_mapping, 120)
{
	const __u64 behind = RAM_LENGTH + self->bar.size;
	struct iommu *iommu = &self->iommu;
	const __u64 length = RAM_LENGTH + behind;
	const size_t none = LAST;
	struct mem mix;
	__u64 unmapped;
	__u32 id;

	map_mix(_metadata, iommu, &self->dev, &self->bar, RAM_LENGTH, &mix);
	check_pinned(_metadata, &self->counts, &self->iommu, 2 * RAM_PAGES);
	ASSERT_EQ(0, __type1_dirty_flag(iommu->fd,
					VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	check_dirty(_metadata, iommu, MIX_IOVA, length / SZ_4K,
		    self->tracks ? RAM_PAGES : 0,
		    self->tracks ? self->pages : length / SZ_4K, &none);

	mem_pattern(mix.va, RAM_LENGTH, 9);
	edu_copies(_metadata, &self->dev, MIX_IOVA + RAM_LENGTH - EDU_MAX,
		   MIX_IOVA + behind, EDU_MAX);
	ASSERT_EQ(0, memcmp(mix.va + RAM_LENGTH - EDU_MAX, mix.va + behind,
			    EDU_MAX));
	edu_copies(_metadata, &self->dev, MIX_IOVA + RAM_LENGTH, MIX_IOVA, 4);
	memcpy(&id, mix.va, sizeof(id));
	ASSERT_EQ(EDU_ID, id);

	/* One call made one mapping. */
	ASSERT_GT(0, __type1_unmap(iommu->fd, MIX_IOVA + RAM_LENGTH,
				   self->bar.size, &unmapped));
	ASSERT_GT(0, __type1_unmap(iommu->fd, MIX_IOVA, RAM_LENGTH,
				   &unmapped));
	iommu_unmap(_metadata, iommu, MIX_IOVA, length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	mem_free(&mix);
}

/* A page is unmapped without a search for its mapping, unless mappings have parts. */
TEST_F_TIMEOUT(pfnmap, page_beside_a_bar_is_part_of_the_mapping, 120)
{
	const __u64 length = self->bar.size + 2 * SZ_4K;
	struct iommu *iommu = &self->iommu;
	struct mem mix;
	__u64 unmapped;

	map_mix(_metadata, iommu, &self->dev, &self->bar, SZ_4K, &mix);
	ASSERT_GT(0, __type1_unmap(iommu->fd, MIX_IOVA, SZ_4K, &unmapped));
	ASSERT_GT(0, __type1_unmap(iommu->fd, MIX_IOVA + length - SZ_4K, SZ_4K,
				   &unmapped));
	check_pinned(_metadata, &self->counts, &self->iommu, 2);

	mem_pattern(mix.va, SZ_4K, 5);
	edu_copies(_metadata, &self->dev, MIX_IOVA, MIX_IOVA + length - SZ_4K,
		   EDU_MAX);
	ASSERT_EQ(0, memcmp(mix.va, mix.va + length - SZ_4K, EDU_MAX));
	iommu_unmap(_metadata, iommu, MIX_IOVA, length);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	mem_free(&mix);
}

/* Map parts of the BAR, and the pages of a part at different IOVAs. */
TEST_F_TIMEOUT(pfnmap, parts_of_a_bar_are_mapped, 120)
{
	struct iommu *iommu = &self->iommu;
	__u32 id;

	iommu_map(_metadata, iommu, self->mem.va, RAM_IOVA, RAM_LENGTH);
	iommu_map(_metadata, iommu, self->va + 3 * SZ_4K, BAR_IOVA + SZ_1M,
		  SZ_4K);
	iommu_map(_metadata, iommu, self->va, BAR_IOVA, SZ_4K);
	iommu_map(_metadata, iommu, self->va + SZ_4K, BAR_IOVA + SZ_4K,
		  self->bar.size - SZ_4K);
	edu_copies(_metadata, &self->dev, BAR_IOVA, RAM_IOVA, 4);
	memcpy(&id, self->mem.va, sizeof(id));
	ASSERT_EQ(EDU_ID, id);
	iommu_unmap(_metadata, iommu, BAR_IOVA, SZ_4K);
	iommu_unmap(_metadata, iommu, BAR_IOVA + SZ_4K, self->bar.size - SZ_4K);
	iommu_unmap(_metadata, iommu, BAR_IOVA + SZ_1M, SZ_4K);
	check_pinned(_metadata, &self->counts, &self->iommu, RAM_PAGES);
}

/*
 * A map without the rights of the process's VMA is refused and leaves nothing.
 */
TEST_F(pfnmap, map_without_access_to_the_bar_is_refused)
{
	struct iommu *iommu = &self->iommu;
	struct mem mix;
	void *readable;

	readable = map_bar(&self->dev, &self->bar, NULL, PROT_READ);
	ASSERT_NE(MAP_FAILED, readable);
	ASSERT_EQ(-EFAULT, __iommu_map(iommu, readable, BAR_IOVA, SZ_64K,
				       PROT_DMA_RW));
	ASSERT_EQ(0, __iommu_map(iommu, readable, BAR_IOVA, SZ_64K,
				 PROT_DMA_READ));
	iommu_unmap(_metadata, iommu, BAR_IOVA, SZ_64K);
	munmap(readable, self->bar.size);

	/* A hole in place of the memory after the BAR */
	map_mix(_metadata, iommu, &self->dev, &self->bar, RAM_LENGTH, &mix);
	iommu_unmap(_metadata, iommu, MIX_IOVA, mix.length);
	ASSERT_EQ(0, munmap(mix.va + mix.length - SZ_4K, SZ_4K));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(-EFAULT, __iommu_map(iommu, mix.va, MIX_IOVA,
					       mix.length, PROT_DMA_RW));
		counts_check(_metadata, &self->counts, 0, 0, 0);
	}
	/* The IOVAs are free. */
	iommu_map(_metadata, iommu, self->mem.va, MIX_IOVA, RAM_LENGTH);
	munmap(mix.va, mix.length - SZ_4K);
}

/* Skip the tests if the machine lacks the device. */
int main(int argc, char **argv)
{
	char path[128];

	if (edu_find(path, sizeof(path))) {
		ksft_print_header();
		ksft_exit_skip("no edu device: qemu -device edu\n");
	}
	return test_harness_run(argc, argv);
}
