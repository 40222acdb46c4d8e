// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: command line of precopy
 *
 * A bad option prints one line: that of getopt for an unknown option, else one of
 * ours. argp would print a second line, so its stream is cleared.
 */
#include <argp.h>
#include <string.h>
#include "precopy.h"

enum {
	OPT_HOT_PERCENT = 256,
	OPT_STRIDE,
	OPT_SEED,
	OPT_RATE,
	OPT_HOT,
	OPT_WARMUP,
	OPT_IOVA,
	OPT_SLOTS,
	OPT_HOLE,
	OPT_PAGE,
	OPT_DOWNTIME,
	OPT_BANDWIDTH,
	OPT_MAX_ROUNDS,
	OPT_JSON,
	OPT_PICTURE,
	OPT_LIST,
};

static const char doc[] =
	"Migrate the memory of a pretended guest while a mock DMA device writes\n"
	"it, and judge the kernel's dirty tracking by the outcome.\n"
	"\vSIZE takes K, M, G and T. Exit status:\n"
	"  0    memory is identical and no dirty page was missed\n"
	"  1    memory differs, a page was missed, or the migration broke off\n"
	"  2    bad option, missing device or kernel part, failed set-up\n"
	"  4    this kernel does not offer the combination\n"
	"  130  ended by SIGINT or SIGTERM; tracking was stopped";

static const struct argp_option argp_options[] = {
	{ NULL, 0, NULL, 0, "Tracking", 1 },
	{ "backend", 'b', "NAME", 0, "type1, compat or iommufd (iommufd)", 0 },
	{ "tracker", 't', "NAME", 0,
	  "iommu, device, or auto: iommu where it is offered (auto)", 0 },
	{ "device", 'd', "NAME", 0, "platform device, as --list shows it", 0 },
	{ "model", 'm', "MODEL", 0,
	  "first mock device of this model: 4k, 2m, 1g, 2k, nodirty or emulated (4k)",
	  0 },
	{ "list", OPT_LIST, NULL, 0,
	  "show the mock devices and what each backend offers", 0 },
	{ NULL, 0, NULL, 0, "Guest memory", 2 },
	{ "memory", 'M', "SIZE", 0, "how much (256M)", 0 },
	{ "backing", 'B', "KIND", 0, "anon, thp, hugetlb or memfd (anon)", 0 },
	{ "iova", OPT_IOVA, "ADDRESS", 0, "where it starts (4G)", 0 },
	{ "slots", OPT_SLOTS, "N", 0, "mappings that it consists of (2)", 0 },
	{ "hole", OPT_HOLE, "SIZE", 0,
	  "unmapped IOVA between two slots; the workload then changes the slot every round (0)",
	  0 },
	{ "page", OPT_PAGE, "SIZE", 0, "bytes for a bit of a bitmap (4K)", 0 },
	{ NULL, 0, NULL, 0, "The device's workload", 3 },
	{ "rate", OPT_RATE, "N", 0, "writes a second, 0: unlimited (20000)", 0 },
	{ "stride", OPT_STRIDE, "SIZE", 0, "bytes for a write, 8 to 4K (64)", 0 },
	{ "hot", OPT_HOT, "SIZE", 0, "hot set (a 16th of the memory)", 0 },
	{ "hot-percent", OPT_HOT_PERCENT, "N", 0,
	  "writes of 100 that go to the hot set (90)", 0 },
	{ "seed", OPT_SEED, "N", 0, "start of the random sequence (1)", 0 },
	{ "warmup", OPT_WARMUP, "MS", 0,
	  "how long the device runs before tracking starts (50)", 0 },
	{ NULL, 0, NULL, 0, "The migration", 4 },
	{ "downtime", OPT_DOWNTIME, "MS", 0,
	  "how long the guest may stand still (20)", 0 },
	{ "bandwidth", OPT_BANDWIDTH, "N", 0,
	  "MiB a second that may be copied, 0: unlimited (256)", 0 },
	{ "max-rounds", OPT_MAX_ROUNDS, "N", 0,
	  "rounds after which the guest is stopped anyhow (20)", 0 },
	{ NULL, 0, NULL, 0, "Output", 5 },
	{ "json", OPT_JSON, "FILE", 0, "write the result there, -: stdout", 0 },
	{ "picture", OPT_PICTURE, "FILE", 0, "draw the rounds as SVG", 0 },
	{ "quiet", 'q', NULL, 0, "no progress", 0 },
	{ 0 }
};

static const char *const models[] = {
	"4k", "2m", "1g", "2k", "nodirty", "emulated"
};

static int parse_migration(int key, char *arg, struct options *o)
{
	switch (key) {
	case OPT_DOWNTIME:
		return parse_number("downtime", arg, false, 0, 3600000,
				    &o->downtime_ms);
	case OPT_BANDWIDTH:
		return parse_number("bandwidth", arg, false, 0, MIB, &o->bandwidth);
	case OPT_MAX_ROUNDS:
		return parse_number("max-rounds", arg, false, 1, MAX_ROUNDS,
				    &o->max_rounds);
	case OPT_JSON:
		o->json = arg;
		return 0;
	case OPT_PICTURE:
		o->picture = arg;
		return 0;
	case OPT_LIST:
		o->list = true;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		return fail(EXIT_SETUP, "unexpected argument '%s'", arg);
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int parse_workload(int key, char *arg, struct options *o)
{
	switch (key) {
	case OPT_RATE:
		return parse_number("rate", arg, false, 0, NSEC, &o->rate);
	case OPT_STRIDE:
		return power_of_two("stride", arg, 8, 4096, &o->stride);
	case OPT_HOT:
		return parse_number("hot", arg, true, 0, 1ULL << 50, &o->hot);
	case OPT_HOT_PERCENT:
		return parse_number("hot-percent", arg, false, 0, 100,
				    &o->hot_percent);
	case OPT_SEED:
		return parse_number("seed", arg, false, 0, ~0ULL, &o->seed);
	case OPT_WARMUP:
		return parse_number("warmup", arg, false, 0, 60000, &o->warmup_ms);
	default:
		return parse_migration(key, arg, o);
	}
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	int rc, value;

	switch (key) {
	case ARGP_KEY_INIT:
		state->err_stream = NULL;
		return 0;
	case 'b':
		o->backend = arg;
		if (find_backend(arg))
			return 0;
		return fail(EXIT_SETUP,
			    "--backend: there is no '%s', see --help", arg);
	case 'd':
		o->device = arg;
		return 0;
	case 'm':
		o->model = arg;
		return one_of("model", arg, models, ARRAY_SIZE(models), &value);
	case 't':
		rc = one_of("tracker", arg, tracker_names,
			    TRACKER_NAMES, &value);
		o->tracker = value;
		return rc;
	case 'B':
		rc = one_of("backing", arg, backing_names,
			    BACKING_NAMES, &value);
		o->backing = value;
		return rc;
	case 'M':
		return parse_number("memory", arg, true, HUGE, 1ULL << 40,
				    &o->memory);
	case OPT_IOVA:
		return parse_number("iova", arg, true, 0, 1ULL << 56, &o->iova);
	case OPT_SLOTS:
		return parse_number("slots", arg, false, 1, MAX_SLOTS, &o->slots);
	case OPT_HOLE:
		return parse_number("hole", arg, true, 0, 1ULL << 40, &o->hole);
	case OPT_PAGE:
		return power_of_two("page", arg, 512, 1ULL << 30, &o->page);
	default:
		return parse_workload(key, arg, o);
	}
}

static int check(struct options *o)
{
	__u64 unit = 64 * o->page > HUGE ? 64 * o->page : HUGE;

	if (o->device && o->model)
		return fail(EXIT_SETUP, "--device and --model exclude each other");
	if (!o->model)
		o->model = "4k";
	if (o->memory % unit || o->iova % unit || o->hole % unit)
		return fail(EXIT_SETUP,
			    "--memory, --iova and --hole must be multiples of %s",
			    short_size(unit));
	if (o->slots > o->memory / unit)
		return fail(EXIT_SETUP, "--slots: each has at least %s of the memory",
			    short_size(unit));
	if (o->hot == ~0ULL)
		o->hot = o->memory / 16;
	if (o->hot > o->memory || o->hot % o->stride)
		return fail(EXIT_SETUP,
			    "--hot: it is at most --memory, and a multiple of --stride");
	if (o->picture && !strcmp(o->picture, "-"))
		return fail(EXIT_SETUP, "--picture: it goes to a file");
	if (o->hot_percent && !o->hot)
		return fail(EXIT_SETUP, "--hot 0 needs --hot-percent 0");
	return 0;
}

int parse_options(int argc, char **argv, struct options *o)
{
	static const struct argp argp = {
		.options = argp_options, .parser = parse, .doc = doc
	};
	static const char program[] = "precopy";

	*o = (struct options){
		.backend = "iommufd", .memory = 256 * MIB, .iova = 1ULL << 32,
		.page = 4096, .slots = 2, .rate = 20000, .stride = 64,
		.hot = ~0ULL, .hot_percent = 90, .seed = 1, .warmup_ms = 50,
		.downtime_ms = 20, .bandwidth = 256, .max_rounds = 20,
	};
	argv[0] = (char *)program;
	if (argp_parse(&argp, argc, argv, 0, NULL, o))
		return EXIT_SETUP;
	return check(o);
}
