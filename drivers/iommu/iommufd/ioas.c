// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O address spaces and the ioctls that map memory in them.
 */
#include <linux/cleanup.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/interval_tree.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/moduleparam.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <trace/events/iommufd.h>
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/**
 * DOC: IOAS ioctls
 *
 * An IOAS is an object with a struct io_pagetable. The handlers check the
 * user's structure, convert it to a call of the engine, and copy the result to
 * userspace. If the result of a map cannot be copied, the mapping is undone, so
 * that a map that fails leaves nothing mapped.
 */

#define IOAS_MAP_PROT	(IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)
#define IOAS_MAP_FLAGS	(IOMMU_IOAS_MAP_FIXED_IOVA | IOAS_MAP_PROT)

/*
 * Any device that is attached to the compat IOAS can access a BAR that is
 * mapped there, even if it was attached by iommufd ioctls. IOMMU_IOAS_MAP and
 * IOMMU_IOAS_COPY never map a BAR.
 */
static bool allow_unsafe_pfnmap;
module_param(allow_unsafe_pfnmap, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_pfnmap,
		 "Let VFIO_IOMMU_MAP_DMA on /dev/iommu map device memory such as a BAR, for DMA of every device of the IOAS (default: off)");

static const struct type1_flavour ioas_vfio_flavour = {
	.split = true,
	.pfnmap = &allow_unsafe_pfnmap,
};

static void ioas_destroy(struct iommufd_object *obj)
{
	struct iommufd_ioas *ioas = container_of(obj, struct iommufd_ioas, obj);

	WARN_ON(!list_empty(&ioas->hwpt_list));
	WARN_ON(iopt_unmap_all(&ioas->iopt, NULL));
	iopt_destroy_table(&ioas->iopt);
	type1_destroy(&ioas->type1);
	mutex_destroy(&ioas->mutex);
}

static const struct iommufd_object_ops ioas_ops = {
	.type = IOMMUFD_OBJ_IOAS,
	.destroy = ioas_destroy,
};

/**
 * iommufd_ioas_alloc() - allocate an IOAS
 * @ictx: the context
 *
 * Return: an empty IOAS that is not finalized, or an errno of
 * iommufd_object_alloc().
 * Context: may sleep.
 */
struct iommufd_ioas *iommufd_ioas_alloc(struct iommufd_ctx *ictx)
{
	struct iommufd_ioas *ioas;

	ioas = iommufd_object_alloc(ictx, ioas, &ioas_ops);
	if (!IS_ERR(ioas)) {
		mutex_init(&ioas->mutex);
		INIT_LIST_HEAD(&ioas->hwpt_list);
		iopt_init_table(&ioas->iopt);
		type1_init(&ioas->type1, &ioas_vfio_flavour);
		/*
		 * Default of the compat container; VFIO_SET_IOMMU may change
		 * it.
		 */
		ioas->type1.v2 = true;
	}
	return ioas;
}

/**
 * iommufd_ioas_alloc_ioctl() - handle IOMMU_IOAS_ALLOC
 * @ucmd: the ioctl, with a struct iommu_ioas_alloc
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: a flag is set
 * * -EFAULT: the structure cannot be written
 * * or another errno of iommufd_ioas_alloc()
 *
 * Context: may sleep.
 */
int iommufd_ioas_alloc_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->flags)
		return -EOPNOTSUPP;

	ioas = iommufd_ioas_alloc(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	/* Finalize last: an object that was looked up cannot be aborted. */
	cmd->out_ioas_id = ioas->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	else
		iommufd_object_finalize(ictx, &ioas->obj);
	return rc;
}

/**
 * struct ioas_ranges - usable IOVA ranges to report
 * @array: the ranges; no more than @room
 * @room: number of ranges that fit into the user's buffer
 * @size: number of allocated entries of @array
 * @count: number of usable ranges, including those that do not fit
 *
 * The ranges are collected with locks held and copied to userspace without,
 * because copying may wait for a page fault for an unlimited time.
 *
 * Owner: iommufd_ioas_iova_ranges().
 */
struct ioas_ranges {
	struct iommu_iova_range *array;
	u32 room;
	u32 size;
	u32 count;
};

static int ioas_add_range(void *opaque, unsigned long start, unsigned long last)
{
	struct ioas_ranges *ranges = opaque;
	u32 index = ranges->count++, size;
	struct iommu_iova_range *array;

	if (index >= ranges->room)
		return 0;
	if (index == ranges->size) {
		size = max(2 * ranges->size, 8U);
		array = kvrealloc(ranges->array, size * sizeof(*array),
				  GFP_KERNEL_ACCOUNT);
		if (!array)
			return -ENOMEM;
		ranges->array = array;
		ranges->size = size;
	}
	ranges->array[index] = (struct iommu_iova_range) {
		.start = start,
		.last = last,
	};
	return 0;
}

/**
 * iommufd_ioas_iova_ranges() - handle IOMMU_IOAS_IOVA_RANGES
 * @ucmd: the ioctl, with a struct iommu_ioas_iova_ranges
 *
 * Return:
 * * 0: success
 * * -EMSGSIZE: not all ranges fit; the first ranges are copied, and num_iovas
 *   is set to the number of ranges
 * * -EOPNOTSUPP: __reserved is set
 * * -ENOENT: there is no such IOAS
 * * -EFAULT: user memory cannot be written
 * * -ENOMEM: out of memory
 * * -EINTR: the task was killed
 *
 * Context: may sleep.
 */
int iommufd_ioas_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	struct ioas_ranges ranges = { .room = cmd->num_iovas };
	struct iommufd_ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = iopt_walk_usable_ranges(&ioas->iopt, ioas_add_range, &ranges);
	/* Ranges and alignment may change as soon as they are reported. */
	cmd->out_iova_alignment = READ_ONCE(ioas->iopt.iova_alignment);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (!rc && copy_to_user(u64_to_user_ptr(cmd->allowed_iovas),
				ranges.array,
				min(ranges.count, ranges.room) *
					sizeof(*ranges.array)))
		rc = -EFAULT;
	kvfree(ranges.array);
	if (rc)
		return rc;

	cmd->num_iovas = ranges.count;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		return rc;
	return ranges.count > ranges.room ? -EMSGSIZE : 0;
}

/* Add an allowed range of the user's array to @tree. Returns 0 or an errno. */
static int ioas_load_range(struct rb_root_cached *tree,
			   const struct iommu_iova_range __user *from)
{
	struct iommu_iova_range range;
	struct iopt_allowed *allowed;

	if (copy_from_user(&range, from, sizeof(range)))
		return -EFAULT;
	if (range.last > ULONG_MAX)
		return -EOVERFLOW;
	if (range.last <= range.start)
		return -EINVAL;
	if (interval_tree_iter_first(tree, range.start, range.last))
		return -EINVAL;

	allowed = kmalloc(sizeof(*allowed), GFP_KERNEL_ACCOUNT);
	if (!allowed)
		return -ENOMEM;
	*allowed = (struct iopt_allowed) {
		.node = { .start = range.start, .last = range.last },
	};
	interval_tree_insert(&allowed->node, tree);
	return 0;
}

/**
 * iommufd_ioas_allow_iovas() - handle IOMMU_IOAS_ALLOW_IOVAS
 * @ucmd: the ioctl, with a struct iommu_ioas_allow_iovas
 *
 * The ranges replace the former ones. On failure the former ones stay.
 *
 * Return:
 * * 0: success
 * * -EADDRINUSE: a range is not usable
 * * -EINVAL: ranges overlap, or a range is shorter than two bytes
 * * -EOVERFLOW: a range exceeds the IOVA space
 * * -EOPNOTSUPP: __reserved is set
 * * -ENOENT: there is no such IOAS
 * * -ENOMEM: out of memory
 * * -EFAULT: the ranges cannot be read
 * * -EINTR: the task was killed
 *
 * Context: may sleep.
 */
int iommufd_ioas_allow_iovas(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	const struct iommu_iova_range __user *ranges =
		u64_to_user_ptr(cmd->allowed_iovas);
	struct rb_root_cached tree = RB_ROOT_CACHED;
	struct iommufd_ioas *ioas;
	int rc = 0;
	u32 i;

	if (cmd->__reserved)
		return -EOPNOTSUPP;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	for (i = 0; !rc && i < cmd->num_iovas; i++) {
		rc = ioas_load_range(&tree, ranges + i);
		if (!rc && fatal_signal_pending(current))
			rc = -EINTR;
		cond_resched();
	}
	if (!rc)
		rc = iopt_set_allow_iova(&ioas->iopt, &tree);

	/* On success @tree has the former ranges, otherwise the new ones. */
	iopt_free_allowed(&tree);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

/*
 * Check arguments that all map ioctls share, and fill in @map. @from is the
 * source of the memory if it must be less than ULONG_MAX, otherwise 0.
 */
static int ioas_check_map(u32 flags, u64 from, u64 iova, u64 length,
			  struct iopt_map *map)
{
	if (flags & ~IOAS_MAP_FLAGS)
		return -EOPNOTSUPP;
	if (from >= ULONG_MAX || iova >= ULONG_MAX || length >= ULONG_MAX)
		return -EOVERFLOW;
	if (!(flags & IOAS_MAP_PROT))
		return -EINVAL;

	/*
	 * Userspace cannot flush caches, so all mappings are cache coherent. A
	 * device that does not support this cannot be bound.
	 */
	*map = (struct iopt_map) {
		.iova = iova,
		.length = length,
		.prot = IOMMU_CACHE,
	};
	if (flags & IOMMU_IOAS_MAP_READABLE)
		map->prot |= IOMMU_READ;
	if (flags & IOMMU_IOAS_MAP_WRITEABLE)
		map->prot |= IOMMU_WRITE;
	if (!(flags & IOMMU_IOAS_MAP_FIXED_IOVA))
		map->flags |= IOPT_ALLOC_IOVA;
	return 0;
}

/* Copy the result of a map to userspace. Undo the map if this fails. */
static int ioas_respond_map(struct iommufd_ucmd *ucmd, size_t cmd_len,
			    struct iommufd_ioas *ioas,
			    const struct iopt_map *map)
{
	int rc = iommufd_ucmd_respond(ucmd, cmd_len);

	/* The unmap fails only if another thread unmaps the range, too. */
	if (rc)
		iopt_unmap_iova(&ioas->iopt, map->iova, map->length, NULL);
	return rc;
}

/**
 * iommufd_ioas_map() - handle IOMMU_IOAS_MAP
 * @ucmd: the ioctl, with a struct iommu_ioas_map
 *
 * Return:
 * * 0: success
 * * -EOPNOTSUPP: a flag is unknown, or __reserved is set
 * * -EOVERFLOW: a value does not fit into an unsigned long, or is ULONG_MAX
 * * -EINVAL: the mapping is neither readable nor writeable
 * * -ENOENT: there is no such IOAS
 * * -EFAULT: the structure cannot be written, or the memory cannot be pinned
 * * or another errno of iopt_map_user_pages()
 *
 * Context: may sleep.
 */
int iommufd_ioas_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	struct iopt_map map;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	rc = ioas_check_map(cmd->flags, 0, cmd->iova, cmd->length, &map);
	if (rc)
		return rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	map.account_mode = READ_ONCE(ucmd->ictx->account_mode);
	rc = iopt_map_user_pages(&ioas->iopt, &map,
				 u64_to_user_ptr(cmd->user_va));
	if (!rc) {
		cmd->iova = map.iova;
		rc = ioas_respond_map(ucmd, sizeof(*cmd), ioas, &map);
	}
	trace_iommufd_map(cmd->ioas_id, ioas->iopt.id, cmd->user_va, cmd->iova,
			  cmd->length, cmd->flags, rc);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

static int ioas_map_file(struct iommufd_ucmd *ucmd, struct iommufd_ioas *ioas,
			 struct iopt_map *map)
{
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct file *file = fget(cmd->fd);
	int rc;

	if (!file)
		return -EBADF;

	map->account_mode = READ_ONCE(ucmd->ictx->account_mode);
	rc = iopt_map_file_pages(&ioas->iopt, map, file, cmd->start);
	fput(file);
	if (rc)
		return rc;

	cmd->iova = map->iova;
	return ioas_respond_map(ucmd, sizeof(*cmd), ioas, map);
}

/**
 * iommufd_ioas_map_file() - handle IOMMU_IOAS_MAP_FILE
 * @ucmd: the ioctl, with a struct iommu_ioas_map_file
 *
 * Return:
 * * as iommufd_ioas_map()
 * * -EBADF: the descriptor is not open
 * * or another errno of iopt_map_file_pages()
 *
 * Context: may sleep.
 */
int iommufd_ioas_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct iommufd_ioas *ioas;
	struct iopt_map map;
	int rc;

	rc = ioas_check_map(cmd->flags, cmd->start, cmd->iova, cmd->length,
			    &map);
	if (rc)
		return rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = ioas_map_file(ucmd, ioas, &map);
	trace_iommufd_map_file(cmd->ioas_id, ioas->iopt.id, cmd->start,
			       cmd->iova, cmd->length, cmd->flags, rc);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

static int ioas_check_source(unsigned long iova, unsigned long length)
{
	unsigned long last;

	if (!length)
		return -EINVAL;
	return check_add_overflow(iova, length - 1, &last) ? -EOVERFLOW : 0;
}

/**
 * iommufd_ioas_copy() - handle IOMMU_IOAS_COPY
 * @ucmd: the ioctl, with a struct iommu_ioas_copy
 *
 * Return: as iommufd_ioas_map(), or another errno of iopt_copy_iova().
 * Context: may sleep.
 */
int iommufd_ioas_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	struct iommufd_ioas *src, *dst;
	struct iopt_map map;
	int rc;

	iommufd_test_syz_conv_iova_id(ucmd, cmd->src_ioas_id, &cmd->src_iova,
				      &cmd->flags);
	rc = ioas_check_map(cmd->flags, cmd->src_iova, cmd->dst_iova,
			    cmd->length, &map);
	if (rc)
		return rc;

	src = iommufd_get_ioas(ucmd->ictx, cmd->src_ioas_id);
	if (IS_ERR(src))
		return PTR_ERR(src);

	/* ABI: errors of the source range precede those of the destination. */
	rc = ioas_check_source(cmd->src_iova, cmd->length);
	if (rc)
		goto out_put_src;

	dst = iommufd_get_ioas(ucmd->ictx, cmd->dst_ioas_id);
	if (IS_ERR(dst)) {
		rc = PTR_ERR(dst);
		goto out_put_src;
	}

	rc = iopt_copy_iova(&dst->iopt, &map, &src->iopt, cmd->src_iova);
	if (!rc) {
		cmd->dst_iova = map.iova;
		rc = ioas_respond_map(ucmd, sizeof(*cmd), dst, &map);
	}
	trace_iommufd_copy(cmd->dst_ioas_id, dst->iopt.id, cmd->src_iova,
			   cmd->dst_iova, cmd->length, cmd->flags, rc);
	iommufd_put_object(ucmd->ictx, &dst->obj);
out_put_src:
	iommufd_put_object(ucmd->ictx, &src->obj);
	return rc;
}

static int ioas_unmap(struct io_pagetable *iopt, u64 iova, u64 length,
		      unsigned long *unmapped)
{
	int rc;

	if (!iova && length == U64_MAX)
		return iopt_unmap_all(iopt, unmapped);
	if (iova >= ULONG_MAX || length >= ULONG_MAX)
		return -EOVERFLOW;

	rc = iopt_unmap_iova(iopt, iova, length, unmapped);
	if (!rc && !*unmapped)
		rc = -ENOENT;
	return rc;
}

/**
 * iommufd_ioas_unmap() - handle IOMMU_IOAS_UNMAP
 * @ucmd: the ioctl, with a struct iommu_ioas_unmap. iova 0 with length U64_MAX
 *	unmaps everything, and succeeds even if nothing is mapped.
 *
 * Return:
 * * 0: success
 * * -ENOENT: there is no such IOAS, nothing is mapped in the range, or the
 *   range covers a mapping only in part
 * * -EOVERFLOW: a value does not fit into an unsigned long, or is ULONG_MAX
 * * -EFAULT: the structure cannot be written; the range is unmapped
 *   nevertheless
 * * or another errno of iopt_unmap_iova()
 *
 * Context: may sleep.
 */
int iommufd_ioas_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	unsigned long unmapped = 0;
	struct iommufd_ioas *ioas;
	int rc;

	ioas = iommufd_get_ioas(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	rc = ioas_unmap(&ioas->iopt, cmd->iova, cmd->length, &unmapped);
	trace_iommufd_unmap(cmd->ioas_id, ioas->iopt.id, cmd->iova, cmd->length,
			    unmapped, rc);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (rc)
		return rc;

	cmd->length = unmapped;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
