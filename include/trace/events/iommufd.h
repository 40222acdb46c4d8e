/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of ioctls of /dev/iommu, with the IDs of userspace. The events of
 * trace/events/iopt.h that an ioctl causes come before its own, from the same task.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iommufd

#if !defined(_TRACE_IOMMUFD_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_IOMMUFD_H

#include <linux/tracepoint.h>
#include <uapi/linux/iommufd.h>

TRACE_DEFINE_ENUM(IOMMU_IOAS_MAP_FIXED_IOVA);
TRACE_DEFINE_ENUM(IOMMU_IOAS_MAP_WRITEABLE);
TRACE_DEFINE_ENUM(IOMMU_IOAS_MAP_READABLE);
TRACE_DEFINE_ENUM(IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR);

#define iommufd_show_map_flags(flags)					\
	__print_flags(flags, "|",					\
		      { IOMMU_IOAS_MAP_FIXED_IOVA, "FIXED_IOVA" },	\
		      { IOMMU_IOAS_MAP_WRITEABLE, "WRITEABLE" },	\
		      { IOMMU_IOAS_MAP_READABLE, "READABLE" })

DECLARE_EVENT_CLASS(iommufd_map,

	TP_PROTO(u32 ioas_id, u64 ioas, u64 from, u64 iova, u64 length,
		 u32 flags, int rc),

	TP_ARGS(ioas_id, ioas, from, iova, length, flags, rc),

	TP_STRUCT__entry(
		__field(u32, ioas_id)
		__field(u64, ioas)
		__field(u64, from)
		__field(u64, iova)
		__field(u64, length)
		__field(u32, flags)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->ioas_id = ioas_id;
		__entry->ioas = ioas;
		__entry->from = from;
		__entry->iova = iova;
		__entry->length = length;
		__entry->flags = flags;
		__entry->rc = rc;
	),

	TP_printk("ioas_id=%u ioas=%llu from=0x%llx iova=0x%llx length=%llu flags=%s rc=%d",
		  __entry->ioas_id, __entry->ioas, __entry->from,
		  __entry->iova, __entry->length,
		  iommufd_show_map_flags(__entry->flags), __entry->rc)
);

/* IOMMU_IOAS_MAP; from is the address of the memory. */
DEFINE_EVENT(iommufd_map, iommufd_map,

	TP_PROTO(u32 ioas_id, u64 ioas, u64 from, u64 iova, u64 length,
		 u32 flags, int rc),

	TP_ARGS(ioas_id, ioas, from, iova, length, flags, rc)
);

/* IOMMU_IOAS_MAP_FILE; from is the offset in the file. */
DEFINE_EVENT(iommufd_map, iommufd_map_file,

	TP_PROTO(u32 ioas_id, u64 ioas, u64 from, u64 iova, u64 length,
		 u32 flags, int rc),

	TP_ARGS(ioas_id, ioas, from, iova, length, flags, rc)
);

/* IOMMU_IOAS_COPY; from is the IOVA in the other IOAS. */
DEFINE_EVENT(iommufd_map, iommufd_copy,

	TP_PROTO(u32 ioas_id, u64 ioas, u64 from, u64 iova, u64 length,
		 u32 flags, int rc),

	TP_ARGS(ioas_id, ioas, from, iova, length, flags, rc)
);

TRACE_EVENT(iommufd_unmap,

	TP_PROTO(u32 ioas_id, u64 ioas, u64 iova, u64 length, u64 unmapped,
		 int rc),

	TP_ARGS(ioas_id, ioas, iova, length, unmapped, rc),

	TP_STRUCT__entry(
		__field(u32, ioas_id)
		__field(u64, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(u64, unmapped)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->ioas_id = ioas_id;
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->unmapped = unmapped;
		__entry->rc = rc;
	),

	TP_printk("ioas_id=%u ioas=%llu iova=0x%llx length=%llu unmapped=%llu rc=%d",
		  __entry->ioas_id, __entry->ioas, __entry->iova,
		  __entry->length, __entry->unmapped, __entry->rc)
);

/* A device was attached to a page table or an IOAS, or moved to another one. */
TRACE_EVENT(iommufd_attach,

	TP_PROTO(const char *device, u32 dev_id, u32 pt_id, bool replace,
		 int rc),

	TP_ARGS(device, dev_id, pt_id, replace, rc),

	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, dev_id)
		__field(u32, pt_id)
		__field(bool, replace)
		__field(int, rc)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->dev_id = dev_id;
		__entry->pt_id = pt_id;
		__entry->replace = replace;
		__entry->rc = rc;
	),

	TP_printk("device=%s dev_id=%u pt_id=%u replace=%d rc=%d",
		  __get_str(device), __entry->dev_id, __entry->pt_id,
		  __entry->replace, __entry->rc)
);

TRACE_EVENT(iommufd_detach,

	TP_PROTO(const char *device, u32 dev_id),

	TP_ARGS(device, dev_id),

	TP_STRUCT__entry(
		__string(device, device)
		__field(u32, dev_id)
	),

	TP_fast_assign(
		__assign_str(device);
		__entry->dev_id = dev_id;
	),

	TP_printk("device=%s dev_id=%u", __get_str(device), __entry->dev_id)
);

/* IOMMU_HWPT_SET_DIRTY_TRACKING */
TRACE_EVENT(iommufd_track,

	TP_PROTO(u32 hwpt_id, u64 ioas, bool enable, int rc),

	TP_ARGS(hwpt_id, ioas, enable, rc),

	TP_STRUCT__entry(
		__field(u32, hwpt_id)
		__field(u64, ioas)
		__field(bool, enable)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->hwpt_id = hwpt_id;
		__entry->ioas = ioas;
		__entry->enable = enable;
		__entry->rc = rc;
	),

	TP_printk("hwpt_id=%u ioas=%llu enable=%d rc=%d", __entry->hwpt_id,
		  __entry->ioas, __entry->enable, __entry->rc)
);

/* IOMMU_HWPT_GET_DIRTY_BITMAP */
TRACE_EVENT(iommufd_query,

	TP_PROTO(u32 hwpt_id, u64 ioas, u64 iova, u64 length, u64 page_size,
		 u32 flags, int rc),

	TP_ARGS(hwpt_id, ioas, iova, length, page_size, flags, rc),

	TP_STRUCT__entry(
		__field(u32, hwpt_id)
		__field(u64, ioas)
		__field(u64, iova)
		__field(u64, length)
		__field(u64, page_size)
		__field(u32, flags)
		__field(int, rc)
	),

	TP_fast_assign(
		__entry->hwpt_id = hwpt_id;
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->page_size = page_size;
		__entry->flags = flags;
		__entry->rc = rc;
	),

	TP_printk("hwpt_id=%u ioas=%llu iova=0x%llx length=%llu page_size=%llu flags=%s rc=%d",
		  __entry->hwpt_id, __entry->ioas, __entry->iova,
		  __entry->length, __entry->page_size,
		  __print_flags(__entry->flags, "|",
				{ IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR, "NO_CLEAR" }),
		  __entry->rc)
);

#endif

#include <trace/define_trace.h>
