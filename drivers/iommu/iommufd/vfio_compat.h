/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The type1-compatible container on /dev/iommu: what its files share. See
 * vfio_compat.c.
 */
#ifndef __IOMMUFD_VFIO_COMPAT_H
#define __IOMMUFD_VFIO_COMPAT_H

struct iommufd_ctx;
struct iommufd_ioas;

/* vfio_compat.c */
struct iommufd_ioas *iommufd_vfio_get_ioas(struct iommufd_ctx *ictx);

/* vfio_compat_info.c */
int iommufd_vfio_get_info(struct iommufd_ctx *ictx, void __user *arg);

/* vfio_compat_map.c */
int iommufd_vfio_map_dma(struct iommufd_ctx *ictx, void __user *arg);
int iommufd_vfio_unmap_dma(struct iommufd_ctx *ictx, void __user *arg);

#endif
