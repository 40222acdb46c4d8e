// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: QEMU's stderr
 *
 * Lines are traces, "name arguments", or messages. A trace of a dirty query has a
 * range of IOVA and a number of pages, but not which: a query covers a region of
 * memory, and with it the picture has one shade for the region. The pages that QEMU
 * then sends are traced one by one.
 */
#include <stdlib.h>
#include <string.h>
#include "vmm.h"

const char *const trace_names[TRACES] = {
	[TRACE_GET_BITMAP] = "vfio_get_dirty_bitmap",
	[TRACE_HWPT_BITMAP] = "iommufd_backend_get_dirty_bitmap",
	[TRACE_HWPT_START] = "iommufd_backend_set_dirty",
	[TRACE_DEVICE_START] = "vfio_device_dirty_tracking_start",
	[TRACE_SYNC] = "migration_bitmap_sync_start",
	[TRACE_RATE] = "dirtyrate_set_state",
	[TRACE_SENT] = "ram_save_page",
};

/* Offset of an IOVA in the map of the guest's memory; ~0: it is not in it. */
static __u64 offset_of(const struct guest *g, __u64 iova)
{
	unsigned int i;

	for (i = 0; i < g->nr_slots; i++)
		if (iova - g->slots[i].iova < g->slots[i].size)
			return iova - g->slots[i].iova + g->slots[i].offset;
	return ~0ULL;
}

static unsigned int column_of(const struct guest *g, __u64 page)
{
	return page * guest_columns(g) / g->pages;
}

/*
 * Spread the pages of a query evenly over its range. Rounding is cumulative: the
 * sum over the columns is the number of pages.
 */
static void shade(const struct guest *g, struct round *r, __u64 first, __u64 n,
		  __u64 dirty)
{
	unsigned int column, last = column_of(g, first + n - 1);
	__u64 end, sum, before = 0;

	for (column = column_of(g, first); column <= last; column++) {
		end = ((column + 1) * g->pages + guest_columns(g) - 1) /
		      guest_columns(g);
		end = end < first + n ? end - first : n;
		sum = dirty * end / n;
		r->heat[column][DIRTY] += sum - before;
		before = sum;
	}
}

static struct vmm_round *current_round(struct driver *d, const struct vm *vm)
{
	return vm->tracing && d->nr_rounds ? &d->rounds[d->nr_rounds - 1] : NULL;
}

static void on_query(struct driver *d, struct vm *vm, const char *text)
{
	struct vmm_round *r = current_round(d, vm);
	const struct guest *g = &d->map;
	__u64 iova, size, dirty, offset;

	if (sscanf(text, "iova=%llx size= %llx bitmap_size=%*x start=%*x dirty_pages=%llu",
		   &iova, &size, &dirty) != 3)
		return;
	d->traces[TRACE_GET_BITMAP]++;
	d->reported += dirty;
	if (iova >= DIMM_IOVA)
		d->dimm_queries++;
	if (!r) {
		d->outside += dirty;
		return;
	}
	r->queries++;
	r->shown.pages[DIRTY] += dirty;
	offset = offset_of(g, iova);
	if (offset < g->size && size / g->page &&
	    offset + size <= g->size)
		shade(g, &r->shown, offset / g->page, size / g->page, dirty);
}

/* The block of a memory backend may have the path of its object. */
static bool ends_with(const char *text, size_t length, const char *end)
{
	size_t n = strlen(end);

	return length >= n && !strncmp(text + length - n, end, n);
}

static void on_sent(struct driver *d, struct vm *vm, const char *text)
{
	struct vmm_round *r = current_round(d, vm);
	size_t length = strcspn(text, ":");
	__u64 offset;

	d->traces[TRACE_SENT]++;
	if (!r || sscanf(text + length, ": offset: %llx", &offset) != 1)
		return;
	if (ends_with(text, length, DIMM))
		offset += d->o->memory;
	else if (!ends_with(text, length, RAM))
		return;
	if (offset >= d->map.size)
		return;
	r->shown.pages[WRITTEN]++;
	r->shown.heat[column_of(&d->map, offset / d->map.page)][WRITTEN]++;
}

/* Both of iommufd end in the result of the ioctl. */
static void on_iommufd(struct driver *d, enum trace which, const char *text)
{
	if (which == TRACE_HWPT_START && !strstr(text, "enable=1"))
		return;
	if (ends_with(text, strlen(text), "(0)"))
		d->traces[which]++;
}

static void on_message(struct driver *d, struct vm *vm, const char *text)
{
	unsigned int i;

	if (!text[strspn(text, " \t")])
		return;
	/* The first error is the cause of those that follow. */
	if (!vm->message[0] || strstr(vm->message, "warning: "))
		snprintf(vm->message, sizeof(vm->message), "%s", text);
	for (i = 0; i < d->nr_messages; i++)
		if (!strcmp(d->messages[i], text))
			return;
	if (i < MAX_MESSAGES)
		d->messages[d->nr_messages++] = strdup(text);
}

/**
 * new_round() - begin a round
 * @d: driver
 * @pass: number of the round in the migration under way
 */
void new_round(struct driver *d, unsigned int pass)
{
	struct vmm_round *r = reallocarray(d->rounds, d->nr_rounds + 1,
					   sizeof(*r));

	if (!r)
		abort();
	d->rounds = r;
	r += d->nr_rounds++;
	memset(r, 0, sizeof(*r));
	r->migration = d->migrations;
	r->pass = pass;
}

/* A line of QEMU's stderr, without its end. */
void trace_line(struct driver *d, struct vm *vm, char *line)
{
	/* Some versions put a process and a time before the name. */
	char *text = line + strspn(line, "0123456789@.:");
	size_t n = strcspn(text, " ");
	unsigned int i;

	for (i = 0; i < TRACES; i++)
		if (strlen(trace_names[i]) == n &&
		    !strncmp(text, trace_names[i], n))
			break;
	text += n + (text[n] == ' ');
	switch (i) {
	case TRACE_GET_BITMAP:
		on_query(d, vm, text);
		break;
	case TRACE_HWPT_BITMAP:
	case TRACE_HWPT_START:
		on_iommufd(d, i, text);
		break;
	case TRACE_SYNC:
		d->traces[TRACE_SYNC]++;
		if (vm->tracing)
			new_round(d, ++vm->syncs);
		break;
	case TRACE_SENT:
		on_sent(d, vm, text);
		break;
	case TRACE_DEVICE_START:
	case TRACE_RATE:
		d->traces[i]++;
		break;
	default:
		on_message(d, vm, line);
	}
}
