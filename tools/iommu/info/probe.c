// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the interfaces of dirty tracking
 *
 * Each backend opens the device as a VMM does. iommufd allocates a HWPT for dirty
 * tracking. A type1 container has the capability MIGRATION whatever its IOMMU is
 * able to, so memory that no device writes is mapped and queried: if all of its
 * pages are dirty, each mapped page is reported dirty in every query.
 *
 * Opening and closing a PCI device resets it. A device that a VMM uses cannot be
 * opened, and is left alone.
 */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "info.h"

#define TEST_PAGES	64

static void set_way(struct tracking *way, bool tracks, const char *reason)
{
	way->tracks = tracks;
	snprintf(way->reason, sizeof(way->reason), "%s", tracks ? "" : reason);
}

/* Take the line of fail() without the name of the backend. */
static void set_failure(struct tracking *way, const char *backend)
{
	const char *text = take_failure();
	size_t n = strlen(backend);

	if (!strncmp(text, backend, n) && !strncmp(text + n, ": ", 2))
		text += n + 2;
	set_way(way, false, text);
}

/* IOMMU_GET_HW_INFO overrides what was derived from registers. */
static void take_hw_info(struct info *info, bool dirty_bits)
{
	if (info->device.emulated)
		return;
	if (dirty_bits)
		info->reason[0] = 0;
	else if (info->dirty_bits != NO)
		snprintf(info->reason, sizeof(info->reason), "%s",
			 info->cause ?:
			 "IOMMU_GET_HW_INFO reports none, although the registers do");
	info->dirty_bits = dirty_bits ? YES : NO;
}

/* Why type1 reports every mapped page dirty. */
static const char *conservative_reason(const struct info *info)
{
	if (info->dirty_bits == NO)
		return info->reason;
	if (info->ways[WAY_IOMMUFD].tracks)
		return "this kernel's type1 does not use the IOMMU's dirty bits";
	return "an IOMMU of the group has no dirty bits, or this kernel's type1 does not use them";
}

/* Reserved regions differ: try a few IOVAs, all of which are low. */
static int map_somewhere(struct backend *b, struct range *range, void *memory)
{
	static const __u64 iovas[] = { 4096 * MIB, 1024 * MIB, 256 * MIB, 16 * MIB };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(iovas); i++) {
		take_failure();
		range->iova = iovas[i];
		if (!b->ops->map(b, range, memory))
			return 0;
	}
	return EXIT_SETUP;
}

static int query_unwritten(struct backend *b, void *memory, __u64 *bitmap)
{
	const struct tracker *tracker = b->ops->tracker;
	struct guest g = { .page = sysconf(_SC_PAGESIZE), .nr_slots = 1 };
	struct range range = { .size = TEST_PAGES * g.page };
	int rc;

	rc = map_somewhere(b, &range, memory);
	if (rc)
		return rc;
	g.slots[0] = range;
	rc = tracker->start(b, &g);
	if (!rc) {
		rc = tracker->query(b, &g, &range, bitmap);
		rc = tracker->stop(b) ?: rc;
	}
	return b->ops->unmap(b, &range) ?: rc;
}

static void probe_precision(struct info *info, struct backend *b,
			    struct tracking *way)
{
	size_t size = TEST_PAGES * sysconf(_SC_PAGESIZE);
	char reason[2 * REASON_SIZE];
	__u64 bitmap = 0;
	void *memory;

	memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		set_way(way, false, "no memory");
		return;
	}
	if (query_unwritten(b, memory, &bitmap)) {
		set_failure(way, b->ops->name);
	} else {
		snprintf(reason, sizeof(reason),
			 "each mapped page is reported dirty, written or not: %s",
			 conservative_reason(info));
		set_way(way, ~bitmap, reason);
	}
	munmap(memory, size);
}

static void probe_log(struct info *info, struct backend *b)
{
	struct tracking *way = &info->ways[WAY_DEVICE];
	char reason[REASON_SIZE];

	snprintf(reason, sizeof(reason),
		 "the driver %s does not log DMA (VFIO_DEVICE_FEATURE_DMA_LOGGING_START)",
		 info->driver);
	set_way(way, logging_offered(b->device), reason);
}

static void probe_backend(struct info *info, enum way id,
			  const struct backend_ops *ops)
{
	struct tracking *way = &info->ways[id];
	struct backend b;

	if (backend_open(&b, ops, &info->device)) {
		set_failure(way, ops->name);
		/* A group can fail to attach although this device's IOMMU tracks. */
		if (id == WAY_IOMMUFD && b.tracks)
			take_hw_info(info, true);
		return;
	}
	if (b.iommu_page_sizes)
		info->page_sizes = b.iommu_page_sizes;
	probe_log(info, &b);
	if (id == WAY_IOMMUFD) {
		take_hw_info(info, b.tracks);
		set_way(way, b.tracks, b.emulated ? b.reason : info->reason);
	} else if (b.tracks) {
		probe_precision(info, &b, way);
	} else {
		set_way(way, false, b.reason);
	}
	backend_close(&b);
}

void skip_probe(struct info *info, const char *reason)
{
	int i;

	for (i = 0; i < WAYS; i++)
		set_way(&info->ways[i], false, reason);
}

void probe_device(struct info *info)
{
	char reason[REASON_SIZE];

	if (!is_bound_to_vfio(info)) {
		snprintf(reason, sizeof(reason),
			 info->driver[0] ?
			 "%s is not a VFIO driver: bind the device to vfio-pci" :
			 "the device has no driver%s: bind it to vfio-pci",
			 info->driver);
		skip_probe(info, reason);
		return;
	}
	if (info->device.group < 0) {
		skip_probe(info, info->reason);
		return;
	}
	skip_probe(info, "the device cannot be opened by any of the interfaces");
	/* iommufd first: what it reports about the IOMMU explains the others. */
	probe_backend(info, WAY_IOMMUFD, &iommufd_ops);
	probe_backend(info, WAY_TYPE1, &type1_ops);
	probe_backend(info, WAY_COMPAT, &compat_ops);
}

bool can_track(const struct info *info)
{
	int i;

	for (i = 0; i < WAYS; i++)
		if (info->ways[i].tracks)
			return true;
	return false;
}
