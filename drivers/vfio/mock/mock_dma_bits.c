// SPDX-License-Identifier: GPL-2.0-only
/**
 * DOC: Bitmaps with concurrent writers and a reader
 *
 * The truth log and DMA logging have a bit for each unit of memory. Writes set
 * bits while a reader tests and clears them. A bit that a write sets is either
 * in the result of the reader, or still set afterwards. Atomic operations on
 * words ensure this without a lock.
 */
#include <linux/bits.h>
#include <linux/minmax.h>

#include "mock_dma.h"

/**
 * mock_dma_bits_set() - set a range of bits
 * @bits: the bitmap
 * @first: number of the first bit
 * @last: number of the last bit, inclusive
 *
 * A word that has all bits set already is not written, so its cache line stays
 * shared. For this test, the caller needs a full barrier between the write to
 * memory that it records and this call.
 *
 * Context: any; may run concurrently with itself and with
 * mock_dma_bits_test_and_clear().
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
 * mock_dma_bits_test_and_clear() - test and clear bits of a word
 * @word: the word
 * @mask: bits to test
 * @clear: bits to clear, a subset of @mask
 *
 * Return: the bits of @mask that were set.
 * Context: any. A full barrier if @clear is not 0 and a bit of @mask was set.
 */
unsigned long mock_dma_bits_test_and_clear(atomic_long_t *word,
					   unsigned long mask,
					   unsigned long clear)
{
	unsigned long old = atomic_long_read(word);

	if (!(old & mask))
		return 0;
	if (clear == ~0UL)
		old = atomic_long_xchg(word, 0);
	else if (clear)
		old = atomic_long_fetch_andnot(clear, word);
	return old & mask;
}
