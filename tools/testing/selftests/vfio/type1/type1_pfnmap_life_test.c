// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: lifetime of a BAR that is mapped for devices
 *
 * Two edu devices are in one container behind VT-d. The BAR of the first one is
 * mapped in the container, and the second one reads its identification register
 * by DMA. The mapping must end when the process loses the BAR: then the first
 * device may be closed, reset or removed, and another device may use the
 * physical address.
 */
#include <sys/mman.h>
#include <sys/wait.h>

#include "lib/counts.h"
#include "lib/device/edu.h"
#include "lib/fail_nth.h"
#include "lib/test.h"

#define RAM_IOVA	0x800000ULL
#define BAR_IOVA	0x2000000ULL
#define OTHER_IOVA	0x4000000ULL
#define RAM_LENGTH	(16 * SZ_4K)

/* Value of the device's first register */
#define EDU_ID		0x010000edU

FIXTURE(bar_life)
{
	struct iommu iommu;
	char path[2][128];
	struct vfio_dev dev[2];
	struct vfio_region_info bar;
	struct mem mem;
	struct counts counts;
	__u8 *va;
};

FIXTURE_VARIANT(bar_life)
{
	enum iommu_mode mode;
};

FIXTURE_VARIANT_ADD(bar_life, type1) { .mode = MODE_TYPE1 };

FIXTURE_VARIANT_ADD(bar_life, compat) { .mode = MODE_COMPAT };

static void *map_bar(const struct vfio_dev *dev,
		     const struct vfio_region_info *bar)
{
	return mmap(NULL, bar->size, PROT_READ | PROT_WRITE, MAP_SHARED,
		    dev->fd, bar->offset);
}

FIXTURE_SETUP(bar_life)
{
	iommu_allow_pfnmap(true);
	iommu_open(_metadata, &self->iommu, variant->mode);
	for (unsigned int i = 0; i < 2; i++) {
		char *path = self->path[i];

		ASSERT_EQ(0, edu_find_nth(i, path, sizeof(self->path[i])));
		ASSERT_EQ(0, __edu_bind(path));
		ASSERT_EQ(0, __vfio_dev_open(&self->dev[i], &self->iommu,
					     path));
		ASSERT_EQ(0, __edu_enable(&self->dev[i]));
	}
	ASSERT_EQ(0, __vfio_dev_region(&self->dev[0],
				       VFIO_PCI_BAR0_REGION_INDEX, &self->bar));
	mem_alloc(_metadata, &self->mem, RAM_LENGTH, MEM_4K);
	counts_now(_metadata, &self->counts);
	iommu_map(_metadata, &self->iommu, self->mem.va, RAM_IOVA, RAM_LENGTH);
	self->va = map_bar(&self->dev[0], &self->bar);
	ASSERT_NE(MAP_FAILED, (void *)self->va);
}

FIXTURE_TEARDOWN(bar_life)
{
	if (self->va)
		munmap(self->va, self->bar.size);
	if (self->dev[0].fd >= 0)
		vfio_dev_close(&self->dev[0]);
	vfio_dev_close(&self->dev[1]);
	iommu_close(&self->iommu);
	iommu_allow_pfnmap(false);
	counts_check(_metadata, &self->counts, 0, 0, 0);
	mem_free(&self->mem);
}

/* Return true if the second device reads the first one's register at @iova. */
static bool reads_id(struct __test_metadata *_metadata, struct vfio_dev *dev,
		     struct mem *mem, __u64 iova)
{
	__u32 value;

	/* The device's buffer must not have the value already. */
	memset(mem->va, 0x55, SZ_4K);
	ASSERT_EQ(0, __edu_read(dev, RAM_IOVA, sizeof(value)));
	ASSERT_EQ(0, __edu_read(dev, iova, sizeof(value)));
	ASSERT_EQ(0, __edu_write(dev, RAM_IOVA + 64, sizeof(value)));
	memcpy(&value, mem->va + 64, sizeof(value));
	return value == EDU_ID;
}

#define READS_ID(iova)	reads_id(_metadata, &self->dev[1], &self->mem, (iova))

/* Check that an unmap reports all of a mapping, and that the IOVAs are free. */
static void check_unmap(struct __test_metadata *_metadata, struct iommu *iommu,
			__u64 size)
{
	__u64 unmapped;

	ASSERT_EQ(0, __type1_unmap(iommu->fd, BAR_IOVA, size, &unmapped));
	ASSERT_EQ(size, unmapped);
	ASSERT_EQ(0, __type1_unmap(iommu->fd, BAR_IOVA, size, &unmapped));
	ASSERT_EQ(0, unmapped);
}

TEST_F_TIMEOUT(bar_life, munmap_ends_the_mapping, 120)
{
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_EQ(0, munmap(self->va, self->bar.size));
	self->va = NULL;
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);

	self->va = map_bar(&self->dev[0], &self->bar);
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
}

TEST_F_TIMEOUT(bar_life, munmap_of_one_page_ends_the_mapping, 120)
{
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_EQ(0, munmap(self->va + 5 * SZ_4K, SZ_4K));
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
}

TEST_F_TIMEOUT(bar_life, mremap_ends_the_mapping, 120)
{
	void *to = mmap(NULL, self->bar.size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_EQ(to, mremap(self->va, self->bar.size, self->bar.size,
			     MREMAP_MAYMOVE | MREMAP_FIXED, to));
	self->va = to;
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
}

TEST_F_TIMEOUT(bar_life, disabled_memory_ends_every_mapping, 120)
{
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	iommu_map(_metadata, &self->iommu, self->va, OTHER_IOVA, SZ_4K);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_TRUE(READS_ID(OTHER_IOVA));
	ASSERT_EQ(0, __edu_disable_memory(&self->dev[0]));
	ASSERT_EQ(0, __edu_enable(&self->dev[0]));
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	ASSERT_FALSE(READS_ID(OTHER_IOVA));
	/* The process can access the BAR as before. */
	ASSERT_EQ(EDU_ID, *(__u32 *)self->va);
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
}

/* A BAR whose memory space is disabled cannot be mapped. */
TEST_F_TIMEOUT(bar_life, map_with_disabled_memory_is_efault, 120)
{
	ASSERT_EQ(0, __edu_disable_memory(&self->dev[0]));
	ASSERT_EQ(-EFAULT, __iommu_map(&self->iommu, self->va, BAR_IOVA,
				       self->bar.size, PROT_DMA_RW));
	ASSERT_EQ(0, __edu_enable(&self->dev[0]));
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
}

static int take_from_driver(const char *path)
{
	const char *name = strrchr(path, '/') + 1;
	char file[160];

	snprintf(file, sizeof(file), "%s/driver/unbind", path);
	return sysfs_write(file, name);
}

static int enable_without_driver(const char *path, const char *value)
{
	char file[160];

	snprintf(file, sizeof(file), "%s/enable", path);
	return sysfs_write(file, value);
}

TEST_F_TIMEOUT(bar_life, close_and_unbind_end_the_mapping, 120)
{
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	munmap(self->va, self->bar.size);
	self->va = NULL;
	vfio_dev_close(&self->dev[0]);
	self->dev[0].fd = -1;
	ASSERT_EQ(0, take_from_driver(self->path[0]));
	ASSERT_EQ(0, enable_without_driver(self->path[0], "1"));
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	ASSERT_EQ(0, enable_without_driver(self->path[0], "0"));
	check_unmap(_metadata, &self->iommu, self->bar.size);
}

/*
 * The mapping depends on the VMA of the process that mapped, not on a child's.
 */
TEST_F_TIMEOUT(bar_life, fork_keeps_the_mapping, 120)
{
	pid_t child;

	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	child = fork();
	if (!child)
		_exit(munmap(self->va, self->bar.size));
	ASSERT_EQ(child, waitpid(child, NULL, 0));
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_EQ(0, mprotect(self->va, self->bar.size, PROT_READ));
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
}

TEST_F_TIMEOUT(bar_life, exit_of_the_mapping_process_ends_the_mapping, 120)
{
	int ready[2], stop[2], status, rc = 1;
	pid_t child;

	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(stop));
	child = fork();
	if (!child) {
		void *va = map_bar(&self->dev[0], &self->bar);

		rc = __iommu_map(&self->iommu, va, BAR_IOVA, self->bar.size,
				 PROT_DMA_RW);
		if (write(ready[1], &rc, sizeof(rc)) != sizeof(rc) ||
		    read(stop[0], &rc, sizeof(rc)) != sizeof(rc))
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(sizeof(rc), read(ready[0], &rc, sizeof(rc)));
	ASSERT_EQ(0, rc);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_EQ(sizeof(rc), write(stop[1], &rc, sizeof(rc)));
	ASSERT_EQ(child, waitpid(child, &status, 0));
	ASSERT_EQ(0, status);
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
	for (unsigned int i = 0; i < 2; i++) {
		close(ready[i]);
		close(stop[i]);
	}
}

/* Attach a device after the BAR mapping has ended: no mapping and no error. */
TEST_F_TIMEOUT(bar_life, device_attached_after_the_end_reads_nothing, 120)
{
	vfio_dev_close(&self->dev[1]);
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_EQ(0, __edu_disable_memory(&self->dev[0]));
	ASSERT_EQ(0, __edu_enable(&self->dev[0]));
	ASSERT_EQ(0, __vfio_dev_open(&self->dev[1], &self->iommu,
				     self->path[1]));
	ASSERT_EQ(0, __edu_enable(&self->dev[1]));
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
}

/* A VMM that was replaced updates the address, which maps the BAR there. */
TEST_F_TIMEOUT(bar_life, new_address_maps_again, 120)
{
	const __u32 vaddr = VFIO_DMA_MAP_FLAG_VADDR;
	void *to;

	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_EQ(0, __type1_unmap_flags(self->iommu.fd, vaddr, BAR_IOVA,
					 self->bar.size, NULL));
	to = map_bar(&self->dev[0], &self->bar);
	ASSERT_NE(MAP_FAILED, to);
	ASSERT_EQ(0, munmap(self->va, self->bar.size));
	self->va = to;
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	ASSERT_EQ(0, __type1_map_flags(self->iommu.fd, vaddr, to, BAR_IOVA,
				       self->bar.size));
	ASSERT_TRUE(READS_ID(BAR_IOVA));
	ASSERT_EQ(0, munmap(self->va, self->bar.size));
	self->va = NULL;
	ASSERT_FALSE(READS_ID(BAR_IOVA));
	check_unmap(_metadata, &self->iommu, self->bar.size);
}

struct bar_map {
	struct iommu *iommu;
	void *va;
	__u64 size;
};

static int op_map(void *data)
{
	struct bar_map *map = data;

	return __iommu_map(map->iommu, map->va, BAR_IOVA, map->size,
			   PROT_DMA_RW);
}

static int op_unmap(void *data)
{
	struct bar_map *map = data;
	__u64 unmapped;
	int rc;

	rc = __type1_unmap(map->iommu->fd, BAR_IOVA, map->size, &unmapped);
	return rc ? rc : unmapped == map->size ? 0 : -EIO;
}

/* Check that a failed map leaves nothing. */
static int check_map(void *data)
{
	int rc = op_map(data);

	return rc ? rc : op_unmap(data);
}

/* A page table that cannot be allocated at once is allocated after reclaim. */
TEST_F_TIMEOUT(bar_life, every_allocation_fails_once, 600)
{
	const struct fail_case c = {
		.name = "MAP_DMA of a BAR", .op = op_map, .undo = op_unmap,
		.least = 3, .check = check_map,
	};
	struct bar_map map = {
		.iommu = &self->iommu,
		.va = self->va,
		.size = self->bar.size,
	};
	struct fail_nth fail;

	fail_nth_open(_metadata, &fail);
	fail_each(_metadata, &fail, -1, &c, &map);
	fail_nth_close(&fail);
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	ASSERT_TRUE(READS_ID(BAR_IOVA));
}

/* Return the compat IOAS of the container. */
static __u32 compat_ioas(struct __test_metadata *_metadata, int fd)
{
	struct iommu_vfio_ioas get = {
		.size = sizeof(get),
		.op = IOMMU_VFIO_IOAS_GET,
	};

	ASSERT_EQ(0, xioctl(fd, IOMMU_VFIO_IOAS, &get));
	return get.ioas_id;
}

/* Without the parameter, the compat container refuses BARs, as in the base. */
TEST_F(bar_life, parameter_decides_for_compat)
{
	const int refused = self->iommu.mode == MODE_COMPAT ? -EFAULT : 0;

	ASSERT_EQ(0, iommu_allow_pfnmap(false));
	for (unsigned int i = 0; i < 2; i++) {
		ASSERT_EQ(refused, __iommu_map(&self->iommu, self->va, BAR_IOVA,
					       self->bar.size, PROT_DMA_RW));
		if (!refused)
			check_unmap(_metadata, &self->iommu, self->bar.size);
	}
	ASSERT_EQ(0, iommu_allow_pfnmap(true));
	iommu_map(_metadata, &self->iommu, self->va, BAR_IOVA, self->bar.size);
	/* A change of the parameter does not affect mappings. */
	ASSERT_EQ(0, iommu_allow_pfnmap(false));
	check_unmap(_metadata, &self->iommu, self->bar.size);
}

/* A range with a BAR cannot be copied, other memory of the mapping can. */
TEST_F(bar_life, ioas_copy_of_bar_is_efault)
{
	const __u64 bar = RAM_IOVA + RAM_LENGTH;
	int fd = self->iommu.fd;
	__u32 ioas, other;
	__u64 iova;

	if (self->iommu.mode != MODE_COMPAT)
		return;
	ioas = compat_ioas(_metadata, fd);
	ASSERT_EQ(0, __ioas_alloc(fd, &other));
	iommu_map(_metadata, &self->iommu, self->va, bar, self->bar.size);
	for (unsigned int i = 0; i < 2; i++) {
		__u32 to = i ? other : ioas;

		iova = OTHER_IOVA;
		ASSERT_EQ(-EFAULT, __ioas_copy(fd, MAP_RW_FIXED, to, &iova,
					       ioas, bar, self->bar.size));
		ASSERT_EQ(-EFAULT, __ioas_copy(fd, MAP_RW_FIXED, to, &iova,
					       ioas, bar + SZ_4K, SZ_4K));
		ASSERT_EQ(-EFAULT, __ioas_copy(fd, MAP_RW_FIXED, to, &iova,
					       ioas, bar - SZ_4K, 2 * SZ_4K));
		ASSERT_EQ(-ENOENT, __ioas_unmap(fd, to, OTHER_IOVA,
						self->bar.size, NULL));
		ASSERT_EQ(0, __ioas_copy(fd, MAP_RW_FIXED, to, &iova, ioas,
					 RAM_IOVA, RAM_LENGTH));
		ASSERT_EQ(0, __ioas_unmap(fd, to, OTHER_IOVA, RAM_LENGTH,
					  NULL));
	}
	/* A BAR cannot be mapped by iommufd, either. */
	ASSERT_EQ(-EFAULT, __ioas_map(fd, ioas, self->va, OTHER_IOVA, SZ_4K,
				      PROT_DMA_RW));
	ASSERT_EQ(0, __ioas_unmap(fd, ioas, bar, self->bar.size, NULL));
	ASSERT_EQ(0, __iommu_destroy(fd, other));
}

/* Skip the tests if the machine lacks the devices. */
int main(int argc, char **argv)
{
	char path[128];

	if (edu_find_nth(1, path, sizeof(path))) {
		ksft_print_header();
		ksft_exit_skip("no two edu devices: qemu -device edu\n");
	}
	return test_harness_run(argc, argv);
}
