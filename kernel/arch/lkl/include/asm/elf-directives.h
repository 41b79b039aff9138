/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Included ahead of every assembly file: usr/initramfs_data.S is written for
 * ELF. The wasm assembler knows other section flags, and a data symbol must
 * have a size.
 */
#ifndef _ASM_LKL_ELF_DIRECTIVES_H
#define _ASM_LKL_ELF_DIRECTIVES_H

#ifdef __ASSEMBLY__

/* A macro that stands for the directive of the same name steps aside for it. */
	.macro	lkl_define_section
	.macro	.section name, flags:vararg
	.purgem	.section
	.section \name, "", @
	lkl_define_section
	.endm
	.endm
	lkl_define_section

	.macro	lkl_define_globl
	.macro	.globl name
	.purgem	.globl
	.globl	\name
	.size	\name, 4
	lkl_define_globl
	.endm
	.endm
	lkl_define_globl

/* Labels that need no symbol, and so no size */
#define __irf_start	.L__irf_start
#define __irf_end	.L__irf_end

#endif
#endif
