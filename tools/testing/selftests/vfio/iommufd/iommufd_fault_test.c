// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: page faults of devices
 *
 * DMA to an IOVA that is not mapped waits for a response: userspace reads the
 * fault from its queue, maps the page, and responds. Each fault has exactly one
 * response, also when the device is detached, its page table is replaced, or the
 * process is killed. The arguments and results of every call are tested.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/bench.h"
#include "lib/counts.h"
#include "lib/device/dma_thread.h"
#include "lib/test.h"

#include "../../../../../drivers/iommu/iommufd/iommufd_test.h"

#define IOVA		0x10000000ULL
#define PAGES		16
#define LENGTH		(PAGES * SZ_4K)

/* Not mapped at first */
#define HOLE		(IOVA + LENGTH)

/* Milliseconds until a fault must arrive, also on a slow machine */
#define TIMEOUT		60000

/* Groups of faults that a queue takes */
#define QUEUE_GROUPS	8192

#define UNKNOWN_ID	0x7fff
#define RESPONSE	sizeof(struct iommu_hwpt_page_response)
#define MESSAGE		sizeof(struct iommu_hwpt_pgfault)

struct queue {
	__u32 id;
	int fd;
	__u32 table;
};

struct fault_env {
	struct bench bench;
	int fd;
	struct queue queue;
	struct dma_thread dma;
};

/* Make a fault queue, and a page table of the IOAS that has it. */
static void queue_open(struct __test_metadata *_metadata, struct fault_env *env,
		       struct queue *queue)
{
	ASSERT_EQ(0, __fault_alloc(env->fd, &queue->id, &queue->fd));
	ASSERT_EQ(0, __hwpt_alloc_data(env->fd, env->bench.dev.dev_id,
				       env->bench.iommu.ioas_id,
				       IOMMU_HWPT_ALLOC_DIRTY_TRACKING |
					       IOMMU_HWPT_FAULT_ID_VALID,
				       queue->id, IOMMU_HWPT_DATA_NONE, NULL, 0,
				       &queue->table));
}

static void env_open(struct __test_metadata *_metadata, struct fault_env *env)
{
	bench_open(_metadata, &env->bench, MODE_IOMMUFD, "4k");
	bench_memory(_metadata, &env->bench, IOVA, LENGTH, MEM_4K);
	env->fd = env->bench.iommu.fd;
	queue_open(_metadata, env, &env->queue);
	ASSERT_EQ(0, __vfio_dev_attach(&env->bench.dev, env->queue.table));
	ASSERT_EQ(0, __hwpt_track(env->fd, env->queue.table, true));
}

static void env_close(struct __test_metadata *_metadata, struct fault_env *env)
{
	close(env->queue.fd);
	bench_close(_metadata, &env->bench);
}

FIXTURE(faults)
{
	struct fault_env env;
};

FIXTURE_SETUP(faults)
{
	env_open(_metadata, &self->env);
}

FIXTURE_TEARDOWN(faults)
{
	sysfs_write(GROUP_REQUESTS, "1");
	env_close(_metadata, &self->env);
}

/* Whether a fault can be read, after a wait of up to @timeout milliseconds. */
static bool fault_arrives(struct __test_metadata *_metadata, int fd, int timeout)
{
	struct pollfd entry = { .fd = fd, .events = POLLIN };

	ASSERT_LE(0, poll(&entry, 1, timeout));
	return entry.revents & POLLIN;
}

/* Wait for a fault and read it. */
static struct iommu_hwpt_pgfault fault_read(struct __test_metadata *_metadata,
					    int fd)
{
	struct iommu_hwpt_pgfault fault;

	ASSERT_TRUE(fault_arrives(_metadata, fd, TIMEOUT));
	ASSERT_EQ(MESSAGE, read(fd, &fault, MESSAGE));
	return fault;
}

static int fault_respond(int fd, __u32 cookie, __u32 code)
{
	struct iommu_hwpt_page_response response = {
		.cookie = cookie,
		.code = code,
	};
	ssize_t n = write(fd, &response, RESPONSE);

	return n == RESPONSE ? 0 : n < 0 ? -errno : -EIO;
}

static void map_page(struct __test_metadata *_metadata, struct fault_env *env,
		     __u64 iova)
{
	iommu_map(_metadata, &env->bench.iommu,
		  env->bench.mem.va + (iova - HOLE), iova, SZ_4K);
}

/* Fill @length bytes from @iova on, and wait until the device faults. */
static struct iommu_hwpt_pgfault
fill_until_fault(struct __test_metadata *_metadata, struct fault_env *env,
		 __u64 iova, __u64 length, __u64 pattern)
{
	dma_thread_fill(_metadata, &env->dma, &env->bench.dev, iova, length,
			pattern);
	return fault_read(_metadata, env->queue.fd);
}

static void end_with_fault(struct __test_metadata *_metadata,
			   struct fault_env *env, __u64 iova)
{
	struct vfio_dev *dev = &env->bench.dev;

	ASSERT_EQ(VFIO_MOCK_DMA_FAULT, dma_thread_end(_metadata, &env->dma));
	ASSERT_EQ(iova, mock_get(_metadata, dev, MOCK_REG(fault_iova)));
}

TEST_F(faults, dma_lands_after_page_is_mapped)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_pgfault fault;
	struct guarded_bitmap bm;

	fault = fill_until_fault(_metadata, env, HOLE + SZ_4K + 24, 8, 7);
	ASSERT_EQ(IOMMU_PGFAULT_FLAGS_LAST_PAGE, fault.flags);
	ASSERT_EQ(env->bench.dev.dev_id, fault.dev_id);
	ASSERT_EQ(IOMMU_PGFAULT_PERM_WRITE, fault.perm);
	ASSERT_EQ(HOLE + SZ_4K, fault.addr);
	ASSERT_EQ(0, fault.length);
	ASSERT_EQ(0, fault.__reserved);
	ASSERT_NE(0, fault.cookie);

	map_page(_metadata, env, HOLE + SZ_4K);
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(VFIO_MOCK_DMA_OK, dma_thread_end(_metadata, &env->dma));
	ASSERT_EQ(7, env->bench.mem.va[SZ_4K + 24]);

	/* The write after the fault is reported, and nothing else. */
	bitmap_alloc(_metadata, &bm, 2 * PAGES, 0);
	ASSERT_EQ(0, __hwpt_dirty(env->fd, env->queue.table, 0, IOVA,
				  2 * LENGTH, SZ_4K, bm.bits));
	ASSERT_EQ(1, bitmap_count(&bm));
	ASSERT_TRUE(bitmap_test(&bm, PAGES + 1));
	bitmap_free(&bm);
}

TEST_F(faults, read_by_dma_faults_too)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_pgfault fault;

	dma_thread_read(_metadata, &env->dma, &env->bench.dev, HOLE, 8);
	fault = fault_read(_metadata, env->queue.fd);
	ASSERT_EQ(IOMMU_PGFAULT_PERM_READ, fault.perm);
	map_page(_metadata, env, HOLE);
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(VFIO_MOCK_DMA_OK, dma_thread_end(_metadata, &env->dma));
}

/* Each page of a transfer faults, and all of it lands. */
TEST_F(faults, every_page_is_mapped_on_demand)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_pgfault fault;
	__u32 last = 0;

	dma_thread_fill(_metadata, &env->dma, &env->bench.dev, IOVA, 2 * LENGTH,
			0x0101010101010101ULL);
	for (int i = 0; i < PAGES; i++) {
		fault = fault_read(_metadata, env->queue.fd);
		ASSERT_EQ(HOLE + i * SZ_4K, fault.addr);
		ASSERT_NE(last, fault.cookie);
		last = fault.cookie;
		memset(env->bench.mem.va + i * SZ_4K, 0, SZ_4K);
		map_page(_metadata, env, fault.addr);
		ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
					   IOMMUFD_PAGE_RESP_SUCCESS));
	}
	ASSERT_EQ(VFIO_MOCK_DMA_OK, dma_thread_end(_metadata, &env->dma));
	ASSERT_TRUE(mem_is(env->bench.mem.va, LENGTH, 1));
}

/**
 * struct fault_reader - a thread that reads faults and maps their pages
 * @env: the device and its queue
 * @stop: the thread ends
 * @faults: number of faults that it has read
 * @rc: result of the first step that failed
 * @id: ID of the thread
 */
struct fault_reader {
	struct fault_env *env;
	atomic_bool stop;
	unsigned int faults;
	int rc;
	pthread_t id;
};

static int fault_reader_step(struct fault_reader *reader)
{
	struct fault_env *env = reader->env;
	struct pollfd entry = { .fd = env->queue.fd, .events = POLLIN };
	struct iommu_hwpt_pgfault fault;
	ssize_t n;
	int rc;

	poll(&entry, 1, 10);
	n = read(env->queue.fd, &fault, MESSAGE);
	/* The other reader may have it. */
	if (n != MESSAGE)
		return n < 0 ? -errno : n ? -EIO : 0;
	reader->faults++;
	rc = __iommu_map(&env->bench.iommu,
			 env->bench.mem.va + (fault.addr - HOLE), fault.addr,
			 SZ_4K, PROT_DMA_RW);
	return rc ?: fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS);
}

static void *fault_reader_run(void *arg)
{
	struct fault_reader *reader = arg;

	while (!reader->stop && !reader->rc)
		reader->rc = fault_reader_step(reader);
	return NULL;
}

/* Two threads read one queue. A fault that both get is mapped and responded twice. */
TEST_F_TIMEOUT(faults, two_readers_get_each_fault_once, 600)
{
	struct fault_env *env = &self->env;
	struct fault_reader readers[2] = {};
	const unsigned int rounds = 20;

	for (int i = 0; i < 2; i++) {
		readers[i].env = env;
		ASSERT_EQ(0, pthread_create(&readers[i].id, NULL,
					    fault_reader_run, &readers[i]));
	}
	for (unsigned int i = 0; i < rounds; i++) {
		dma_thread_fill(_metadata, &env->dma, &env->bench.dev, HOLE,
				LENGTH, i);
		ASSERT_EQ(VFIO_MOCK_DMA_OK, dma_thread_end(_metadata,
							   &env->dma));
		iommu_unmap(_metadata, &env->bench.iommu, HOLE, LENGTH);
	}
	for (int i = 0; i < 2; i++) {
		readers[i].stop = true;
		pthread_join(readers[i].id, NULL);
		EXPECT_EQ(0, readers[i].rc);
	}
	EXPECT_EQ(rounds * PAGES, readers[0].faults + readers[1].faults);
}

TEST_F(faults, invalid_response_ends_transfer)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_pgfault fault;

	fault = fill_until_fault(_metadata, env, HOLE - 8, 16, 7);
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_INVALID));
	end_with_fault(_metadata, env, HOLE);
	ASSERT_EQ(7, env->bench.mem.va[LENGTH - 8]);
}

/* A success without a mapping: the device tries again, and faults again. */
TEST_F(faults, success_without_mapping_faults_again)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_pgfault fault;
	__u32 first;

	fault = fill_until_fault(_metadata, env, HOLE, 8, 7);
	first = fault.cookie;
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
					   IOMMUFD_PAGE_RESP_SUCCESS));
		fault = fault_read(_metadata, env->queue.fd);
		ASSERT_NE(first, fault.cookie);
	}
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_INVALID));
	end_with_fault(_metadata, env, HOLE);
}

/* A detach and a replace respond faults, whether they were read or not. */
TEST_F(faults, detach_and_replace_respond_faults)
{
	struct fault_env *env = &self->env;
	struct vfio_dev *dev = &env->bench.dev;
	struct iommu_hwpt_pgfault fault = {};
	struct queue other;
	int rc;

	queue_open(_metadata, env, &other);
	for (int i = 0; i < 8; i++) {
		__u32 target = i & 4 ? other.table : dev->hwpt_id;
		bool was_read = i & 1;

		dma_thread_fill(_metadata, &env->dma, dev, HOLE, 8, i);
		ASSERT_TRUE(fault_arrives(_metadata, env->queue.fd, TIMEOUT));
		if (was_read)
			fault = fault_read(_metadata, env->queue.fd);
		rc = i & 2 ? __vfio_dev_detach(dev) :
			     __vfio_dev_attach(dev, target);
		ASSERT_EQ(0, rc);
		end_with_fault(_metadata, env, HOLE);
		ASSERT_FALSE(fault_arrives(_metadata, env->queue.fd, 0));
		ASSERT_EQ(0, read(env->queue.fd, &fault, MESSAGE));
		if (was_read)
			ASSERT_EQ(-EINVAL,
				  fault_respond(env->queue.fd, fault.cookie,
						IOMMUFD_PAGE_RESP_SUCCESS));
		ASSERT_EQ(0, __vfio_dev_attach(dev, env->queue.table));
	}
	close(other.fd);
}

/* Faults go to the queue of the page table that the device is attached to. */
TEST_F(faults, each_page_table_has_its_queue)
{
	struct fault_env *env = &self->env;
	struct vfio_dev *dev = &env->bench.dev;
	struct iommu_hwpt_pgfault fault;
	struct queue other;

	queue_open(_metadata, env, &other);
	ASSERT_EQ(0, __vfio_dev_attach(dev, other.table));
	dma_thread_fill(_metadata, &env->dma, dev, HOLE, 8, 1);
	fault = fault_read(_metadata, other.fd);
	ASSERT_FALSE(fault_arrives(_metadata, env->queue.fd, 0));
	ASSERT_EQ(-EINVAL, fault_respond(env->queue.fd, fault.cookie,
					 IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(0, fault_respond(other.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_INVALID));
	end_with_fault(_metadata, env, HOLE);

	/* Without a queue, a fault ends the transfer at once. */
	ASSERT_EQ(0, __vfio_dev_attach(dev, dev->hwpt_id));
	dma_thread_fill(_metadata, &env->dma, dev, HOLE, 8, 1);
	end_with_fault(_metadata, env, HOLE);
	close(other.fd);
}

/* Page tables may share a queue, and a nested one may have one. */
TEST_F(faults, nested_page_table_has_queue)
{
	struct iommu_hwpt_selftest data = { .iotlb = 1 };
	struct fault_env *env = &self->env;
	struct vfio_dev *dev = &env->bench.dev;
	struct iommu_hwpt_pgfault fault;
	__u32 parent, table;

	ASSERT_EQ(0, __hwpt_alloc(env->fd, dev->dev_id,
				  env->bench.iommu.ioas_id,
				  IOMMU_HWPT_ALLOC_NEST_PARENT, &parent));
	ASSERT_EQ(0, __hwpt_alloc_data(env->fd, dev->dev_id, parent,
				       IOMMU_HWPT_FAULT_ID_VALID,
				       env->queue.id, IOMMU_HWPT_DATA_SELFTEST,
				       &data, sizeof(data), &table));
	ASSERT_EQ(0, __vfio_dev_attach(dev, table));
	fault = fill_until_fault(_metadata, env, HOLE, 8, 3);
	map_page(_metadata, env, HOLE);
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(VFIO_MOCK_DMA_OK, dma_thread_end(_metadata, &env->dma));
	ASSERT_EQ(3, env->bench.mem.va[0]);
}

static void bind_device(struct __test_metadata *_metadata,
			struct fault_env *env, struct vfio_dev *dev,
			const char *model)
{
	char path[256];

	ASSERT_EQ(0, mock_find(model, 0, path, sizeof(path)));
	ASSERT_EQ(0, __vfio_dev_bind(dev, &env->bench.iommu, path));
}

/* A fault is of the only attached device of a group. */
TEST_F(faults, second_device_of_group_is_refused)
{
	struct fault_env *env = &self->env;
	__u32 ioas = env->bench.iommu.ioas_id, plain, table;
	struct vfio_dev first, second;

	bind_device(_metadata, env, &first, "mixed4k");
	bind_device(_metadata, env, &second, "mixednodirty");
	ASSERT_EQ(0, __hwpt_alloc(env->fd, first.dev_id, ioas, 0, &plain));
	ASSERT_EQ(0, __hwpt_alloc_data(env->fd, first.dev_id, ioas,
				       IOMMU_HWPT_FAULT_ID_VALID, env->queue.id,
				       IOMMU_HWPT_DATA_NONE, NULL, 0, &table));
	ASSERT_EQ(0, __vfio_dev_attach(&first, table));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(&second, table));
	ASSERT_EQ(0, __vfio_dev_attach(&first, plain));
	ASSERT_EQ(0, __vfio_dev_attach(&second, plain));
	/* The refused replace has changed nothing. */
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(&first, table));
	mock_fill(_metadata, &first, IOVA, 8, 1);
	mock_fill(_metadata, &second, IOVA, 8, 2);
	ASSERT_EQ(2, env->bench.mem.va[0]);
	vfio_dev_close(&second);
	ASSERT_EQ(0, __vfio_dev_attach(&first, table));
	vfio_dev_close(&first);
}

/* The driver refuses to attach the device, after its page faults were enabled. */
TEST_F(faults, page_table_with_other_leaf_sizes_is_refused)
{
	struct fault_env *env = &self->env;
	__u32 ioas = env->bench.iommu.ioas_id, plain, table;
	struct vfio_dev dev;

	bind_device(_metadata, env, &dev, "2k");
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(&dev, env->queue.table));
	ASSERT_EQ(0, __hwpt_alloc(env->fd, dev.dev_id, ioas, 0, &plain));
	ASSERT_EQ(0, __vfio_dev_attach(&dev, plain));
	ASSERT_EQ(-EINVAL, __vfio_dev_attach(&dev, env->queue.table));
	/* The refused replace has changed nothing. */
	mock_fill(_metadata, &dev, IOVA, 8, 1);
	ASSERT_EQ(1, env->bench.mem.va[0]);
	ASSERT_EQ(0, __hwpt_alloc_data(env->fd, dev.dev_id, ioas,
				       IOMMU_HWPT_FAULT_ID_VALID, env->queue.id,
				       IOMMU_HWPT_DATA_NONE, NULL, 0, &table));
	ASSERT_EQ(0, __vfio_dev_attach(&dev, table));
	vfio_dev_close(&dev);
}

TEST_F(faults, read_with_bad_arguments_keeps_fault)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_pgfault faults[2];
	int fd = env->queue.fd;

	/* Without a fault, a read does not wait. */
	ASSERT_EQ(0, read(fd, faults, MESSAGE));
	dma_thread_fill(_metadata, &env->dma, &env->bench.dev, HOLE, 8, 1);
	ASSERT_TRUE(fault_arrives(_metadata, fd, TIMEOUT));
	ASSERT_EQ(-1, read(fd, faults, MESSAGE - 1));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, read(fd, faults, 2 * MESSAGE - 8));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, pread(fd, faults, MESSAGE, 8));
	ASSERT_EQ(ESPIPE, errno);
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(-1, syscall(SYS_read, fd, 8, MESSAGE));
		ASSERT_EQ(EFAULT, errno);
	}
	/* A buffer for more faults than there are */
	ASSERT_EQ(MESSAGE, read(fd, faults, 2 * MESSAGE));
	ASSERT_EQ(HOLE, faults[0].addr);
	ASSERT_EQ(0, read(fd, faults + 1, MESSAGE));
	ASSERT_EQ(0, fault_respond(fd, faults[0].cookie,
				   IOMMUFD_PAGE_RESP_INVALID));
	end_with_fault(_metadata, env, HOLE);
}

TEST_F(faults, write_with_bad_arguments_responds_nothing)
{
	struct fault_env *env = &self->env;
	struct iommu_hwpt_page_response responses[2] = {};
	struct iommu_hwpt_pgfault fault;
	int fd = env->queue.fd;

	/* Cookies count from 1: that of a fault which was not read yet */
	dma_thread_fill(_metadata, &env->dma, &env->bench.dev, HOLE, 8, 1);
	ASSERT_TRUE(fault_arrives(_metadata, fd, TIMEOUT));
	ASSERT_EQ(-EINVAL, fault_respond(fd, 1, IOMMUFD_PAGE_RESP_SUCCESS));
	fault = fault_read(_metadata, fd);
	ASSERT_EQ(1, fault.cookie);

	ASSERT_EQ(-EINVAL, fault_respond(fd, 0, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, fault_respond(fd, 2, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL, fault_respond(fd, 1, 7));
	ASSERT_EQ(-1, write(fd, responses, RESPONSE - 1));
	ASSERT_EQ(ESPIPE, errno);
	ASSERT_EQ(-1, syscall(SYS_write, fd, 8, RESPONSE));
	ASSERT_EQ(EFAULT, errno);
	ASSERT_EQ(0, write(fd, responses, 0));

	/* The second response is bad: the first one counts. */
	responses[0].cookie = 1;
	responses[0].code = IOMMUFD_PAGE_RESP_INVALID;
	responses[1] = responses[0];
	ASSERT_EQ(RESPONSE, write(fd, responses, 2 * RESPONSE));
	end_with_fault(_metadata, env, HOLE);
	ASSERT_EQ(-EINVAL, fault_respond(fd, 1, IOMMUFD_PAGE_RESP_SUCCESS));
}

TEST_F(faults, poll_reports_unread_faults)
{
	struct fault_env *env = &self->env;
	struct pollfd entry = {
		.fd = env->queue.fd,
		.events = POLLIN | POLLOUT,
	};
	struct iommu_hwpt_pgfault fault;

	ASSERT_EQ(1, poll(&entry, 1, 0));
	ASSERT_EQ(POLLOUT, entry.revents);
	dma_thread_fill(_metadata, &env->dma, &env->bench.dev, HOLE, 8, 1);
	ASSERT_TRUE(fault_arrives(_metadata, env->queue.fd, TIMEOUT));
	ASSERT_EQ(1, poll(&entry, 1, 0));
	ASSERT_EQ(POLLIN | POLLOUT, entry.revents);
	fault = fault_read(_metadata, env->queue.fd);
	ASSERT_EQ(1, poll(&entry, 1, 0));
	ASSERT_EQ(POLLOUT, entry.revents);
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_INVALID));
	end_with_fault(_metadata, env, HOLE);
}

TEST_F(faults, queue_in_use_is_busy)
{
	struct fault_env *env = &self->env;
	struct vfio_dev *dev = &env->bench.dev;
	struct queue other;

	queue_open(_metadata, env, &other);
	ASSERT_EQ(-EBUSY, __iommu_destroy(env->fd, other.id));
	close(other.fd);
	ASSERT_EQ(-EBUSY, __iommu_destroy(env->fd, other.id));
	ASSERT_EQ(0, __iommu_destroy(env->fd, other.table));
	ASSERT_EQ(0, __iommu_destroy(env->fd, other.id));
	ASSERT_EQ(-ENOENT, __iommu_destroy(env->fd, other.id));

	ASSERT_EQ(-EBUSY, __iommu_destroy(env->fd, env->queue.table));
	ASSERT_EQ(0, __vfio_dev_attach(dev, dev->hwpt_id));
	ASSERT_EQ(0, __iommu_destroy(env->fd, env->queue.table));
}

TEST_F(faults, alloc_with_bad_arguments_leaves_no_object)
{
	struct fault_env *env = &self->env;
	__u32 dev = env->bench.dev.dev_id, ioas = env->bench.iommu.ioas_id;
	struct iommu_fault_alloc *cmd;
	__u32 expected, id;
	int fd, next;

	ASSERT_EQ(0, __fault_alloc(env->fd, &expected, &next));
	close(next);
	ASSERT_EQ(0, __iommu_destroy(env->fd, expected));

	cmd = mmap(NULL, SZ_4K, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, cmd);
	*cmd = (struct iommu_fault_alloc){ .size = sizeof(*cmd), .flags = 1 };
	ASSERT_EQ(-EOPNOTSUPP, xioctl(env->fd, IOMMU_FAULT_QUEUE_ALLOC, cmd));
	cmd->flags = 0;
	ASSERT_EQ(0, mprotect(cmd, SZ_4K, PROT_READ));
	ASSERT_EQ(-EFAULT, xioctl(env->fd, IOMMU_FAULT_QUEUE_ALLOC, cmd));
	munmap(cmd, SZ_4K);
	ASSERT_EQ(-ENOENT,
		  __hwpt_alloc_data(env->fd, dev, ioas,
				    IOMMU_HWPT_FAULT_ID_VALID, UNKNOWN_ID,
				    IOMMU_HWPT_DATA_NONE, NULL, 0, &id));
	ASSERT_EQ(-ENOENT,
		  __hwpt_alloc_data(env->fd, dev, ioas,
				    IOMMU_HWPT_FAULT_ID_VALID, ioas,
				    IOMMU_HWPT_DATA_NONE, NULL, 0, &id));
	ASSERT_EQ(-EOPNOTSUPP,
		  __hwpt_alloc_data(env->fd, dev, ioas,
				    IOMMU_HWPT_FAULT_ID_VALID |
					    IOMMU_HWPT_ALLOC_NEST_PARENT,
				    env->queue.id, IOMMU_HWPT_DATA_NONE, NULL,
				    0, &id));

	ASSERT_EQ(0, __fault_alloc(env->fd, &id, &fd));
	ASSERT_EQ(expected, id);
	ASSERT_EQ(next, fd);
	ASSERT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	close(fd);
}

/* The workload is a kernel thread, which gets no signal. */
TEST_F(faults, workload_that_waits_can_be_stopped)
{
	struct fault_env *env = &self->env;
	struct mock_work work = {
		.iova = HOLE,
		.length = LENGTH,
		.stride = 8,
		.seed = 1,
	};
	struct iommu_hwpt_pgfault fault;

	mock_work_start(_metadata, &env->bench.dev, &work);
	fault = fault_read(_metadata, env->queue.fd);
	mock_work_stop(_metadata, &env->bench.dev);
	/* The fault is still in the queue; the device ignores the response. */
	ASSERT_EQ(0, fault_respond(env->queue.fd, fault.cookie,
				   IOMMUFD_PAGE_RESP_SUCCESS));
	mock_fill(_metadata, &env->bench.dev, IOVA, LENGTH, 1);
}

/* A full queue refuses faults, which the IOMMU core responds. */
TEST_F(faults, full_queue_refuses_faults)
{
	static struct iommu_hwpt_pgfault faults[QUEUE_GROUPS + 1];
	static struct iommu_hwpt_page_response responses[QUEUE_GROUPS];
	struct iommu_test_cmd device = {
		.size = sizeof(device),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
	}, cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_TRIGGER_IOPF,
	};
	struct fault_env *env = &self->env;
	__u32 ioas, table;

	ASSERT_EQ(0, __ioas_alloc(env->fd, &ioas));
	device.id = ioas;
	ASSERT_EQ(0, xioctl(env->fd, IOMMU_TEST_CMD, &device));
	cmd.trigger_iopf.dev_id = device.mock_domain.out_idev_id;
	ASSERT_EQ(0, __hwpt_alloc_data(env->fd, cmd.trigger_iopf.dev_id, ioas,
				       IOMMU_HWPT_FAULT_ID_VALID, env->queue.id,
				       IOMMU_HWPT_DATA_NONE, NULL, 0, &table));
	cmd.id = device.mock_domain.out_stdev_id;
	device = (struct iommu_test_cmd){
		.size = sizeof(device),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE,
		.id = device.mock_domain.out_stdev_id,
		.mock_domain_replace = { .pt_id = table },
	};
	ASSERT_EQ(0, xioctl(env->fd, IOMMU_TEST_CMD, &device));
	for (int i = 0; i < QUEUE_GROUPS + 3; i++) {
		cmd.trigger_iopf.addr = i * SZ_4K;
		ASSERT_EQ(0, xioctl(env->fd, IOMMU_TEST_CMD, &cmd));
	}
	ASSERT_EQ(QUEUE_GROUPS * MESSAGE,
		  read(env->queue.fd, faults, sizeof(faults)));
	for (int i = 0; i < QUEUE_GROUPS; i++) {
		ASSERT_EQ(i * SZ_4K, faults[i].addr);
		responses[i].cookie = faults[i].cookie;
		responses[i].code = IOMMUFD_PAGE_RESP_SUCCESS;
	}
	ASSERT_EQ(RESPONSE, write(env->queue.fd, responses, RESPONSE));
	ASSERT_EQ(0, xioctl(env->fd, IOMMU_TEST_CMD, &cmd));
	ASSERT_EQ(MESSAGE, read(env->queue.fd, faults, sizeof(faults)));
	ASSERT_EQ(sizeof(responses) - RESPONSE,
		  write(env->queue.fd, responses + 1,
			sizeof(responses) - RESPONSE));
	/* The last fault gets its response when the device is destroyed. */
	ASSERT_EQ(0, __iommu_destroy(env->fd, device.id));
	ASSERT_EQ(-EINVAL, fault_respond(env->queue.fd, faults[0].cookie,
					 IOMMUFD_PAGE_RESP_SUCCESS));
}

/* Read a group of @count faults from @iova on, of which only the last is so marked. */
static __u32 group_read(struct __test_metadata *_metadata, int fd, __u64 iova,
			unsigned int count)
{
	struct iommu_hwpt_pgfault faults[8];

	ASSERT_TRUE(fault_arrives(_metadata, fd, TIMEOUT));
	/* Without room for all faults the group stays in the queue. */
	ASSERT_EQ(-1, read(fd, faults, (count - 1) * MESSAGE));
	ASSERT_EQ(EINVAL, errno);
	ASSERT_EQ(count * MESSAGE, read(fd, faults, sizeof(faults)));
	for (unsigned int i = 0; i < count; i++) {
		ASSERT_EQ(iova + i * SZ_4K, faults[i].addr);
		ASSERT_EQ(faults[0].cookie, faults[i].cookie);
		ASSERT_EQ(faults[0].grpid, faults[i].grpid);
		ASSERT_EQ(i == count - 1 ? IOMMU_PGFAULT_FLAGS_LAST_PAGE : 0,
			  faults[i].flags);
	}
	return faults[0].cookie;
}

/* A device requests several pages at once, and gets one response. */
TEST_F(faults, group_of_faults_has_one_response)
{
	struct fault_env *env = &self->env;
	int fd = env->queue.fd;
	__u32 cookie;

	ASSERT_EQ(0, sysfs_write(GROUP_REQUESTS, "3"));
	dma_thread_read(_metadata, &env->dma, &env->bench.dev, HOLE,
			5 * SZ_4K);
	cookie = group_read(_metadata, fd, HOLE, 3);
	for (int i = 0; i < 3; i++)
		map_page(_metadata, env, HOLE + i * SZ_4K);
	ASSERT_EQ(0, fault_respond(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
	ASSERT_EQ(-EINVAL,
		  fault_respond(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));

	cookie = group_read(_metadata, fd, HOLE + 3 * SZ_4K, 2);
	/* A detach responds the group. */
	ASSERT_EQ(0, __vfio_dev_detach(&env->bench.dev));
	end_with_fault(_metadata, env, HOLE + 3 * SZ_4K);
	ASSERT_EQ(-EINVAL,
		  fault_respond(fd, cookie, IOMMUFD_PAGE_RESP_SUCCESS));
}

/* A process that is killed while its device waits leaves nothing. */
TEST(killed_process_leaves_nothing)
{
	struct counts counts;
	int status, ready[2];
	pid_t pid;
	char c;

	counts_now(_metadata, &counts);
	for (int i = 0; i < 4; i++) {
		ASSERT_EQ(0, pipe(ready));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct fault_env env;

			env_open(_metadata, &env);
			dma_thread_fill(_metadata, &env.dma, &env.bench.dev,
					HOLE, 8, 1);
			if (i & 1)
				fault_read(_metadata, env.queue.fd);
			else
				fault_arrives(_metadata, env.queue.fd, TIMEOUT);
			if (write(ready[1], "r", 1) != 1)
				_exit(1);
			pause();
			_exit(1);
		}
		close(ready[1]);
		ASSERT_EQ(1, read(ready[0], &c, 1));
		close(ready[0]);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFSIGNALED(status));
		counts_check(_metadata, &counts, 0, 0, 0);
	}
}

TEST_HARNESS_MAIN
