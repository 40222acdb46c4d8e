/* SPDX-License-Identifier: GPL-2.0-only */
/* Threads that race with each other while a device writes. */
#ifndef _VFIO_SELFTEST_RACE_H
#define _VFIO_SELFTEST_RACE_H

#include <pthread.h>

#include "lib/device/mock_dma.h"
#include "thread.h"

double race_now(void);
double race_seconds(void);
struct mock_work race_work(__u64 iova, __u64 length);
int race_driver_write(struct vfio_dev *mdev, pthread_rwlock_t *lock, __u64 iova,
		      unsigned int round);
void race(struct __test_metadata *_metadata, struct bench *bench, __u64 iova,
	  __u64 length, struct race_thread *threads, size_t count, double time);

#endif
