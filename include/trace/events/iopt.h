/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of I/O address spaces (IOAS) of /dev/iommu and of VFIO containers. An IOAS is
 * known by its number in debugfs, /sys/kernel/debug/iopt/ioas. Times are in nanoseconds,
 * and 0 if the event was enabled during the call.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iopt

#if !defined(_TRACE_IOPT_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_IOPT_H

#include <linux/tracepoint.h>

/* Memory was mapped or copied, or this failed. */
TRACE_EVENT(iopt_map,

	TP_PROTO(u64 ioas, unsigned long iova, unsigned long length,
		 unsigned int prot, int rc, u64 ns),

	TP_ARGS(ioas, iova, length, prot, rc, ns),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(unsigned long, iova)
		__field(unsigned long, length)
		__field(unsigned int, prot)
		__field(int, rc)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->length = length;
		__entry->prot = prot;
		__entry->rc = rc;
		__entry->ns = ns;
	),

	TP_printk("ioas=%llu iova=0x%lx length=%lu prot=0x%x rc=%d ns=%llu",
		  __entry->ioas, __entry->iova, __entry->length, __entry->prot,
		  __entry->rc, __entry->ns)
);

/* The areas of a range were unmapped, or those in front of one that cannot be. */
TRACE_EVENT(iopt_unmap,

	TP_PROTO(u64 ioas, unsigned long iova, unsigned long last,
		 unsigned long unmapped, int rc, u64 ns),

	TP_ARGS(ioas, iova, last, unmapped, rc, ns),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(unsigned long, iova)
		__field(unsigned long, last)
		__field(unsigned long, unmapped)
		__field(int, rc)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->iova = iova;
		__entry->last = last;
		__entry->unmapped = unmapped;
		__entry->rc = rc;
		__entry->ns = ns;
	),

	TP_printk("ioas=%llu iova=0x%lx last=0x%lx unmapped=%lu rc=%d ns=%llu",
		  __entry->ioas, __entry->iova, __entry->last,
		  __entry->unmapped, __entry->rc, __entry->ns)
);

DECLARE_EVENT_CLASS(iopt_domain,

	TP_PROTO(u64 ioas, const void *domain, unsigned int areas, int rc,
		 u64 ns),

	TP_ARGS(ioas, domain, areas, rc, ns),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(const void *, domain)
		__field(unsigned int, areas)
		__field(int, rc)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->domain = domain;
		__entry->areas = areas;
		__entry->rc = rc;
		__entry->ns = ns;
	),

	TP_printk("ioas=%llu domain=%p areas=%u rc=%d ns=%llu", __entry->ioas,
		  __entry->domain, __entry->areas, __entry->rc, __entry->ns)
);

/* A domain was added, and all areas were mapped in it, or this failed. */
DEFINE_EVENT(iopt_domain, iopt_attach,

	TP_PROTO(u64 ioas, const void *domain, unsigned int areas, int rc,
		 u64 ns),

	TP_ARGS(ioas, domain, areas, rc, ns)
);

/* A domain was removed, and all areas were unmapped from it. */
DEFINE_EVENT(iopt_domain, iopt_detach,

	TP_PROTO(u64 ioas, const void *domain, unsigned int areas, int rc,
		 u64 ns),

	TP_ARGS(ioas, domain, areas, rc, ns)
);

/* Dirty tracking of a domain, or of the whole IOAS (domain NULL), was switched. */
TRACE_EVENT(iopt_track,

	TP_PROTO(u64 ioas, const void *domain, bool enable, int rc, u64 ns),

	TP_ARGS(ioas, domain, enable, rc, ns),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(const void *, domain)
		__field(bool, enable)
		__field(int, rc)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->domain = domain;
		__entry->enable = enable;
		__entry->rc = rc;
		__entry->ns = ns;
	),

	TP_printk("ioas=%llu domain=%p enable=%d rc=%d ns=%llu", __entry->ioas,
		  __entry->domain, __entry->enable, __entry->rc, __entry->ns)
);

/*
 * Dirty bits of a domain, or of the whole IOAS (domain NULL), were queried. dirty is the
 * number of bits that were set and were not set before. To count them, the bitmap is
 * read, so a query with this event takes longer than one without.
 */
TRACE_EVENT(iopt_query,

	TP_PROTO(u64 ioas, const void *domain, unsigned long iova,
		 unsigned long length, unsigned long page_size, bool no_clear,
		 u64 dirty, int rc, u64 ns),

	TP_ARGS(ioas, domain, iova, length, page_size, no_clear, dirty, rc, ns),

	TP_STRUCT__entry(
		__field(u64, ioas)
		__field(const void *, domain)
		__field(unsigned long, iova)
		__field(unsigned long, length)
		__field(unsigned long, page_size)
		__field(bool, no_clear)
		__field(u64, dirty)
		__field(int, rc)
		__field(u64, ns)
	),

	TP_fast_assign(
		__entry->ioas = ioas;
		__entry->domain = domain;
		__entry->iova = iova;
		__entry->length = length;
		__entry->page_size = page_size;
		__entry->no_clear = no_clear;
		__entry->dirty = dirty;
		__entry->rc = rc;
		__entry->ns = ns;
	),

	TP_printk("ioas=%llu domain=%p iova=0x%lx length=%lu page_size=%lu no_clear=%d dirty=%llu rc=%d ns=%llu",
		  __entry->ioas, __entry->domain, __entry->iova,
		  __entry->length, __entry->page_size, __entry->no_clear,
		  __entry->dirty, __entry->rc, __entry->ns)
);

#endif

#include <trace/define_trace.h>
