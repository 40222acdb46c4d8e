// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of area numbers to IOVAs, for fuzzers: see MOCK_FLAGS_ACCESS_SYZ.
 */
#include <linux/cleanup.h>
#include <linux/interval_tree.h>
#include <linux/string.h>

#include "iommufd_private.h"
#include "iommufd_test.h"

/**
 * iommufd_test_syz_iova() - convert an area number and an offset to an IOVA
 * @iopt: the IOVA space
 * @where: number of the area in the first four bytes, offset in the others
 *
 * A fuzzer cannot predict which IOVA a map allocates, but it can predict the
 * number of an area.
 *
 * Return: the IOVA; 0 if there is no such area.
 * Context: takes &io_pagetable.iova_rwsem.
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
 * iommufd_test_syz_conv_iova_id() - convert an area number of an ioctl to an IOVA
 * @ucmd: the ioctl
 * @ioas_id: ID of the IOAS
 * @iova: area number and offset; replaced by the IOVA
 * @flags: nothing is converted without MOCK_FLAGS_ACCESS_SYZ, which is cleared
 *
 * If there is no such IOAS, @iova does not change, and the ioctl will fail.
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
