// SPDX-License-Identifier: GPL-2.0-only
/*
 * VFIO_IOMMU_MAP_DMA and VFIO_IOMMU_UNMAP_DMA of the type1-compatible container.
 */
#include <linux/array_size.h>
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/iommu.h>
#include <linux/overflow.h>
#include <linux/stddef.h>
#include <linux/uaccess.h>
#include <uapi/linux/vfio.h>

#include "iommufd_private.h"
#include "vfio_compat.h"

/**
 * DOC: Mappings of the type1-compatible container
 *
 * The same engine as for IOMMU_IOAS_MAP, with the errors that it gives, but for
 * an unmap that finds nothing: type1 calls that success. Where a user of the
 * first version of type1 cuts through a mapping, it is split at both ends of
 * the range before anything is unmapped.
 */

#define COMPAT_MAP_PROT	(VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* Whether the engine's addresses, those of the CPU, can hold the value. */
static bool fits_long(u64 val)
{
	return val == (unsigned long)val;
}

/**
 * iommufd_vfio_map_dma - VFIO_IOMMU_MAP_DMA
 * @ictx: the context
 * @arg: struct vfio_iommu_type1_dma_map
 *
 * Return: 0; -EINVAL for flags that do not exist here, for a mapping that
 * neither reads nor writes, an argsz that is too small or a number that is too
 * large; -ENODEV without an IOAS; -EFAULT; or from iopt_map_user_pages().
 * Context: may sleep.
 */
int iommufd_vfio_map_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_iommu_type1_dma_map, size);
	struct iopt_map map = { .prot = IOMMU_CACHE };
	struct vfio_iommu_type1_dma_map req;
	struct iommufd_ioas *ioas;
	int rc;

	if (copy_from_user(&req, arg, minsz))
		return -EFAULT;
	if (req.argsz < minsz || req.flags & ~COMPAT_MAP_PROT)
		return -EINVAL;
	if (!fits_long(req.vaddr) || !fits_long(req.iova) ||
	    !fits_long(req.size))
		return -EINVAL;

	/* An IOMMU driver need not know what to do with neither. */
	if (!(req.flags & COMPAT_MAP_PROT))
		return -EINVAL;
	if (req.flags & VFIO_DMA_MAP_FLAG_WRITE)
		map.prot |= IOMMU_WRITE;
	if (req.flags & VFIO_DMA_MAP_FLAG_READ)
		map.prot |= IOMMU_READ;

	ioas = iommufd_vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	map.iova = req.iova;
	map.length = req.size;
	map.account_mode = READ_ONCE(ictx->account_mode);
	rc = iopt_map_user_pages(&ioas->iopt, &map, u64_to_user_ptr(req.vaddr));
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}

/* Split the mappings that [iova, last] cuts. */
static int compat_cut(struct io_pagetable *iopt, unsigned long iova,
		      unsigned long last)
{
	/* Each is the last byte of what comes before the cut. */
	unsigned long cuts[] = { last, iova - 1 };

	/* Nothing is below 0. */
	return iopt_cut_iova(iopt, cuts, iova ? ARRAY_SIZE(cuts) : 1);
}

static int compat_unmap_range(struct io_pagetable *iopt, unsigned long iova,
			      unsigned long length, unsigned long *unmapped)
{
	unsigned long last;
	int rc;

	/* A range that cannot be unmapped must not leave mappings cut. */
	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;

	if (READ_ONCE(iopt->disable_large_pages)) {
		rc = compat_cut(iopt, iova, last);
		if (rc)
			return rc;
	}
	return iopt_unmap_iova(iopt, iova, length, unmapped);
}

static int compat_unmap(struct io_pagetable *iopt,
			const struct vfio_iommu_type1_dma_unmap *req,
			unsigned long *unmapped)
{
	if (req->flags & VFIO_DMA_UNMAP_FLAG_ALL)
		return iopt_unmap_all(iopt, unmapped);
	return compat_unmap_range(iopt, req->iova, req->size, unmapped);
}

/**
 * iommufd_vfio_unmap_dma - VFIO_IOMMU_UNMAP_DMA
 * @ictx: the context
 * @arg: struct vfio_iommu_type1_dma_unmap; its size becomes the number of bytes
 *	that were unmapped, on failure as well
 *
 * Return: 0, also where nothing was mapped; -EINVAL for flags that do not exist
 * here, a range along with VFIO_DMA_UNMAP_FLAG_ALL, an argsz that is too small
 * or an empty range; -ENOENT for one that cuts a mapping, but with the first
 * version of type1; -ENODEV without an IOAS; -EFAULT, with the memory unmapped;
 * or from iopt_cut_iova() and iopt_unmap_iova().
 * Context: may sleep.
 */
int iommufd_vfio_unmap_dma(struct iommufd_ctx *ictx, void __user *arg)
{
	const size_t minsz =
		offsetofend(struct vfio_iommu_type1_dma_unmap, size);
	struct vfio_iommu_type1_dma_unmap req;
	unsigned long unmapped = 0;
	struct iommufd_ioas *ioas;
	int rc;

	if (copy_from_user(&req, arg, minsz))
		return -EFAULT;
	if (req.argsz < minsz || req.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	if (!fits_long(req.iova) || !fits_long(req.size))
		return -EINVAL;

	ioas = iommufd_vfio_get_ioas(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	if (req.flags & VFIO_DMA_UNMAP_FLAG_ALL && (req.iova || req.size)) {
		rc = -EINVAL;
		goto out_put;
	}

	rc = compat_unmap(&ioas->iopt, &req, &unmapped);
	req.size = unmapped;
	if (copy_to_user(arg, &req, minsz))
		rc = -EFAULT;
out_put:
	iommufd_put_object(ictx, &ioas->obj);
	return rc;
}
