// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: command line of dirtyinfo
 *
 * Devices are those named on the command line, or else all that have a VFIO driver.
 */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "info.h"

enum { OPT_JSON = 256, OPT_SYSROOT };

static const char doc[] =
	"Print for VFIO devices by which interfaces the kernel can track what they\n"
	"write by DMA, and why it cannot by the others.\n"
	"\vDEVICE is a PCI address (0000:01:00.0, or 01:00.0), or the name of another\n"
	"device with a VFIO driver. Without one, all devices with a VFIO driver are\n"
	"listed. Each is opened, which resets a PCI device; a device that is in use is\n"
	"left alone. Exit status:\n"
	"  0  each listed device can be tracked by one interface at least\n"
	"  1  a listed device cannot, or there is no device to list\n"
	"  2  bad option, or no such device";

static const struct argp_option argp_options[] = {
	{ "json", OPT_JSON, NULL, 0, "print JSON", 0 },
	{ "sysroot", OPT_SYSROOT, "DIR", 0,
	  "read DIR/sys and DIR/proc, such as those of another host; no device is opened",
	  0 },
	{ 0 }
};

struct query {
	const char *root;
	struct info *infos;
	unsigned int count;
	bool json;
};

static struct info *add_info(struct query *q)
{
	struct info *more = reallocarray(q->infos, q->count + 1, sizeof(*more));

	if (!more) {
		fail(EXIT_SETUP, "no memory");
		return NULL;
	}
	q->infos = more;
	memset(&more[q->count], 0, sizeof(*more));
	return &more[q->count++];
}

/* Add the device whose folder, or a link to it, is @path. */
static int add_device(struct query *q, const char *path)
{
	char *folder = realpath(path, NULL);
	struct info *info;
	int rc = 0;

	if (!folder)
		return fail(EXIT_SETUP, "%s: %m", path);
	info = add_info(q);
	if (!info)
		rc = EXIT_SETUP;
	else if (snprintf(info->folder, sizeof(info->folder), "%s", folder) >=
		 (int)sizeof(info->folder) ||
		 !read_vfio_device(info->folder, &info->device))
		rc = fail(EXIT_SETUP, "%s: the name is too long", folder);
	free(folder);
	return rc;
}

static int is_vfio(const struct dirent *entry)
{
	return !strncmp(entry->d_name, "vfio", 4);
}

/* Add the devices with a VFIO driver: all, or if @name is given the one of it. */
static int add_vfio_devices(struct query *q, const char *name)
{
	char folder[384], path[768];
	struct dirent **entries;
	char *target;
	bool match;
	int i, n, rc = 0;

	snprintf(folder, sizeof(folder), "%s/sys/class/vfio-dev", q->root);
	n = scandir(folder, &entries, is_vfio, versionsort);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "%s/%s/device", folder,
			 entries[i]->d_name);
		target = realpath(path, NULL);
		match = target && (!name || !strcmp(basename(target), name));
		if (match && !rc)
			rc = add_device(q, target);
		free(target);
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	return rc;
}

static int add_named(struct query *q, const char *name)
{
	static const char *const domains[] = { "", "0000:" };
	unsigned int i, before = q->count;
	char path[512];
	int rc;

	if (!name[0] || name[0] == '.' || strchr(name, '/'))
		return fail(EXIT_SETUP, "no device '%s'", name);
	for (i = 0; i < ARRAY_SIZE(domains); i++) {
		snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s%s",
			 q->root, domains[i], name);
		if (!access(path, F_OK))
			return add_device(q, path);
	}
	rc = add_vfio_devices(q, name);
	if (!rc && q->count == before)
		rc = fail(EXIT_SETUP,
			  "no device '%s': neither a PCI device nor one with a VFIO driver",
			  name);
	return rc;
}

struct arguments {
	struct query *q;
	char **names;
	int nr_names;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		/* getopt prints a line of its own: one is enough. */
		state->err_stream = NULL;
		return 0;
	case OPT_JSON:
		a->q->json = true;
		return 0;
	case OPT_SYSROOT:
		a->q->root = arg;
		if (arg[0] && strlen(arg) < 256)
			return 0;
		return fail(EXIT_SETUP, "--sysroot: '%s' is no folder", arg);
	case ARGP_KEY_ARGS:
		a->names = state->argv + state->next;
		a->nr_names = state->argc - state->next;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int parse_query(int argc, char **argv, struct query *q)
{
	static const struct argp argp = {
		.options = argp_options, .parser = parse, .doc = doc,
		.args_doc = "[DEVICE...]"
	};
	static const char program[] = "dirtyinfo";
	struct arguments a = { .q = q };
	int i, rc = 0;

	*q = (struct query){ .root = "" };
	argv[0] = (char *)program;
	if (argp_parse(&argp, argc, argv, 0, NULL, &a))
		return EXIT_SETUP;
	for (i = 0; i < a.nr_names && !rc; i++)
		rc = add_named(q, a.names[i]);
	if (!rc && !a.nr_names)
		rc = add_vfio_devices(q, NULL);
	return rc;
}

static int run(struct query *q)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; i < q->count; i++) {
		read_hardware(&q->infos[i], q->root);
		if (q->root[0])
			skip_probe(&q->infos[i], "not opened, as --sysroot is given");
		else
			probe_device(&q->infos[i]);
		if (!can_track(&q->infos[i]))
			rc = EXIT_WRONG;
	}
	if (q->json) {
		print_json(q->infos, q->count);
	} else {
		for (i = 0; i < q->count; i++) {
			if (i)
				printf("\n");
			print_text(&q->infos[i]);
		}
	}
	if (!q->count)
		rc = fail(EXIT_WRONG,
			  "no device has a VFIO driver: name PCI devices, or bind them to vfio-pci");
	return rc;
}

int main(int argc, char **argv)
{
	struct query q;
	const char *text;
	int rc;

	rc = parse_query(argc, argv, &q);
	if (!rc)
		rc = run(&q);
	text = take_failure();
	if (text[0])
		fprintf(stderr, "dirtyinfo: %s\n", text);
	free(q.infos);
	return rc;
}
