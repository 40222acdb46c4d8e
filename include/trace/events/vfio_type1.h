/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of type1 ioctls, of VFIO containers and of /dev/iommu as a container. The
 * events of trace/events/iopt.h that an ioctl causes come before its own, from the same
 * task.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio_type1

#if !defined(_TRACE_VFIO_TYPE1_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_VFIO_TYPE1_H

#include <linux/tracepoint.h>
#include <uapi/linux/vfio.h>

/* VFIO_IOMMU_MAP_DMA */
TRACE_EVENT(vfio_type1_map,

	TP_PROTO(u64 ioas, const struct vfio_iommu_type1_dma_map *req, int rc),

	TP_ARGS(ioas, req, rc),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(u64, vaddr)
		__field(u64, iova)
		__field(u64, size)
		__field(u32, flags)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->vaddr = req->vaddr;
		__entry->iova = req->iova;
		__entry->size = req->size;
		__entry->flags = req->flags;
		__entry->rc = rc;
	),

	TP_printk("ioas=%llu vaddr=0x%llx iova=0x%llx size=%llu flags=%s rc=%d",
		  __entry->ioas, __entry->vaddr, __entry->iova, __entry->size,
		  __print_flags(__entry->flags, "|",
				{ VFIO_DMA_MAP_FLAG_READ, "READ" },
				{ VFIO_DMA_MAP_FLAG_WRITE, "WRITE" },
				{ VFIO_DMA_MAP_FLAG_VADDR, "VADDR" }),
		  __entry->rc)
);

/* VFIO_IOMMU_UNMAP_DMA */
TRACE_EVENT(vfio_type1_unmap,

	TP_PROTO(u64 ioas, const struct vfio_iommu_type1_dma_unmap *req,
		 u64 unmapped, int rc),

	TP_ARGS(ioas, req, unmapped, rc),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(u64, iova)
		__field(u64, size)
		__field(u32, flags)
		__field(u64, unmapped)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->iova = req->iova;
		__entry->size = req->size;
		__entry->flags = req->flags;
		__entry->unmapped = unmapped;
		__entry->rc = rc;
	),

	TP_printk("ioas=%llu iova=0x%llx size=%llu flags=%s unmapped=%llu rc=%d",
		  __entry->ioas, __entry->iova, __entry->size,
		  __print_flags(__entry->flags, "|",
				{ VFIO_DMA_UNMAP_FLAG_GET_DIRTY_BITMAP, "GET_DIRTY_BITMAP" },
				{ VFIO_DMA_UNMAP_FLAG_ALL, "ALL" },
				{ VFIO_DMA_UNMAP_FLAG_VADDR, "VADDR" }),
		  __entry->unmapped, __entry->rc)
);

/* VFIO_IOMMU_DIRTY_PAGES; iova and size are 0 unless it is a query */
TRACE_EVENT(vfio_type1_dirty,

	TP_PROTO(u64 ioas, u32 flags, u64 iova, u64 size, int rc),

	TP_ARGS(ioas, flags, iova, size, rc),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(u32, flags)
		__field(u64, iova)
		__field(u64, size)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->flags = flags;
		__entry->iova = iova;
		__entry->size = size;
		__entry->rc = rc;
	),

	TP_printk("ioas=%llu flags=%s iova=0x%llx size=%llu rc=%d",
		  __entry->ioas,
		  __print_flags(__entry->flags, "|",
				{ VFIO_IOMMU_DIRTY_PAGES_FLAG_START, "START" },
				{ VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP, "STOP" },
				{ VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP, "GET_BITMAP" }),
		  __entry->iova, __entry->size, __entry->rc)
);

/* A group was attached to a VFIO container, or this failed. */
TRACE_EVENT(vfio_type1_attach,

	TP_PROTO(u64 ioas, int group, int rc),

	TP_ARGS(ioas, group, rc),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(int, group)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->group = group;
		__entry->rc = rc;
	),

	TP_printk("ioas=%llu group=%d rc=%d", __entry->ioas, __entry->group,
		  __entry->rc)
);

#endif

#include <trace/define_trace.h>
