// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: the model test's memory
 *
 * A run has MODEL_MEMS memory objects, with a list of the pages of each: folios of
 * several sizes, as a whole or as pages in any order; anonymous memory; a shmem file. One
 * object has holes, one is read-only. A file whose mmap operation inserts the given pages
 * maps the folios in the test's mm.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>

#include "tests/model/random_kunit.h"

/* Address of the first memory object; each one begins at a multiple of it. */
#define MODEL_ADDRESS		SZ_32M

/**
 * iopt_model_page_pins() - count the pins of a page's folio
 * @page: the page
 *
 * Pins of a small folio are part of its refcount: the result is right only as long as
 * the folio has fewer than GUP_PIN_COUNTING_BIAS references.
 *
 * Return: the number of pins.
 */
unsigned int iopt_model_page_pins(struct page *page)
{
	struct folio *folio = page_folio(page);

	if (folio_test_large(folio))
		return atomic_read(&folio->_pincount);
	return folio_ref_count(folio) / GUP_PIN_COUNTING_BIAS;
}

static void model_put_page(void *page)
{
	put_page(page);
}

static void model_fput(void *file)
{
	fput(file);
}

static unsigned int model_folio_of(struct model_run *run, struct page *page)
{
	struct folio *folio = page_folio(page);
	unsigned int i;

	for (i = 0; i < run->nr_folios; i++)
		if (run->folios[i].folio == folio)
			return i;
	KUNIT_ASSERT_LT(run->test, i, MODEL_FOLIOS);
	run->folios[i].folio = folio;
	run->nr_folios++;
	return i;
}

/* Append a page to a memory object. Consumes a reference on @page. */
static void model_add_page(struct model_run *run, struct model_mem *mem,
			   struct page *page)
{
	KUNIT_ASSERT_LT(run->test, mem->npages, MODEL_MAX_PAGES);
	mem->folio[mem->npages] = model_folio_of(run, page);
	mem->page[mem->npages++] = page;
	KUNIT_ASSERT_EQ(run->test, 0,
			kunit_add_action_or_reset(run->test, model_put_page,
						  page));
}

static void model_add_folio(struct model_run *run, struct model_mem *mem,
			    unsigned int order)
{
	struct page *page = alloc_pages(GFP_KERNEL | __GFP_COMP | __GFP_ZERO,
					order);

	KUNIT_ASSERT_NOT_NULL(run->test, page);
	for (unsigned int i = 0; i < BIT(order); i++) {
		if (i)
			get_page(page + i);
		model_add_page(run, mem, page + i);
	}
}

static void model_add_hole(struct model_mem *mem)
{
	mem->page[mem->npages++] = NULL;
}

static int model_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct model_mem *mem = file->private_data;
	int rc = 0;

	for (unsigned int i = 0; i < mem->npages && !rc; i++)
		if (mem->page[i])
			rc = vm_insert_page(vma, vma->vm_start + i * PAGE_SIZE,
					    mem->page[i]);
	return rc;
}

static const struct file_operations model_fops = {
	.owner = THIS_MODULE,
	.mmap = model_mmap,
};

static void model_map_mem(struct model_run *run, struct model_mem *mem,
			  struct file *file, unsigned long flags)
{
	unsigned long address = MODEL_ADDRESS * (mem - run->mems + 1);

	mem->address = kunit_vm_mmap(run->test, file, address,
				     mem->npages * PAGE_SIZE,
				     mem->readonly ? PROT_READ :
						     PROT_READ | PROT_WRITE,
				     flags | MAP_FIXED_NOREPLACE, 0);
	KUNIT_ASSERT_EQ(run->test, mem->address, address);
}

/* Map the pages of a memory object in the test's mm. */
static void model_map_folios(struct model_run *run, struct model_mem *mem)
{
	struct file *file = anon_inode_getfile("[iopt_model]", &model_fops, mem,
					       O_RDWR);

	KUNIT_ASSERT_FALSE(run->test, IS_ERR(file));
	KUNIT_ASSERT_EQ(run->test, 0,
			kunit_add_action_or_reset(run->test, model_fput, file));
	model_map_mem(run, mem, file, MAP_SHARED);
}

static void model_init_folios(struct model_run *run, struct model_mem *mem)
{
	static const u8 orders[] = { 4, 0, 2, 0, 3, 1, 4, 0, 0, 2, 5 };

	mem->name = "folios";
	for (unsigned int i = 0; i < ARRAY_SIZE(orders); i++)
		model_add_folio(run, mem, orders[i]);
	model_map_folios(run, mem);
}

static void model_init_whole(struct model_run *run, struct model_mem *mem)
{
	mem->name = "whole";
	if (run->cfg->flags & MODEL_HUGE)
		model_add_folio(run, mem, get_order(SZ_2M));
	for (unsigned int i = 0; i < 3; i++)
		model_add_folio(run, mem, 4);
	model_map_folios(run, mem);
}

/* Pages of the folios of memory object 1, out of order, some twice, some not at all. */
static void model_init_split(struct model_run *run, struct model_mem *mem)
{
	const struct model_mem *from = &run->mems[1];
	unsigned int at = 0, n;
	bool backwards;

	mem->name = "split";
	while (mem->npages < 96) {
		if (!model_below(run, 2))
			at = model_below(run, from->npages);
		n = 1 + model_below(run, 12);
		backwards = model_below(run, 2);
		while (n-- && mem->npages < 96) {
			get_page(from->page[at]);
			model_add_page(run, mem, from->page[at]);
			at += backwards ? from->npages - 1 : 1;
			at %= from->npages;
		}
	}
	model_map_folios(run, mem);
}

static void model_init_anon(struct model_run *run, struct model_mem *mem)
{
	struct page *page;

	mem->name = "anonymous";
	mem->npages = 96;
	model_map_mem(run, mem, NULL, MAP_ANONYMOUS | MAP_PRIVATE);
	for (mem->npages = 0; mem->npages < 96;) {
		KUNIT_ASSERT_EQ(run->test, 1,
				get_user_pages_fast(mem->address +
						    mem->npages * PAGE_SIZE, 1,
						    FOLL_WRITE, &page));
		model_add_page(run, mem, page);
	}
}

static void model_init_file(struct model_run *run, struct model_mem *mem)
{
	struct page *page;

	mem->name = "file";
	mem->file = shmem_file_setup("iopt_model", 96 * PAGE_SIZE, 0);
	KUNIT_ASSERT_FALSE(run->test, IS_ERR(mem->file));
	KUNIT_ASSERT_EQ(run->test, 0,
			kunit_add_action_or_reset(run->test, model_fput,
						  mem->file));
	for (unsigned int i = 0; i < 96; i++) {
		page = shmem_read_mapping_page(mem->file->f_mapping, i);
		KUNIT_ASSERT_FALSE(run->test, IS_ERR(page));
		model_add_page(run, mem, page);
	}
	for (unsigned int i = 0; i < MODEL_FILE_HOLE; i++)
		model_add_hole(mem);
}

static void model_init_holes(struct model_run *run, struct model_mem *mem)
{
	mem->name = "holes";
	for (unsigned int i = 0; i < 48; i++) {
		if (i == 23 || i == 24 || i == 40)
			model_add_hole(mem);
		else
			model_add_folio(run, mem, i % 2);
	}
	model_map_folios(run, mem);
}

static void model_init_readonly(struct model_run *run, struct model_mem *mem)
{
	mem->name = "readonly";
	mem->readonly = true;
	for (unsigned int i = 0; i < 8; i++)
		model_add_folio(run, mem, i % 4);
	model_map_folios(run, mem);
}

/**
 * iopt_model_memory_init() - allocate and map all memory objects of a run
 * @run: the run; its test frees them when it ends
 *
 * Context: the test's thread, in whose mm they are mapped.
 */
void iopt_model_memory_init(struct model_run *run)
{
	static void (*const init[MODEL_MEMS])(struct model_run *run,
					      struct model_mem *mem) = {
		model_init_whole,
		model_init_folios,
		model_init_split,
		model_init_anon,
		model_init_file,
		model_init_holes,
		model_init_readonly,
	};

	for (unsigned int i = 0; i < MODEL_MEMS; i++)
		init[i](run, &run->mems[i]);
}
