// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: command line of vmm-migrate
 *
 * A bad option prints one line, as with precopy.
 */
#include <argp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "vmm.h"

enum {
	OPT_INTERFACE = 256,
	OPT_TRACKER,
	OPT_SOURCE,
	OPT_DESTINATION,
	OPT_QEMU,
	OPT_GUEST,
	OPT_INITRD,
	OPT_APPEND,
	OPT_MEMORY,
	OPT_BACKING,
	OPT_DIMM,
	OPT_MOVES,
	OPT_ROUNDS,
	OPT_BANDWIDTH,
	OPT_CANCEL,
	OPT_HOTPLUG,
	OPT_KILL,
	OPT_REFUSE,
	OPT_TIMEOUT,
	OPT_JSON,
	OPT_PICTURE,
	OPT_LOG,
};

static const char doc[] =
	"Migrate a guest between two QEMUs while a device writes its memory, and\n"
	"judge the kernel's dirty tracking by what the guest then finds in it.\n"
	"\vDEVICES are separated by commas. A device is a PCI address, a folder in\n"
	"sysfs, or a name in /sys/bus/platform/devices; \"none\" is a guest without\n"
	"one. SIZE takes K, M, G and T. An ARGUMENT after -- is passed on to QEMU.\n"
	"Exit status:\n"
	"  0    the guest found its memory as it should be after each move\n"
	"  1    memory differs, a migration failed, or it was tracked otherwise\n"
	"  2    bad option, missing device or program, failed set-up\n"
	"  4    QEMU or the kernel does not offer the combination\n"
	"  130  ended by SIGINT or SIGTERM";

static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "Tracking", 1 },
	{ "interface", OPT_INTERFACE, "NAME", 0,
	  "type1, compat or iommufd (iommufd); for compat /dev/vfio/vfio must be a node of iommufd",
	  0 },
	{ "tracker", OPT_TRACKER, "NAME", 0,
	  "iommu, or device: its own log (iommu)", 0 },
	{ "source", OPT_SOURCE, "DEVICES", 0, "devices of the source", 0 },
	{ "destination", OPT_DESTINATION, "DEVICES", 0,
	  "devices of the destination", 0 },
	{ NULL, 0, NULL, 0, "QEMU and the guest", 2 },
	{ "qemu", OPT_QEMU, "PROGRAM", 0,
	  "QEMU, 8.1 or later, for iommufd or iommu 9.1 (qemu-system-x86_64)", 0 },
	{ "guest", OPT_GUEST, "IMAGE", 0,
	  "kernel that starts the devices and compares memory", 0 },
	{ "initrd", OPT_INITRD, "FILE", 0, "its initramfs", 0 },
	{ "append", OPT_APPEND, "TEXT", 0,
	  "its command line; moves=, devices= and hotplug= are added", 0 },
	{ "memory", OPT_MEMORY, "SIZE", 0, "how much (128M)", 0 },
	{ "backing", OPT_BACKING, "KIND", 0,
	  "anon, thp, memfd or hugetlb, of 1G where the size allows (anon)", 0 },
	{ "dimm", OPT_DIMM, "SIZE", 0, "memory at 4G as well (0)", 0 },
	{ NULL, 0, NULL, 0, "The migration", 3 },
	{ "moves", OPT_MOVES, "N", 0,
	  "back and forth, each time to a new QEMU; 0: the guest stays (1)", 0 },
	{ "rounds", OPT_ROUNDS, "N", 0,
	  "rounds after which the guest may be stopped (5)", 0 },
	{ "max-rounds", 0, NULL, OPTION_ALIAS, NULL, 0 },
	{ "bandwidth", OPT_BANDWIDTH, "N", 0,
	  "MiB a second that may be sent (1000)", 0 },
	{ "cancel", OPT_CANCEL, NULL, 0,
	  "cancel a first migration after 3 rounds", 0 },
	{ "refuse", OPT_REFUSE, NULL, 0,
	  "first migrate to a destination that refuses", 0 },
	{ "hotplug", OPT_HOTPLUG, NULL, 0,
	  "first add the memory of --dimm (64M) while tracking is enabled", 0 },
	{ "kill-source", OPT_KILL, NULL, 0,
	  "kill the source in round 3; nothing may stay pinned", 0 },
	{ "timeout", OPT_TIMEOUT, "S", 0,
	  "seconds that each step may take (300)", 0 },
	{ NULL, 0, NULL, 0, "Output", 4 },
	{ "json", OPT_JSON, "FILE", 0, "write the result there, -: stdout", 0 },
	{ "picture", OPT_PICTURE, "FILE", 0,
	  "draw the rounds of the last migration as SVG", 0 },
	{ "log", OPT_LOG, "DIRECTORY", 0,
	  "write QMP, stderr and serial port of each QEMU there", 0 },
	{ "quiet", 'q', NULL, 0, "no progress", 0 },
	{ 0 }
};

static const char *const interfaces[] = { "type1", "compat", "iommufd" };

const char *interface_name(enum interface interface)
{
	return interfaces[interface];
}

static int parse_text(int key, char *arg, struct vmm_options *o)
{
	switch (key) {
	case OPT_SOURCE:
		o->source = arg;
		return 0;
	case OPT_DESTINATION:
		o->destination = arg;
		return 0;
	case OPT_QEMU:
		o->qemu = arg;
		return 0;
	case OPT_GUEST:
		o->guest = arg;
		return 0;
	case OPT_INITRD:
		o->initrd = arg;
		return 0;
	case OPT_APPEND:
		o->append = arg;
		return 0;
	case OPT_JSON:
		o->json = arg;
		return 0;
	case OPT_PICTURE:
		o->picture = arg;
		return 0;
	case OPT_LOG:
		o->log = arg;
		return 0;
	case ARGP_KEY_ARG:
		return fail(EXIT_SETUP, "unexpected argument '%s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int parse_flag(int key, char *arg, struct vmm_options *o)
{
	switch (key) {
	case OPT_CANCEL:
		o->cancel = true;
		return 0;
	case OPT_HOTPLUG:
		o->hotplug = true;
		return 0;
	case OPT_KILL:
		o->kill_source = true;
		return 0;
	case OPT_REFUSE:
		o->refuse = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	default:
		return parse_text(key, arg, o);
	}
}

static int parse_value(int key, char *arg, struct vmm_options *o)
{
	switch (key) {
	case OPT_MEMORY:
		return parse_number("memory", arg, true, 16 * MIB, 2048 * MIB,
				    &o->memory);
	case OPT_DIMM:
		return parse_number("dimm", arg, true, HUGE, 1ULL << 40,
				    &o->dimm);
	case OPT_MOVES:
		return parse_number("moves", arg, false, 0, MAX_MOVES, &o->moves);
	case OPT_ROUNDS:
		return parse_number("rounds", arg, false, 1, MAX_ROUNDS,
				    &o->rounds);
	case OPT_BANDWIDTH:
		return parse_number("bandwidth", arg, false, 1, MIB,
				    &o->bandwidth);
	case OPT_TIMEOUT:
		return parse_number("timeout", arg, false, 1, 86400,
				    &o->timeout);
	default:
		return parse_flag(key, arg, o);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct vmm_options *o = state->input;
	int rc, value;

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;
		return 0;
	case ARGP_KEY_ARGS:
		/* Only what follows "--" is QEMU's. */
		if (strcmp(state->argv[state->next - 1], "--"))
			return fail(EXIT_SETUP, "unexpected argument '%s'",
				    state->argv[state->next]);
		o->more = state->argv + state->next;
		return 0;
	case OPT_INTERFACE:
		rc = one_of("interface", arg, interfaces, ARRAY_SIZE(interfaces),
			    &value);
		o->interface = value;
		return rc;
	case OPT_TRACKER:
		rc = one_of("tracker", arg, tracker_names + 1,
			    TRACKER_NAMES - 1, &value);
		o->tracker = value + 1;
		return rc;
	case OPT_BACKING:
		rc = one_of("backing", arg, backing_names, BACKING_NAMES, &value);
		o->backing = value;
		return rc;
	default:
		return parse_value(key, arg, o);
	}
}

static int check_file(const char *option, const char *path)
{
	if (path && access(path, R_OK))
		return fail(EXIT_SETUP, "%s %s: %m", option, path);
	return 0;
}

static int check(struct vmm_options *o)
{
	int rc;

	if (!o->moves && !o->destination)
		o->destination = "none";
	if (!o->source || !o->destination)
		return fail(EXIT_SETUP, "--source and --destination are needed");
	if (!o->moves && (o->cancel || o->refuse || o->hotplug || o->kill_source ||
			  o->picture || !o->guest))
		return fail(EXIT_SETUP, "--moves 0 needs --guest, and excludes migrations");
	if (!o->guest && (strcmp(o->source, "none") || o->initrd || *o->append))
		return fail(EXIT_SETUP, "--guest is needed");
	if (o->memory % HUGE || o->dimm % HUGE)
		return fail(EXIT_SETUP, "--memory and --dimm must be multiples of %s",
			    short_size(HUGE));
	if (o->hotplug && !o->dimm)
		o->dimm = 64 * MIB;
	if (o->kill_source && (o->moves > 1 || o->refuse))
		return fail(EXIT_SETUP, "--kill-source excludes --moves and --refuse");
	if (o->picture && !strcmp(o->picture, "-"))
		return fail(EXIT_SETUP, "--picture: it goes to a file");
	rc = check_file("--guest", o->guest);
	if (!rc)
		rc = check_file("--initrd", o->initrd);
	return rc ?: check_file("--log", o->log);
}

int vmm_parse_options(int argc, char **argv, struct vmm_options *o)
{
	static const struct argp argp = {
		.options = argp_options, .parser = parse, .doc = doc,
		.args_doc = "[-- ARGUMENT...]",
	};
	static const char program[] = "vmm-migrate";

	*o = (struct vmm_options){
		.qemu = "qemu-system-x86_64", .append = "",
		.interface = IOMMUFD, .tracker = TRACKER_IOMMU,
		.memory = 128 * MIB, .moves = 1, .rounds = 5,
		.bandwidth = 1000, .timeout = 300,
	};
	argv[0] = (char *)program;
	if (argp_parse(&argp, argc, argv, 0, NULL, o))
		return EXIT_SETUP;
	return check(o);
}
