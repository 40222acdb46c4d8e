// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: the command line of QEMU
 *
 * The same for source and destination but for the devices, the pipes, and
 * memory that was hot-added to the source.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm.h"

#define PLATFORM	"/sys/bus/platform/devices/"
#define PCI		"/sys/bus/pci/devices/"

[[gnu::format(printf, 2, 3)]]
static void add(struct command *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	/* The last one stays NULL, as execvp() needs it. */
	if (c->nr + 1 < MAX_ARGS &&
	    vasprintf(&c->args[c->nr], format, args) >= 0)
		c->nr++;
	va_end(args);
}

static void add_object(struct command *c, json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT);

	add(c, "-object");
	add(c, "%s", text);
	free(text);
	json_decref(object);
}

/*
 * A name is a PCI address, a path in sysfs, or a platform device. PCI addresses
 * may lack the domain.
 */
static void device_path(const char *name, char *path, size_t size)
{
	unsigned int bus, slot, function;
	char end;

	if (sscanf(name, "%2x:%2x.%1x%c", &bus, &slot, &function, &end) == 3)
		snprintf(path, size, PCI "0000:%s", name);
	else if (strchr(name, ':'))
		snprintf(path, size, PCI "%s", name);
	else
		snprintf(path, size, "%s%s", *name == '/' ? "" : PLATFORM, name);
}

int check_devices(const char *devices, unsigned int *count)
{
	char name[128], path[256];
	size_t n;

	*count = 0;
	if (!strcmp(devices, "none"))
		return 0;
	while (true) {
		n = strcspn(devices, ",");
		snprintf(name, sizeof(name), "%.*s", (int)n, devices);
		device_path(name, path, sizeof(path));
		if (!n || strstr(path, "..") || access(path, F_OK))
			return fail(EXIT_SETUP, "there is no device '%s'", name);
		if (++*count > MAX_DEVICES)
			return fail(EXIT_SETUP, "at most %u devices", MAX_DEVICES);
		if (!devices[n])
			return 0;
		devices += n + 1;
	}
}

static void add_devices(struct command *c, const struct vmm_options *o,
			const char *devices)
{
	const bool iommufd = o->interface == IOMMUFD;
	const char *more = "";
	char name[128], path[256];
	size_t n;

	if (!strcmp(devices, "none"))
		return;
	if (o->tracker == TRACKER_IOMMU && o->moves)
		more = iommufd ? ",x-device-dirty-page-tracking=off" :
		       ",x-device-dirty-page-tracking=off,enable-migration=on";
	if (iommufd) {
		add(c, "-object");
		add(c, "iommufd,id=iommufd0");
	}
	for (; *devices; devices += n + (devices[n] == ',')) {
		n = strcspn(devices, ",");
		snprintf(name, sizeof(name), "%.*s", (int)n, devices);
		device_path(name, path, sizeof(path));
		add(c, "-device");
		add(c, "vfio-pci,%s%s%s%s",
		    strncmp(path, PCI, strlen(PCI)) ? "sysfsdev=" : "host=",
		    strncmp(path, PCI, strlen(PCI)) ? path : path + strlen(PCI),
		    iommufd ? ",iommufd=iommufd0" : "", more);
	}
}

/* The properties of a memory backend, for -object and for object-add. */
json_t *memory_backend(const struct vmm_options *o, const char *id, __u64 size)
{
	enum backing backing = o->backing;
	__u64 huge = size % (1ULL << 30) ? HUGE : 1ULL << 30;
	json_t *object;

	object = json_pack("{sssssI}", "qom-type",
			   backing == BACKING_ANON || backing == BACKING_THP ?
			   "memory-backend-ram" : "memory-backend-memfd",
			   "id", id, "size", (json_int_t)size);
	if (backing == BACKING_MEMFD || backing == BACKING_HUGETLB)
		json_object_set_new(object, "share", json_true());
	if (backing == BACKING_HUGETLB) {
		json_object_set_new(object, "hugetlb", json_true());
		json_object_set_new(object, "hugetlbsize", json_integer(huge));
		json_object_set_new(object, "prealloc", json_true());
	}
	return object;
}

static void add_memory(struct command *c, const struct driver *d, __u64 memory)
{
	const struct vmm_options *o = d->o;

	add(c, "-M");
	add(c, "q35,memory-backend=" RAM);
	add_object(c, memory_backend(o, RAM, memory));
	add(c, "-m");
	if (!o->dimm) {
		add(c, "size=%lluk", memory >> 10);
		return;
	}
	add(c, "size=%lluk,slots=2,maxmem=%lluk", memory >> 10,
	    (memory + 2 * o->dimm) >> 10);
	if (o->hotplug && !d->plugged)
		return;
	add_object(c, memory_backend(o, DIMM, o->dimm));
	add(c, "-device");
	add(c, "pc-dimm,id=dimm0,memdev=" DIMM);
}

static void add_guest(struct command *c, const struct driver *d)
{
	const struct vmm_options *o = d->o;

	if (!o->guest)
		return;
	add(c, "-kernel");
	add(c, "%s", o->guest);
	if (o->initrd) {
		add(c, "-initrd");
		add(c, "%s", o->initrd);
	}
	add(c, "-append");
	add(c, "%s%s moves=%llu devices=%u hotplug=%d",
	    o->initrd ? "console=ttyS0 quiet panic=-1 no_timer_check " : "",
	    o->append, o->moves, d->devices, o->hotplug);
}

static void add_traces(struct command *c, const struct driver *d)
{
	unsigned int i;

	/* An older QEMU, which does not migrate, lacks some of them. */
	for (i = 0; d->o->moves && i < TRACES; i++) {
		/* A line for each page: only for the picture. */
		if (i == TRACE_SENT && !d->o->picture)
			continue;
		add(c, "-trace");
		add(c, "%s", trace_names[i]);
	}
}

/**
 * command_build() - build the command line of a source or destination
 * @d: driver
 * @c: the result, for command_free()
 * @devices: names, separated by commas
 * @serial: file for the serial port, which QEMU inherits
 * @incoming: file from which the migration comes, or -1
 * @memory: size of the guest's memory
 *
 * Return: 0, or EXIT_SETUP if there are too many arguments.
 */
int command_build(const struct driver *d, struct command *c,
		  const char *devices, int serial, int incoming, __u64 memory)
{
	static const char *const fixed[] = {
		"-accel", "tcg,thread=single", "-display", "none", "-nodefaults",
		"-no-user-config", "-no-reboot",
		"-chardev", "stdio,id=qmp,signal=off",
		"-mon", "chardev=qmp,mode=control", "-serial", "chardev:serial",
	};
	const struct vmm_options *o = d->o;
	unsigned int i;
	char **more;

	memset(c, 0, sizeof(*c));
	add(c, "%s", o->qemu);
	add(c, "-chardev");
	add(c, "file,id=serial,path=/proc/self/fd/%d", serial);
	for (i = 0; i < ARRAY_SIZE(fixed); i++)
		add(c, "%s", fixed[i]);
	add_memory(c, d, memory);
	add_guest(c, d);
	add_devices(c, o, devices);
	add_traces(c, d);
	for (more = o->more; more && *more; more++)
		add(c, "%s", *more);
	if (incoming >= 0) {
		add(c, "-incoming");
		add(c, "fd:%d", incoming);
	}
	if (c->nr + 1 == MAX_ARGS)
		return fail(EXIT_SETUP, "too many arguments for QEMU");
	return 0;
}

void command_free(struct command *c)
{
	while (c->nr)
		free(c->args[--c->nr]);
}
