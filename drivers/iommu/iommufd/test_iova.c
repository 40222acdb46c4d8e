// SPDX-License-Identifier: GPL-2.0-only
/*
 * IOVAs by number of their area, for programs that make up ioctls at random: see
 * MOCK_FLAGS_ACCESS_SYZ.
 */
#include <linux/cleanup.h>
#include <linux/interval_tree.h>
#include <linux/string.h>

#include "iommufd_private.h"
#include "iommufd_test.h"

/**
 * iommufd_test_syz_iova() - the IOVA that a fuzzer means
 * @iopt: the IOVA space
 * @where: an ordinal in the first four bytes, an offset in the others
 *
 * A fuzzer cannot know which IOVA a map gave. It hits one if it may name the
 * how-manieth area, and a byte of it.
 *
 * Return: the IOVA; 0 where there are not so many areas.
 *
 * Context: Takes &io_pagetable.iova_rwsem.
 */
unsigned long iommufd_test_syz_iova(struct io_pagetable *iopt, u64 where)
{
	struct interval_tree_node *node;
	u32 part[2];

	static_assert(sizeof(part) == sizeof(where));
	memcpy(part, &where, sizeof(part));

	guard(rwsem_read)(&iopt->iova_rwsem);
	node = interval_tree_iter_first(&iopt->area_itree, 0, ULONG_MAX);
	while (node && part[0]--)
		node = interval_tree_iter_next(node, 0, ULONG_MAX);
	return node ? node->start + part[1] : 0;
}

/**
 * iommufd_test_syz_conv_iova_id() - the same for an ioctl that names an IOAS
 * @ucmd: the ioctl
 * @ioas_id: the IOAS that @iova is in
 * @iova: replaced by the IOVA that it means
 * @flags: nothing happens without MOCK_FLAGS_ACCESS_SYZ, which is taken away
 *
 * Where there is no such IOAS @iova stays, and the ioctl will tell.
 */
void iommufd_test_syz_conv_iova_id(struct iommufd_ucmd *ucmd,
				   unsigned int ioas_id, u64 *iova, u32 *flags)
{
	struct iommufd_ioas *ioas;

	if (!(*flags & MOCK_FLAGS_ACCESS_SYZ))
		return;
	*flags &= ~MOCK_FLAGS_ACCESS_SYZ;
	ioas = iommufd_get_ioas(ucmd->ictx, ioas_id);
	if (!IS_ERR(ioas)) {
		*iova = iommufd_test_syz_iova(&ioas->iopt, *iova);
		iommufd_put_object(ucmd->ictx, &ioas->obj);
	}
}
