/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests of migration: two mock PCI devices in each container. Like
 * lib/test.h, only the test itself can include it.
 */
#ifndef _VFIO_SELFTEST_MIGRATION_FIXTURE_H
#define _VFIO_SELFTEST_MIGRATION_FIXTURE_H

#include "lib/mig_pair.h"
#include "lib/test.h"

#define IOVA		0x200000ULL
#define LENGTH		(16 * SZ_4K)

#define ERROR		VFIO_DEVICE_STATE_ERROR
#define STOP		VFIO_DEVICE_STATE_STOP
#define RUNNING		VFIO_DEVICE_STATE_RUNNING
#define STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define RESUMING	VFIO_DEVICE_STATE_RESUMING
#define RUNNING_P2P	VFIO_DEVICE_STATE_RUNNING_P2P
#define PRE_COPY	VFIO_DEVICE_STATE_PRE_COPY
#define PRE_COPY_P2P	VFIO_DEVICE_STATE_PRE_COPY_P2P

static const struct mock_work plain_work = {
	.iova = IOVA, .length = LENGTH, .stride = 512, .seed = 7,
};

FIXTURE(migration)
{
	struct mig_pair pair;
};

FIXTURE_VARIANT(migration)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(migration, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(migration, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(migration, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(migration)
{
	mig_open(_metadata, &self->pair, variant->mode, IOVA, LENGTH);
}

FIXTURE_TEARDOWN(migration)
{
	mig_close(_metadata, &self->pair);
}

#endif
