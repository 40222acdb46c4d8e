// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: example of pre-copy
 *
 * The loop is the same for each interface. Its order matters: start tracking
 * before the first copy, query a range before sending its dirty pages, and query
 * once more after the devices were stopped.
 */
#include <errno.h>
#include <stdlib.h>

#include "example.h"

static __u64 send_all(struct example_vm *vm)
{
	__u64 sent = 0;

	for (unsigned int i = 0; i < vm->nr_ranges; i++) {
		vm->send(vm, vm->ranges[i].iova, vm->ranges[i].length);
		sent += vm->ranges[i].length;
	}
	return sent;
}

/* Send the pages whose bits are set, adjacent pages at once. */
static __u64 send_dirty(struct example_vm *vm, const struct example_range *range,
			const __u64 *bitmap, __u64 page_size)
{
	__u64 pages = (range->length - 1) / page_size + 1;
	__u64 first, start, end, sent = 0;

	for (__u64 page = 0; page < pages; page++) {
		first = page;
		while (page < pages && bitmap[page / 64] & 1ULL << page % 64)
			page++;
		if (page == first)
			continue;
		start = first * page_size;
		end = page * page_size;
		/* The last bit may represent memory beyond the range. */
		if (end > range->length)
			end = range->length;
		vm->send(vm, range->iova + start, end - start);
		sent += end - start;
	}
	return sent;
}

static int query_and_send(struct example_vm *vm, struct example_tracker *tracker,
			  const struct example_range *range, __u64 *sent)
{
	__u64 *bitmap;
	int rc;

	bitmap = calloc(1, example_bitmap_bytes(range->length,
						tracker->page_size));
	if (!bitmap)
		return -ENOMEM;
	rc = tracker->query(tracker, range, bitmap);
	/* A VMM adds the pages that the virtual CPUs wrote: KVM_GET_DIRTY_LOG. */
	if (!rc)
		*sent += send_dirty(vm, range, bitmap, tracker->page_size);
	free(bitmap);
	return rc;
}

/*
 * Return the number of bytes sent. If a query fails, the set of dirty pages is
 * unknown, so all memory is sent again. If tracking cannot be started again, the
 * next query fails as well, and the last round sends all memory.
 */
static __u64 send_round(struct example_vm *vm, struct example_tracker *tracker)
{
	__u64 sent = 0;

	for (unsigned int i = 0; i < vm->nr_ranges; i++) {
		if (!query_and_send(vm, tracker, &vm->ranges[i], &sent))
			continue;
		tracker->stop(tracker);
		tracker->start(tracker, vm);
		return send_all(vm);
	}
	return sent;
}

/*
 * Return 0 if the destination has all memory and the guest is stopped. Otherwise
 * return -errno, and the guest runs on at the source.
 */
int example_precopy(struct example_vm *vm, struct example_tracker *tracker)
{
	unsigned int round = 0;
	int rc;

	/* A failure must end the migration: nothing would ever be dirty. */
	rc = tracker->start(tracker, vm);
	if (rc)
		return rc;
	send_all(vm);
	while (round++ < vm->max_rounds)
		if (send_round(vm, tracker) <= vm->stop_bytes)
			break;
	rc = vm->stop(vm);
	if (!rc)
		send_round(vm, tracker);
	/* Discards dirty bits, so it comes last. */
	tracker->stop(tracker);
	return rc;
}
