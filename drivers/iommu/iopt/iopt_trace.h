/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Events of the engine, and how long a call took.
 */
#ifndef __IOPT_TRACE_H
#define __IOPT_TRACE_H

#include <linux/sched/clock.h>
#include <trace/events/iopt.h>

/* The time at which a call begins, for iopt_trace_ns(); 0 if @event is disabled. */
#define iopt_trace_begin(event)	(trace_##event##_enabled() ? local_clock() : 0)

/* Return: nanoseconds since @begin; 0 if it is 0. */
static inline u64 iopt_trace_ns(u64 begin)
{
	return begin ? local_clock() - begin : 0;
}

#endif
