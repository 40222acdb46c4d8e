// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: type1 as virtual machine monitors use it
 *
 * Behaviour that QEMU, crosvm, DPDK and others depend on, with the sizes that
 * they pass: 24 bytes for the first GET_INFO, 8 to start and stop, 48 to query
 * and to unmap with a bitmap. Programs that run on the base kernel see no
 * difference except for more precise results.
 */
#include <fcntl.h>

#include "lib/report.h"
#include "lib/test.h"

#define RAM		0x10000000ULL
#define RAM_PAGES	192
#define RAM_LENGTH	(RAM_PAGES * SZ_4K)

/* A value that no structure has */
#define POISON		0x5a

FIXTURE(vmm)
{
	struct bench bench;
	enum report_kind kind;
};

FIXTURE_VARIANT(vmm)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(vmm, type1_4k) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(vmm, type1_2k) {
	.mode = MODE_TYPE1, .model = "2k",
};

FIXTURE_VARIANT_ADD(vmm, type1_nodirty) {
	.mode = MODE_TYPE1, .model = "nodirty",
};

FIXTURE_VARIANT_ADD(vmm, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(vmm, compat_4k) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(vmm, compat_2k) {
	.mode = MODE_COMPAT, .model = "2k",
};

FIXTURE_VARIANT_ADD(vmm, compat_nodirty) {
	.mode = MODE_COMPAT, .model = "nodirty",
};

FIXTURE_VARIANT_ADD(vmm, compat_emulated) {
	.mode = MODE_COMPAT, .model = "emulated",
};

FIXTURE_SETUP(vmm)
{
	sysfs_write(EMULATED_PIN, "Y");
	bench_open(_metadata, &self->bench, variant->mode, variant->model);
	mem_alloc(_metadata, &self->bench.mem, RAM_LENGTH, MEM_4K);
	self->kind = report_kind_of(variant->model);
}

FIXTURE_TEARDOWN(vmm)
{
	bench_close(_metadata, &self->bench);
}

/* Call GET_INFO twice: for the size, and then for everything. */
static struct vfio_iommu_type1_info *
get_info(struct __test_metadata *_metadata, int fd)
{
	struct vfio_iommu_type1_info first = { .argsz = 24 }, *info;

	ASSERT_EQ(24, sizeof(first));
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, &first));
	ASSERT_LT(24, first.argsz);
	ASSERT_EQ(VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS, first.flags);
	ASSERT_EQ(0, first.cap_offset);
	info = calloc(1, first.argsz);
	ASSERT_NE(NULL, info);
	info->argsz = first.argsz;
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_GET_INFO, info));
	ASSERT_EQ(first.argsz, info->argsz);
	ASSERT_EQ(first.iova_pgsizes, info->iova_pgsizes);
	return info;
}

/* Return a capability or NULL; an invalid chain fails the test. */
static void *find_cap(struct __test_metadata *_metadata,
		      const struct vfio_iommu_type1_info *info, __u16 id)
{
	const struct vfio_info_cap_header *header, *found = NULL;
	__u32 at, last = 0;

	for (at = info->cap_offset; at; at = header->next) {
		ASSERT_GE(at, sizeof(*info));
		ASSERT_GT(at, last);
		ASSERT_EQ(0, at % 8);
		ASSERT_GE(info->argsz, at + sizeof(*header));
		header = (const void *)((const char *)info + at);
		ASSERT_EQ(1, header->version);
		if (header->id == id) {
			ASSERT_EQ(NULL, found);
			found = header;
		}
		last = at;
	}
	return (void *)found;
}

/*
 * Any size from the first version's on is valid; no byte beyond it is written.
 */
TEST_F(vmm, info_of_any_size_is_filled)
{
	struct vfio_iommu_type1_info *info = get_info(_metadata,
						      self->bench.iommu.fd);
	__u32 needed = info->argsz, size;
	__u8 *buf = malloc(needed + 64);
	struct vfio_iommu_type1_info *got = (void *)buf;

	for (size = 0; size < needed + 32; size++) {
		memset(buf, POISON, needed + 64);
		got->argsz = size;
		CHECK_RC(size < 16 ? -EINVAL : 0,
			 xioctl(self->bench.iommu.fd, VFIO_IOMMU_GET_INFO, got),
			 "argsz %u", size);
		ASSERT_TRUE(mem_is(buf + size, needed + 64 - size, POISON) ||
			    size < 4);
		if (size < 16)
			continue;
		ASSERT_EQ(info->flags, got->flags);
		if (size < needed)
			ASSERT_EQ(needed, got->argsz);
		if (size >= 24)
			ASSERT_EQ(size < needed ? 0 : info->cap_offset,
				  got->cap_offset);
	}
	free(buf);
	free(info);
}

TEST_F(vmm, capabilities_are_those_of_type1)
{
	struct vfio_iommu_type1_info_cap_migration *migration;
	struct vfio_iommu_type1_info_cap_iova_range *ranges;
	struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info *info = get_info(_metadata,
						      self->bench.iommu.fd);
	bool emulated = self->kind == REPORT_PINS;
	bool type1 = self->bench.iommu.mode == MODE_TYPE1;

	ASSERT_EQ(SZ_4K, info->iova_pgsizes & -info->iova_pgsizes);
	migration = find_cap(_metadata, info,
			     VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION);
	ASSERT_NE(NULL, migration);
	ASSERT_EQ(32, sizeof(*migration));
	ASSERT_EQ(0, migration->flags);
	ASSERT_EQ(SZ_4K, migration->pgsize_bitmap);
	ASSERT_EQ(256 * SZ_1M, migration->max_dirty_bitmap_size);

	avail = find_cap(_metadata, info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	ASSERT_NE(NULL, avail);
	ASSERT_EQ(type1 ? 65535 : ~0U, avail->avail);

	ranges = find_cap(_metadata, info,
			  VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	if (emulated && type1) {
		ASSERT_EQ(NULL, ranges);
	} else {
		ASSERT_NE(NULL, ranges);
		ASSERT_EQ(1, ranges->nr_iovas);
		ASSERT_EQ(0, ranges->iova_ranges[0].start);
		ASSERT_EQ(emulated ? ~0ULL : (1ULL << 48) - 1,
			  ranges->iova_ranges[0].end);
	}
	free(info);
}

TEST_F(vmm, extensions_are_those_of_type1)
{
	bool emulated = self->kind == REPORT_PINS;
	bool type1 = self->bench.iommu.mode == MODE_TYPE1;
	const struct {
		unsigned long extension;
		int expected;
	} queries[] = {
		{ VFIO_TYPE1_IOMMU, 1 },
		{ VFIO_TYPE1v2_IOMMU, 1 },
		{ VFIO_TYPE1_NESTING_IOMMU, type1 },
		{ VFIO_UNMAP_ALL, 1 },
		{ VFIO_UPDATE_VADDR, !emulated },
		{ VFIO_DMA_CC_IOMMU, 1 },
		{ VFIO_SPAPR_TCE_IOMMU, 0 },
		{ 12345, 0 },
	};
	int fd = self->bench.iommu.fd;

	ASSERT_EQ(VFIO_API_VERSION, xioctl(fd, VFIO_GET_API_VERSION, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(queries); i++)
		CHECK_RC(queries[i].expected,
			 xioctl(fd, VFIO_CHECK_EXTENSION,
				(void *)queries[i].extension), "%lu",
			 queries[i].extension);
	/* This ioctl number belongs to the SPAPR container only. */
	ASSERT_EQ(-ENOTTY, xioctl(fd, VFIO_IOMMU_SPAPR_TCE_CREATE, NULL));
}

/* DPDK continues after EEXIST; QEMU unmaps and maps again. */
TEST_F(vmm, map_over_a_mapping_is_eexist)
{
	static const struct {
		__u64 iova, length;
		int rc;
	} maps[] = {
		{ RAM, RAM_LENGTH, -EEXIST },
		{ RAM, SZ_4K, -EEXIST },
		{ RAM + RAM_LENGTH - SZ_4K, 2 * SZ_4K, -EEXIST },
		{ RAM - SZ_4K, 2 * SZ_4K, -EEXIST },
		{ RAM + SZ_1G, 0, -EINVAL },
		{ RAM + SZ_1G + 1, SZ_4K, -EINVAL },
		{ RAM + SZ_1G, SZ_4K + 1, -EINVAL },
		{ RAM + SZ_1G, RAM_LENGTH, 0 },
	};
	struct iommu *iommu = &self->bench.iommu;
	__u8 *va = self->bench.mem.va;
	int fd = iommu->fd;

	iommu_map(_metadata, iommu, va, RAM, RAM_LENGTH);
	for (size_t i = 0; i < ARRAY_SIZE(maps); i++)
		CHECK_RC(maps[i].rc, __iommu_map(iommu, va, maps[i].iova,
						 maps[i].length, PROT_DMA_RW),
			 "%zu", i);
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, 0, va, 4 * SZ_1G, SZ_4K));
	ASSERT_EQ(-EINVAL, __type1_map_flags(fd, 8 | 3, va, 4 * SZ_1G, SZ_4K));
	if (iommu->mode == MODE_TYPE1)
		ASSERT_EQ(-EINVAL, __iommu_map(iommu, va + 1, 4 * SZ_1G, SZ_4K,
					       PROT_DMA_RW));
	ASSERT_EQ(-EFAULT, xioctl(fd, VFIO_IOMMU_MAP_DMA, NULL));
	ASSERT_EQ(0, __iommu_map(iommu, va, 4 * SZ_1G, SZ_4K, PROT_DMA_READ));
	ASSERT_EQ(0, __iommu_map(iommu, va, 5 * SZ_1G, SZ_4K, PROT_DMA_WRITE));
}

/* Programs depend on the returned size being the size of the range. */
TEST_F(vmm, unmap_returns_the_unmapped_size)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap), .iova = RAM, .size = RAM_LENGTH,
	};
	struct iommu *iommu = &self->bench.iommu;

	ASSERT_EQ(24, sizeof(unmap));
	for (int i = 0; i < 3; i++) {
		iommu_map(_metadata, iommu, self->bench.mem.va, RAM,
			  RAM_LENGTH);
		mock_fill(_metadata, &self->bench.dev, RAM, RAM_LENGTH, i);
		unmap.size = RAM_LENGTH;
		ASSERT_EQ(0, xioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
		ASSERT_EQ(RAM_LENGTH, unmap.size);
	}
	ASSERT_EQ(0, xioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	ASSERT_EQ(0, unmap.size);
	unmap.size = RAM_LENGTH;
	unmap.argsz = 23;
	ASSERT_EQ(-EINVAL, xioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, &unmap));
	ASSERT_EQ(RAM_LENGTH, unmap.size);
	ASSERT_EQ(-EFAULT, xioctl(iommu->fd, VFIO_IOMMU_UNMAP_DMA, NULL));
}

/* START and STOP are 8 bytes, GET is 48, and the bitmap is zeroed memory. */
static void dirty_pages(struct __test_metadata *_metadata, int fd, __u32 flags)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = 8, .flags = flags,
	};

	ASSERT_EQ(8, sizeof(dirty));
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &dirty));
	ASSERT_EQ(8, dirty.argsz);
	ASSERT_EQ(flags, dirty.flags);
}

static void sync_ram(struct __test_metadata *_metadata, int fd, __u64 iova,
		     __u64 length, __u64 *bits, __u64 bytes)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.dirty = { .argsz = 48, .flags = DIRTY_GET },
		.get = { iova, length, { SZ_4K, bytes, bits } },
	};

	ASSERT_EQ(48, sizeof(arg));
	memset(bits, 0, bytes);
	ASSERT_EQ(0, xioctl(fd, VFIO_IOMMU_DIRTY_PAGES, &arg));
	ASSERT_EQ(bytes, arg.get.bitmap.size);
}

/* A migration with two slots and a hole between them; one is mapped later. */
TEST_F(vmm, migration_reports_dirty_pages)
{
	const __u64 low = RAM, high = RAM + SZ_1G;
	struct bench *bench = &self->bench;
	bool all = self->kind == REPORT_NOTHING;
	bool pins = self->kind == REPORT_PINS;
	int fd = bench->iommu.fd;
	__u64 bits[RAM_PAGES / 64];

	iommu_map(_metadata, &bench->iommu, bench->mem.va, low, RAM_LENGTH);
	dirty_pages(_metadata, fd, DIRTY_START);
	dirty_pages(_metadata, fd, DIRTY_START);
	iommu_map(_metadata, &bench->iommu, bench->mem.va, high, RAM_LENGTH);
	mock_fill(_metadata, &bench->dev, low + 64 * SZ_4K, SZ_4K, 1);
	mock_fill(_metadata, &bench->dev, high + RAM_LENGTH - 1, 1, 1);
	for (int round = 0; round < 2; round++) {
		bool once = !round || pins;

		sync_ram(_metadata, fd, low, RAM_LENGTH, bits, sizeof(bits));
		ASSERT_EQ(all ? ~0ULL : 0, bits[0]);
		ASSERT_EQ(all ? ~0ULL : once, bits[1]);
		ASSERT_EQ(all ? ~0ULL : 0, bits[2]);
		sync_ram(_metadata, fd, high, RAM_LENGTH, bits, sizeof(bits));
		ASSERT_EQ(all ? ~0ULL : 0, bits[0]);
		ASSERT_EQ(all ? ~0ULL : 0, bits[1]);
		ASSERT_EQ(all ? ~0ULL : (__u64)once << 63, bits[2]);
		sync_ram(_metadata, fd, low + RAM_LENGTH, RAM_LENGTH, bits,
			 sizeof(bits));
		ASSERT_TRUE(mem_is(bits, sizeof(bits), 0));
	}
	dirty_pages(_metadata, fd, DIRTY_STOP);
	dirty_pages(_metadata, fd, DIRTY_STOP);
}

/* Unmap single pages with a bit each, as behind a virtual IOMMU. */
TEST_F(vmm, unmap_of_a_page_reports_its_bit)
{
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg;
	struct bench *bench = &self->bench;
	__u64 bits;

	ASSERT_EQ(48, sizeof(arg));
	for (int page = 0; page < 40; page++) {
		__u64 iova = RAM + page * SZ_4K;
		bool written = page % 3;

		if (page == 7)
			dirty_pages(_metadata, bench->iommu.fd, DIRTY_START);
		iommu_map(_metadata, &bench->iommu,
			  bench->mem.va + page * SZ_4K, iova, SZ_4K);
		if (written)
			mock_fill(_metadata, &bench->dev, iova + 8, 8, page);
		bits = 0;
		arg.unmap = (struct vfio_iommu_type1_dma_unmap) {
			48, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, iova, SZ_4K,
		};
		arg.bitmap = (struct vfio_bitmap) { SZ_4K, 8, &bits };
		CHECK_RC(page < 7 ? -EINVAL : 0,
			 xioctl(bench->iommu.fd, VFIO_IOMMU_UNMAP_DMA, &arg),
			 "page %d", page);
		/* After an error, the compat container has unmapped nothing. */
		ASSERT_EQ(page < 7 && self->bench.iommu.mode == MODE_COMPAT ?
				  0 : SZ_4K, arg.unmap.size);
		if (page >= 7)
			ASSERT_EQ(written || self->kind == REPORT_NOTHING,
				  bits);
	}
}

/* A container without a group. */
FIXTURE(alone)
{
	struct iommu iommu;
};

FIXTURE_VARIANT(alone)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(alone, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(alone, compat) { .mode = MODE_COMPAT };

FIXTURE_SETUP(alone)
{
	iommu_open(_metadata, &self->iommu, variant->mode);
}

FIXTURE_TEARDOWN(alone)
{
	iommu_close(&self->iommu);
}

TEST_F(alone, ioctls_without_a_group_fail)
{
	int rc = self->iommu.mode == MODE_TYPE1 ? -EINVAL : -ENODEV;
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	int fd = self->iommu.fd;
	__u64 bits = 0;

	ASSERT_EQ(VFIO_API_VERSION, xioctl(fd, VFIO_GET_API_VERSION, NULL));
	ASSERT_EQ(1, xioctl(fd, VFIO_CHECK_EXTENSION,
			    (void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(rc, xioctl(fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(rc, xioctl(fd, VFIO_IOMMU_GET_INFO, &info));
	ASSERT_EQ(rc, __type1_map(fd, &bits, RAM, SZ_4K, PROT_DMA_RW));
	ASSERT_EQ(rc, __type1_unmap(fd, RAM, SZ_4K, NULL));
	ASSERT_EQ(rc, __type1_dirty_flag(fd, DIRTY_START));
	ASSERT_EQ(rc, __type1_dirty_get(fd, RAM, SZ_4K, SZ_4K, &bits, 8));
}

/* A device without isolated interrupts requires allow_unsafe_interrupts. */
TEST_F(alone, unsafe_interrupts_require_the_parameter)
{
	struct vfio_dev dev;
	char path[128];
	int rc;

	ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
	ASSERT_EQ(0, iommu_allow_unsafe_interrupts(&self->iommu, false));
	rc = __vfio_dev_open(&dev, &self->iommu, path);
	ASSERT_EQ(0, iommu_allow_unsafe_interrupts(&self->iommu, true));
	ASSERT_EQ(-EPERM, rc);
	ASSERT_EQ(0, __vfio_dev_open(&dev, &self->iommu, path));
	vfio_dev_close(&dev);
}

TEST_HARNESS_MAIN
