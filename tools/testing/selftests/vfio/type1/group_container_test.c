// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: groups and their container
 *
 * Remove a group from its container, or close its file, while its devices are
 * open and while other threads use the container. Removing the group is refused
 * while a device is open. Otherwise it waits for running ioctls, and later
 * ioctls find no IOMMU.
 *
 * The environment variable RACE_SECONDS sets the duration of the race.
 */
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/counts.h"
#include "lib/race/race.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define LENGTH	(64 * SZ_4K)

/**
 * struct group - a group of one device
 * @path: sysfs directory of the device
 * @name: name of the device
 * @node: device file of the group
 */
struct group {
	char path[PATH_MAX];
	const char *name;
	char node[64];
};

static void group_find(struct __test_metadata *_metadata, struct group *group,
		       const char *model)
{
	char link[PATH_MAX + 16], number[16];

	ASSERT_EQ(0, mock_find(model, 0, group->path, sizeof(group->path)));
	group->name = strrchr(group->path, '/') + 1;
	snprintf(link, sizeof(link), "%s/iommu_group", group->path);
	ASSERT_EQ(0, sysfs_link_name(link, number, sizeof(number)));
	snprintf(group->node, sizeof(group->node), "/dev/vfio/%s", number);
}

static int group_open(const struct group *group)
{
	int fd = open(group->node, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static int group_device(int fd, const struct group *group)
{
	return xioctl(fd, VFIO_GROUP_GET_DEVICE_FD, (void *)group->name);
}

static int set_container(int fd, int container)
{
	return xioctl(fd, VFIO_GROUP_SET_CONTAINER, &container);
}

static int unset_container(int fd)
{
	return xioctl(fd, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static int set_iommu(int container)
{
	return xioctl(container, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
}

FIXTURE(open_device)
{
	struct iommu iommu;
	struct iommu other;
	struct group group;
	int group_fd;
	int fd;
};

FIXTURE_VARIANT(open_device)
{
	enum iommu_mode mode;
	const char *model;
};

FIXTURE_VARIANT_ADD(open_device, type1_4k) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(open_device, type1_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(open_device, compat_4k) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_VARIANT_ADD(open_device, compat_emulated) {
	.mode = MODE_COMPAT, .model = "emulated",
};

FIXTURE_SETUP(open_device)
{
	iommu_open(_metadata, &self->iommu, variant->mode);
	iommu_open(_metadata, &self->other, variant->mode == MODE_TYPE1 ?
						    MODE_COMPAT : MODE_TYPE1);
	group_find(_metadata, &self->group, variant->model);
	self->group_fd = group_open(&self->group);
	ASSERT_LE(0, self->group_fd);
	ASSERT_EQ(0, set_container(self->group_fd, self->iommu.fd));
	ASSERT_EQ(0, set_iommu(self->iommu.fd));
	self->fd = group_device(self->group_fd, &self->group);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(open_device)
{
	close(self->fd);
	close(self->group_fd);
	iommu_close(&self->iommu);
	iommu_close(&self->other);
}

/* The ioctl is refused while any file of the device is open. */
TEST_F(open_device, unset_container_is_refused)
{
	int again;

	ASSERT_EQ(-EBUSY, unset_container(self->group_fd));
	again = group_device(self->group_fd, &self->group);
	ASSERT_LE(0, again);
	ASSERT_EQ(-EBUSY, unset_container(self->group_fd));
	close(self->fd);
	ASSERT_EQ(-EBUSY, unset_container(self->group_fd));
	close(again);
	ASSERT_EQ(0, unset_container(self->group_fd));
	ASSERT_EQ(-EINVAL, unset_container(self->group_fd));
	self->fd = -1;
}

/* A device in one container cannot be opened in the other one. */
TEST_F(open_device, open_in_other_container_succeeds_after_close)
{
	unset_container(self->group_fd);
	EXPECT_EQ(-EINVAL, set_container(self->group_fd, self->other.fd));
	close(self->fd);
	ASSERT_EQ(0, unset_container(self->group_fd));
	ASSERT_EQ(0, set_container(self->group_fd, self->other.fd));
	ASSERT_EQ(0, set_iommu(self->other.fd));
	self->fd = group_device(self->group_fd, &self->group);
	ASSERT_LE(0, self->fd);
}

/* An open device keeps its group busy after the group's file is closed. */
TEST_F(open_device, closed_group_stays_until_device_is_closed)
{
	close(self->group_fd);
	self->group_fd = group_open(&self->group);
	EXPECT_EQ(-EBUSY, self->group_fd);
	close(self->fd);
	self->group_fd = group_open(&self->group);
	ASSERT_LE(0, self->group_fd);
	ASSERT_EQ(-EINVAL, unset_container(self->group_fd));
	ASSERT_EQ(0, set_container(self->group_fd, self->other.fd));
	ASSERT_EQ(0, set_iommu(self->other.fd));
	self->fd = group_device(self->group_fd, &self->group);
	ASSERT_LE(0, self->fd);
}

/**
 * struct leave - a container to which a group is added and removed repeatedly
 * @container: file of the container
 * @group: the group; the driver of its device pins pages
 * @group_fd: file of the group
 * @close_group: remove the group by closing its file, instead of by an ioctl
 * @va: memory to map
 * @stop: the threads have to end
 * @maps: number of mappings made
 * @threads: number of threads that call ioctls of the container
 */
struct leave {
	int container;
	struct group group;
	atomic_int group_fd;
	bool close_group;
	void *va;
	atomic_bool stop;
	atomic_ulong maps;
	atomic_uint threads;
};

/* Ignore errnos: at any time there may be no IOMMU. */
static void *leave_ioctls(void *data)
{
	struct leave *leave = data;
	__u64 iova = IOVA + leave->threads++ * 2 * LENGTH;

	while (!leave->stop) {
		struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };

		if (!__type1_map(leave->container, leave->va, iova, LENGTH,
				 PROT_DMA_RW))
			leave->maps++;
		xioctl(leave->container, VFIO_IOMMU_GET_INFO, &info);
		__type1_dirty_flag(leave->container,
				   VFIO_IOMMU_DIRTY_PAGES_FLAG_START);
		xioctl(leave->container, VFIO_CHECK_EXTENSION,
		       (void *)VFIO_UPDATE_VADDR);
		__type1_unmap(leave->container, iova, LENGTH, NULL);
	}
	return NULL;
}

static void *leave_opens(void *data)
{
	struct leave *leave = data;
	int fd;

	while (!leave->stop) {
		fd = group_device(leave->group_fd, &leave->group);
		if (fd >= 0)
			close(fd);
	}
	return NULL;
}

FIXTURE(leave)
{
	struct leave leave;
	struct counts counts;
};

FIXTURE_VARIANT(leave)
{
	enum iommu_mode mode;
	bool close_group;
	const char *model;
};

FIXTURE_VARIANT_ADD(leave, type1_unset) {
	.mode = MODE_TYPE1, .model = "4k",
};

FIXTURE_VARIANT_ADD(leave, type1_unset_emulated) {
	.mode = MODE_TYPE1, .model = "emulated",
};

FIXTURE_VARIANT_ADD(leave, type1_close) {
	.mode = MODE_TYPE1, .close_group = true, .model = "4k",
};

FIXTURE_VARIANT_ADD(leave, compat_unset) {
	.mode = MODE_COMPAT, .model = "4k",
};

FIXTURE_SETUP(leave)
{
	struct leave *leave = &self->leave;
	struct iommu iommu;

	counts_now(_metadata, &self->counts);
	leave->close_group = variant->close_group;
	group_find(_metadata, &leave->group, variant->model);
	iommu_open(_metadata, &iommu, variant->mode);
	leave->container = iommu.fd;
	leave->group_fd = group_open(&leave->group);
	ASSERT_LE(0, leave->group_fd);
	leave->va = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, leave->va);
}

FIXTURE_TEARDOWN(leave)
{
	close(self->leave.group_fd);
	close(self->leave.container);
	munmap(self->leave.va, LENGTH);
	counts_check(_metadata, &self->counts, 0, 0, 0);
}

/* Remove the last group while ioctls of the container run. */
TEST_F_TIMEOUT(leave, last_group_removed_during_ioctls_leaks_nothing, 7200)
{
	struct leave *leave = &self->leave;
	double end = race_now() + race_seconds();
	pthread_t threads[4];
	unsigned long sets = 0;

	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    i < 3 ? leave_ioctls : leave_opens,
					    leave));
	for (unsigned int round = 0; race_now() < end; round++) {
		if (!set_container(leave->group_fd, leave->container) &&
		    !set_iommu(leave->container))
			sets++;
		usleep(round % 7 * 50);
		/* EBUSY while a thread has the device open. */
		if (!leave->close_group) {
			unset_container(leave->group_fd);
			continue;
		}
		close(leave->group_fd);
		do {
			leave->group_fd = group_open(&leave->group);
		} while (leave->group_fd == -EBUSY);
		ASSERT_LE(0, leave->group_fd);
	}
	leave->stop = true;
	for (int i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_join(threads[i], NULL));
	TH_LOG("%lu times in the container, %lu mappings", sets, leave->maps);
	ASSERT_LT(0, sets);
	ASSERT_LT(0, leave->maps);
}

TEST_HARNESS_MAIN
