// SPDX-License-Identifier: GPL-2.0-only
/*
 * Events of /dev/iommu.
 */
#define CREATE_TRACE_POINTS
#include <trace/events/iommufd.h>
