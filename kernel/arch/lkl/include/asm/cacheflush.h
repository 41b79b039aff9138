/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_LKL_CACHEFLUSH_H
#define _ASM_LKL_CACHEFLUSH_H

/* There is no cache, but vmap() may be a copy: see mm/vmap.c. */
#define ARCH_IMPLEMENTS_FLUSH_KERNEL_VMAP_RANGE 1

void flush_kernel_vmap_range(void *vaddr, int size);
void invalidate_kernel_vmap_range(void *vaddr, int size);
void flush_kernel_vmaps(void);

#include <asm-generic/cacheflush.h>

#endif
