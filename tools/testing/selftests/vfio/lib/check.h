/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Assertions for the library. kselftest_harness.h defines functions and can
 * be in one file of a program only: that is the test's, by way of lib/test.h.
 */
#ifndef _VFIO_SELFTEST_CHECK_H
#define _VFIO_SELFTEST_CHECK_H

struct __test_metadata;

/* Does not return. */
void test_failed(struct __test_metadata *_metadata, const char *file, int line,
		 const char *format, ...);

/* Ends the test unless the condition holds. */
#define CHECK(condition, format, ...) \
do { \
	if (!(condition)) \
		test_failed(_metadata, __FILE__, __LINE__, "%s: " format, \
			    #condition, ##__VA_ARGS__); \
} while (0)

/* Ends the test unless the call gives this number. */
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
