// SPDX-License-Identifier: GPL-2.0
/*
 * vmap() without page tables. mm/nommu.c stops the kernel in it, so the linker
 * sends its callers here (--wrap).
 *
 * Pages that happen to be neighbours are their own mapping. Others get a copy,
 * which behaves like a virtually indexed write-back cache: it is filled when it
 * is made and by invalidate_kernel_vmap_range(), and what was changed in it is
 * written to the pages by flush_kernel_vmap_range() and when it is unmapped.
 * Pages that were not changed through the mapping are left alone, as somebody
 * may have changed them behind it: a hash tells.
 */

#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/maple_tree.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/xxhash.h>

struct alias_page {
	struct page *page;
	u64 hash;		/* of the copy when it last equalled the page */
};

struct alias {
	void *start;
	unsigned int count;
	struct alias_page pages[] __counted_by(count);
};

static DEFINE_MTREE(aliases);

static void fill_page(struct alias *alias, unsigned int i)
{
	void *copy = alias->start + i * PAGE_SIZE;

	copy_page(copy, page_address(alias->pages[i].page));
	alias->pages[i].hash = xxh64(copy, PAGE_SIZE, 0);
}

static void clean_page(struct alias *alias, unsigned int i)
{
	void *copy = alias->start + i * PAGE_SIZE;
	u64 hash = xxh64(copy, PAGE_SIZE, 0);

	if (hash == alias->pages[i].hash)
		return;
	copy_page(page_address(alias->pages[i].page), copy);
	alias->pages[i].hash = hash;
}

static void for_alias_pages(void *vaddr, int size,
			    void (*fn)(struct alias *alias, unsigned int i))
{
	struct alias *alias = mtree_load(&aliases, (unsigned long)vaddr);
	unsigned int i, last;

	if (!alias || size <= 0)
		return;
	i = (vaddr - alias->start) / PAGE_SIZE;
	last = (vaddr + size - 1 - alias->start) / PAGE_SIZE;
	for (; i <= last && i < alias->count; i++)
		fn(alias, i);
}

void flush_kernel_vmap_range(void *vaddr, int size)
{
	for_alias_pages(vaddr, size, clean_page);
}

void invalidate_kernel_vmap_range(void *vaddr, int size)
{
	for_alias_pages(vaddr, size, fill_page);
}

void flush_kernel_vmaps(void)
{
	struct alias *alias;
	unsigned long index = 0;
	unsigned int i;

	mt_for_each(&aliases, alias, index, ULONG_MAX)
		for (i = 0; i < alias->count; i++)
			clean_page(alias, i);
}

static bool are_neighbours(struct page **pages, unsigned int count)
{
	unsigned int i;

	for (i = 1; i < count; i++)
		if (page_to_pfn(pages[i]) != page_to_pfn(pages[0]) + i)
			return false;
	return true;
}

static void *map_alias(struct page **pages, unsigned int count)
{
	size_t size = (size_t)count * PAGE_SIZE;
	unsigned long start;
	struct alias *alias;
	unsigned int i;

	alias = kvmalloc(struct_size(alias, pages, count), GFP_KERNEL);
	if (!alias)
		return NULL;
	alias->count = count;
	alias->start = alloc_pages_exact(size, GFP_KERNEL | __GFP_NOWARN);
	if (!alias->start)
		goto free_alias;
	for (i = 0; i < count; i++) {
		alias->pages[i].page = pages[i];
		fill_page(alias, i);
	}
	start = (unsigned long)alias->start;
	if (mtree_insert_range(&aliases, start, start + size - 1, alias,
			       GFP_KERNEL))
		goto free_pages;
	return alias->start;

free_pages:
	free_pages_exact(alias->start, size);
free_alias:
	kvfree(alias);
	return NULL;
}

static void unmap_alias(const void *mem)
{
	struct alias *alias = mtree_erase(&aliases, (unsigned long)mem);
	unsigned int i;

	if (!alias)
		return;
	for (i = 0; i < alias->count; i++)
		clean_page(alias, i);
	free_pages_exact(alias->start, (size_t)alias->count * PAGE_SIZE);
	kvfree(alias);
}

void *__wrap_vmap(struct page **pages, unsigned int count, unsigned long flags,
		  pgprot_t prot);
void __wrap_vunmap(const void *mem);
void *__wrap_vm_map_ram(struct page **pages, unsigned int count, int node);
void __wrap_vm_unmap_ram(const void *mem, unsigned int count);

void *__wrap_vmap(struct page **pages, unsigned int count, unsigned long flags,
		  pgprot_t prot)
{
	/* A ring that is mapped twice in a row, or for user space: no copy is that. */
	if (flags & VM_USERMAP)
		return NULL;
	return __wrap_vm_map_ram(pages, count, NUMA_NO_NODE);
}

void __wrap_vunmap(const void *mem)
{
	unmap_alias(mem);
}

void *__wrap_vm_map_ram(struct page **pages, unsigned int count, int node)
{
	if (!count)
		return NULL;
	if (are_neighbours(pages, count))
		return page_address(pages[0]);
	return map_alias(pages, count);
}

void __wrap_vm_unmap_ram(const void *mem, unsigned int count)
{
	unmap_alias(mem);
}
