// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of the engine and of the type1 ABI.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/iopt.h>
#include <trace/events/vfio_type1.h>

/* VFIO's container is a module of its own. */
EXPORT_TRACEPOINT_SYMBOL_GPL(vfio_type1_attach);
