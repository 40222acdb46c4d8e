// SPDX-License-Identifier: GPL-2.0-only
/*
 * DOC: from the options to the verdict
 *
 * Backend, tracker, device, memory, migration, report: a step that fails ends the
 * program with one line and a status.
 */
#include <stdlib.h>
#include <string.h>
#include "precopy.h"

static int judge(const struct result *r)
{
	if (r->missed)
		return fail(EXIT_WRONG,
			    "%llu pages that the device wrote were not reported dirty",
			    r->missed);
	if (r->different)
		return fail(EXIT_WRONG,
			    "%llu pages differ, the first at IOVA %#llx",
			    r->different, r->first_different);
	if (!r->writes)
		return fail(EXIT_WRONG,
			    "the device wrote nothing, so this shows nothing");
	return 0;
}

/* Fail before the migration rather than after it. */
static int check_output(const char *option, const char *path)
{
	FILE *file;

	if (!path || !strcmp(path, "-"))
		return 0;
	file = fopen(path, "ae");
	if (!file)
		return fail(EXIT_SETUP, "%s %s: %m", option, path);
	fclose(file);
	return 0;
}

static int run(const struct options *o, const struct vfio_device *mock,
	       struct backend *b)
{
	const struct tracker *tracker;
	struct result result;
	struct guest guest;
	struct device device;
	int rc, more = 0;

	rc = choose_tracker(b, o, &tracker);
	if (!rc)
		rc = check_output("--json", o->json);
	if (!rc)
		rc = check_output("--picture", o->picture);
	if (!rc)
		rc = device_init(&device, b->device);
	if (!rc)
		rc = guest_create(&guest, o);
	if (!rc)
		rc = guest_map(&guest, b);
	if (rc)
		return rc;
	report_start(o, &guest, mock, tracker->name);
	rc = migrate(o, &guest, b, tracker, &device, &result);
	if (!result.rounds)
		return rc;
	report_end(o, &guest, &result);
	if (!rc)
		rc = judge(&result);
	if (o->json)
		more = report_json(o, &guest, mock, &result);
	if (o->picture)
		more = draw_result(o, &guest, mock, &result) ?: more;
	free(result.rounds);
	return rc ?: more;
}

static int start(int argc, char **argv)
{
	struct options options;
	struct backend backend;
	struct vfio_device mock;
	int rc;

	rc = parse_options(argc, argv, &options);
	if (rc)
		return rc;
	if (options.list)
		return list_mocks();
	rc = find_mock(&options, &mock);
	if (!rc)
		rc = backend_open(&backend, find_backend(options.backend),
				  &mock);
	if (rc)
		return rc;
	rc = run(&options, &mock, &backend);
	backend_close(&backend);
	return rc;
}

int main(int argc, char **argv)
{
	const char *text;
	int rc;

	catch_signals();
	rc = start(argc, argv);
	text = take_failure();
	if (text[0])
		fprintf(stderr, "precopy: %s\n", text);
	return rc;
}
