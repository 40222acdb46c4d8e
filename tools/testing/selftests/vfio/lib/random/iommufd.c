// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: random calls of /dev/iommu
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kselftest.h"
#include "random.h"

#define SOME_FLAGS	0x7

/* Return the size of the structure, seldom another size. */
static __u32 size_of(struct random_thread *t, size_t size)
{
	unsigned int way = random_below(t, 64);

	if (way > 1)
		return size;
	return way ? size + random_below(t, 64) - 32 : random_boundary(t);
}

/* Fill the recent IDs of a new file with the ID of an IOAS. */
void random_first_ioas(struct random_process *p, unsigned int context, int fd)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_VFIO_IOAS_SET,
	};

	if (__ioas_alloc(fd, &cmd.ioas_id))
		return;
	xioctl(fd, IOMMU_VFIO_IOAS, &cmd);
	for (size_t i = 0; i < RANDOM_RECENT; i++)
		random_ids(p, context, ID_IOAS)[i] = cmd.ioas_id;
}

static int run_open(struct random_thread *t)
{
	struct random_process *p = t->process;
	__u64 mode = 1;
	atomic_int *file;
	int fd;

	/* Seldom, as devices stay bound to the old file. */
	if (random_chance(t, 85))
		return -EALREADY;
	/* The first file is shared by all processes and stays open. */
	t->context = 1 + random_below(t, RANDOM_FILES - 1);
	file = &p->iommufd[t->context];
	random_close(t, file);
	random_begin(t, -1, 0, "open", 5);
	fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	random_end(t);
	if (fd >= 0 && random_chance(t, 30))
		__iommu_option(fd, IOMMU_OPTION_RLIMIT_MODE,
			       IOMMU_OPTION_OP_SET, 0, &mode);
	random_first_ioas(p, t->context, fd);
	fd = atomic_exchange(file, fd);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int run_destroy(struct random_thread *t)
{
	struct iommu_destroy cmd = {
		.size = size_of(t, sizeof(cmd)),
		.id = random_id(t, random_below(t, RANDOM_ID_KINDS)),
	};

	return random_ioctl(t, random_context_file(t), IOMMU_DESTROY, &cmd, sizeof(cmd));
}

static int run_ioas_alloc(struct random_thread *t)
{
	struct iommu_ioas_alloc cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = random_flags(t, 0, 1),
	};
	int rc = random_ioctl(t, random_context_file(t), IOMMU_IOAS_ALLOC, &cmd,
			      sizeof(cmd));

	if (!rc)
		random_note_id(t, ID_IOAS, cmd.out_ioas_id);
	return rc;
}

static int run_allow_iovas(struct random_thread *t)
{
	struct iommu_iova_range ranges[4];
	struct iommu_ioas_allow_iovas cmd = {
		.size = size_of(t, sizeof(cmd)),
		.ioas_id = random_id(t, ID_IOAS),
		.num_iovas = random_flags(t, random_below(t, 4), 3),
		.allowed_iovas = (unsigned long)ranges,
	};

	/* The array has 4 entries. */
	if (cmd.num_iovas > 4)
		cmd.num_iovas = 4;
	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		ranges[i].start = random_chance(t, 50) ? i << 30 :
							 random_iova(t);
		ranges[i].last = ranges[i].start + random_length(t) * 64 - 1;
	}
	if (random_chance(t, 10))
		cmd.allowed_iovas = random_va(t);
	return random_ioctl(t, random_context_file(t), IOMMU_IOAS_ALLOW_IOVAS, &cmd,
			    sizeof(cmd));
}

static int run_iova_ranges(struct random_thread *t)
{
	struct iommu_iova_range ranges[8];
	struct iommu_ioas_iova_ranges cmd = {
		.size = size_of(t, sizeof(cmd)),
		.ioas_id = random_id(t, ID_IOAS),
		.num_iovas = random_below(t, ARRAY_SIZE(ranges) + 1),
		.allowed_iovas = (unsigned long)ranges,
	};

	if (random_chance(t, 20)) {
		cmd.allowed_iovas = random_va(t);
		cmd.num_iovas = random_boundary(t);
	}
	return random_ioctl(t, random_context_file(t), IOMMU_IOAS_IOVA_RANGES, &cmd,
			    sizeof(cmd));
}

static __u32 map_flags(struct random_thread *t)
{
	static const __u32 usual[] = {
		MAP_RW_FIXED, MAP_RW_FIXED, MAP_RW, MAP_R,
		MAP_R | IOMMU_IOAS_MAP_FIXED_IOVA,
		IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_FIXED_IOVA,
	};

	return random_flags(t, usual[random_below(t, ARRAY_SIZE(usual))],
			    SOME_FLAGS);
}

static int run_map(struct random_thread *t)
{
	struct iommu_ioas_map cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = map_flags(t),
		.ioas_id = random_id(t, ID_IOAS),
		.user_va = random_va(t),
		.length = random_map_length(t),
		.iova = random_iova(t),
	};
	int rc = random_ioctl(t, random_context_file(t), IOMMU_IOAS_MAP, &cmd,
			      sizeof(cmd));

	if (!rc)
		random_note_range(t, cmd.iova, cmd.length);
	return rc;
}

static int run_map_file(struct random_thread *t)
{
	struct random_process *p = t->process;
	bool huge = !(p->world->without & WITHOUT_HUGETLB_FILE) &&
		    random_chance(t, 40);
	struct iommu_ioas_map_file cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = map_flags(t),
		.ioas_id = random_id(t, ID_IOAS),
		.fd = random_chance(t, 97) ? p->memfd[huge] :
					     (int)random_below(t, 64),
		.start = random_below(t, 256) * SZ_4K,
		.length = random_length(t),
		.iova = random_iova(t),
	};
	int rc;

	if (random_chance(t, 30))
		cmd.start = random_boundary(t);
	rc = random_ioctl(t, random_context_file(t), IOMMU_IOAS_MAP_FILE, &cmd,
			  sizeof(cmd));
	if (!rc)
		random_note_range(t, cmd.iova, cmd.length);
	return rc;
}

static int run_copy(struct random_thread *t)
{
	struct random_range range = random_recent(t);
	bool usual = random_chance(t, 60);
	struct iommu_ioas_copy cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = map_flags(t),
		.dst_ioas_id = random_id(t, ID_IOAS),
		.src_ioas_id = random_id(t, ID_IOAS),
		.length = usual ? range.length : random_length(t),
		.dst_iova = random_iova(t),
		.src_iova = usual ? range.iova : random_iova(t),
	};
	int rc = random_ioctl(t, random_context_file(t), IOMMU_IOAS_COPY, &cmd,
			      sizeof(cmd));

	if (!rc)
		random_note_range(t, cmd.dst_iova, cmd.length);
	return rc;
}

static int run_unmap(struct random_thread *t)
{
	struct iommu_ioas_unmap cmd = {
		.size = size_of(t, sizeof(cmd)),
		.ioas_id = random_id(t, ID_IOAS),
		.iova = random_iova(t),
		.length = random_length(t),
	};
	unsigned int way = random_below(t, 10);

	if (way < 2) {
		cmd.iova = 0;
		cmd.length = -1ULL;
	} else if (way < 7) {
		struct random_range range = random_recent(t);

		cmd.iova = range.iova;
		cmd.length = range.length;
	}
	return random_ioctl(t, random_context_file(t), IOMMU_IOAS_UNMAP, &cmd,
			    sizeof(cmd));
}

static int run_option(struct random_thread *t)
{
	struct iommu_option cmd = {
		.size = size_of(t, sizeof(cmd)),
		.option_id = random_flags(t, random_below(t, 2), 3),
		.op = random_flags(t, random_below(t, 2), 3),
		.val64 = random_flags(t, random_below(t, 2), 3),
	};

	if (cmd.option_id == IOMMU_OPTION_HUGE_PAGES)
		cmd.object_id = random_id(t, ID_IOAS);
	return random_ioctl(t, random_context_file(t), IOMMU_OPTION, &cmd, sizeof(cmd));
}

static int run_vfio_ioas(struct random_thread *t)
{
	struct iommu_vfio_ioas cmd = {
		.size = size_of(t, sizeof(cmd)),
		.ioas_id = random_id(t, ID_IOAS),
		.op = random_flags(t, random_below(t, 8) ?
				   random_below(t, 2) : IOMMU_VFIO_IOAS_CLEAR,
				   3),
	};

	return random_ioctl(t, random_context_file(t), IOMMU_VFIO_IOAS, &cmd,
			    sizeof(cmd));
}

static int run_hwpt_alloc(struct random_thread *t)
{
	struct iommu_hwpt_alloc cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = random_flags(t, random_chance(t, 85) ?
				      IOMMU_HWPT_ALLOC_DIRTY_TRACKING : 0, 7),
		.dev_id = random_id(t, ID_DEVICE),
		.pt_id = random_id(t, ID_IOAS),
		.data_type = random_flags(t, 0, 1),
	};
	int rc = random_ioctl(t, random_context_file(t), IOMMU_HWPT_ALLOC, &cmd,
			      sizeof(cmd));

	if (!rc)
		random_note_id(t, ID_HWPT, cmd.out_hwpt_id);
	return rc;
}

static int run_hw_info(struct random_thread *t)
{
	struct iommu_hw_info cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = random_flags(t, 0, 1),
		.dev_id = random_id(t, ID_DEVICE),
		.data_len = random_below(t, 256),
		.data_uptr = random_va(t),
	};

	return random_ioctl(t, random_context_file(t), IOMMU_GET_HW_INFO, &cmd,
			    sizeof(cmd));
}

static int run_track(struct random_thread *t)
{
	struct iommu_hwpt_set_dirty_tracking cmd = {
		.size = size_of(t, sizeof(cmd)),
		.flags = random_flags(t, random_chance(t, 90), 3),
		.hwpt_id = random_id(t, ID_HWPT),
	};

	return random_ioctl(t, random_context_file(t), IOMMU_HWPT_SET_DIRTY_TRACKING,
			    &cmd, sizeof(cmd));
}

static int run_query(struct random_thread *t)
{
	struct iommu_hwpt_get_dirty_bitmap cmd = {
		.size = size_of(t, sizeof(cmd)),
		.hwpt_id = random_id(t, ID_HWPT),
		.flags = random_flags(t, random_chance(t, 25), 3),
		.iova = random_iova(t) & ~(random_chance(t, 90) * (SZ_64K - 1)),
		.length = random_length(t),
		.page_size = SZ_4K << random_below(t, 4),
		.data = (unsigned long)random_bitmap(t),
	};

	if (random_chance(t, 5))
		cmd.page_size = random_boundary(t);
	if (random_chance(t, 10))
		cmd.page_size = 1ULL << random_below(t, 64);
	return random_ioctl(t, random_context_file(t), IOMMU_HWPT_GET_DIRTY_BITMAP, &cmd,
			    sizeof(cmd));
}

/* Issue ioctl numbers that do not exist, or that this kernel lacks. */
static int run_unknown(struct random_thread *t)
{
	__u32 cmd[16] = { size_of(t, sizeof(cmd)) };

	for (size_t i = 1; i < ARRAY_SIZE(cmd); i++)
		cmd[i] = random_chance(t, 50) ? 0 : random_number(t);
	/* All but the test ABI, whose calls may have any effect. */
	return random_ioctl(t, random_context_file(t),
			    _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 0xc +
				random_below(t, 16)), cmd, sizeof(cmd));
}

const struct random_call random_iommufd_calls[] = {
	{ "iommufd_open", 1, run_open },
	{ "DESTROY", 6, run_destroy },
	{ "IOAS_ALLOC", 8, run_ioas_alloc },
	{ "ALLOW_IOVAS", 3, run_allow_iovas },
	{ "IOVA_RANGES", 4, run_iova_ranges },
	{ "IOAS_MAP", 48, run_map },
	{ "IOAS_MAP_FILE", 24, run_map_file },
	{ "IOAS_COPY", 24, run_copy },
	{ "IOAS_UNMAP", 24, run_unmap },
	{ "OPTION", 4, run_option },
	{ "VFIO_IOAS", 8, run_vfio_ioas },
	{ "HWPT_ALLOC", 16, run_hwpt_alloc },
	{ "GET_HW_INFO", 3, run_hw_info },
	{ "SET_DIRTY_TRACK", 12, run_track },
	{ "GET_DIRTY_BITMAP", 24, run_query },
	{ "unknown", 2, run_unknown },
	{}
};
