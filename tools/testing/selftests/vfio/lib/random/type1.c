// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: random calls of type1 containers
 *
 * The calls of /dev/vfio/vfio and the compat container of /dev/iommu. A
 * container of /dev/vfio/vfio without a group has no ioctls, and its last group
 * may be removed at any time.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "random.h"

#define MAP_BITS	0x7
#define UNMAP_BITS	0x7
#define DIRTY_BITS	0x7

static int type1_ioctl(struct random_thread *t, unsigned long cmd, void *arg,
		       size_t size)
{
	struct random_process *p = t->process;
	bool lock = p->world->without & WITHOUT_LAST_GROUP;
	int rc;

	if (lock)
		pthread_rwlock_rdlock(&p->group_lock);
	rc = random_ioctl(t, random_context_file(t), cmd, arg, size);
	if (lock)
		pthread_rwlock_unlock(&p->group_lock);
	return rc;
}

static int type1_ioctl_value(struct random_thread *t, unsigned long cmd,
			     unsigned long value)
{
	struct random_process *p = t->process;
	bool lock = p->world->without & WITHOUT_LAST_GROUP;
	int rc;

	if (lock)
		pthread_rwlock_rdlock(&p->group_lock);
	rc = random_ioctl_value(t, random_context_file(t), cmd, value);
	if (lock)
		pthread_rwlock_unlock(&p->group_lock);
	return rc;
}

static __u32 argsz_of(struct random_thread *t, size_t size)
{
	if (random_chance(t, 97))
		return size;
	return random_chance(t, 50) ? random_below(t, 2 * size) :
				      random_boundary(t);
}

/* Reopen a container, but not the first one, which all processes share. */
static int run_open(struct random_thread *t)
{
	struct random_process *p = t->process;
	atomic_int *file = &p->container[1 + random_below(t, RANDOM_FILES - 1)];
	bool lock = p->world->without & WITHOUT_LAST_GROUP;
	int fd;

	if (random_chance(t, 80))
		return -EALREADY;
	if (lock)
		pthread_rwlock_wrlock(&p->group_lock);
	random_close(t, file);
	if (lock)
		pthread_rwlock_unlock(&p->group_lock);
	fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);
	fd = atomic_exchange(file, fd);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int run_version(struct random_thread *t)
{
	return type1_ioctl_value(t, VFIO_GET_API_VERSION, 0);
}

static int run_extension(struct random_thread *t)
{
	return type1_ioctl_value(t, VFIO_CHECK_EXTENSION,
				 random_flags(t, random_below(t, 12), 15));
}

static int run_set_iommu(struct random_thread *t)
{
	return type1_ioctl_value(t, VFIO_SET_IOMMU,
				 random_flags(t, random_chance(t, 70) ?
					      VFIO_TYPE1v2_IOMMU :
					      VFIO_TYPE1_IOMMU, 15));
}

static int run_info(struct random_thread *t)
{
	union {
		struct vfio_iommu_type1_info info;
		char room[512];
	} arg = {};

	arg.info.argsz = random_chance(t, 50) ?
			 sizeof(arg) : argsz_of(t, sizeof(arg.info));
	if (arg.info.argsz > sizeof(arg))
		arg.info.argsz = sizeof(arg);
	return type1_ioctl(t, VFIO_IOMMU_GET_INFO, &arg, sizeof(arg));
}

static int run_map(struct random_thread *t)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = argsz_of(t, sizeof(map)),
		.flags = random_flags(t, random_chance(t, 80) ? 3 :
				      1 + random_below(t, 2), MAP_BITS),
		.vaddr = random_va(t),
		.iova = random_iova(t),
		.size = random_map_length(t),
	};
	int rc;

	if (random_chance(t, 10)) {
		struct random_range range = random_recent(t);

		map.flags = VFIO_DMA_MAP_FLAG_VADDR;
		map.iova = range.iova;
		map.size = range.length;
	}
	rc = type1_ioctl(t, VFIO_IOMMU_MAP_DMA, &map, sizeof(map));
	if (!rc)
		random_note_range(t, map.iova, map.size);
	return rc;
}

static void fill_bitmap(struct random_thread *t, struct vfio_bitmap *bitmap,
			__u64 length)
{
	bitmap->pgsize = SZ_4K;
	bitmap->size = (length / SZ_4K + 63) / 64 * 8;
	bitmap->data = random_bitmap(t);
	if (random_chance(t, 10))
		bitmap->pgsize = random_boundary(t);
	if (random_chance(t, 10))
		bitmap->size = random_boundary(t);
}

static int run_unmap(struct random_thread *t)
{
	static const __u32 usual[] = {
		0, 0, 0, VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP,
		VFIO_DMA_UNMAP_FLAG_ALL, VFIO_DMA_UNMAP_FLAG_VADDR,
		VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL,
	};
	struct {
		struct vfio_iommu_type1_dma_unmap unmap;
		struct vfio_bitmap bitmap;
	} arg = {
		.unmap.argsz = argsz_of(t, sizeof(arg)),
		.unmap.flags = usual[random_below(t, ARRAY_SIZE(usual))],
		.unmap.iova = random_iova(t),
		.unmap.size = random_length(t),
	};

	if (random_chance(t, 60)) {
		struct random_range range = random_recent(t);

		arg.unmap.iova = range.iova;
		arg.unmap.size = range.length;
	}
	if (arg.unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		arg.unmap.iova = 0;
		arg.unmap.size = 0;
	}
	arg.unmap.flags = random_flags(t, arg.unmap.flags, UNMAP_BITS);
	fill_bitmap(t, &arg.bitmap, arg.unmap.size);
	return type1_ioctl(t, VFIO_IOMMU_UNMAP_DMA, &arg, sizeof(arg));
}

static int run_dirty(struct random_thread *t)
{
	struct {
		struct vfio_iommu_type1_dirty_bitmap dirty;
		struct vfio_iommu_type1_dirty_bitmap_get get;
	} arg = {
		.dirty.argsz = argsz_of(t, sizeof(arg)),
		.dirty.flags = random_flags(t, 1U << random_below(t, 3),
					    DIRTY_BITS),
		.get.iova = random_iova(t),
		.get.size = random_length(t),
	};

	if (random_chance(t, 50)) {
		struct random_range range = random_recent(t);

		arg.get.iova = range.iova;
		arg.get.size = range.length;
	}
	fill_bitmap(t, &arg.get.bitmap, arg.get.size);
	return type1_ioctl(t, VFIO_IOMMU_DIRTY_PAGES, &arg, sizeof(arg));
}

const struct random_call random_type1_calls[] = {
	{ "container_open", 1, run_open },
	{ "GET_API_VERSION", 2, run_version },
	{ "CHECK_EXTENSION", 3, run_extension },
	{ "SET_IOMMU", 12, run_set_iommu },
	{ "GET_INFO", 4, run_info },
	{ "MAP_DMA", 48, run_map },
	{ "UNMAP_DMA", 24, run_unmap },
	{ "DIRTY_PAGES", 24, run_dirty },
	{}
};
