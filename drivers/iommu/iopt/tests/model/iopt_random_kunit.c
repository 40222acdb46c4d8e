// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: random steps
 *
 * The test makes random calls of the engine's interface, iopt.h, on three IOASes, four
 * domains and seven memory objects, and makes some of them fail. After each step it
 * compares the engine with its model. The seed of each parameter is fixed, so a run can
 * be repeated; the message of a failure names the seed and the step.
 */
#include <kunit/pins.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>

#include "test_hooks.h"
#include "tests/iopt_fault_kunit.h"
#include "tests/model/random_kunit.h"

#define MODEL_WINDOW	SZ_2M

static const struct model_config model_configs[] = {
	{ "4k", 1, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K, SZ_4K, SZ_4K, SZ_4K } },
	{ "leaves of 16k and 64k", 2, 2500, 0, MODEL_WINDOW,
	  { SZ_4K | SZ_16K | SZ_64K, SZ_4K | SZ_64K, SZ_4K, SZ_4K | SZ_16K } },
	{ "leaves of 2m", 3, 700, SZ_512G, SZ_8M,
	  { SZ_4K | SZ_2M, SZ_4K | SZ_64K | SZ_2M, SZ_4K, 0 },
	  .flags = MODEL_HUGE },
	{ "granules of 2k and 1k", 4, 2500, SZ_4G, MODEL_WINDOW,
	  { SZ_2K | SZ_1M, SZ_1K | SZ_8K | SZ_64K, SZ_4K, SZ_2K } },
	{ "up to the last iova", 5, 2500, -(unsigned long)MODEL_WINDOW,
	  MODEL_WINDOW, { SZ_4K | SZ_64K, SZ_2K | SZ_16K, SZ_4K, SZ_64K } },
	{ "apertures", 6, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K | SZ_32K, SZ_2K | SZ_32K, SZ_4K, 0 },
	  .flags = MODEL_APERTURE },
	{ "batches of one run", 7, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K | SZ_16K | SZ_64K, SZ_4K, SZ_4K | SZ_64K, SZ_2K | SZ_64K },
	  .memory_limit = 1 },
	{ "batches of three runs", 8, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K | SZ_16K | SZ_64K, SZ_4K, SZ_4K | SZ_64K, SZ_2K | SZ_64K },
	  .memory_limit = 48 },
	{ "accounting", 9, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K | SZ_64K, SZ_2K | SZ_16K, SZ_4K, SZ_4K },
	  .flags = MODEL_ACCOUNT },
	{ "accounting with a limit", 10, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K | SZ_64K, SZ_2K | SZ_16K, SZ_4K, SZ_4K },
	  .limit = 150, .flags = MODEL_ACCOUNT },
	{ "failures", 11, 2500, SZ_1G, MODEL_WINDOW,
	  { SZ_4K | SZ_64K, SZ_2K | SZ_16K, SZ_4K | SZ_16K, SZ_4K },
	  .flags = MODEL_FAULTS },
	{ "failures in small batches", 12, 2500, 0, MODEL_WINDOW,
	  { SZ_4K | SZ_64K, SZ_2K | SZ_16K, SZ_4K | SZ_16K, SZ_4K },
	  .memory_limit = 32, .limit = 300,
	  .flags = MODEL_FAULTS | MODEL_ACCOUNT | MODEL_APERTURE },
	{ "failures with leaves of 2m", 13, 700, SZ_512G, SZ_8M,
	  { SZ_4K | SZ_2M, SZ_4K | SZ_64K | SZ_2M, SZ_4K, 0 },
	  .flags = MODEL_HUGE | MODEL_FAULTS },
	{ "long queries", 14, 400, SZ_512G, MODEL_WINDOW,
	  { SZ_4K | SZ_64K, SZ_2K | SZ_16K, SZ_4K | SZ_64K, SZ_4K },
	  .flags = MODEL_LONG_QUERY },
};

KUNIT_ARRAY_PARAM_DESC(model_configs, model_configs, name);

/* The seed of a round depends on its number and the test parameter only. */
static unsigned int random_rounds = 1;
module_param(random_rounds, uint, 0444);
MODULE_PARM_DESC(random_rounds,
		 "Number of rounds of each random test; each round has another seed");

static unsigned int random_steps = UINT_MAX;
module_param(random_steps, uint, 0444);
MODULE_PARM_DESC(random_steps, "Maximum number of steps of a round");

static void model_set_limit(struct model_run *run)
{
	if (run->cfg->limit)
		current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur =
			run->cfg->limit * PAGE_SIZE;
	/* The engine does not charge pages of a thread with CAP_IPC_LOCK. */
	if (run->cfg->flags & MODEL_ACCOUNT)
		iopt_kunit_drop_ipc_lock(run->test);
}

/**
 * iopt_model_alloc() - allocate a run with memory objects and domains
 * @test: the test; it frees the run when it ends
 * @cfg: parameters of the run
 *
 * The caller initialises the IOASes and their accesses.
 *
 * Return: the run.
 */
struct model_run *iopt_model_alloc(struct kunit *test,
				   const struct model_config *cfg)
{
	struct model_run *run = iopt_kunit_vzalloc(test, sizeof(*run));

	run->test = test;
	run->cfg = cfg;
	run->seed = run->cfg->seed;
	prandom_seed_state(&run->rnd, run->seed);
	run->bitmap_bytes = SZ_64K;
	if (run->cfg->flags & MODEL_LONG_QUERY)
		run->bitmap_bytes += SZ_2M;
	run->bitmap = iopt_kunit_mmap(test, run->bitmap_bytes / PAGE_SIZE);
	run->before = iopt_kunit_vzalloc(test, run->bitmap_bytes);
	run->after = iopt_kunit_vzalloc(test, run->bitmap_bytes);
	run->must = iopt_kunit_vzalloc(test, run->bitmap_bytes);
	run->may = iopt_kunit_vzalloc(test, run->bitmap_bytes);
	run->data = iopt_kunit_vzalloc(test, 3 * MODEL_MAX_DATA);
	iopt_model_memory_init(run);
	for (unsigned int i = 0; i < MODEL_DOMAINS; i++) {
		iopt_model_domain_init(run, i);
		run->now.ioas[i] = -1;
	}
	model_set_limit(run);
	run->pins = pins_count();
	run->user_locked = atomic_long_read(&current_user()->locked_vm);
	if (run->cfg->memory_limit)
		iopt_test_memory_limit = run->cfg->memory_limit;
	if (run->cfg->flags & MODEL_FAULTS)
		iopt_kunit_begin_faults(test);
	return run;
}

static void model_run_begin(struct model_run *run, unsigned int round)
{
	run->seed = run->cfg->seed + round * 1000;
	prandom_seed_state(&run->rnd, run->seed);
	for (unsigned int i = 0; i < MODEL_IOASES; i++) {
		iopt_init_table(&run->iopts[i]);
		/* The engine then allocates IOVAs from the window only. */
		iopt_kunit_allow(run->test, &run->iopts[i], run->cfg->base,
				 model_window_last(run));
		iopt_random_access_init(run, i);
		run->now.small[i] = false;
	}
}

/* Unmap and detach everything, in random order. */
static void model_run_end(struct model_run *run)
{
	for (unsigned int i = 0; i < MODEL_IOASES; i++) {
		if (model_below(run, 2))
			iopt_random_remove_domains(run, i);
		iopt_random_unmap_all(run, i);
		iopt_random_remove_domains(run, i);
		iopt_random_remove_access(run, i);
	}
	iopt_model_describe(run, "end");
	if (!run->failed)
		iopt_model_check(run);
	for (unsigned int i = 0; i < MODEL_IOASES; i++)
		iopt_destroy_table(&run->iopts[i]);
}

static const struct {
	unsigned int weight;
	void (*step)(struct model_run *run);
} model_steps[] = {
	{ 14, iopt_random_map },
	{ 5, iopt_random_map_anywhere },
	{ 12, iopt_random_copy },
	{ 9, iopt_random_unmap },
	{ 3, iopt_random_split },
	{ 6, iopt_random_add_domain },
	{ 3, iopt_random_remove_domain },
	{ 2, iopt_random_large_pages },
	{ 3, iopt_random_access },
	{ 12, iopt_random_pin },
	{ 8, iopt_random_unpin },
	{ 8, iopt_random_rw },
	{ 6, iopt_random_track },
	{ 14, iopt_random_write },
	{ 10, iopt_random_query },
	{ 2, iopt_random_faulting_query },
};

static void model_step(struct model_run *run)
{
	unsigned int sum = 0, pick, i;

	for (i = 0; i < ARRAY_SIZE(model_steps); i++)
		sum += model_steps[i].weight;
	pick = model_below(run, sum);
	for (i = 0; pick >= model_steps[i].weight; i++)
		pick -= model_steps[i].weight;
	iopt_model_describe(run, "no call");
	model_steps[i].step(run);
}

static void model_run_steps(struct model_run *run)
{
	unsigned int steps = min(run->cfg->steps, random_steps);

	for (run->step = 0; run->step < steps; run->step++) {
		model_step(run);
		if (!run->failed)
			iopt_model_check(run);
		if (!run->failed && !model_below(run, 4))
			iopt_random_check_dirty(run);
		if (run->failed)
			return;
		cond_resched();
	}
}

static void random_steps_match_model(struct kunit *test)
{
	struct model_run *run = iopt_model_alloc(test, test->param_value);

	for (unsigned int i = 0; i < random_rounds && !run->failed; i++) {
		model_run_begin(run, i);
		model_run_steps(run);
		model_run_end(run);
	}
}

static struct kunit_case iopt_random_cases[] = {
	KUNIT_CASE_PARAM_ATTR(random_steps_match_model, model_configs_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite iopt_random_suite = {
	.name = "iommufd_iopt_random",
	.init = iopt_kunit_init,
	.exit = iopt_kunit_exit,
	.test_cases = iopt_random_cases,
};

kunit_test_suite(iopt_random_suite);
