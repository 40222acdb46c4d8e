// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: bits that many set and one takes away
 *
 * The truth log and DMA logging keep a bit for every unit of memory. A write
 * sets bits while a reader takes them: a bit that is set is either in what the
 * reader gets or still there afterwards. No lock is needed for that, only that
 * a word is never changed in two steps.
 */
#include <linux/bits.h>
#include <linux/minmax.h>

#include "mock_dma.h"

/**
 * mock_dma_bits_set() - set bits @first to @last
 * @bits: the bitmap
 * @first: number of the first bit
 * @last: number of the last bit, inclusive
 *
 * A word that has its bits already is left alone, which keeps its cache line
 * shared. The caller must have a full barrier between the memory write that
 * the bits tell of and this call: it is what makes that test safe.
 *
 * Context: any; against mock_dma_bits_take() and itself.
 */
void mock_dma_bits_set(atomic_long_t *bits, unsigned long first,
		       unsigned long last)
{
	unsigned long word, end = last / BITS_PER_LONG;

	for (word = first / BITS_PER_LONG; word <= end; word++) {
		unsigned long low = max(first, word * BITS_PER_LONG);
		unsigned long high = min(last, word * BITS_PER_LONG +
					       BITS_PER_LONG - 1);
		unsigned long mask = GENMASK(high % BITS_PER_LONG,
					     low % BITS_PER_LONG);

		if ((atomic_long_read(&bits[word]) & mask) != mask)
			atomic_long_or(mask, &bits[word]);
	}
}

/**
 * mock_dma_bits_take() - look at a word and clear some of its bits
 * @word: the word
 * @show: bits to look at
 * @clear: bits to clear, a part of @show
 *
 * Return: those of @show that were set.
 * Context: any. A full barrier where a bit was cleared.
 */
unsigned long mock_dma_bits_take(atomic_long_t *word, unsigned long show,
				 unsigned long clear)
{
	unsigned long old = atomic_long_read(word);

	if (!(old & show))
		return 0;
	if (clear == ~0UL)
		old = atomic_long_xchg(word, 0);
	else if (clear)
		old = atomic_long_fetch_andnot(clear, word);
	return old & show;
}
