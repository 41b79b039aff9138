/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_LKL_XOR_H
#define _ASM_LKL_XOR_H

#include <asm-generic/xor.h>

/* Known to be best, so that no time goes into measuring it at every boot. */
#define XOR_SELECT_TEMPLATE(fastest)	(&xor_block_32regs)

#endif
