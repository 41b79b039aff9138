// SPDX-License-Identifier: GPL-2.0
/*
 * ntfs3 compresses into a mapping of pages and writes the pages while they are
 * mapped, without telling the cache that the mapping may be: see vmap.c.
 */

#include <linux/blk_types.h>
#include <linux/cacheflush.h>

struct ntfs_sb_info;
struct runs_tree;

int __real_ntfs_bio_pages(struct ntfs_sb_info *sbi, const struct runs_tree *run,
			  struct page **pages, u32 nr_pages, u64 vbo, u32 bytes,
			  enum req_op op);
int __wrap_ntfs_bio_pages(struct ntfs_sb_info *sbi, const struct runs_tree *run,
			  struct page **pages, u32 nr_pages, u64 vbo, u32 bytes,
			  enum req_op op);

int __wrap_ntfs_bio_pages(struct ntfs_sb_info *sbi, const struct runs_tree *run,
			  struct page **pages, u32 nr_pages, u64 vbo, u32 bytes,
			  enum req_op op)
{
	if (op == REQ_OP_WRITE)
		flush_kernel_vmaps();
	return __real_ntfs_bio_pages(sbi, run, pages, nr_pages, vbo, bytes, op);
}
