// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O address spaces: the ioctls that map memory.
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
#include <uapi/linux/iommufd.h>

#include "iommufd_private.h"

/**
 * DOC: IOAS ioctls
 *
 * An IOAS is an object around a struct io_pagetable. The functions here check
 * what the caller gave, turn it into the engine's terms, and hand the result
 * back. A mapping that its maker could not be told of is undone: the call
 * failed, so nothing is mapped.
 */

#define IOAS_MAP_PROT	(IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE)
#define IOAS_MAP_FLAGS	(IOMMU_IOAS_MAP_FIXED_IOVA | IOAS_MAP_PROT)

/*
 * A BAR that is mapped in the compat container's IOAS is reached by every device that is
 * attached to that IOAS, also by ID or through a HWPT. IOMMU_IOAS_MAP and
 * IOMMU_IOAS_COPY never map one.
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
 * iommufd_ioas_alloc - make an IOAS
 * @ictx: the context
 *
 * Return: an empty IOAS that is not finalized yet; otherwise an ERR_PTR as from
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
		/* Until VFIO_SET_IOMMU says otherwise. */
		ioas->type1.v2 = true;
	}
	return ioas;
}

/**
 * iommufd_ioas_alloc_ioctl - IOMMU_IOAS_ALLOC
 * @ucmd: struct iommu_ioas_alloc
 *
 * Return: 0; -EOPNOTSUPP for flags; -EFAULT; or from iommufd_ioas_alloc().
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

	/* Nobody can use it before its maker knows of it. */
	cmd->out_ioas_id = ioas->obj.id;
	rc = iommufd_ucmd_respond(ucmd, sizeof(*cmd));
	if (rc)
		iommufd_object_abort_and_destroy(ictx, &ioas->obj);
	else
		iommufd_object_finalize(ictx, &ioas->obj);
	return rc;
}

/**
 * struct ioas_ranges - usable IOVAs, as many as the caller wants to know
 * @array: the ranges
 * @room: how many fit into the caller's memory
 * @size: how many fit into @array
 * @count: how many there are
 *
 * They are copied to the caller once no lock is held: the caller's memory may
 * take any time to be there.
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
 * iommufd_ioas_iova_ranges - IOMMU_IOAS_IOVA_RANGES
 * @ucmd: struct iommu_ioas_iova_ranges
 *
 * Return: 0; -EMSGSIZE where there are more ranges than fit, the caller then
 * has as many as do and knows the number; -EOPNOTSUPP; -ENOENT; -EFAULT; -ENOMEM;
 * -EINTR.
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

/* Add a range that the caller wants to stay usable to @tree. */
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
 * iommufd_ioas_allow_iovas - IOMMU_IOAS_ALLOW_IOVAS
 * @ucmd: struct iommu_ioas_allow_iovas
 *
 * Return: 0, and the ranges replace the former ones; otherwise those stay:
 * -EADDRINUSE where a range is not usable; -EINVAL for ranges that overlap or
 * are shorter than two bytes; -EOPNOTSUPP; -ENOENT; -ENOMEM; -EFAULT; -EINTR.
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

	/* The former ranges now, or the new ones that were refused. */
	iopt_free_allowed(&tree);
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	return rc;
}

/*
 * Check what all ways to map have in common, and fill in @map. @from is where
 * the memory is found, as far as that has to be less than the largest value.
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
	 * Userspace has no way to flush caches, so all memory is mapped
	 * coherent; devices for which that does not hold cannot be bound.
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

/* Tell the caller about @map, or undo it. */
static int ioas_respond_map(struct iommufd_ucmd *ucmd, size_t cmd_len,
			    struct iommufd_ioas *ioas,
			    const struct iopt_map *map)
{
	int rc = iommufd_ucmd_respond(ucmd, cmd_len);

	/* Fails only if another thread is unmapping the same already. */
	if (rc)
		iopt_unmap_iova(&ioas->iopt, map->iova, map->length, NULL);
	return rc;
}

/**
 * iommufd_ioas_map - IOMMU_IOAS_MAP
 * @ucmd: struct iommu_ioas_map
 *
 * Return: 0; -EOPNOTSUPP for flags; -EOVERFLOW for numbers too large; -EINVAL
 * for a mapping that neither reads nor writes; -ENOENT; -EFAULT; or from
 * iopt_map_user_pages().
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
 * iommufd_ioas_map_file - IOMMU_IOAS_MAP_FILE
 * @ucmd: struct iommu_ioas_map_file
 *
 * Return: as iommufd_ioas_map(); -EBADF where no file is open at the
 * descriptor; or from iopt_map_file_pages().
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
 * iommufd_ioas_copy - IOMMU_IOAS_COPY
 * @ucmd: struct iommu_ioas_copy
 *
 * Return: as iommufd_ioas_map(); or from iopt_copy_iova().
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

	/* What is wrong with the source is reported before the destination is. */
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
 * iommufd_ioas_unmap - IOMMU_IOAS_UNMAP
 * @ucmd: struct iommu_ioas_unmap; iova 0 and length U64_MAX is everything
 *
 * Return: 0, of everything also where that is nothing; -ENOENT where nothing is
 * mapped in the range, or it cuts a mapping; -EOVERFLOW for numbers too large;
 * -EFAULT, with the memory unmapped; or from iopt_unmap_iova().
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
	iommufd_put_object(ucmd->ictx, &ioas->obj);
	if (rc)
		return rc;

	cmd->length = unmapped;
	return iommufd_ucmd_respond(ucmd, sizeof(*cmd));
}
