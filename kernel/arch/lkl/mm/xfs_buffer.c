// SPDX-License-Identifier: GPL-2.0
/*
 * XFS zeroes the pages of a buffer, not its mapping, which may be a copy that
 * would not notice: see vmap.c. What is then written to the mapping may be what
 * it held before, and would never reach the pages.
 */

#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>

struct xfs_buf;

/* Where everything else in XFS accesses a buffer. */
void *xfs_buf_offset(struct xfs_buf *bp, size_t offset);

void __wrap_xfs_buf_zero(struct xfs_buf *bp, size_t boff, size_t bsize);

void __wrap_xfs_buf_zero(struct xfs_buf *bp, size_t boff, size_t bsize)
{
	size_t end = boff + bsize;

	while (boff < end) {
		void *start = xfs_buf_offset(bp, boff);
		size_t size = min(end - boff, PAGE_SIZE - offset_in_page(start));

		memset(start, 0, size);
		boff += size;
	}
}
