// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: kernel log messages that a user can cause
 *
 * A process that opens a device again and again must not fill the kernel's log.
 * The mock devices lack isolated interrupts, which both containers and iommufd
 * log.
 */
#include <fcntl.h>

#include "lib/device/mock_dma.h"
#include "lib/test.h"

#define OPENS		60

/* Limit of a message in 5 seconds, plus half of it for a slow machine. */
#define MOST_LINES	15

FIXTURE(log_limit)
{
	int kmsg;
	char path[128];
};

FIXTURE_VARIANT(log_limit)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(log_limit, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(log_limit, compat) { .mode = MODE_COMPAT };

FIXTURE_VARIANT_ADD(log_limit, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(log_limit)
{
	self->kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_LE(0, self->kmsg);
	ASSERT_LE(0, lseek(self->kmsg, 0, SEEK_END));
	ASSERT_EQ(0, mock_find("4k", 0, self->path, sizeof(self->path)));
}

FIXTURE_TEARDOWN(log_limit)
{
	close(self->kmsg);
}

static unsigned int new_lines(int kmsg, const char *text)
{
	unsigned int lines = 0;
	char record[8192];
	ssize_t n;

	while ((n = read(kmsg, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		lines += !!strstr(record, text);
	}
	return lines;
}

static void open_and_close(struct __test_metadata *_metadata,
			   enum iommu_mode mode, const char *path, bool allow)
{
	struct iommu iommu;
	struct vfio_dev dev;
	int rc;

	iommu_open(_metadata, &iommu, mode);
	ASSERT_EQ(0, iommu_allow_unsafe_interrupts(&iommu, allow));
	rc = __vfio_dev_open(&dev, &iommu, path);
	ASSERT_EQ(0, iommu_allow_unsafe_interrupts(&iommu, true));
	ASSERT_EQ(allow ? 0 : -EPERM, rc);
	if (!rc)
		vfio_dev_close(&dev);
	iommu_close(&iommu);
}

TEST_F(log_limit, opening_without_isolated_interrupts_logs_few_lines)
{
	for (int allow = 0; allow < 2; allow++) {
		for (unsigned int i = 0; i < OPENS; i++)
			open_and_close(_metadata, variant->mode, self->path,
				       allow);
		ASSERT_GE(MOST_LINES, new_lines(self->kmsg, "interrupt"));
	}
}

TEST_HARNESS_MAIN
