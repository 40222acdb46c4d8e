// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: DMA of a PCI device behind a hardware IOMMU
 *
 * QEMU's edu device behind VT-d, bound to vfio-pci. The device reaches mapped
 * memory, byte by byte, and nothing else.
 */
#include "lib/device/edu.h"
#include "lib/test.h"

#define IOVA	0x800000ULL
#define LENGTH	(2 * SZ_2M)

FIXTURE(edu)
{
	struct iommu iommu;
	struct vfio_dev dev;
	struct mem mem;
	__u8 *model;
	bool tracks;
};

FIXTURE_VARIANT(edu)
{
	enum iommu_mode mode;
	enum mem_kind kind;
};

FIXTURE_VARIANT_ADD(edu, type1_4k) {
	.mode = MODE_TYPE1, .kind = MEM_4K,
};

FIXTURE_VARIANT_ADD(edu, type1_thp) {
	.mode = MODE_TYPE1, .kind = MEM_THP,
};

FIXTURE_VARIANT_ADD(edu, type1_hugetlb) {
	.mode = MODE_TYPE1, .kind = MEM_HUGETLB,
};

FIXTURE_VARIANT_ADD(edu, compat_4k) {
	.mode = MODE_COMPAT, .kind = MEM_4K,
};

FIXTURE_VARIANT_ADD(edu, compat_thp) {
	.mode = MODE_COMPAT, .kind = MEM_THP,
};

FIXTURE_VARIANT_ADD(edu, compat_hugetlb) {
	.mode = MODE_COMPAT, .kind = MEM_HUGETLB,
};

FIXTURE_VARIANT_ADD(edu, iommufd_4k) {
	.mode = MODE_IOMMUFD, .kind = MEM_4K,
};

FIXTURE_VARIANT_ADD(edu, iommufd_thp) {
	.mode = MODE_IOMMUFD, .kind = MEM_THP,
};

FIXTURE_VARIANT_ADD(edu, iommufd_hugetlb) {
	.mode = MODE_IOMMUFD, .kind = MEM_HUGETLB,
};

FIXTURE_SETUP(edu)
{
	char path[128];

	ASSERT_EQ(0, edu_find(path, sizeof(path)));
	ASSERT_EQ(0, __edu_bind(path));
	ASSERT_EQ(0, __edu_can_track(path, &self->tracks));
	iommu_open(_metadata, &self->iommu, variant->mode);
	ASSERT_EQ(0, __vfio_dev_open(&self->dev, &self->iommu, path));
	ASSERT_EQ(0, __edu_enable(&self->dev));
	mem_alloc(_metadata, &self->mem, LENGTH, variant->kind);
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, LENGTH);
	self->model = malloc(LENGTH);
	ASSERT_NE(NULL, self->model);
	mem_pattern(self->model, LENGTH, 7);
	memcpy(self->mem.va, self->model, LENGTH);
}

FIXTURE_TEARDOWN(edu)
{
	vfio_dev_close(&self->dev);
	iommu_close(&self->iommu);
	mem_free(&self->mem);
	free(self->model);
}

/* Both directions, within and across pages, small and huge. */
TEST_F_TIMEOUT(edu, mapped_memory_is_copied, 120)
{
	static const struct {
		__u64 from, to;
		__u32 length;
	} copies[] = {
		{ 0, SZ_2M, EDU_MAX },
		{ SZ_2M - 1000, 100, EDU_MAX },
		{ 5 * SZ_4K - 3, SZ_2M - 1024, EDU_MAX },
		{ LENGTH - EDU_MAX, 9 * SZ_4K - 1, EDU_MAX },
		{ 77, LENGTH - 1, 1 },
		{ SZ_64K + 2, LENGTH - EDU_MAX - 64, 1999 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(copies); i++) {
		__u64 from = copies[i].from, to = copies[i].to;
		__u32 length = copies[i].length;

		ASSERT_EQ(0, __edu_read(&self->dev, IOVA + from, length));
		ASSERT_EQ(0, __edu_write(&self->dev, IOVA + to, length));
		memcpy(self->model + to, self->model + from, length);
		ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH)) {
			TH_LOG("copies[%zu]", i);
		}
	}
}

/* IOVAs next to the mapping, and far away from it. */
TEST_F_TIMEOUT(edu, unmapped_memory_is_out_of_reach, 120)
{
	static const __u64 places[] = {
		IOVA - EDU_MAX, IOVA + LENGTH, 0x1000, EDU_DMA_LAST + 1 - SZ_4K,
	};

	ASSERT_EQ(0, __edu_read(&self->dev, IOVA, EDU_MAX));
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		ASSERT_EQ(0, __edu_write(&self->dev, places[i], EDU_MAX));
		ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH)) {
			TH_LOG("a write to 0x%llx reached memory", places[i]);
		}
	}
	ASSERT_EQ(0, __edu_write(&self->dev, IOVA + SZ_4K, EDU_MAX));
	memcpy(self->model + SZ_4K, self->model, EDU_MAX);
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));
}

/*
 * Memory that was unmapped is out of reach, also after it was mapped elsewhere.
 */
TEST_F_TIMEOUT(edu, moved_mapping_is_reached_at_its_new_iova_only, 120)
{
	const __u64 there = IOVA + 4 * SZ_2M;

	ASSERT_EQ(0, __edu_read(&self->dev, IOVA + 10, EDU_MAX));
	ASSERT_EQ(0, __edu_write(&self->dev, IOVA + SZ_2M, EDU_MAX));
	memcpy(self->model + SZ_2M, self->model + 10, EDU_MAX);
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));

	iommu_unmap(_metadata, &self->iommu, IOVA, LENGTH);
	ASSERT_EQ(0, __edu_write(&self->dev, IOVA, EDU_MAX));
	ASSERT_EQ(0, __edu_write(&self->dev, IOVA + SZ_2M + 64, EDU_MAX));
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));

	iommu_map(_metadata, &self->iommu, self->mem.va, there, LENGTH);
	ASSERT_EQ(0, __edu_write(&self->dev, there + SZ_64K, EDU_MAX));
	memcpy(self->model + SZ_64K, self->model + 10, EDU_MAX);
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));
	ASSERT_EQ(0, __edu_write(&self->dev, IOVA, EDU_MAX));
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));
}

/* A device cannot write memory that is mapped for reading only. */
TEST_F_TIMEOUT(edu, read_only_memory_is_not_written, 120)
{
	const __u64 there = IOVA + 4 * SZ_2M;

	ASSERT_EQ(0, __iommu_map(&self->iommu, self->mem.va, there, LENGTH,
				 PROT_DMA_READ));
	ASSERT_EQ(0, __edu_read(&self->dev, there + SZ_4K, EDU_MAX));
	ASSERT_EQ(0, __edu_write(&self->dev, there, EDU_MAX));
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));
	ASSERT_EQ(0, __edu_write(&self->dev, IOVA, EDU_MAX));
	memcpy(self->model, self->model + SZ_4K, EDU_MAX);
	ASSERT_EQ(0, memcmp(self->model, self->mem.va, LENGTH));
}

static void check_iommufd_refuses(struct __test_metadata *_metadata,
				  struct iommu *iommu, struct vfio_dev *dev)
{
	__u32 hwpt;
	__u64 word;

	ASSERT_EQ(-EOPNOTSUPP, __hwpt_alloc(iommu->fd, dev->dev_id,
					    iommu->ioas_id,
					    IOMMU_HWPT_ALLOC_DIRTY_TRACKING,
					    &hwpt));
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_track(iommu->fd, dev->hwpt_id, true));
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_dirty(iommu->fd, dev->hwpt_id, 0, IOVA,
					    SZ_4K, SZ_4K, &word));
}

/*
 * Where VT-d lacks dirty bits, as that of QEMU does, iommufd refuses and type1
 * reports every page.
 */
TEST_F(edu, tracking_without_dirty_bits_is_refused_or_conservative)
{
	struct guarded_bitmap bm;

	/* edu_dirty_test.c */
	if (self->tracks)
		return;
	if (variant->mode == MODE_IOMMUFD) {
		check_iommufd_refuses(_metadata, &self->iommu, &self->dev);
		return;
	}
	ASSERT_EQ(0, __type1_dirty_flag(self->iommu.fd,
					VFIO_IOMMU_DIRTY_PAGES_FLAG_START));
	bitmap_alloc(_metadata, &bm, LENGTH / SZ_4K, 0);
	for (int i = 0; i < 2; i++) {
		bitmap_reset(&bm);
		ASSERT_EQ(0, __type1_dirty_get(self->iommu.fd, IOVA, LENGTH,
					       SZ_4K, bm.bits,
					       bitmap_bytes(&bm)));
		bitmap_check_guards(_metadata, &bm);
		ASSERT_EQ(bm.nbits, bitmap_count(&bm));
	}
	bitmap_free(&bm);
}

/* The device does not support DMA logging, either. */
TEST_F(edu, dma_logging_is_refused)
{
	static const __u32 features[] = {
		VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
	};
	char payload[64] = {};

	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		ASSERT_EQ(-ENOTTY, __vfio_dev_feature(&self->dev, features[i] |
						VFIO_DEVICE_FEATURE_PROBE,
						NULL, 0));
		ASSERT_EQ(-ENOTTY, __vfio_dev_feature(&self->dev, features[i],
						      payload,
						      sizeof(payload)));
	}
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
