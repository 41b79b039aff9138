/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included ahead of every C file, after the compiler's headers. Where a header
 * of one part of the kernel says something that cannot be here, read it early
 * and say it differently; its include guard keeps the second reading away.
 */
#if defined(__KBUILD_MODNAME) && !defined(_ASM_LKL_OVERRIDES_H)
#define _ASM_LKL_OVERRIDES_H

/* kmod_ and the name of the part that is being compiled; others count as 0. */
#define kmod_xfs	1
#define kmod_f2fs	2
#define kmod_configs	3
#define LKL_PART_IS(n)	(__KBUILD_MODNAME == (n))
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wundef"

#if LKL_PART_IS(1)
#undef kmod_xfs
#include "../../../../fs/xfs/xfs.h"
/* Labels have no address. A verifier's NULL says that all is well; the line does not. */
#undef __this_address
#define __this_address	((void *)(unsigned long)__LINE__)

#elif LKL_PART_IS(2)
#undef kmod_f2fs
#include <linux/fs.h>
#include <linux/f2fs_fs.h>
#include "../../../../fs/f2fs/f2fs.h"
/*
 * Map pages for decompression after they were read and unmap them before
 * anybody else sees them, as a mapping may be a copy (mm/vmap.c).
 */
#define f2fs_low_mem_mode(sbi)	true

#elif LKL_PART_IS(3)
/* The assembly in kernel/configs.c is written for ELF. */
asm(".macro	.pushsection name, flags:vararg\n\t"
	".section	\\name, \"\", @\n\t"
	".endm\n\t"
	".macro	.popsection\n\t"
	".section	.text, \"\", @\n\t"
	".endm\n\t"
	".macro	.global name\n\t"
	".globl	\\name\n\t"
	".type	\\name, @object\n\t"
	".size	\\name, 1\n\t"
	".endm");
#endif

#pragma clang diagnostic pop

#undef kmod_xfs
#undef kmod_f2fs
#undef kmod_configs

#endif
