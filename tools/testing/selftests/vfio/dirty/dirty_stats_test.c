// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: statistics and events of dirty tracking
 *
 * The figures of an IOAS in debugfs are those of the mappings and queries that a
 * process made, and events of all three systems report the calls. Kernels without
 * CONFIG_TRACING have no events.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/memory/missing.h"
#include "lib/sysfs.h"
#include "lib/test.h"

#define IOVA	0x10000000ULL
#define PAGES	64
#define LENGTH	(PAGES * SZ_4K)
#define STATS	"/sys/kernel/debug/iopt/ioas"
#define TRACING	"/sys/kernel/tracing"
#define ROOM	SZ_64K

static const char * const systems[] = { "iopt", "iommufd", "vfio_type1" };

FIXTURE(stats)
{
	struct bench bench;
};

FIXTURE_VARIANT(stats)
{
	enum iommu_mode mode;
	const char *map;
	const char *unmap;
	const char *attach;
	const char *query;
};

/* Events of the type1 ioctls, of both containers. */
#define TYPE1_EVENTS							\
	.map = "vfio_type1_map: ioas=%llu vaddr=",			\
	.unmap = "ioas=%llu iova=0x10000000 size=262144 flags= unmapped=262144 rc=0", \
	.query = "vfio_type1_dirty: ioas=%llu flags=GET_BITMAP iova=0x10000000 size=262144 rc=0"

FIXTURE_VARIANT_ADD(stats, type1) {
	.mode = MODE_TYPE1,
	.attach = "vfio_type1_attach: ioas=%llu group=",
	TYPE1_EVENTS,
};

FIXTURE_VARIANT_ADD(stats, compat) {
	.mode = MODE_COMPAT,
	.attach = "iommufd_attach: device=vfio-mock-dma",
	TYPE1_EVENTS,
};

FIXTURE_VARIANT_ADD(stats, iommufd) {
	.mode = MODE_IOMMUFD,
	.map = "ioas=%llu from=",
	.unmap = "ioas=%llu iova=0x10000000 length=262144 unmapped=262144 rc=0",
	.attach = "iommufd_attach: device=vfio-mock-dma",
	.query = "ioas=%llu iova=0x10000000 length=262144 page_size=4096 flags= rc=0",
};

FIXTURE_SETUP(stats)
{
}

FIXTURE_TEARDOWN(stats)
{
	bench_close(_metadata, &self->bench);
}

static char *read_text(const char *path)
{
	char *text = calloc(1, ROOM + 1);
	int fd = open(path, O_RDONLY);
	ssize_t n, size = 0;

	if (fd < 0 || !text) {
		free(text);
		return NULL;
	}
	while ((n = read(fd, text + size, ROOM - size)) > 0)
		size += n;
	close(fd);
	return text;
}

/*
 * Return a figure of the newest IOAS of this process; -1 if there is no such IOAS,
 * -2 if it has no such figure.
 */
static long long figure(const char *name)
{
	char process[64], line[64], *text = read_text(STATS), *next, *end, *at = NULL;
	long long value = -1;

	if (!text)
		return -3;
	snprintf(process, sizeof(process), "\nprocess: %d ", getpid());
	for (next = strstr(text, process); next; next = strstr(next + 1, process))
		at = next;
	if (at) {
		/* The paragraph begins in the line before. */
		end = strstr(at, "\n\n");
		if (end)
			*end = 0;
		while (at > text && at[-1] != '\n')
			at--;
		snprintf(line, sizeof(line), "%s: ", name);
		at = strstr(at, line);
		value = at ? atoll(at + strlen(line)) : -2;
	}
	free(text);
	return value;
}

static void write_pages(struct __test_metadata *_metadata, struct bench *bench, int count)
{
	for (int i = 0; i < count; i++)
		mock_fill(_metadata, &bench->dev, IOVA + i * 2 * SZ_4K, 8, i + 1);
}

TEST_F(stats, figures_are_those_of_mappings_and_queries)
{
	struct bench *bench = &self->bench;
	struct guarded_bitmap bm;

	bench_open(_metadata, bench, variant->mode, "4k");
	ASSERT_EQ(0, figure("areas"));
	ASSERT_EQ(0, figure("pinned_pages"));
	ASSERT_EQ(1, figure("domains"));
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	ASSERT_EQ(1, figure("areas"));
	ASSERT_EQ(LENGTH, figure("bytes"));
	ASSERT_EQ(PAGES, figure("pinned_pages"));
	ASSERT_EQ(0, figure("access_pins"));
	ASSERT_EQ(0, figure("tracking_domains"));

	bench_track(_metadata, bench);
	ASSERT_EQ(1, figure("tracking_domains"));
	ASSERT_EQ(variant->mode != MODE_IOMMUFD, figure("tracking"));
	ASSERT_EQ(0, figure("queries"));

	bitmap_alloc(_metadata, &bm, PAGES, 0);
	write_pages(_metadata, bench, 5);
	bench_query(_metadata, bench, &bm, IOVA, SZ_4K);
	ASSERT_EQ(1, figure("queries"));
	ASSERT_LT(0, figure("last_query_ns"));
	ASSERT_EQ(figure("last_query_ns"), figure("max_query_ns"));
	write_pages(_metadata, bench, 7);
	bench_query(_metadata, bench, &bm, IOVA, SZ_4K);
	bitmap_free(&bm);
	ASSERT_EQ(2, figure("queries"));
	ASSERT_EQ(0, figure("failed_queries"));
	ASSERT_EQ(0, figure("spill_ranges"));

	ASSERT_EQ(-EFAULT, __bench_query(bench, 0, IOVA, LENGTH, SZ_4K, (void *)SZ_4K));
	ASSERT_LT(0, figure("max_query_ns"));

	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, IOVA, LENGTH, NULL));
	ASSERT_EQ(0, figure("areas"));
	ASSERT_EQ(0, figure("pinned_pages"));
}

/**
 * struct attacher - a thread that attaches a device
 * @dev: the device
 * @ioas: the IOAS to attach it to
 */
struct attacher {
	struct vfio_dev *dev;
	__u32 ioas;
};

static void *attach(void *arg)
{
	struct attacher *attacher = arg;

	return (void *)(long)__vfio_dev_attach(attacher->dev, attacher->ioas);
}

/*
 * An attach waits for pages with the locks of the IOAS held. Reading the file does not
 * wait for it, so others can create and destroy IOASes.
 */
TEST_F(stats, reader_does_not_wait_for_an_attach)
{
	struct bench *bench = &self->bench;
	struct attacher attacher = { .dev = &bench->dev };
	struct missing missing;
	pthread_t thread;
	void *rc;
	__u32 id;
	int fd;

	bench_open(_metadata, bench, variant->mode, "4k");
	ASSERT_EQ(-2, figure("busy"));
	/* A container attaches before anything can be mapped. */
	if (variant->mode != MODE_IOMMUFD)
		return;
	ASSERT_EQ(0, __vfio_dev_detach(&bench->dev));
	missing_alloc(_metadata, &missing, SZ_4K);
	/* Without a page table, mapping does not pin. */
	fd = bench->iommu.fd;
	ASSERT_EQ(0, __ioas_alloc(fd, &attacher.ioas));
	ASSERT_EQ(0, __ioas_map(fd, attacher.ioas, missing.va, IOVA, SZ_4K, PROT_DMA_RW));
	ASSERT_EQ(0, pthread_create(&thread, NULL, attach, &attacher));
	missing_wait(_metadata, &missing);
	ASSERT_EQ(1, figure("busy"));
	ASSERT_EQ(-2, figure("areas"));
	ASSERT_EQ(0, figure("queries"));
	ASSERT_EQ(0, __ioas_alloc(fd, &id));
	ASSERT_EQ(0, __iommu_destroy(fd, id));
	missing_deliver(_metadata, &missing);
	ASSERT_EQ(0, pthread_join(thread, &rc));
	ASSERT_EQ(NULL, rc);
	ASSERT_EQ(-2, figure("busy"));
	ASSERT_EQ(1, figure("pinned_pages"));
	ASSERT_EQ(0, __ioas_unmap(fd, attacher.ioas, IOVA, SZ_4K, NULL));
	missing_free(&missing);
}

static void enable_events(struct __test_metadata *_metadata, const char *value)
{
	char path[128];

	for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
		snprintf(path, sizeof(path), TRACING "/events/%s/enable", systems[i]);
		ASSERT_EQ(0, sysfs_write(path, value));
	}
}

static void expect_event(struct __test_metadata *_metadata, const char *trace,
			 const char *format, unsigned long long ioas)
{
	char text[256];

	snprintf(text, sizeof(text), format, ioas);
	ASSERT_NE(NULL, strstr(trace, text)) TH_LOG("no \"%s\" in:\n%s", text, trace);
}

/* The fields that the documentation's examples use. */
static void check_fields(struct __test_metadata *_metadata)
{
	static const char * const fields[] = { " ioas;", " dirty;", " ns;" };
	char *format = read_text(TRACING "/events/iopt/iopt_query/format");

	ASSERT_NE(NULL, format);
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++)
		CHECK(strstr(format, fields[i]), "no field%s", fields[i]);
	free(format);
}

TEST_F(stats, events_report_the_calls)
{
	struct bench *bench = &self->bench;
	struct guarded_bitmap bm;
	long long ioas;
	char *trace;

	/* The directory of tracefs is there only with CONFIG_TRACING. */
	if (access(TRACING, F_OK)) {
		bench_open(_metadata, bench, variant->mode, "4k");
		return;
	}
	if (access(TRACING "/events", F_OK))
		ASSERT_EQ(0, mount("none", TRACING, "tracefs", 0, NULL));
	check_fields(_metadata);
	/* Opened like this, it becomes empty. */
	ASSERT_EQ(0, close(open(TRACING "/trace", O_WRONLY | O_TRUNC)));
	enable_events(_metadata, "1");
	bench_open(_metadata, bench, variant->mode, "4k");
	bench_memory(_metadata, bench, IOVA, LENGTH, MEM_4K);
	bench_track(_metadata, bench);
	write_pages(_metadata, bench, 3);
	bitmap_alloc(_metadata, &bm, PAGES, 0);
	bench_query(_metadata, bench, &bm, IOVA, SZ_4K);
	bitmap_free(&bm);
	ioas = figure("ioas");
	ASSERT_LT(0, ioas);
	ASSERT_EQ(0, __iommu_unmap(&bench->iommu, IOVA, LENGTH, NULL));
	enable_events(_metadata, "0");

	trace = read_text(TRACING "/trace");
	ASSERT_NE(NULL, trace);
	expect_event(_metadata, trace, variant->map, ioas);
	expect_event(_metadata, trace, variant->unmap, ioas);
	expect_event(_metadata, trace, variant->attach, ioas);
	expect_event(_metadata, trace, variant->query, ioas);
	expect_event(_metadata, trace, "iopt_attach: ioas=%llu domain=", ioas);
	expect_event(_metadata, trace, "iopt_map: ioas=%llu iova=0x10000000 length=262144 ", ioas);
	expect_event(_metadata, trace, "iopt_track: ioas=%llu domain=", ioas);
	expect_event(_metadata, trace,
		     "iova=0x10000000 length=262144 page_size=4096 no_clear=0 dirty=3 rc=0 ns=",
		     ioas);
	expect_event(_metadata, trace,
		     "iopt_unmap: ioas=%llu iova=0x10000000 last=0x1003ffff unmapped=262144 rc=0 ns=",
		     ioas);
	/* Every event was enabled before its call began. */
	ASSERT_EQ(NULL, strstr(trace, " ns=0\n"));
	free(trace);
}

TEST_HARNESS_MAIN
