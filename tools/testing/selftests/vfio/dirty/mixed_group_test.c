// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: a group of devices with and without dirty tracking
 *
 * All devices of a group share a page table. If the IOMMU of one device lacks
 * dirty tracking, a page table with dirty tracking cannot be attached: type1
 * reports every mapped page, and iommufd refuses such a page table.
 */
#include <string.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/test.h"
#include "lib/report.h"

#define CAPABLE		"mixed4k"
#define INCAPABLE	"mixednodirty"

#define IOVA	0x10000000ULL
#define PAGES	128
#define LENGTH	(PAGES * SZ_4K)

/* A pattern that repeats one byte */
#define BYTES(byte)	((byte) * 0x0101010101010101ULL)

/* Write one byte and return true if the device faults. */
static bool write_faults(struct __test_metadata *_metadata,
			 struct vfio_dev *dev, __u64 iova)
{
	CHECK_RC(0, __mock_fill(dev, iova, 1, BYTES(0x66)),
		 "the command was refused");
	return mock_get(_metadata, dev, MOCK_REG(status)) != VFIO_MOCK_DMA_OK;
}

/* Check that both devices are in one group, which the tests below rely on. */
TEST(devices_of_both_kinds_are_in_one_group)
{
	char path[128], link[160], first[16] = "", number[16];

	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, mock_find(i < 2 ? CAPABLE : INCAPABLE, i % 2, path,
				       sizeof(path)));
		snprintf(link, sizeof(link), "%s/iommu_group", path);
		ASSERT_EQ(0, sysfs_link_name(link, number, sizeof(number)));
		if (!i)
			snprintf(first, sizeof(first), "%s", number);
		ASSERT_STREQ(first, number);
	}
}

FIXTURE(mixed_container)
{
	struct bench bench;
	struct report report;
	struct vfio_dev second;
	struct counts before;
};

FIXTURE_VARIANT(mixed_container)
{
	enum iommu_mode mode;
	const char *first;
	const char *second;
};

FIXTURE_VARIANT_ADD(mixed_container, type1_capable_first) {
	.mode = MODE_TYPE1, .first = CAPABLE, .second = INCAPABLE,
};

FIXTURE_VARIANT_ADD(mixed_container, type1_incapable_first) {
	.mode = MODE_TYPE1, .first = INCAPABLE, .second = CAPABLE,
};

FIXTURE_VARIANT_ADD(mixed_container, compat_capable_first) {
	.mode = MODE_COMPAT, .first = CAPABLE, .second = INCAPABLE,
};

FIXTURE_VARIANT_ADD(mixed_container, compat_incapable_first) {
	.mode = MODE_COMPAT, .first = INCAPABLE, .second = CAPABLE,
};

/*
 * The first device brings the group into the container; the second one follows.
 */
FIXTURE_SETUP(mixed_container)
{
	struct bench *bench = &self->bench;
	char path[128];

	self->second.fd = -1;
	self->second.group_fd = -1;
	counts_now(_metadata, &self->before);
	bench_open(_metadata, bench, variant->mode, variant->first);
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	report_init(_metadata, &self->report, IOVA, PAGES);

	ASSERT_EQ(0, mock_find(variant->second, 0, path, sizeof(path)));
	self->second.iommu = &bench->iommu;
	self->second.fd = xioctl(bench->dev.group_fd, VFIO_GROUP_GET_DEVICE_FD,
				 strrchr(path, '/') + 1);
	ASSERT_GE(self->second.fd, 0);
}

FIXTURE_TEARDOWN(mixed_container)
{
	vfio_dev_close(&self->second);
	bench_close(_metadata, &self->bench);
	report_free(&self->report);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

/* The result is conservative while the group is attached, and once more. */
TEST_F(mixed_container, query_reports_every_mapped_page)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;

	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	report->all = true;
	report_query(_metadata, report, &bench->iommu);
	mock_fill(_metadata, &bench->dev, IOVA + 3 * SZ_4K, 1, 1);
	mock_fill(_metadata, &self->second, IOVA + 5 * SZ_4K, 1, BYTES(2));
	ASSERT_EQ(1, bench->mem.va[3 * SZ_4K]);
	ASSERT_EQ(2, bench->mem.va[5 * SZ_4K]);
	report_query(_metadata, report, &bench->iommu);
	/* The group lacks dirty tracking whichever device is open. */
	vfio_dev_close(&self->second);
	report_query(_metadata, report, &bench->iommu);
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_STOP));
}

/* The group does not share a page table with a group with dirty tracking. */
TEST_F(mixed_container, group_beside_a_capable_one_is_precise_after_it_left)
{
	struct bench *bench = &self->bench;
	struct report *report = &self->report;
	struct vfio_dev capable;
	char path[128];

	ASSERT_EQ(0, mock_find("4k", 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_open(&capable, &bench->iommu, path));
	ASSERT_EQ(0, __type1_dirty_flag(bench->iommu.fd, DIRTY_START));
	report->all = true;
	report_query(_metadata, report, &bench->iommu);

	mock_fill(_metadata, &bench->dev, IOVA + 7 * SZ_4K, 1, 1);
	vfio_dev_close(&self->second);
	vfio_dev_close(&bench->dev);
	report->all = false;
	report_everything(report);
	report_query(_metadata, report, &bench->iommu);
	report_write(_metadata, report, &capable, REPORT_WRITES, 9 * SZ_4K,
		     SZ_4K);
	report_query(_metadata, report, &bench->iommu);
	report_query(_metadata, report, &bench->iommu);
	vfio_dev_close(&capable);
}

FIXTURE(mixed_iommufd)
{
	struct iommu iommu;
	struct vfio_dev capable;
	struct vfio_dev incapable;
	struct mem mem;
	struct guarded_bitmap bm;
	struct counts before;
};

FIXTURE_SETUP(mixed_iommufd)
{
	struct vfio_dev *devices[] = { &self->capable, &self->incapable };
	char path[128];

	counts_now(_metadata, &self->before);
	self->capable.fd = -1;
	self->incapable.fd = -1;
	iommu_open(_metadata, &self->iommu, MODE_IOMMUFD);
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(0, mock_find(i ? INCAPABLE : CAPABLE, 0, path,
				       sizeof(path)));
		ASSERT_EQ(0, __vfio_dev_bind(devices[i], &self->iommu, path));
	}
	mem_alloc(_metadata, &self->mem, LENGTH, MEM_4K);
	iommu_map(_metadata, &self->iommu, self->mem.va, IOVA, LENGTH);
	bitmap_alloc(_metadata, &self->bm, PAGES, 0);
}

FIXTURE_TEARDOWN(mixed_iommufd)
{
	vfio_dev_close(&self->capable);
	vfio_dev_close(&self->incapable);
	iommu_close(&self->iommu);
	mem_free(&self->mem);
	bitmap_free(&self->bm);
	counts_check(_metadata, &self->before, 0, 0, 0);
}

TEST_F(mixed_iommufd, capability_is_reported_per_device)
{
	bool able;

	ASSERT_EQ(0, __device_can_track(self->iommu.fd, self->capable.dev_id,
					&able));
	ASSERT_TRUE(able);
	ASSERT_EQ(0, __device_can_track(self->iommu.fd, self->incapable.dev_id,
					&able));
	ASSERT_FALSE(able);
}

/*
 * Attaching one device attaches its group, of which one device cannot attach.
 */
TEST_F(mixed_iommufd, attach_of_a_page_table_with_tracking_is_einval)
{
	__u32 tracked, plain;
	int fd = self->iommu.fd;

	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc(fd, self->incapable.dev_id, self->iommu.ioas_id,
			       IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &tracked));
	ASSERT_EQ(0, __hwpt_alloc(fd, self->capable.dev_id, self->iommu.ioas_id,
				  IOMMU_HWPT_ALLOC_DIRTY_TRACKING, &tracked));
	ASSERT_EQ(0, __hwpt_alloc(fd, self->capable.dev_id, self->iommu.ioas_id,
				  0, &plain));
	for (int i = 0; i < 2; i++) {
		ASSERT_EQ(-EINVAL, __vfio_dev_attach(&self->capable, tracked));
		ASSERT_EQ(-EINVAL, __vfio_dev_attach(&self->incapable,
						     tracked));
		/* A refused attach leaves the group detached. */
		ASSERT_TRUE(write_faults(_metadata, &self->capable, IOVA));
	}

	/*
	 * A page table without tracking attaches; then it cannot be replaced.
	 */
	ASSERT_EQ(0, __vfio_dev_attach(&self->capable, plain));
	ASSERT_EQ(0, __vfio_dev_attach(&self->incapable, plain));
	ASSERT_NE(0, __vfio_dev_attach(&self->capable, tracked));
	mock_fill(_metadata, &self->capable, IOVA, 1, 1);
	mock_fill(_metadata, &self->incapable, IOVA + 1, 1, BYTES(2));
	ASSERT_EQ(1, self->mem.va[0]);
	ASSERT_EQ(2, self->mem.va[1]);
	ASSERT_EQ(-EOPNOTSUPP, __hwpt_track(fd, plain, true));
}

/* The automatic page table of an IOAS lacks dirty tracking, and attaches. */
TEST_F(mixed_iommufd, attach_of_an_ioas_succeeds)
{
	ASSERT_EQ(0, __vfio_dev_attach(&self->incapable, self->iommu.ioas_id));
	ASSERT_EQ(0, __vfio_dev_attach(&self->capable, self->iommu.ioas_id));
	mock_fill(_metadata, &self->capable, IOVA, LENGTH, BYTES(3));
	ASSERT_TRUE(mem_is(self->mem.va, LENGTH, 3));
	ASSERT_EQ(0, __vfio_dev_detach(&self->incapable));
	mock_fill(_metadata, &self->capable, IOVA, LENGTH, BYTES(4));
	ASSERT_TRUE(mem_is(self->mem.va, LENGTH, 4));
}

TEST_HARNESS_MAIN
