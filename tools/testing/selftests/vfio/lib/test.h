/* SPDX-License-Identifier: GPL-2.0-only */
/* The harness and the library, for test files. */
#ifndef _VFIO_SELFTEST_TEST_H
#define _VFIO_SELFTEST_TEST_H

#include <stdarg.h>
#include <stdio.h>

#include "kselftest_harness.h"
#include "bench.h"
#include "check.h"
#include "sysfs.h"

void test_failed(struct __test_metadata *_metadata, const char *file, int line,
		 const char *format, ...)
{
	va_list args;

	fprintf(TH_LOG_STREAM, "# %s:%d:%s:", file, line, _metadata->name);
	va_start(args, format);
	vfprintf(TH_LOG_STREAM, format, args);
	va_end(args);
	fprintf(TH_LOG_STREAM, "\n");
	_metadata->exit_code = KSFT_FAIL;
	__bail(1, _metadata);
}

#endif
