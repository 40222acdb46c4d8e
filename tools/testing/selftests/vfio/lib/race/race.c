// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: races
 *
 * The device writes to a range whose mapping the threads do not change, and
 * dirty queries follow it all the time. Whatever the threads do to other
 * mappings, every write of the device must be reported.
 */
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "lib/check.h"
#include "lib/follow.h"
#include "race.h"

#define SECONDS		2

double race_now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* Return the duration of a test: RACE_SECONDS of the environment. */
double race_seconds(void)
{
	const char *text = getenv("RACE_SECONDS");

	return text ? atof(text) : SECONDS;
}

/* Return the workload that the device runs during a race. */
struct mock_work race_work(__u64 iova, __u64 length)
{
	return (struct mock_work) {
		.iova = iova,
		.length = length,
		.stride = 1024,
		.rate = 2000,
		.hot_length = 8 * SZ_4K,
		.hot_percent = 50,
		.seed = 8,
	};
}

/* Run the threads for @time seconds, and follow the device meanwhile. */
void race(struct __test_metadata *_metadata, struct bench *bench, __u64 iova,
	  __u64 length, struct race_thread *threads, size_t count, double time)
{
	const struct mock_work work = race_work(iova, length);
	double end = race_now() + time;
	struct follow follow;

	follow_start(_metadata, &follow, bench, query_iommu);
	mock_work_start(_metadata, &bench->dev, &work);
	for (size_t i = 0; i < count; i++)
		race_thread_start(_metadata, &threads[i], bench,
				  threads[i].step);
	do {
		follow_round(_metadata, &follow);
		usleep(1000);
	} while (race_now() < end);
	for (size_t i = 0; i < count; i++)
		race_thread_stop(_metadata, &threads[i]);
	mock_work_stop(_metadata, &bench->dev);
	follow_end(_metadata, &follow);
	CHECK_RC(0, mock_get(_metadata, &bench->dev, MOCK_REG(fault_count)),
		 "the device faulted");
}

/**
 * race_driver_write() - write through a device whose driver pins pages
 * @mdev: the device
 * @lock: taken for reading by threads that use @mdev
 * @iova: IOVA to write to
 * @round: number of the call; every 64th one makes the driver unpin its pages
 *
 * Return: 0 or a negative errno.
 */
int race_driver_write(struct vfio_dev *mdev, pthread_rwlock_t *lock, __u64 iova,
		      unsigned int round)
{
	int rc;

	pthread_rwlock_rdlock(lock);
	rc = __mock_fill(mdev, iova, 8, round);
	pthread_rwlock_unlock(lock);
	if (rc || round % 64 != 63)
		return rc;
	/* Not while another thread starts the command that it has set up. */
	pthread_rwlock_wrlock(lock);
	rc = __vfio_dev_reset(mdev);
	pthread_rwlock_unlock(lock);
	return rc;
}
