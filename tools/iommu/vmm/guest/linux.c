// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the init of a Linux guest
 *
 * It is the only program of its initramfs. The device writes memory that the kernel
 * does not use: "mem=" on the command line ends the kernel's memory, parameter "base"
 * names the same place, and /dev/mem maps what lies behind. The BAR is mapped
 * through sysfs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include "guest.h"

#define PCI_DEVICES	"/sys/bus/pci/devices"
#define MOCK_DEVICE	"0x6d64"
#define PCI_COMMAND	4
#define PCI_COMMAND_BITS 6		/* memory, bus master */

static char parameters[2048];

void machine_put(char c)
{
	putchar(c);
	if (c == '\n')
		fflush(stdout);
}

const char *machine_parameters(void)
{
	return parameters;
}

static bool read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

static bool enable_dma(const char *name)
{
	__u16 command;
	char path[300];
	bool done;
	int fd;

	snprintf(path, sizeof(path), PCI_DEVICES "/%s/config", name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return false;
	done = pread(fd, &command, 2, PCI_COMMAND) == 2;
	command |= PCI_COMMAND_BITS;
	done = done && pwrite(fd, &command, 2, PCI_COMMAND) == 2;
	close(fd);
	return done;
}

static bool open_device(const char *name, struct device *dev)
{
	char path[300];
	void *bar;
	int fd;

	if (!enable_dma(name))
		return false;
	snprintf(path, sizeof(path), PCI_DEVICES "/%s/resource0", name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		return false;
	bar = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (bar == MAP_FAILED)
		return false;
	dev->bar = bar;
	return true;
}

unsigned int machine_devices(struct device *devices, unsigned int max)
{
	unsigned int found = 0;
	struct dirent **entries;
	char path[300], id[16];
	int i, n;

	n = scandir(PCI_DEVICES, &entries, NULL, alphasort);
	for (i = 0; i < n && found < max; i++) {
		snprintf(path, sizeof(path), PCI_DEVICES "/%s/device",
			 entries[i]->d_name);
		if (read_file(path, id, sizeof(id)) &&
		    !strncmp(id, MOCK_DEVICE, strlen(MOCK_DEVICE)) &&
		    open_device(entries[i]->d_name, &devices[found]))
			found++;
	}
	return found;
}

unsigned char *machine_range(unsigned int k, __u32 length, __u64 *iova)
{
	int fd = open("/dev/mem", O_RDWR);
	void *memory;

	*iova = ((__u64)parameter("base", 32) + k * (length / MIB)) * MIB;
	memory = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, *iova);
	if (fd >= 0)
		close(fd);
	return memory == MAP_FAILED ? NULL : memory;
}

unsigned char *machine_plugged(__u32 length, __u64 *iova)
{
	(void)length;
	(void)iova;
	give_up("the Linux guest does not use hot-added memory");
}

__u32 *machine_table(unsigned int k, __u32 entries)
{
	(void)k;
	return calloc(entries, sizeof(__u32));
}

/* Only for commands of a device with MSI; here no device has one. */
__u64 machine_scratch(void)
{
	return 0;
}

void machine_wait(void)
{
	usleep(10000);
}

/* The VMM ends the machine. */
void machine_end(void)
{
	for (;;)
		pause();
}

int main(void)
{
	int console;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	console = open("/dev/console", O_RDWR);
	if (console >= 0) {
		dup2(console, STDOUT_FILENO);
		dup2(console, STDERR_FILENO);
	}
	read_file("/proc/cmdline", parameters, sizeof(parameters));
	begin_line(-1);
	put_text("up, with Linux");
	end_line();
	run_guest();
}
