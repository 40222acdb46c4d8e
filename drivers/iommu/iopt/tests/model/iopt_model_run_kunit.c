// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: calls of the engine by random tests
 *
 * iopt_model_begin() and iopt_model_end() enclose each call: they make some
 * allocation in it fail, and compare its errno with the set that the model allows.
 */
#include <linux/sched.h>
#include <linux/stdarg.h>

#include "tests/model/random_kunit.h"

/**
 * iopt_model_outcome() - convert the result of a call to a set
 * @rc: 0 or a negative errno
 *
 * Return: the bit of @rc, or MODEL_EOTHER.
 */
unsigned int iopt_model_outcome(int rc)
{
	static const struct {
		int rc;
		unsigned int bit;
	} outcomes[] = {
		{ 0, MODEL_OK },
		{ -EINVAL, MODEL_EINVAL },
		{ -EEXIST, MODEL_EEXIST },
		{ -ENOENT, MODEL_ENOENT },
		{ -EPERM, MODEL_EPERM },
		{ -ENOMEM, MODEL_ENOMEM },
		{ -EFAULT, MODEL_EFAULT },
		{ -EADDRINUSE, MODEL_EADDRINUSE },
		{ -EOVERFLOW, MODEL_EOVERFLOW },
		{ -ENOSPC, MODEL_ENOSPC },
		{ MODEL_MAP_ERRNO, MODEL_EXDEV },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(outcomes); i++)
		if (outcomes[i].rc == rc)
			return outcomes[i].bit;
	return MODEL_EOTHER;
}

/**
 * iopt_model_describe() - set the description of the current step
 * @run: the run
 * @fmt: printf() format
 */
void iopt_model_describe(struct model_run *run, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(run->description, sizeof(run->description), fmt, args);
	va_end(args);
}

/**
 * iopt_model_fail() - report a failure, and make the run end
 * @run: the run
 * @fmt: printf() format
 */
void iopt_model_fail(struct model_run *run, const char *fmt, ...)
{
	char message[120];
	va_list args;

	va_start(args, fmt);
	vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);
	/* Most failures after the first are consequences of it: print four. */
	if (run->failed++ < 4)
		KUNIT_FAIL(run->test, "%s: seed %u, step %u: %s: %s",
			   run->cfg->name, run->seed, run->step, run->description,
			   message);
}

/**
 * iopt_model_begin() - prepare a call of the engine
 * @run: the run
 *
 * With MODEL_FAULTS, select an allocation that fails.
 */
void iopt_model_begin(struct model_run *run)
{
	run->driver_failed = false;
	run->injected = false;
	run->fail_nth = 0;
	if (!run->no_faults && run->cfg->flags & MODEL_FAULTS &&
	    !model_below(run, 3))
		run->fail_nth = 1 + model_below(run, 10);
	current->fail_nth = run->fail_nth;
}

/**
 * iopt_model_end() - check the result of a call of the engine
 * @run: the run
 * @rc: the result
 * @allowed: the set of results that are right if no failure was injected
 */
void iopt_model_end(struct model_run *run, int rc, unsigned int allowed)
{
	run->injected = run->fail_nth && !current->fail_nth;
	current->fail_nth = 0;
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		run->domains[i].fail = 0;
	if (run->driver_failed)
		allowed = MODEL_EXDEV;
	if (run->injected && !(allowed & MODEL_ALWAYS))
		allowed |= MODEL_ENOMEM | MODEL_EFAULT;
	if (!(iopt_model_outcome(rc) & allowed))
		iopt_model_fail(run, "returned %d%s", rc,
				run->injected ? " with an injected failure" : "");
}

/**
 * iopt_model_allow_dirty() - allow the next query to report any IOVA as dirty
 * @run: the run
 *
 * For calls in which an allocation failed: the engine then reports more than is dirty.
 */
void iopt_model_allow_dirty(struct model_run *run)
{
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++)
		if (run->now.tracked[i])
			for (size_t u = 0; u < run->cfg->bytes / MODEL_UNIT; u++)
				run->domains[i].expected[u] |= MODEL_MAY;
}
