/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Assertions for the library. kselftest_harness.h defines functions, so only
 * one file of a program can include it: the test, by way of lib/test.h.
 */
#ifndef _VFIO_SELFTEST_CHECK_H
#define _VFIO_SELFTEST_CHECK_H

struct __test_metadata;

/* Report the failure and end the test. Does not return. */
void test_failed(struct __test_metadata *_metadata, const char *file, int line,
		 const char *format, ...);

/* End the test unless the condition holds. */
#define CHECK(condition, format, ...) \
do { \
	if (!(condition)) \
		test_failed(_metadata, __FILE__, __LINE__, "%s: " format, \
			    #condition, ##__VA_ARGS__); \
} while (0)

/* End the test unless the call returns this number. */
#define CHECK_RC(expected, call, format, ...) \
do { \
	long long _seen = (call); \
	\
	if (_seen != (expected)) \
		test_failed(_metadata, __FILE__, __LINE__, \
			    "%s = %lld: " format, #call, _seen, \
			    ##__VA_ARGS__); \
} while (0)

#endif
