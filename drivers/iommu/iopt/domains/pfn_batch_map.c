// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: mapping batches
 *
 * A batch is mapped in a domain run by run. A driver may have to sync its page tables
 * once per call, so short runs are mapped by one call, with a scatterlist.
 */
#include <linux/align.h>
#include <linux/iommu.h>
#include <linux/sched.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>

#include "domains/iopt_leaf.h"
#include "domains/pfn_batch_map.h"
#include "memory/pfn_batch.h"
#include "space/iopt_area.h"

/* Number of entries of a scatterlist, which iommu_map_sg() maps in one call. */
#define PFN_BATCH_SG	32

/* Maximum number of pages of a scatterlist. A longer run is mapped without one. */
#define PFN_RUN_SG_PAGES	(SZ_64M / PAGE_SIZE)

/* Number of leaves that a driver maps in one call. */
#define PFN_RUN_MAP_LEAVES	8192

/* Undo a map. @length is 0 if the map failed at the first page. */
static void pfn_run_unmap(struct iopt_area *area, struct iommu_domain *domain,
			  unsigned long iova, unsigned long length)
{
	if (length)
		iopt_area_unmap_iova(area, domain, iova, iova + length - 1);
}

/* Map a run by leaves of one page, so that areas can be split at any page. */
static int pfn_run_map_small(struct pfn_run *run, struct iopt_area *area,
			     struct iommu_domain *domain, unsigned long iova)
{
	unsigned long n;
	int rc;

	for (n = 0; n < run->npages; n++) {
		rc = iommu_map(domain, iova + n * PAGE_SIZE,
			       PFN_PHYS(run->pfn + n), PAGE_SIZE, area->prot,
			       GFP_KERNEL_ACCOUNT);
		if (rc) {
			pfn_run_unmap(area, domain, iova, n * PAGE_SIZE);
			return rc;
		}
		cond_resched();
	}
	return 0;
}

/* Return: the bytes of a run from @offset on. The area may end within its last page. */
static unsigned long pfn_run_bytes(struct pfn_run *run, struct iopt_area *area,
				   unsigned long iova, unsigned int offset)
{
	return min(run->npages * PAGE_SIZE - offset - 1,
		   iopt_area_last_iova(area) - iova) + 1;
}

/* Return: the size of the largest leaf that may map a part of a run, at most 1 GiB. */
static unsigned long pfn_run_leaf(struct iommu_domain *domain,
				  unsigned long iova, phys_addr_t phys)
{
	unsigned long sizes = domain->pgsize_bitmap & (2UL * SZ_1G - 1);
	unsigned long leaf;

	while (sizes) {
		leaf = 1UL << __fls(sizes);
		if (!((iova ^ phys) & (leaf - 1)))
			return leaf;
		sizes &= ~leaf;
	}
	return 1UL << __ffs(domain->pgsize_bitmap);
}

/* Map a run without a scatterlist. Return: the bytes mapped, or a negative errno. */
static ssize_t pfn_run_map(struct pfn_run *run, struct iopt_area *area,
			   struct iommu_domain *domain, unsigned long iova,
			   unsigned int offset)
{
	unsigned long length = pfn_run_bytes(run, area, iova, offset);
	phys_addr_t phys = PFN_PHYS(run->pfn) + offset;
	unsigned long leaf = pfn_run_leaf(domain, iova, phys);
	u64 step = min_t(u64, leaf, SZ_2M) * PFN_RUN_MAP_LEAVES;
	unsigned long n, done;
	int rc;

	for (done = 0; done < length; done += n) {
		n = length - done;
		if (n > step)
			n = ALIGN_DOWN(iova + done + step, leaf) - iova - done;
		rc = iommu_map(domain, iova + done, phys + done, n, area->prot,
			       GFP_KERNEL_ACCOUNT);
		if (rc) {
			pfn_run_unmap(area, domain, iova, done);
			return rc;
		}
		cond_resched();
	}
	return length;
}

/*
 * Map up to @nr runs in one call, as a driver may have to flush or sync once per call.
 * @nr is set to the number of runs mapped. Return: the bytes mapped, or a negative
 * errno with nothing mapped.
 */
static ssize_t pfn_runs_map(struct pfn_run *runs, unsigned int *nr,
			    struct iopt_area *area, struct iommu_domain *domain,
			    unsigned long iova, unsigned int offset)
{
	unsigned int max = min(*nr, PFN_BATCH_SG);
	struct scatterlist sg[PFN_BATCH_SG];
	unsigned long length, next = iova;
	unsigned long npages = 0;

	sg_init_table(sg, max);
	for (*nr = 0; *nr < max; ++*nr) {
		npages += runs[*nr].npages;
		if (npages > PFN_RUN_SG_PAGES)
			break;
		length = pfn_run_bytes(&runs[*nr], area, next, offset);
		sg_set_page(&sg[*nr], pfn_to_page(runs[*nr].pfn), length,
			    offset);
		next += length;
		offset = 0;
	}
	sg_mark_end(&sg[*nr - 1]);
	return iommu_map_sg(domain, iova, sg, *nr, area->prot,
			    GFP_KERNEL_ACCOUNT);
}

/**
 * pfn_batch_to_domain() - map the pages of a batch
 * @batch: the batch
 * @area: the area whose IOVAs the pages are mapped at
 * @domain: the domain to map them in
 * @index: page index of the first page
 *
 * Return: 0, or, with nothing mapped,
 * * the error of the IOMMU driver
 * Context: may sleep.
 */
int pfn_batch_to_domain(struct pfn_batch *batch, struct iopt_area *area,
			struct iommu_domain *domain, unsigned long index)
{
	unsigned int offset = index == iopt_area_index(area) ?
			      area->page_offset : 0;
	unsigned long start = iopt_area_index_to_iova(area, index);
	unsigned long iova = start;
	unsigned int nr;
	ssize_t rc;

	for (unsigned int i = 0; i < batch->nr; i += nr) {
		struct pfn_run *run = &batch->runs[i];

		if (area->iopt->disable_large_pages) {
			nr = 1;
			rc = pfn_run_map_small(run, area, domain, iova);
			rc = rc ?: run->npages * PAGE_SIZE;
		} else if (run->npages > PFN_RUN_SG_PAGES ||
			   i + 1 == batch->nr) {
			nr = 1;
			rc = pfn_run_map(run, area, domain, iova, offset);
		} else {
			nr = batch->nr - i;
			rc = pfn_runs_map(run, &nr, area, domain, iova, offset);
		}
		if (rc < 0) {
			pfn_run_unmap(area, domain, start, iova - start);
			return rc;
		}
		iova += rc;
		offset = 0;
		cond_resched();
	}
	return 0;
}
