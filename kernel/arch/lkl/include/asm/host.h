/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _ASM_LKL_HOST_H
#define _ASM_LKL_HOST_H

#include <uapi/asm/host.h>

extern struct lkl_board lkl_board;

/* In engine.S: the shadow stack pointer. */
unsigned long lkl_get_stack_pointer(void);
void lkl_set_stack_pointer(unsigned long sp);

#endif
