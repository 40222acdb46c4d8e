// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: copies of an access that keep nothing pinned
 *
 * The driver of a mediated device copies to and from the memory behind IOVAs.
 * If the caller runs in another process than the one that mapped the memory,
 * the pages are pinned for the time of the copy only. So RLIMIT_MEMLOCK does
 * not apply, and memory that is only read need not be writable.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/counts.h"
#include "lib/sysfs.h"
#include "lib/test.h"

#define IOVA		0x10000000ULL
#define LENGTH		(16 * SZ_4K)
#define UNPRIVILEGED_UID	4242

#define EMULATED_PIN	"/sys/module/vfio_mock_dma/parameters/emulated_pin"

FIXTURE(copy)
{
	struct bench bench;
	struct counts before;
};

FIXTURE_VARIANT(copy)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(copy, type1) { .mode = MODE_TYPE1 };
FIXTURE_VARIANT_ADD(copy, compat) { .mode = MODE_COMPAT };
FIXTURE_VARIANT_ADD(copy, iommufd) { .mode = MODE_IOMMUFD };

FIXTURE_SETUP(copy)
{
	struct rlimit none = {};

	ASSERT_EQ(0, sysfs_write(EMULATED_PIN, "N"));
	bench_open(_metadata, &self->bench, variant->mode, "emulated");
	counts_now(_metadata, &self->before);
	/* Without privilege, and with a limit of 0 bytes. */
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	ASSERT_EQ(0, seteuid(UNPRIVILEGED_UID));
	bench_memory(_metadata, &self->bench, IOVA, LENGTH, MEM_4K);
	ASSERT_EQ(0, seteuid(0));
}

FIXTURE_TEARDOWN(copy)
{
	counts_check(_metadata, &self->before, 0, 0, 0);
	bench_close(_metadata, &self->bench);
	sysfs_write(EMULATED_PIN, "Y");
}

/* Make the device do something in another process. Return its exit status. */
static int in_another_process(struct __test_metadata *_metadata,
			      struct vfio_dev *dev, __u32 command)
{
	int status;
	pid_t child = fork();

	ASSERT_LE(0, child);
	if (!child) {
		int rc;

		if (command == VFIO_MOCK_DMA_CMD_FILL)
			rc = __mock_fill(dev, IOVA + 100, LENGTH - 200, -1);
		else
			rc = __mock_run(dev, command, IOVA + 100, 0,
					LENGTH - 200);
		_exit(rc ? 255 : mock_get(_metadata, dev, MOCK_REG(status)));
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_TRUE(WIFEXITED(status));
	return WEXITSTATUS(status);
}

TEST_F(copy, write_for_another_process_with_limit_0_succeeds)
{
	__u8 *va = self->bench.mem.va;

	memset(va, 0, LENGTH);
	va[99] = 1;
	va[LENGTH - 100] = 2;
	ASSERT_EQ(VFIO_MOCK_DMA_OK,
		  in_another_process(_metadata, &self->bench.dev,
				     VFIO_MOCK_DMA_CMD_FILL));
	ASSERT_EQ(1, va[99]);
	ASSERT_TRUE(mem_is(va + 100, LENGTH - 200, 0xff));
	ASSERT_EQ(2, va[LENGTH - 100]);
}

TEST_F(copy, read_for_another_process_of_read_only_memory_succeeds)
{
	ASSERT_EQ(0, mprotect(self->bench.mem.va, LENGTH, PROT_READ));
	ASSERT_EQ(VFIO_MOCK_DMA_OK,
		  in_another_process(_metadata, &self->bench.dev,
				     VFIO_MOCK_DMA_CMD_READ));
	ASSERT_EQ(VFIO_MOCK_DMA_FAULT,
		  in_another_process(_metadata, &self->bench.dev,
				     VFIO_MOCK_DMA_CMD_FILL));
}

TEST_HARNESS_MAIN
