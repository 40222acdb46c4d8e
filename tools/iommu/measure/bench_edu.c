// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: a PCI device for bench_map
 *
 * QEMU's edu is behind an IOMMU. Queries of dirty bits need it to write; maps and
 * unmaps only need a device that is attached.
 */
#include <dirent.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "bench_map.h"

/* Registers of edu, in words of 64 bits, and its buffer in their address space */
#define EDU_SRC		(0x80 / 8)
#define EDU_DST		(0x88 / 8)
#define EDU_COUNT	(0x90 / 8)
#define EDU_COMMAND	(0x98 / 8)
#define EDU_BUFFER	0x40000
#define EDU_RUN		1
#define EDU_TO_MEMORY	2

#define BAR_SIZE	PAGE		/* of the BAR's 1 MiB, those with registers */

static const char devices[] = "/sys/bus/pci/devices";

static bool attr_is(const char *folder, const char *attr, const char *value)
{
	char path[512], text[64];

	snprintf(path, sizeof(path), "%s/%s", folder, attr);
	return read_line(path, text, sizeof(text)) && !strcmp(text, value);
}

static int write_line(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	bool good = file && fputs(text, file) >= 0;

	if (file && fclose(file))
		good = false;
	return good ? 0 : fail(EXIT_SETUP, "writing '%s' to %s: %m", text, path);
}

static bool find_edu(char *folder, size_t size)
{
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir(devices);
	while (!found && dir && (entry = readdir(dir))) {
		snprintf(folder, size, "%s/%s", devices, entry->d_name);
		found = attr_is(folder, "vendor", "0x1234") &&
			attr_is(folder, "device", "0x11e8");
	}
	if (dir)
		closedir(dir);
	return found;
}

/* Bind edu, which has no other driver, to vfio-pci. */
int claim_edu(struct vfio_device *device)
{
	char folder[384], path[512];
	int rc;

	if (!find_edu(folder, sizeof(folder)))
		return fail(EXIT_SETUP,
			    "no edu device: qemu -device intel-iommu -device edu");
	snprintf(path, sizeof(path), "%s/driver_override", folder);
	rc = write_line(path, "vfio-pci") ?:
	     write_line("/sys/bus/pci/drivers_probe", strrchr(folder, '/') + 1);
	if (rc)
		return rc;
	if (!read_vfio_device(folder, device) || !device->cdev[0])
		return fail(EXIT_SETUP, "vfio-pci does not take %s", folder);
	return 0;
}

static int region_offset(int device, __u32 index, __u64 *offset)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };
	int rc = ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info);

	*offset = info.offset;
	return rc ? fail(EXIT_SETUP, "region %u of edu: %m", index) : 0;
}

static void edu_set(const struct edu *edu, unsigned int at, __u64 value)
{
	__atomic_store_n(&edu->registers[at], value, __ATOMIC_SEQ_CST);
}

/* Enable memory space and bus mastering, and make each DMA write eight bytes. */
int edu_enable(struct edu *edu, int device)
{
	const __u16 command = 6;
	__u64 config, bar;
	void *registers;
	int rc;

	rc = region_offset(device, VFIO_PCI_CONFIG_REGION_INDEX, &config) ?:
	     region_offset(device, VFIO_PCI_BAR0_REGION_INDEX, &bar);
	if (rc)
		return rc;
	if (pwrite(device, &command, sizeof(command), config + 4) != sizeof(command))
		return fail(EXIT_SETUP, "the command register of edu: %m");
	registers = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, device, bar);
	if (registers == MAP_FAILED)
		return fail(EXIT_SETUP, "the registers of edu: %m");
	edu->registers = registers;
	edu_set(edu, EDU_SRC, EDU_BUFFER);
	edu_set(edu, EDU_COUNT, 8);
	return 0;
}

void edu_disable(struct edu *edu)
{
	if (edu->registers)
		munmap(edu->registers, BAR_SIZE);
	edu->registers = NULL;
}

/* The DMA ends before the store does: -device edu,x-sync=on. */
void edu_write(const struct edu *edu, __u64 iova)
{
	edu_set(edu, EDU_DST, iova);
	edu_set(edu, EDU_COMMAND, EDU_RUN | EDU_TO_MEMORY);
}
