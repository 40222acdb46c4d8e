// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the bench
 *
 * Open a mock device with the given interface. A missing device fails the test:
 * a kernel built with the configuration of the tests has the device.
 */
#include <limits.h>
#include <string.h>

#include "bench.h"
#include "check.h"
#include "lib/device/edu.h"
#include "sysfs.h"

static void bench_open_path(struct __test_metadata *_metadata,
			    struct bench *bench, enum iommu_mode mode,
			    const char *path)
{
	memset(bench, 0, sizeof(*bench));
	/* A test that was killed may have left it set. */
	sysfs_write(DROP_FLUSH, "0");
	iommu_open(_metadata, &bench->iommu, mode);
	CHECK_RC(0, __vfio_dev_open(&bench->dev, &bench->iommu, path),
		 "cannot open %s", path);
}

void bench_open(struct __test_metadata *_metadata, struct bench *bench,
		enum iommu_mode mode, const char *model)
{
	char path[PATH_MAX];

	CHECK_RC(0, mock_find(model, 0, path, sizeof(path)),
		 "no mock DMA device of model %s", model);
	bench_open_path(_metadata, bench, mode, path);
}

void bench_open_pci(struct __test_metadata *_metadata, struct bench *bench,
		    enum iommu_mode mode, const char *model)
{
	char path[PATH_MAX];

	CHECK_RC(0, mock_pci_find(model, 0, path, sizeof(path)),
		 "no mock PCI device of model %s", model);
	bench_open_path(_metadata, bench, mode, path);
}

void bench_open_edu(struct __test_metadata *_metadata, struct bench *bench,
		    enum iommu_mode mode)
{
	char path[128];

	CHECK_RC(0, edu_find(path, sizeof(path)), "no edu device");
	CHECK_RC(0, __edu_bind(path), "cannot bind %s", path);
	bench_open_path(_metadata, bench, mode, path);
	CHECK_RC(0, __edu_enable(&bench->dev), "cannot enable %s", path);
}

void bench_memory(struct __test_metadata *_metadata, struct bench *bench,
		  __u64 iova, size_t length, enum mem_kind kind)
{
	mem_alloc(_metadata, &bench->mem, length, kind);
	bench->iova = iova;
	iommu_map(_metadata, &bench->iommu, bench->mem.va, iova, length);
}

void bench_close(struct __test_metadata *_metadata, struct bench *bench)
{
	vfio_dev_close(&bench->dev);
	iommu_close(&bench->iommu);
	mem_free(&bench->mem);
	sysfs_write(DROP_FLUSH, "0");
}

int __bench_track(struct bench *bench, bool enable)
{
	if (bench->iommu.mode == MODE_IOMMUFD)
		return __hwpt_track(bench->iommu.fd, bench->dev.hwpt_id,
				    enable);
	return __type1_dirty_flag(bench->iommu.fd,
				  enable ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START :
					   VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
}

void bench_track(struct __test_metadata *_metadata, struct bench *bench)
{
	CHECK_RC(0, __bench_track(bench, true), "cannot enable tracking");
}

/* For type1, pass the bitmap size that its ABI requires: whole 64-bit words. */
int __bench_query(struct bench *bench, __u32 flags, __u64 iova, __u64 length,
		  __u64 granule, void *bits)
{
	__u64 size = (length / granule + 63) / 64 * 8;

	if (bench->iommu.mode == MODE_IOMMUFD)
		return __hwpt_dirty(bench->iommu.fd, bench->dev.hwpt_id, flags,
				    iova, length, granule, bits);
	return __type1_dirty_get(bench->iommu.fd, iova, length, granule, bits,
				 size);
}

void bench_query(struct __test_metadata *_metadata, struct bench *bench,
		 struct guarded_bitmap *bm, __u64 iova, __u64 granule)
{
	__u64 length = bm->nbits * granule;

	bitmap_reset(bm);
	CHECK_RC(0, __bench_query(bench, 0, iova, length, granule, bm->bits),
		 "query of 0x%llx bytes at 0x%llx", length, iova);
	bitmap_check_guards(_metadata, bm);
}
